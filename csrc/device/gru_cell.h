/* One step of the GRU with an int16 state behind its two products: npgru/int8_gru.py, every rounding point of it. */
#ifndef NPGRU_GRU_CELL_H
#define NPGRU_GRU_CELL_H

#include "checks.h"
#include "cortex_m.h"
#include "layers.h"

static const npgru_sum gates = NPGRU_GRU_GATES, candidate = NPGRU_GRU_CANDIDATE, difference = NPGRU_GRU_DIFFERENCE,
                       update = NPGRU_GRU_UPDATE;
static const npgru_product reset = NPGRU_GRU_RESET, blend = NPGRU_GRU_BLEND;
static const npgru_curve sigmoid = NPGRU_GRU_SIGMOID, tanh_curve = NPGRU_GRU_TANH;

/* RDP, |x| <= 2^30, e in 0..30. */
static inline int32_t divided(int32_t x, int32_t e) { return e == 0 ? x : (x + ((1 << e) >> 1) + (x >> 31)) >> e; }

/* MBQ(x << 15): SRDHM(a, b) is SMMULR(2 a, b), and MBQ's left shift is none. */
static inline int32_t common(int32_t x, int32_t multiplier, int32_t shift)
{
    if (multiplier == 1 << 30) return divided(cm_shift_left(x, 14), -shift);
#if NPGRU_FORM == NPGRU_ROWS                                              /* floor((x q + 2^15) / 2^16) without 64 bits */
    return divided(x * (multiplier >> 16) + ((x * (multiplier & 0xFFFF) + 0x8000) >> 16), -shift);
#else
    return divided(cm_smmulr(cm_shift_left(x, 16), multiplier), -shift);
#endif
}

static inline int32_t multiplied(int32_t x, int32_t multiplier, int32_t shift)         /* MBQ(x), |x| <= 2^30, not +2^30 */
{
#if NPGRU_FORM == NPGRU_ROWS && !NPGRU_IS_M3       /* floor((x q + 2^30) / 2^31) without 64 bits; `middle` is within 31 bits */
    const int32_t x1 = x >> 16, x0 = x & 0xFFFF, q1 = multiplier >> 16, q0 = multiplier & 0xFFFF;
    const int32_t low = (int32_t)((uint32_t)x0 * (uint32_t)q0 >> 16), middle = x1 * q0 + (x0 * q1 + low + (1 << 14) - (1 << 30));
    return divided(2 * x1 * q1 + (middle >> 15) + (1 << 15), -shift);
#else
    return divided(cm_smmulr(cm_shift_left(x, 1), multiplier), -shift);
#endif
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

/* gx, gh (3H,), rows z | r | n; h (H,) is replaced. */
static inline void npgru_gru_cell(int32_t H, const int16_t *gx, const int16_t *gh, npgru_state *h)
{
    for (int32_t i = 0; i < H; i++) {
        const int32_t z = logistic(sum(&gates, gx[i], gh[i], 1));
        const int32_t r = logistic(sum(&gates, gx[H + i], gh[H + i], 1));
        const int32_t n = hyperbolic(sum(&candidate, gx[2 * H + i], product(&reset, r, gh[2 * H + i]), 1));
        h[i] = (npgru_state)sum(&update, n, product(&blend, z, sum(&difference, h[i], n, -1)), 1);
    }
}

#endif
