/* Products of signed bytes with two rows of weights, for Helium. */
#ifndef NPGRU_HELIUM_H
#define NPGRU_HELIUM_H

#include <arm_mve.h>

#include "cortex_m.h"

#define ALWAYS static inline __attribute__((always_inline))

static inline int32_t up_to_16(int32_t n) { return (n + 15) & ~15; }

/* Vectors of a layer's inputs: the constant of all layers of its kind, or, where that is 0, of its own. */
#define VECTORS(constant, n) ((constant) ? (constant) : up_to_16(n) / 16)

/* Two general registers into lanes 0 and 1 of a vector; into lanes 2 and 3. */
#define LANES_0_1(vector, first, second) __asm__("vmov %e0, %1, %2" : "=w"(vector) : "r"(first), "r"(second))
#define LANES_2_3(vector, first, second) __asm__("vmov %f0, %1, %2" : "+w"(vector) : "r"(first), "r"(second))

/* 16 bytes at x, which moves on by a constant in -127..127; and 16 that wait in memory until `after` is there. GCC would
   compute every address anew, and load what waits long before there is a register for it. */
#define NEXT_16(vector, x, by) __asm__ volatile("vldrb.8 %q0, [%1], %2" : "=w"(vector), "+r"(x) : "i"(by) : "memory")
#define WAITING(vector, at, after) __asm__ volatile("vldrb.8 %q0, [%2]" : "=w"(vector), "+w"(after) : "r"(at) : "memory")

/* Two rows of weights, a and b: up to 3 vectors of each; of more, where they are. */
typedef struct { int8x16_t a0, a1, a2, b0, b1, b2; const int8_t *at; int32_t n_vectors; } npgru_weights;
typedef struct { int32_t a, b; } npgru_two;

ALWAYS npgru_weights two_rows(const int8_t *s, int32_t V)
{
    npgru_weights w;
    w.at = s, w.n_vectors = V;
    w.a0 = vldrbq_s8(s), w.b0 = vldrbq_s8(s + 16 * V);
    w.a1 = w.a2 = w.a0, w.b1 = w.b2 = w.b0;
    if (V == 2 || V == 3) w.a1 = vldrbq_s8(s + 16), w.b1 = vldrbq_s8(s + 16 * V + 16);
    if (V == 3) w.a2 = vldrbq_s8(s + 32), w.b2 = vldrbq_s8(s + 16 * V + 32);
    return w;
}

/* The products of *x with both rows; *x moves on by `next`. V: the vectors of a row, a constant, and next one too; or 0. */
ALWAYS npgru_two products(npgru_weights w, const int8_t **x, int32_t next, int32_t V)
{
    npgru_two y = { 0, 0 };
    if (V == 0) {
        for (int32_t k = 0; k < 16 * w.n_vectors; k += 16) {
            const int8x16_t u = vldrbq_s8(*x + k);
            y.a = vmladavaq_s8(y.a, u, vldrbq_s8(w.at + k)), y.b = vmladavaq_s8(y.b, u, vldrbq_s8(w.at + 16 * w.n_vectors + k));
        }
        *x += next;
        return y;
    }
    int8x16_t u;
    NEXT_16(u, *x, V > 1 ? 16 : next);
    y.a = vmladavq_s8(u, w.a0), y.b = vmladavq_s8(u, w.b0);
    if (V > 1) {
        NEXT_16(u, *x, V > 2 ? 16 : next - 16);
        y.a = vmladavaq_s8(y.a, u, w.a1), y.b = vmladavaq_s8(y.b, u, w.b1);
    }
    if (V > 2) {
        NEXT_16(u, *x, next - 32);
        y.a = vmladavaq_s8(y.a, u, w.a2), y.b = vmladavaq_s8(y.b, u, w.b2);
    }
    return y;
}

/* Of two x: lanes a of x 0, b of x 0, a of x 1, b of x 1. With 6 vectors of weights, one of x and one for the largest
   sums, all 8 registers are taken. */
ALWAYS int32x4_t two_products(npgru_weights w, const int8_t **x, int32_t next, int32_t V)
{
    int32x4_t sums;
    const npgru_two y = products(w, x, next, V), z = products(w, x, next, V);
    LANES_0_1(sums, y.a, y.b);
    LANES_2_3(sums, z.a, z.b);
    return sums;
}

/* Of 4 x: the lanes of a, and of b, which takes the register of the last x. */
ALWAYS void four_products(npgru_weights w, const int8_t **x, int32_t next, int32_t V, int32x4_t *a, int32x4_t *b)
{
    const npgru_two y0 = products(w, x, next, V), y1 = products(w, x, next, V);
    LANES_0_1(*a, y0.a, y1.a);
    const npgru_two y2 = products(w, x, next, V), y3 = products(w, x, next, V);
    LANES_2_3(*a, y2.a, y3.a);
    LANES_0_1(*b, y0.b, y1.b);
    LANES_2_3(*b, y2.b, y3.b);
}

#endif
