/* The GRU with an int16 state for the DSP instructions: npgru/int8_gru.py, every rounding point of it. */
#include "checks.h"
#include "cortex_m.h"
#include "layers.h"

#if NPGRU_FORM == NPGRU_DSP && NPGRU_FAST_GRU

static const npgru_sum gates = NPGRU_GRU_GATES, candidate = NPGRU_GRU_CANDIDATE, difference = NPGRU_GRU_DIFFERENCE,
                       update = NPGRU_GRU_UPDATE;
static const npgru_product reset = NPGRU_GRU_RESET, blend = NPGRU_GRU_BLEND;
static const npgru_curve sigmoid = NPGRU_GRU_SIGMOID, tanh_curve = NPGRU_GRU_TANH;

static inline int16_t rescaled(int32_t acc, uint32_t r) { return (int16_t)CM_SSAT(cm_smmulr(acc, (int32_t)r), 16); }     /* MBQ64 */

/* 2 rows of pooled x 4 rows of w. Packed weights: kernels_dsp.c. */
#define INPUT(word, x0, x1, a0, a1, b0, b1)                                      \
    do {                                                                         \
        const uint32_t w = (word), w0 = cm_sxtb16(w);                            \
        a0 = cm_smlad(x0, w0, a0), b0 = cm_smlad(x0, w, b0);                     \
        a1 = cm_smlad(x1, w0, a1), b1 = cm_smlad(x1, w, b1);                     \
    } while (0)
#define SECOND(a, b) (cm_add_wrapping(b, -(a)) >> 8)

CM_HOT void npgru_gru_input_fast(const npgru_gru *p, const npgru_half *pooled, int16_t *gx)
{
    const int32_t n_pairs = (p->in_features + 3) / 4 * 2, N = 3 * p->units;
    const uint32_t *s = p->fast_w;
    for (int32_t n = 0; n < N; n += 4) {
        const npgru_word *x = (const npgru_word *)pooled;
        const uint32_t *end = s + 2 * n_pairs;
        int32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0, c0 = 0, c1 = 0, d0 = 0, d1 = 0;
        do {
            const uint32_t x0 = x[0], x1 = x[1];
            INPUT(s[0], x0, x1, a0, a1, b0, b1);
            INPUT(s[1], x0, x1, c0, c1, d0, d1);
            const uint32_t x2 = x[2], x3 = x[3];
            INPUT(s[2], x2, x3, a0, a1, b0, b1);
            INPUT(s[3], x2, x3, c0, c1, d0, d1);
            s += 4, x += 4;
        } while (s < end);
        const int32_t sums[2][4] = { { a0, SECOND(a0, b0), c0, SECOND(c0, d0) }, { a1, SECOND(a1, b1), c1, SECOND(c1, d1) } };
        for (int32_t i = 0; i < 4 && n + i < N; i++) {
            gx[n + i] = rescaled(sums[0][i] + (int32_t)s[i], s[4 + i]);
            gx[N + n + i] = rescaled(sums[1][i] + (int32_t)s[i], s[4 + i]);
        }
        s += 8;
    }
}

/* gh = u h, 4 rows of u at a time. h: in words, zeros behind it. */
CM_HOT static void state_products(const npgru_gru *p, const npgru_word *h, int16_t *gh)
{
    const int32_t n_pairs = (p->units + 3) / 4 * 2, N = 3 * p->units;
    const uint32_t *s = p->fast_u;
    for (int32_t n = 0; n < N; n += 4) {
        const npgru_word *x = h;
        const uint32_t *end = s + 2 * n_pairs;
        int32_t acc[4] = { 0, 0, 0, 0 };
        do {
            const uint32_t x0 = x[0], x1 = x[1];
            acc[0] = cm_smlad(x0, cm_sxtb16(s[0]), acc[0]), acc[1] = cm_smlad(x0, cm_sxtb16_8(s[0]), acc[1]);
            acc[2] = cm_smlad(x0, cm_sxtb16(s[1]), acc[2]), acc[3] = cm_smlad(x0, cm_sxtb16_8(s[1]), acc[3]);
            acc[0] = cm_smlad(x1, cm_sxtb16(s[2]), acc[0]), acc[1] = cm_smlad(x1, cm_sxtb16_8(s[2]), acc[1]);
            acc[2] = cm_smlad(x1, cm_sxtb16(s[3]), acc[2]), acc[3] = cm_smlad(x1, cm_sxtb16_8(s[3]), acc[3]);
            s += 4, x += 2;
        } while (s < end);
        for (int32_t i = 0; i < 4 && n + i < N; i++) gh[n + i] = rescaled(acc[i] + (int32_t)s[i], s[4 + i]);
        s += 8;
    }
}

