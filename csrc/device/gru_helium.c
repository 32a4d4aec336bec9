/* The GRU with an int16 state for Helium: npgru/int8_gru.py, every rounding point of it. */
#include "layers.h"

#if NPGRU_FORM == NPGRU_HELIUM && NPGRU_HELIUM_GRU
#include "gru_cell.h"
#include "helium.h"

enum { H = NPGRU_UNITS, LEFT = H % 4 };                     /* units of the last vector, if it is not a whole one */

/* 4 rows of a product -> y: MBQ64 is VRMULH(acc, R), saturated. numbers: 4 biases, 4 R. */
ALWAYS void store_rescaled(int16_t *y, int32x4_t acc, const int8_t *numbers)
{
    const int32_t *n = (const int32_t *)(const void *)numbers;
    int16x8_t v = vreinterpretq_s16_s32(vrmulhq_s32(vaddq_s32(acc, vldrwq_s32(n)), vldrwq_s32(n + 4)));
    __asm__("vqmovnb.s32 %q0, %q0" : "+w"(v));
    vstrhq_s32(y, vreinterpretq_s32_s16(v));
}

/* Products of 4 rows of w with both rows of the input: as many sums as there are registers with even numbers, which compilers
   do not hand out as a whole. All pointers move on. */
#define AT_ONCE (NPGRU_VECTORS_GRU % 4 == 0 ? 4 : NPGRU_VECTORS_GRU % 3 == 0 ? 3 : NPGRU_VECTORS_GRU % 2 == 0 ? 2 : 1)
#define ROW(row) "vldrb.8 q2, [%[s]], #16\n\tvmladava.s8 %[" #row "0], q0, q2\n\tvmladava.s8 %[" #row "1], q1, q2\n\t"
#define SUM(name) [name] "+Te"(name)
#define INPUT_PRODUCTS()                                                                                                    \
    __asm__ volatile("1:\n\t.rept %c[n]\n\t"                                                                               \
                     "vldrb.8 q0, [%[x0]], #16\n\tvldrb.8 q1, [%[x1]], #16\n\t" ROW(a) ROW(b) ROW(c) ROW(d)                 \
                     ".endr\n\tsubs %[k], #1\n\tbne 1b"                                                                    \
                     : SUM(a0), SUM(a1), SUM(b0), SUM(b1), SUM(c0), SUM(c1), SUM(d0), SUM(d1),                              \
                       [x0] "+r"(x0), [x1] "+r"(x1), [s] "+r"(s), [k] "+r"(k)                                               \
                     : [n] "i"(AT_ONCE) : "q0", "q1", "q2", "cc", "memory")

/* Per 4 rows of w: 16 bytes of each, the next 16, ..; 4 biases, 4 R. Both rows of pooled. */
CM_HELIUM void npgru_gru_input_fast(const npgru_gru *p, const npgru_half *pooled, int16_t *gx)
{
    const int32_t next = (3 * H + 3) & ~3;
    const int8_t *s = (const int8_t *)p->fast_w;
    for (int32_t n = next; n > 0; n -= 4, gx += 4, s += 32) {
        const int8_t *x0 = (const int8_t *)pooled, *x1 = x0 + 16 * NPGRU_VECTORS_GRU;
        int32_t k = NPGRU_VECTORS_GRU / AT_ONCE, a0 = 0, a1 = 0, b0 = 0, b1 = 0, c0 = 0, c1 = 0, d0 = 0, d1 = 0;
        int32x4_t of_row0, of_row1;
        INPUT_PRODUCTS();
        LANES_0_1(of_row0, a0, b0);
        LANES_2_3(of_row0, c0, d0);
        LANES_0_1(of_row1, a1, b1);
        LANES_2_3(of_row1, c1, d1);
        store_rescaled(gx, of_row0, s);
        store_rescaled(gx + next, of_row1, s);
    }
}

/* gh = u h. Per 4 rows of u: 8 bytes of each, the next 8, ..; 4 biases, 4 R. */
ALWAYS void state_products(const int8_t *s, const npgru_state *h, int16_t *gh)
{
    for (int32_t n = 3 * H; n > 0; n -= 4, gh += 4, s += 32) {
        int32_t a = 0, b = 0, c = 0, d = 0;
        int32x4_t acc;
#pragma GCC unroll 4
        for (int32_t k = 0; k < H; k += 8, s += 32) {
            const int16x8_t x = H - k >= 8 ? vldrhq_s16(h + k) : vldrhq_z_s16(h + k, vctp16q((uint32_t)(H - k)));
            a = vmladavaq_s16(a, x, vldrbq_s16(s)), b = vmladavaq_s16(b, x, vldrbq_s16(s + 8));
            c = vmladavaq_s16(c, x, vldrbq_s16(s + 16)), d = vmladavaq_s16(d, x, vldrbq_s16(s + 24));
        }
        LANES_0_1(acc, a, b);
        LANES_2_3(acc, c, d);
        store_rescaled(gh, acc, s);
    }
}

/* gru_cell.h for 4 units. A shift of GCC's is one instruction where it is a constant; Clang wants it in the text. */
#if defined(__clang__)
#define LEFT_BY(x, n) vshlq_r_s32(x, n)
#define ROUNDED(x, n) vrshlq_n_s32(x, -(n))
#define FLOORED(x, n) vshlq_r_s32(x, -(n))
#else
#define LEFT_BY(x, n) vshlq_n_s32(x, n)
#define ROUNDED(x, n) vrshrq_n_s32(x, n)
#define FLOORED(x, n) vshrq_n_s32(x, n)
#endif

