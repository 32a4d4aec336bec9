/* The products of rows.h, where almost all of a network's instructions are: in assembly for the M0+ and the M3, in C for
   any other machine. */
#include "rows.h"

#if NPGRU_FORM == NPGRU_ROWS

#if NPGRU_IS_M0 || NPGRU_IS_M3
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif

#if NPGRU_IS_M0
/* Four weights as words, which K of them are on the stack: LDRSB would take a register more. */
#define WIDEN "ldmia r1!, {r2}\n\tsxtb r3, r2\n\tasrs r5, r2, #8\n\tsxtb r5, r5\n\tasrs r6, r2, #16\n\tsxtb r6, r6\n\tasrs r7, r2, #24\n\t" \
              "stmia r4!, {r3, r5, r6, r7}\n\t"
#define TWO_COLUMNS "ldmia r5!, {r2, r3}\n\t" ONE_COLUMN("r8", "r6") ONE_COLUMN("r9", "r7")
#define ONE_COLUMN(all, upper) "ldmia r4!, {r0, r1}\n\tmuls r0, r2, r0\n\tmuls r1, r3, r1\n\tadds r0, r0, r1\n\t" \
                               "add " all ", r0\n\tasrs r0, r0, #16\n\tadcs " upper ", r0\n\t"
CM_NAKED void npgru_products(const uint32_t *x, const int8_t *w, int32_t K, npgru_sums *y, int32_t n)
{
    __asm__ volatile(
        ".syntax unified\n\t"
        "push {r4-r7, lr}\n\tmov r4, r8\n\tmov r5, r9\n\tmov r6, r10\n\tmov r7, r11\n\tpush {r4-r7}\n\t"
        "mov r12, r3\n\tldr r4, [sp, #36]\n\tmov lr, r4\n\tmov r10, sp\n\t"
        "lsls r2, r2, #2\n\tmov r4, sp\n\tsubs r4, r4, r2\n\tmov sp, r4\n\tmov r11, r4\n"
        "2:\n\t" WIDEN WIDEN "cmp r4, r10\n\tbne 2b\n\tmov r4, r0\n"
        "1:\n\tmov r5, r11\n\tmovs r6, #0\n\tmovs r7, #0\n\tmov r8, r6\n\tmov r9, r6\n"
        "0:\n\t" TWO_COLUMNS TWO_COLUMNS TWO_COLUMNS TWO_COLUMNS "cmp r5, r10\n\tbne 0b\n\t"
        "mov r0, r12\n\tmov r1, r8\n\tlsls r2, r6, #16\n\tsubs r1, r1, r2\n\tstmia r0!, {r1, r6}\n\t"
        "mov r1, r9\n\tlsls r2, r7, #16\n\tsubs r1, r1, r2\n\tstmia r0!, {r1, r7}\n\tmov r12, r0\n\t"
        "mov r0, lr\n\tsubs r0, r0, #1\n\tmov lr, r0\n\tbne 1b\n\tmov sp, r10\n\t"
        "pop {r4-r7}\n\tmov r8, r4\n\tmov r9, r5\n\tmov r10, r6\n\tmov r11, r7\n\tpop {r4-r7, pc}");
}

#define TWO "ldmia r0!, {r4, r5}\n\tldmia r1!, {r2, r7}\n\tmuls r4, r2, r4\n\tmuls r5, r7, r5\n\tadds r4, r4, r5\n\t" SPLIT
#define THREE "ldmia r0!, {r4, r5, r6}\n\tldmia r1!, {r2, r7}\n\tmuls r4, r2, r4\n\tmuls r5, r7, r5\n\tadds r4, r4, r5\n\t" \
              "ldmia r1!, {r7}\n\tmuls r6, r7, r6\n\tadds r4, r4, r6\n\t" SPLIT
#define SPLIT "add r8, r4\n\tasrs r4, r4, #16\n\tadcs r3, r4\n\t"
#define NINE(products, n_taps_back, n_weights_bytes) \
    ".syntax unified\n\tpush {r4-r7, lr}\n\tmov r4, r8\n\tpush {r4}\n\tmov r12, r2\n\tlsls r4, r3, #1\n\tadds r4, r4, r3\n\t" \
    "lsls r4, r4, #2\n\tadds r4, r4, r0\n\tmov lr, r4\n" \
    "0:\n\tmovs r3, #0\n\tmov r8, r3\n\t" products \
    "mov r2, r8\n\tlsls r4, r3, #16\n\tsubs r2, r2, r4\n\tmov r4, r12\n\tstmia r4!, {r2, r3}\n\tmov r12, r4\n\t" \
    "subs r0, #" #n_taps_back "\n\tsubs r1, #" #n_weights_bytes "\n\tcmp r0, lr\n\tbne 0b\n\tpop {r4}\n\tmov r8, r4\n\tpop {r4-r7, pc}"