/* RDP, |x| <= 2^30, e in 0..30. */
static inline int32_t divided(int32_t x, int32_t e) { return e == 0 ? x : (x + ((1 << e) >> 1) + (x >> 31)) >> e; }

/* MBQ(x << 15): SRDHM(a, b) is SMMULR(2 a, b), and MBQ's left shift is none. */
static inline int32_t common(int32_t x, int32_t multiplier, int32_t shift)
{
    if (multiplier == 1 << 30) return divided(cm_shift_left(x, 14), -shift);
    return divided(cm_smmulr(cm_shift_left(x, 16), multiplier), -shift);
}

static inline int32_t multiplied(int32_t x, int32_t multiplier, int32_t shift)         /* MBQ(x), |x| <= 2^30, not +2^30 */
{
    return divided(cm_smmulr(cm_shift_left(x, 1), multiplier), -shift);
}

static inline int32_t sum(const npgru_sum *p, int32_t x1, int32_t x2, int32_t sign)
{
    const int32_t a = common(x1, p->x1_multiplier, p->x1_shift) + sign * common(x2, p->x2_multiplier, p->x2_shift);
    return CM_SSAT(multiplied(a, p->y_multiplier, p->y_shift), 16);
}

static inline int32_t product(const npgru_product *p, int32_t x1, int32_t x2)
{
    return CM_SSAT(multiplied(x1 * x2, p->multiplier, p->shift), 16);
}

/* The table at |d| / 2^bits, from index 255 on its last value; d = x multiplier / 2^shift. */
static inline int32_t interpolated(int32_t d, int32_t bits, int32_t last)
{
    const int32_t a = d < 0 ? -d : d, i = a >> bits;
    if (i >= 255) return last;
    const uint16_t *T = npgru_sigmoid_table + i;
    return (T[0] << bits) + (a & ((1 << bits) - 1)) * (T[1] - T[0]);
}

static inline int32_t grid(const npgru_curve *p, int32_t x)
{
    return (x * p->multiplier + (int32_t)((1u << p->shift) >> 1)) >> p->shift;
}

static inline int32_t logistic(int32_t x)
{
    const int32_t d = grid(&sigmoid, x), r = interpolated(d, 9, 0x7FFF << 10);
    return (d >= 0 ? r + 512 : (1 << 25) - r + 511) >> 10;
}

static inline int32_t hyperbolic(int32_t x)
{
    const int32_t d = grid(&tanh_curve, x), r = interpolated(d, 8, 0xFFFF << 8);
    return (d >= 0 ? r - (1 << 23) + 128 : (1 << 23) - r + 127) >> 8;
}

CM_HOT void npgru_gru_step_fast(const npgru_gru *p, const int16_t *gx, int16_t *scratch, npgru_state *h)
{
    const int32_t H = p->units;
    int16_t *words = scratch + 3 * H + (H & 1), *gh = scratch;
    for (int32_t i = 0; i < (H + 3) / 4 * 4; i++) words[i] = (int16_t)(i < H ? h[i] : 0);
    state_products(p, (const npgru_word *)words, gh);
    for (int32_t i = 0; i < H; i++) {
        const int32_t z = logistic(sum(&gates, gx[i], gh[i], 1));
        const int32_t r = logistic(sum(&gates, gx[H + i], gh[H + i], 1));
        const int32_t n = hyperbolic(sum(&candidate, gx[2 * H + i], product(&reset, r, gh[2 * H + i]), 1));
        h[i] = (npgru_state)sum(&update, n, product(&blend, z, sum(&difference, h[i], n, -1)), 1);
    }
}
#endif
