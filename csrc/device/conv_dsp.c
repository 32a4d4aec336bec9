/* The first convolution for the DSP instructions: output stage and stream as in pointwise_dsp.c. Blocks of 4 columns x 2
   channels fill the registers; taps (0, 1) and (2, 3) of a row are two words, column m begins at word m of the window's row. */
#include "dsp.h"

#if (NPGRU_FORM == NPGRU_DSP || NPGRU_FORM == NPGRU_HELIUM) && NPGRU_FAST_CONV && !NPGRU_HELIUM_CONV
#if NPGRU_ASSEMBLY && NPGRU_CONV_ROW_WORDS <= 255                           /* LDRD reaches 1020 bytes */
/* r0 window, r1 stream, (r2, r3) weights of two channels, (r12, lr) two words of a row of the window, r4-r7 the 4 columns of
   the first channel, r8-r11 of the second. Stack: 0 y; 4 next; 16 window; 56 end of the stream; 60 end of the window. */

/* A row's 16 products of two taps each. The sums begin with \c, \d, which hold the biases before the first row. */
#define ROW                                                                 \
    ".macro row c0, c1, c3, d0, d1, d3\n\t"                                 \
    "ldrd r2, r3, [r1, #8]\n\t"                                             \
    "ldr r12, [r0, #4]\n\t"                                                 \
    "ldr lr, [r0, #16]\n\t"                                                 \
    "smlad r4, r12, r2, \\c0\n\t"                                           \
    "smlad r8, r12, r3, \\d0\n\t"                                           \
    "smlad r7, lr, r2, \\c3\n\t"                                            \
    "smlad r11, lr, r3, \\d3\n\t"                                           \
    "ldrd r12, lr, [r0, #8]\n\t"                                            \
    "smlad r5, r12, r2, \\c1\n\t"                                           \
    "smlad r9, r12, r3, \\d1\n\t"                                           \
    "smlad r6, lr, r2, r6\n\t"                                              \
    "smlad r10, lr, r3, r10\n\t"                                            \
    "ldrd r2, r3, [r1], #16\n\t"                                            \
    "smlad r6, r12, r2, r6\n\t"                                             \
    "smlad r10, r12, r3, r10\n\t"                                           \
    "smlad r7, lr, r2, r7\n\t"                                              \
    "smlad r11, lr, r3, r11\n\t"                                            \
    "ldrd r12, lr, [r0], #(4*" CM_TEXT(NPGRU_CONV_ROW_WORDS) ")\n\t"        \
    "smlad r4, r12, r2, r4\n\t"                                             \
    "smlad r8, r12, r3, r8\n\t"                                             \
    "smlad r5, lr, r2, r5\n\t"                                              \
    "smlad r9, lr, r3, r9\n\t"                                              \
    ".endm\n\t"
#define ANY_ROW "row r4, r5, r7, r8, r9, r11\n\t"

#if NPGRU_TURNS_CONV == 1
#define ROWS "row r6, r6, r6, r10, r10, r10\n\t.rept " CM_TEXT(NPGRU_UNROLL_CONV) "-1\n\t" ANY_ROW ".endr\n\t"
#else
#define ROWS                                                                \
    "mov r4, r6\n\tmov r5, r6\n\tmov r7, r6\n\t"                            \
    "mov r8, r10\n\tmov r9, r10\n\tmov r11, r10\n"                          \
    "2:\n\t"                                                                \
    ".rept " CM_TEXT(NPGRU_UNROLL_CONV) "\n\t" ANY_ROW ".endr\n\t"          \
    "ldr r2, [sp, #60]\n\t"                                                 \
    "cmp r0, r2\n\t"                                                        \
    "blo 2b\n\t"
#endif
#define OUTPUTS(a, b, c, d, q)                                              \
    ".irp k," a "," b "," c "," d "\n\t"                                    \
    "smmul \\k, \\k, " q "\n\t"                                             \
    ".endr\n\t"                                                             \
    ".irp k," a "," b "," c "," d "\n\t"                                    \
    "usat \\k, #8, \\k, asr #" CM_TEXT(NPGRU_SHIFT_CONV) "\n\t"             \
    ".endr\n\t"                                                             \
    "strb " a ", [r12]\n\t"                                                 \
    "strb " b ", [r12, #4]\n\t"                                             \
    "strb " c ", [r12, #8]\n\t"                                             \
    "strb " d ", [r12, #12]\n\t"                                            \
    "add r12, r12, lr\n\t"

/* All channels of 4 columns: in..in_end of the window x the stream s..s_end. Bytes from y, next bytes from channel to channel. */
CM_NAKED static void conv_columns(const npgru_word *in, const uint32_t *s, uint8_t *y, int32_t next, const uint32_t *s_end,
                                  const npgru_word *in_end)
{
    __asm__(ROW
            "push {r0, r4-r11, lr}\n\t"
            "sub sp, sp, #16\n\t"
            "strd r2, r3, [sp]\n"
            "1:\n\t"
            "ldr r6, [r1], #4\n\t"
            "ldr r10, [r1], #4\n\t"
            ROWS
            "ldrd r2, r3, [r1], #8\n\t"
            "ldrd r12, lr, [sp]\n\t"
            OUTPUTS("r4", "r5", "r6", "r7", "r2")
            OUTPUTS("r8", "r9", "r10", "r11", "r3")
            "str r12, [sp]\n\t"
            "ldr r0, [sp, #16]\n\t"
            "ldr r2, [sp, #56]\n\t"
            "cmp r1, r2\n\t"
            "bne 1b\n\t"
            "add sp, sp, #16\n\t"
            "pop {r0, r4-r11, pc}\n\t"
            ".purgem row\n");
}