/* RDP, |x| <= 2^30: halves up, and those of a negative x are taken down by its sign. */
ALWAYS int32x4_t all_divided(int32x4_t x, int32_t e)
{
    return e == 0 ? x : ROUNDED(vaddq_s32(x, vshrq_n_s32(x, 31)), e == 0 ? 1 : e);
}

/* MBQ(x << 15). VQRDMULH is SRDHM. */
ALWAYS int32x4_t all_common(int32x4_t x, int32_t multiplier, int32_t shift)
{
    if (multiplier == 1 << 30 && shift >= -14) return LEFT_BY(x, (14 + shift) & 15);                        /* no bit is lost */
    return all_divided(vqrdmulhq_n_s32(vshlq_n_s32(x, 15), multiplier), -shift);
}

ALWAYS int32x4_t all_multiplied(int32x4_t x, int32_t multiplier, int32_t shift)
{
    return all_divided(vqrdmulhq_n_s32(x, multiplier), -shift);
}

ALWAYS int32x4_t all_saturated(int32x4_t x)                                                                 /* SSAT16 */
{
    __asm__("vqmovnb.s32 %q0, %q0" : "+w"(x));
    return vmovlbq_s16(vreinterpretq_s16_s32(x));
}

ALWAYS int32x4_t all_sum(const npgru_sum *p, int32x4_t x1, int32x4_t x2, int32_t sign)
{
    const int32x4_t a = all_common(x1, p->x1_multiplier, p->x1_shift), b = all_common(x2, p->x2_multiplier, p->x2_shift);
    return all_saturated(all_multiplied(sign > 0 ? vaddq_s32(a, b) : vsubq_s32(a, b), p->y_multiplier, p->y_shift));
}

ALWAYS int32x4_t all_products(const npgru_product *p, int32x4_t x1, int32x4_t x2)
{
    return all_saturated(all_multiplied(vmulq_s32(x1, x2), p->multiplier, p->shift));
}

ALWAYS int32x4_t all_grid(const npgru_curve *p, int32x4_t x)
{
    x = vmulq_n_s32(x, p->multiplier);
    return p->shift == 0 ? x : ROUNDED(x, p->shift == 0 ? 1 : p->shift);
}

ALWAYS int32x4_t all_interpolated(int32x4_t d, int32_t bits, int32_t last)
{
    const int32x4_t a = vabsq_s32(d);
    const mve_pred16_t inside = vcmpltq_n_s32(a, 255 << bits);
    const uint32x4_t i = vreinterpretq_u32_s32(FLOORED(a, bits));
    const int32x4_t low = vreinterpretq_s32_u32(vldrhq_gather_shifted_offset_z_u32(npgru_sigmoid_table, i, inside));
    const int32x4_t high = vreinterpretq_s32_u32(vldrhq_gather_shifted_offset_z_u32(npgru_sigmoid_table + 1, i, inside));
    const int32x4_t rest = vandq_s32(a, vdupq_n_s32((1 << bits) - 1));
    return vpselq_s32(vaddq_s32(LEFT_BY(low, bits), vmulq_s32(rest, vsubq_s32(high, low))), vdupq_n_s32(last), inside);
}

/* y - 1/2 is odd: the complement where d < 0, whose half is then taken down. */
ALWAYS int32x4_t turned(int32x4_t r, int32x4_t d, int32_t half)
{
    return veorq_s32(vaddq_n_s32(r, -half), vshrq_n_s32(d, 31));
}

ALWAYS int32x4_t all_logistic(int32x4_t x)
{
    const int32x4_t d = all_grid(&sigmoid, x);
    return vaddq_n_s32(vrshrq_n_s32(turned(all_interpolated(d, 9, 0x7FFF << 10), d, 1 << 24), 10), 1 << 14);
}

ALWAYS int32x4_t all_hyperbolic(int32x4_t x)
{
    const int32x4_t d = all_grid(&tanh_curve, x);
    return vrshrq_n_s32(turned(all_interpolated(d, 8, 0xFFFF << 8), d, 1 << 23), 8);
}

CM_HELIUM void npgru_gru_step_fast(const npgru_gru *p, const int16_t *gx, int16_t *gh, npgru_state *h)
{
    state_products((const int8_t *)p->fast_u, h, gh);
    for (int32_t i = 0; i < H; i += 4, gx += 4, gh += 4, h += 4) {
        const mve_pred16_t there = vctp32q((uint32_t)(H - i));
        const int32x4_t old = LEFT ? vldrhq_z_s32(h, there) : vldrhq_s32(h);
        const int32x4_t r = all_logistic(all_sum(&gates, vldrhq_s32(gx + H), vldrhq_s32(gh + H), 1));
        const int32x4_t gh_n = all_products(&reset, r, vldrhq_s32(gh + 2 * H));
        const int32x4_t n = all_hyperbolic(all_sum(&candidate, vldrhq_s32(gx + 2 * H), gh_n, 1));
        const int32x4_t z = all_logistic(all_sum(&gates, vldrhq_s32(gx), vldrhq_s32(gh), 1));
        const int32x4_t y = all_sum(&update, n, all_products(&blend, z, all_sum(&difference, old, n, -1)), 1);
        if (LEFT) vstrhq_p_s32(h, y, there);
        else vstrhq_s32(h, y);
    }
}
#endif
