/* The layers for the DSP instructions, two products each. Every output is u = USAT8(SMMUL(256 a + d, Q) >> shift), which
   npgru/device_fast.py proved equal to the exact formula when the model was exported; the streams of weights are in the
   order that its functions <layer>_stream describe. Blocks of 4 columns x 2 channels fill the registers. */
#include "dsp.h"
#if NPGRU_ASSEMBLY_POINTWISE
#include "pointwise_dsp.h"
#endif

#if NPGRU_FORM == NPGRU_DSP || NPGRU_FORM == NPGRU_HELIUM

#if (NPGRU_FAST_POINTWISE || NPGRU_FAST_POOL) && !NPGRU_HELIUM_BLOCKS
static inline const npgru_word *columns_of(const npgru_half *pairs, int32_t row, int32_t m)
{
    return (const npgru_word *)(const void *)pairs + row * NPGRU_ROW_WORDS + m / 4 * NPGRU_COLUMNS_WORDS;
}

#if NPGRU_ASSEMBLY_POINTWISE
static inline const uint32_t *end_of_stream(const npgru_pointwise *p)
{
    return p->fast + (p->channels + 1) / 2 * (p->pair_words / 4 + 4);
}

/* All channels of 4 columns of a row: in..in_end, words of pairs, x the stream s..s_end. */
#define BEGIN_COLUMNS                                                       \
    "push {r0, r4-r11, lr}\n\t"                                             \
    "vpush {s16-s31}\n\t"                                                   \
    "ldr r12, [sp, #104]\n\t"                                               \
    "vmov s29, s30, r1, r12\n\t"                                            \
    "vmov s28, r2\n\t"                                                      \
    "vmov s31, r3\n\t"                                                      \
    "mov lr, r1\n"                                                          \
    "1:\n\t"
#define END_COLUMNS                                                         \
    "vmov lr, r1, s29, s30\n\t"                                             \
    "ldr r0, [sp, #64]\n\t"                                                 \
    "cmp lr, r1\n\t"                                                        \
    "bne 1b\n\t"                                                            \
    "vpop {s16-s31}\n\t"                                                    \
    "pop {r0, r4-r11, pc}\n"
#define SECOND_CHANNEL                                                      \
    "sub r9, r9, r5\n\t"                                                    \
    "sub r10, r10, r6\n\t"                                                  \
    "sub r11, r11, r7\n\t"                                                  \
    "sub r12, r12, r8\n\t"
#else
/* 4 columns x 2 channels over all inputs: a of the first channel, b = 256 a_second + a_first + its bias. */
#define PAIR(k)                                                                  \
    do {                                                                         \
        const uint32_t w = s[k], w0 = cm_sxtb16(w);                              \
        uint32_t u0 = x[4 * (k)], u1 = x[4 * (k) + 1];                           \
        a0 = cm_smlad(u0, w0, a0), b0 = cm_smlad(u0, w, b0);                     \
        a1 = cm_smlad(u1, w0, a1), b1 = cm_smlad(u1, w, b1);                     \
        u0 = x[4 * (k) + 2], u1 = x[4 * (k) + 3];                                \
        a2 = cm_smlad(u0, w0, a2), b2 = cm_smlad(u0, w, b2);                     \
        a3 = cm_smlad(u1, w0, a3), b3 = cm_smlad(u1, w, b3);                     \
    } while (0)

/* The first `unroll` pairs of inputs: 4, 6, 8, 12, 16 or 24. */
#define IF(condition, what) do { if (condition) { what; } } while (0)
#define PAIRS(unroll)                                                            \
    PAIR(0); PAIR(1); PAIR(2); PAIR(3);                                          \
    IF((unroll) > 4, PAIR(4); PAIR(5));                                          \
    IF((unroll) > 6, PAIR(6); PAIR(7));                                          \
    IF((unroll) > 8, PAIR(8); PAIR(9); PAIR(10); PAIR(11));                      \
    IF((unroll) > 12, PAIR(12); PAIR(13); PAIR(14); PAIR(15));                   \
    IF((unroll) > 16, PAIR(16); PAIR(17); PAIR(18); PAIR(19));                   \
    IF((unroll) > 16, PAIR(20); PAIR(21); PAIR(22); PAIR(23))