CM_NAKED void npgru_nine_by_threes(const uint32_t *taps, const int32_t *w, int32_t *y, int32_t n)
{
    __asm__ volatile(NINE(THREE THREE THREE, 24, 36));
}

CM_NAKED void npgru_nine_by_twos(const uint32_t *taps, const int32_t *w, int32_t *y, int32_t n)
{
    __asm__ volatile(NINE(TWO TWO TWO TWO TWO, 28, 40));
}
#undef NINE
#undef SPLIT
#undef THREE
#undef TWO

CM_NAKED void npgru_ring_taps(const uint32_t *x, uint32_t *taps, int32_t n, int32_t turn_bits)
{
    __asm__ volatile(
        ".syntax unified\n\tpush {r4-r7, lr}\n\tlsls r2, r2, #2\n\tadds r2, r2, r0\n\tmov r12, r2\n\tldr r2, 1f\n"
        "0:\n\tldmia r0!, {r7}\n\teors r7, r2\n\trors r7, r3\n\tsxtb r4, r7\n\tlsls r5, r7, #16\n\tasrs r5, r5, #24\n\t"
        "lsls r6, r7, #8\n\tasrs r6, r6, #24\n\tasrs r7, r7, #24\n\tlsls r7, r7, #16\n\tadds r7, r7, r6\n\t"
        "lsls r6, r6, #16\n\tadds r6, r6, r5\n\tlsls r5, r5, #16\n\tadds r4, r4, r5\n\tstmia r1!, {r4, r6, r7}\n\t"
        "cmp r0, r12\n\tbne 0b\n\tpop {r4-r7, pc}\n\t.balign 4\n1:\n\t.word 0x80808080");
}

#define TWO(second) "ldmia r0!, {r4, r5}\n\tsxtb r3, r2\n\tmuls r4, r3, r4\n\t" second "muls r5, r3, r5\n\tadds r4, r4, r5\n\t" \
                           "add r8, r4\n\tasrs r4, r4, #16\n\tadcs r6, r4\n\t"
CM_NAKED void npgru_row_products(const uint32_t *x, const int8_t *w, int32_t K, int32_t *y)
{
    __asm__ volatile(
        ".syntax unified\n\tpush {r4-r7, lr}\n\tmov r4, r8\n\tpush {r4}\n\t"
        "adds r2, r1, r2\n\tmov r12, r2\n\tmov lr, r3\n\tmovs r6, #0\n\tmov r8, r6\n"
        "0:\n\tldmia r1!, {r2}\n\t" TWO("asrs r3, r2, #8\n\tsxtb r3, r3\n\t") "asrs r2, r2, #16\n\t" TWO("asrs r3, r2, #8\n\t") "cmp r1, r12\n\tbne 0b\n\t"
        "mov r2, r8\n\tlsls r4, r6, #16\n\tsubs r2, r2, r4\n\tmov r4, lr\n\tstmia r4!, {r2, r6}\n\t"
        "pop {r4}\n\tmov r8, r4\n\tpop {r4-r7, pc}");
}
#undef TWO

#elif NPGRU_IS_M3
#define SPLIT(low, high, lower, upper) "lsr " upper ", " low ", #23\n\torr " upper ", " upper ", " high ", lsl #9\n\t" \
                                      "ubfx " lower ", " low ", #0, #23\n\tsub " lower ", " lower ", #0x400000\n\t"
#define TWO_COLUMNS "ldmia r0!, {r4, r5, r6, r7}\n\tldrsb r8, [r1], #1\n\tldrsb r9, [r1], #1\n\t" \
                    "smlal r10, r11, r4, r8\n\tsmlal r12, lr, r6, r8\n\tsmlal r10, r11, r5, r9\n\tsmlal r12, lr, r7, r9\n\t"
CM_NAKED void npgru_products(const uint32_t *x, const int8_t *w, int32_t K, npgru_sums *y, int32_t n)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\tadd r2, r1, r2\n\tpush {r1, r3}\n"
        "1:\n\tldr r1, [sp]\n\tmov r10, #0x400000\n\tmov r12, r10\n\tmov r11, #0\n\tmov lr, #0\n"
        "0:\n\t" TWO_COLUMNS TWO_COLUMNS TWO_COLUMNS TWO_COLUMNS "cmp r1, r2\n\tbne 0b\n\t"
        "ldr r1, [sp, #4]\n\t" SPLIT("r10", "r11", "r4", "r5") SPLIT("r12", "lr", "r6", "r7") "stmia r1!, {r4, r5, r6, r7}\n\t"
        "str r1, [sp, #4]\n\tldr r1, [sp, #44]\n\tsubs r1, r1, #1\n\tstr r1, [sp, #44]\n\tbne 1b\n\t"
        "add sp, sp, #8\n\tpop {r4-r11, pc}");
}

