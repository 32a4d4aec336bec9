/* The GRU with an int16 state for the DSP instructions: npgru/int8_gru.py, every rounding point of it. */
#include "layers.h"

#if (NPGRU_FORM == NPGRU_DSP || (NPGRU_FORM == NPGRU_HELIUM && !NPGRU_HELIUM_GRU)) && NPGRU_FAST_GRU
#include "dsp.h"
#include "gru_cell.h"

static inline int16_t rescaled(int32_t acc, uint32_t r)                                 /* MBQ64 */
{
    return (int16_t)CM_SSAT(cm_smmulr(acc, (int32_t)r), 16);
}

/* gx and gh: 3 H numbers in room for up_to_4 of them. */
static inline int32_t up_to_4(int32_t n) { return (n + 3) & ~3; }

#define OF_FIRST(a, i) rescaled((a) + (int32_t)s[i], s[4 + (i)])

#if NPGRU_ASSEMBLY
/* r0 pooled, r1 stream, r2 and r3 weights of 4 rows, r4 and r5 two rows of inputs, (r6, r7), (r10, r11)
   the first and the third row, (r8, r9), (r12, lr) with them the second and the fourth.
   Stack: 0 gx; 4 next; 8 end of gx; 16 pooled; 56 its end. */

/* second = (second - first >> 8) + its bias; first += its bias. */
#define BIASED(first, first_bias, second, second_bias)                      \
    "sub " #second ", " #second ", " #first "\n\t"                          \
    "add " #first ", " #first ", " #first_bias "\n\t"                       \
    "add " #second ", " #second_bias ", " #second ", asr #8\n\t"

CM_NAKED static void input_rows(const npgru_word *x, const uint32_t *s, int16_t *gx, int32_t next, const npgru_word *x_end)
{
    __asm__("push {r0, r4-r11, lr}\n\t"
            "sub sp, sp, #16\n\t"
            "strd r2, r3, [sp]\n\t"
            "add r2, r2, r3\n\t"
            "str r2, [sp, #8]\n"
            "1:\n\t"
            ".irp k,r6,r7,r8,r9,r10,r11,r12,lr\n\t"
            "mov \\k, #0\n\t"
            ".endr\n"
            "2:\n\t"
            ".rept 8\n\t"
            "ldmia r1!, {r2, r3}\n\t"
            "ldmia r0!, {r4, r5}\n\t"
            "smlad r8, r4, r2, r8\n\t"
            "smlad r9, r5, r2, r9\n\t"
            "sxtb16 r2, r2\n\t"
            "smlad r6, r4, r2, r6\n\t"
            "smlad r7, r5, r2, r7\n\t"
            "smlad r12, r4, r3, r12\n\t"
            "smlad lr, r5, r3, lr\n\t"
            "sxtb16 r3, r3\n\t"
            "smlad r10, r4, r3, r10\n\t"
            "smlad r11, r5, r3, r11\n\t"
            ".endr\n\t"
            "ldr r2, [sp, #56]\n\t"
            "cmp r0, r2\n\t"
            "bne 2b\n\t"
            "ldmia r1!, {r2-r5}\n\t"
            BIASED(r6, r2, r8, r3) BIASED(r7, r2, r9, r3) BIASED(r10, r4, r12, r5) BIASED(r11, r4, lr, r5)
            "ldmia r1!, {r2-r5}\n\t"
            "smmulr r6, r6, r2\n\t"
            "smmulr r7, r7, r2\n\t"
            "smmulr r8, r8, r3\n\t"
            "smmulr r9, r9, r3\n\t"
            "smmulr r10, r10, r4\n\t"
            "smmulr r11, r11, r4\n\t"
            "smmulr r12, r12, r5\n\t"
            "smmulr lr, lr, r5\n\t"
            ".irp k,r6,r7,r8,r9,r10,r11,r12,lr\n\t"
            "ssat \\k, #16, \\k\n\t"
            ".endr\n\t"
            "pkhbt r6, r6, r8, lsl #16\n\t"
            "pkhbt r10, r10, r12, lsl #16\n\t"
            "pkhbt r7, r7, r9, lsl #16\n\t"
            "pkhbt r11, r11, lr, lsl #16\n\t"
            "ldrd r2, r3, [sp]\n\t"
            "add r3, r3, r2\n\t"
            "strd r7, r11, [r3]\n\t"
            "strd r6, r10, [r2], #8\n\t"
            "str r2, [sp]\n\t"
            "ldr r3, [sp, #8]\n\t"
            "ldr r0, [sp, #16]\n\t"
            "cmp r2, r3\n\t"
            "bne 1b\n\t"
            "add sp, sp, #16\n\t"
            "pop {r0, r4-r11, pc}\n");
}