/* unroll pairs a turn; turns: 1 if that is all of every layer, else as many as it takes. */
#define SUMS(unroll, turns)                                                                                  \
    const npgru_word *x = in;                                                                                \
    int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = (int32_t)s[0], b1 = b0, b2 = b0, b3 = b0;                   \
    s++;                                                                                                     \
    do {                                                                                                     \
        PAIRS(unroll);                                                                                       \
        s += (unroll), x += 4 * (unroll);                                                                    \
    } while ((turns) != 1 && x < end);                                                                       \
    const int32_t d = (int32_t)s[0];                                                                         \
    const uint32_t q0 = s[1], q1 = s[2];                                                                     \
    s += 3
#define FIRST(a) cm_add_wrapping(cm_shift_left(a, 8), d)
#define SECOND(a, b) cm_add_wrapping(b, -(a))
#endif
#endif

#if NPGRU_FAST_POINTWISE && NPGRU_BLOCKS > 1 && !NPGRU_HELIUM_BLOCKS
/* 4 columns of a row, all channels; y: the row's byte of the first column. */
#if NPGRU_ASSEMBLY_POINTWISE
/* One instruction for each of four registers. */
#define FOUR(instruction, a, b, c, d)                                       \
    ".irp k," #a "," #b "," #c "," #d "\n\t" instruction "\n\t.endr\n\t"
#define STORE_4(a, b, c, d)                                                 \
    "strb " #a ", [r1]\n\t"                                                 \
    "strb " #b ", [r1, #4]\n\t"                                             \
    "strb " #c ", [r1, #8]\n\t"                                             \
    "strb " #d ", [r1, #12]\n\t"                                            \
    "add r1, r1, r2\n\t"

/* Bytes from y, next bytes from channel to channel. */
CM_NAKED static void bytes_of_columns(const npgru_word *in, const uint32_t *s, uint8_t *y, int32_t next,
                                      const uint32_t *s_end, const npgru_word *in_end)
{
    __asm__(BEGIN_COLUMNS
            SUMS(NPGRU_UNROLL_POINTWISE, NPGRU_TURNS_POINTWISE)
            "vmov r3, r4, s25, s26\n\t"
            "vmov lr, r1, s27, s28\n\t"
            "vmov r2, s31\n\t"
            SECOND_CHANNEL
            FOUR("add \\k, r3, \\k, lsl #8", r5, r6, r7, r8)
            FOUR("smmul \\k, \\k, r4", r5, r6, r7, r8)
            FOUR("usat \\k, #8, \\k, asr #" CM_TEXT(NPGRU_SHIFT_POINTWISE), r5, r6, r7, r8)
            STORE_4(r5, r6, r7, r8)
            FOUR("smmul \\k, \\k, lr", r9, r10, r11, r12)
            FOUR("usat \\k, #8, \\k, asr #" CM_TEXT(NPGRU_SHIFT_POINTWISE), r9, r10, r11, r12)
            STORE_4(r9, r10, r11, r12)
            "vmov s28, r1\n\t"
            END_COLUMNS);
}

static void pointwise_columns(const npgru_pointwise *p, const npgru_word *in, uint8_t *y)
{
    bytes_of_columns(in, p->fast, y, 4 * p->ring_columns, end_of_stream(p), in + p->pair_words);
}
#else
CM_USAT8_OF_SHIFTED(pointwise_saturated, NPGRU_SHIFT_POINTWISE)
static inline uint8_t pointwise_u(int32_t a, uint32_t q) { return (uint8_t)pointwise_saturated(cm_smmul(a, (int32_t)q)); }

CM_HOT static void pointwise_columns(const npgru_pointwise *p, const npgru_word *in, uint8_t *y)
{
    const int32_t next = 4 * p->ring_columns;
    const npgru_word *end = in + p->pair_words;
    const uint32_t *s = p->fast;
    for (int32_t n = p->channels; n > 0; n -= 2, y += 2 * next) {
        SUMS(NPGRU_UNROLL_POINTWISE, NPGRU_TURNS_POINTWISE);
        y[next] = pointwise_u(SECOND(a0, b0), q1), y[next + 4] = pointwise_u(SECOND(a1, b1), q1);
        y[next + 8] = pointwise_u(SECOND(a2, b2), q1), y[next + 12] = pointwise_u(SECOND(a3, b3), q1);
        y[0] = pointwise_u(FIRST(a0), q0), y[4] = pointwise_u(FIRST(a1), q0);
        y[8] = pointwise_u(FIRST(a2), q0), y[12] = pointwise_u(FIRST(a3), q0);
    }
}
#endif