/* Of a column's bytes a, b, c, d the sums before, at and behind it take their products; the first has then all. */
#define TAP(k, first, second, low, high) "ldrsb r12, [r1, #" #k "]\n\tmla " low ", " first ", r12, " low "\n\tmla " high ", " second ", r12, " high "\n\t"
#define NEW(k, first, second, low, high) "ldrsb r12, [r1, #" #k "]\n\tmul " low ", " first ", r12\n\tmul " high ", " second ", r12\n\t"
#define COLUMN(b0, b1, a0, a1, n0, n1) \
    "ldr r3, [r0], #4\n\tror r6, r3, r2\n\tsxtb r3, r6\n\tsxtb r4, r6, ror #8\n\tsxtb r5, r6, ror #16\n\tasr r6, r6, #24\n\t" \
    TAP(6, "r3", "r4", b0, b1) TAP(7, "r4", "r5", b0, b1) TAP(8, "r5", "r6", b0, b1) \
    TAP(3, "r3", "r4", a0, a1) TAP(4, "r4", "r5", a0, a1) TAP(5, "r5", "r6", a0, a1) \
    NEW(0, "r3", "r4", n0, n1) TAP(1, "r4", "r5", n0, n1) TAP(2, "r5", "r6", n0, n1) \
    "ldr r12, [sp]\n\tstmia r12!, {" b0 ", " b1 "}\n\tstr r12, [sp]\n\tldr r12, [sp, #4]\n\tcmp r0, r12\n\tbeq 1f\n\t"
CM_NAKED void npgru_ring_products(const uint32_t *x, const int8_t *w, int32_t turn_bits, int32_t *y, int32_t n)
{
    __asm__ volatile(
        "push {r4-r11, lr}\n\tldr r12, [sp, #36]\n\tadd r12, r0, r12, lsl #2\n\tadd r12, r12, #8\n\tpush {r3, r12}\n"
        "0:\n\t" COLUMN("r7", "r8", "r9", "r10", "r11", "lr") COLUMN("r9", "r10", "r11", "lr", "r7", "r8")
        COLUMN("r11", "lr", "r7", "r8", "r9", "r10") "b 0b\n"
        "1:\n\tadd sp, sp, #8\n\tpop {r4-r11, pc}");
}
#undef COLUMN
#undef NEW
#undef TAP

#define ONE(x) "ldrsb r3, [r1], #1\n\tsmlal r12, lr, " #x ", r3\n\t"
CM_NAKED void npgru_row_products(const uint32_t *x, const int8_t *w, int32_t K, int32_t *y)
{
    __asm__ volatile(
        "push {r3-r11, lr}\n\tadd r2, r1, r2\n\tmov r12, #0x400000\n\tmov lr, #0\n"
        "0:\n\tldmia r0!, {r4-r11}\n\t" ONE(r4) ONE(r5) ONE(r6) ONE(r7) ONE(r8) ONE(r9) ONE(r10) ONE(r11) "cmp r1, r2\n\tbne 0b\n\t"
        "pop {r3}\n\t" SPLIT("r12", "lr", "r4", "r5") "stmia r3, {r4, r5}\n\tpop {r4-r11, pc}");
}
#undef ONE

#else
static void apart(int64_t all, int32_t *y)
{
    y[0] = (int32_t)((uint32_t)all << (32 - UPPER)) >> (32 - UPPER), y[1] = (int32_t)((all - y[0]) >> UPPER);
}

void npgru_products(const uint32_t *x, const int8_t *w, int32_t K, npgru_sums *y, int32_t n)
{
    for (; n > 0; n--, x += 2 * K, y++) {
        int64_t a = 0, b = 0;
        for (int32_t k = 0; k < K; k++) {
            a += (int64_t)(int32_t)x[(k >> 1) * 4 + (k & 1)] * w[k];
            b += (int64_t)(int32_t)x[(k >> 1) * 4 + 2 + (k & 1)] * w[k];
        }
        apart(a, &y->a_lower), apart(b, &y->b_lower);
    }
}

void npgru_row_products(const uint32_t *x, const int8_t *w, int32_t K, int32_t *y)
{
    int64_t all = 0;
    for (int32_t k = 0; k < K; k++) all += (int64_t)(int32_t)x[k] * w[k];
    apart(all, y);
}

void npgru_ring_products(const uint32_t *x, const int8_t *w, int32_t turn_bits, int32_t *y, int32_t n)
{
    for (int32_t i = 0; i < 2 * n; i++) {
        y[i + 4] = 0;
        for (int32_t k = 0; k < 9; k++) {
            const int32_t row = k % 3 + i % 2;
            y[i + 4] += (int8_t)(x[i / 2 + k / 3] >> ((8 * row + turn_bits) & 31)) * w[k];
        }
    }
}
#endif

#endif