void npgru_gru_input_fast(const npgru_gru *p, const npgru_half *pooled, int16_t *gx)
{
    const npgru_word *in = (const npgru_word *)(const void *)pooled;
    input_rows(in, p->fast_w, gx, 2 * up_to_4(3 * p->units), in + ((p->in_features + 15) & ~15));
}
#else
/* 2 inputs of 2 rows of pooled (x0, x1) x 4 rows of w. Packed weights: pointwise_dsp.c. */
#define INPUT(k)                                                                 \
    do {                                                                         \
        const uint32_t x0 = x[2 * (k)], x1 = x[2 * (k) + 1];                     \
        uint32_t v = s[2 * (k)], v0 = cm_sxtb16(v);                              \
        a0 = cm_smlad(x0, v0, a0), b0 = cm_smlad(x0, v, b0);                     \
        a1 = cm_smlad(x1, v0, a1), b1 = cm_smlad(x1, v, b1);                     \
        CM_OPAQUE(s);                                                            \
        v = s[2 * (k) + 1], v0 = cm_sxtb16(v);                                   \
        c0 = cm_smlad(x0, v0, c0), d0 = cm_smlad(x0, v, d0);                     \
        c1 = cm_smlad(x1, v0, c1), d1 = cm_smlad(x1, v, d1);                     \
    } while (0)
#define OF_SECOND(a, b, i) rescaled((cm_add_wrapping(b, -(a)) >> 8) + (int32_t)s[i], s[4 + (i)])

CM_HOT void npgru_gru_input_fast(const npgru_gru *p, const npgru_half *pooled, int16_t *gx)
{
    const npgru_word *in = (const npgru_word *)(const void *)pooled, *end = in + ((p->in_features + 15) & ~15);
    const int32_t next = up_to_4(3 * p->units);
    const uint32_t *s = p->fast_w;
    for (int32_t n = next; n > 0; n -= 4, gx += 4) {
        const npgru_word *x = in;
        int32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0, c0 = 0, c1 = 0, d0 = 0, d1 = 0;
        do {
            INPUT(0);
            INPUT(1);
            INPUT(2);
            INPUT(3);
            INPUT(4);
            INPUT(5);
            INPUT(6);
            INPUT(7);
            s += 16, x += 16;
        } while (x < end);
        gx[0] = OF_FIRST(a0, 0), gx[1] = OF_SECOND(a0, b0, 1), gx[2] = OF_FIRST(c0, 2), gx[3] = OF_SECOND(c0, d0, 3);
        gx[next] = OF_FIRST(a1, 0), gx[next + 1] = OF_SECOND(a1, b1, 1);
        gx[next + 2] = OF_FIRST(c1, 2), gx[next + 3] = OF_SECOND(c1, d1, 3);
        s += 8;
    }
}
#endif

/* 2 inputs of h x 4 rows of u. */
#define STATE(k)                                                                                         \
    do {                                                                                                 \
        const uint32_t v0 = s[2 * (k)], v1 = s[2 * (k) + 1], h0 = x[k];                                  \
        a0 = cm_smlad(h0, cm_sxtb16(v0), a0), a1 = cm_smlad(h0, cm_sxtb16_8(v0), a1);                    \
        a2 = cm_smlad(h0, cm_sxtb16(v1), a2), a3 = cm_smlad(h0, cm_sxtb16_8(v1), a3);                    \
    } while (0)

/* gh = u h. h: in words, up_to_4 of them with zeros behind. */
CM_HOT static void state_products(const npgru_gru *p, const npgru_word *h, int16_t *gh)
{
    const npgru_word *end = h + up_to_4(p->units) / 2;
    const uint32_t *s = p->fast_u;
    for (int32_t n = 3 * p->units; n > 0; n -= 4, gh += 4) {
        const npgru_word *x = h;
        int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
        do {
            STATE(0);
            STATE(1);
            s += 4, x += 2;
        } while (x < end);
        gh[0] = OF_FIRST(a0, 0), gh[1] = OF_FIRST(a1, 1), gh[2] = OF_FIRST(a2, 2), gh[3] = OF_FIRST(a3, 3);
        s += 8;
    }
}

CM_HOT void npgru_gru_step_fast(const npgru_gru *p, const int16_t *gx, int16_t *scratch, npgru_state *h)
{
    const int32_t H = p->units;
    int16_t *gh = scratch, *words = scratch + up_to_4(3 * H);
    for (int32_t i = 0; i < up_to_4(H); i++) {
        words[i] = (int16_t)(i < H ? h[i] : 0);
        NPGRU_BARRIER();
    }
    state_products(p, (const npgru_word *)(const void *)words, gh);
    npgru_gru_cell(H, gx, gh, h);
}
#endif