void npgru_conv_fast(const npgru_conv *p, const npgru_half *window, uint32_t *work, uint8_t *ring, int32_t slot)
{
    const int32_t turns = (p->kernel_rows + NPGRU_UNROLL_CONV - 1) / NPGRU_UNROLL_CONV, rows = turns * NPGRU_UNROLL_CONV;
    const int32_t channels = (p->channels + 1) / 2;
    const uint32_t *end = p->fast + channels * (4 * rows + 4);
    (void)work;
    for (int32_t m = 0; m < p->columns; m += 4) {
        const npgru_word *in = (const npgru_word *)(const void *)window + m;
        conv_columns(in, p->fast, ring + 4 * m + slot, 4 * p->ring_columns, end, in + rows * NPGRU_CONV_ROW_WORDS);
    }
}

#else
CM_USAT8_OF_SHIFTED(conv_saturated, NPGRU_SHIFT_CONV)
static inline uint8_t conv_u(int32_t a, uint32_t q) { return (uint8_t)conv_saturated(cm_smmul(a, (int32_t)q)); }

/* Taps (0, 1) and (2, 3) of row i: column m of the output begins at word m of the window's row. */
#define CONV_ROW(i)                                                                                          \
    do {                                                                                                     \
        uint32_t w0 = s[4 * (i)], w1 = s[4 * (i) + 1];                                                       \
        uint32_t u0 = x[NPGRU_CONV_ROW_WORDS * (i)], u1 = x[NPGRU_CONV_ROW_WORDS * (i) + 1];                 \
        a0 = cm_smlad(u0, w0, a0), b0 = cm_smlad(u0, w1, b0);                                                \
        a1 = cm_smlad(u1, w0, a1), b1 = cm_smlad(u1, w1, b1);                                                \
        u0 = x[NPGRU_CONV_ROW_WORDS * (i) + 2], u1 = x[NPGRU_CONV_ROW_WORDS * (i) + 3];                      \
        a2 = cm_smlad(u0, w0, a2), b2 = cm_smlad(u0, w1, b2);                                                \
        a3 = cm_smlad(u1, w0, a3), b3 = cm_smlad(u1, w1, b3);                                                \
        w0 = s[4 * (i) + 2], w1 = s[4 * (i) + 3];                                                            \
        a1 = cm_smlad(u0, w0, a1), b1 = cm_smlad(u0, w1, b1);                                                \
        a2 = cm_smlad(u1, w0, a2), b2 = cm_smlad(u1, w1, b2);                                                \
        CM_OPAQUE(x);                                                                                           \
        u0 = x[NPGRU_CONV_ROW_WORDS * (i) + 1], u1 = x[NPGRU_CONV_ROW_WORDS * (i) + 4];                      \
        a0 = cm_smlad(u0, w0, a0), b0 = cm_smlad(u0, w1, b0);                                                \
        a3 = cm_smlad(u1, w0, a3), b3 = cm_smlad(u1, w1, b3);                                                \
    } while (0)

#if NPGRU_UNROLL_CONV == 10
#define CONV_ROWS CONV_ROW(0); CONV_ROW(1); CONV_ROW(2); CONV_ROW(3); CONV_ROW(4); CONV_ROW(5); CONV_ROW(6); CONV_ROW(7); \
                  CONV_ROW(8); CONV_ROW(9)
#elif NPGRU_UNROLL_CONV == 5
#define CONV_ROWS CONV_ROW(0); CONV_ROW(1); CONV_ROW(2); CONV_ROW(3); CONV_ROW(4)
#else
#define CONV_ROWS CONV_ROW(0); CONV_ROW(1)
#endif

CM_HOT void npgru_conv_fast(const npgru_conv *p, const npgru_half *window, uint32_t *work, uint8_t *ring, int32_t slot)
{
    (void)work;
    const int32_t next = 4 * p->ring_columns;
    for (int32_t m = 0; m < p->columns; m += 4) {
        const npgru_word *in = (const npgru_word *)(const void *)window + m, *end = in + p->kernel_rows * NPGRU_CONV_ROW_WORDS;
        const uint32_t *s = p->fast;
        uint8_t *y = ring + 4 * m + slot;
        for (int32_t n = p->channels; n > 0; n -= 2, y += 2 * next) {
            const npgru_word *x = in;
            int32_t a0 = (int32_t)s[0], a1 = a0, a2 = a0, a3 = a0, b0 = (int32_t)s[1], b1 = b0, b2 = b0, b3 = b0;
            s += 2;
            do {
                CONV_ROWS;
                s += 4 * NPGRU_UNROLL_CONV, x += NPGRU_UNROLL_CONV * NPGRU_CONV_ROW_WORDS;
            } while (NPGRU_TURNS_CONV != 1 && x < end);
            const uint32_t q0 = s[0], q1 = s[1];
            s += 2;
            y[0] = conv_u(a0, q0), y[4] = conv_u(a1, q0), y[8] = conv_u(a2, q0), y[12] = conv_u(a3, q0);
            y[next] = conv_u(b0, q1), y[next + 4] = conv_u(b1, q1), y[next + 8] = conv_u(b2, q1), y[next + 12] = conv_u(b3, q1);
        }
    }
}
#endif
#endif