void npgru_pointwise_fast(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t turn, int32_t first,
                          int32_t n, uint8_t *ring)
{
    for (int32_t m = 0; m < n; m += 4)
        for (int32_t row = 0; row < 2; row++)
            if (rows >> row & 1)
                pointwise_columns(p, columns_of(pairs, row, m),
                                  ring + 4 * (first + m) + NPGRU_NEW_ROWS(turn) + row);
}
#endif

#if NPGRU_FAST_POOL && NPGRU_BLOCKS > 0 && !NPGRU_HELIUM_BLOCKS
/* The output stage rises with the sum: of 4 columns, the largest sum is the largest output. */
#if NPGRU_ASSEMBLY_POINTWISE
#define LARGER(a, b) "cmp " #a ", " #b "\n\tit lt\n\tmovlt " #a ", " #b "\n\t"

/* The words of pooled from y. */
CM_NAKED static void largest_of_columns(const npgru_word *in, const uint32_t *s, npgru_word *y, int32_t nothing,
                                        const uint32_t *s_end, const npgru_word *in_end)
{
    __asm__(BEGIN_COLUMNS
            SUMS(NPGRU_UNROLL_POOL, NPGRU_TURNS_POOL)
            "vmov r3, r4, s25, s26\n\t"
            "vmov r1, r2, s27, s28\n\t"
            SECOND_CHANNEL
            LARGER(r5, r6) LARGER(r7, r8) LARGER(r5, r7)
            LARGER(r9, r10) LARGER(r11, r12) LARGER(r9, r11)
            "add r5, r3, r5, lsl #8\n\t"
            "smmul r5, r5, r4\n\t"
            "smmul r9, r9, r1\n\t"
            "usat r5, #8, r5, asr #" CM_TEXT(NPGRU_SHIFT_POOL) "\n\t"
            "usat r9, #8, r9, asr #" CM_TEXT(NPGRU_SHIFT_POOL) "\n\t"
            "orr r5, r5, r9, lsl #16\n\t"
            "str r5, [r2], #8\n\t"
            "vmov s28, r2\n\t"
            END_COLUMNS);
}

static void pool_columns(const npgru_pointwise *p, const npgru_word *in, npgru_word *y)
{
    largest_of_columns(in, p->fast, y, 0, end_of_stream(p), in + p->pair_words);
}
#else
CM_USAT8_OF_SHIFTED(pool_saturated, NPGRU_SHIFT_POOL)
static inline uint32_t pool_u(int32_t a, uint32_t q) { return (uint32_t)pool_saturated(cm_smmul(a, (int32_t)q)); }
static inline int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

CM_HOT static void pool_columns(const npgru_pointwise *p, const npgru_word *in, npgru_word *y)
{
    const npgru_word *end = in + p->pair_words;
    const uint32_t *s = p->fast;
    for (int32_t n = p->channels; n > 0; n -= 2, y += 2) {
        SUMS(NPGRU_UNROLL_POOL, NPGRU_TURNS_POOL);
        const int32_t second = larger(larger(SECOND(a0, b0), SECOND(a1, b1)), larger(SECOND(a2, b2), SECOND(a3, b3)));
        const int32_t a = larger(larger(a0, a1), larger(a2, a3));
        *y = pool_u(FIRST(a), q0) | pool_u(second, q1) << 16;
    }
}
#endif

void npgru_pool_fast(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t first, int32_t n,
                     npgru_half *pooled)
{
    for (int32_t m = 0; m < n; m += 4)
        for (int32_t row = 0; row < 2; row++)
            if (rows >> row & 1)
                pool_columns(p, columns_of(pairs, row, m),
                             (npgru_word *)(void *)pooled + (first + m) / 4 * p->channels + row);
}
#endif
#endif
