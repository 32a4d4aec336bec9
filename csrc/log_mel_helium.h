/* Loops of log_mel_pairs.c for Helium, the vectors of a Cortex-M55: 8 reals or 4 rows at a time, the same integers. A row is a
   word, re low; of 16-bit lanes the even ones are low halves, which VMULLB multiplies, VMULLT the odd ones. */
#ifndef NPGRU_LOG_MEL_HELIUM_H
#define NPGRU_LOG_MEL_HELIUM_H

#include <arm_mve.h>

#include "log_mel_rows.h"

/* The low halves of 4 words times those of others; the high halves. */
#define AS_HALVES(x) vreinterpretq_s16_u32(x)
CM_INLINE int32x4_t low_times(uint32x4_t x, uint32x4_t y) { return vmullbq_int_s16(AS_HALVES(x), AS_HALVES(y)); }
CM_INLINE int32x4_t high_times(uint32x4_t x, uint32x4_t y) { return vmulltq_int_s16(AS_HALVES(x), AS_HALVES(y)); }

CM_INLINE uint32x4_t both(int16_t x) { return vreinterpretq_u32_s16(vdupq_n_s16(x)); }

/* The high halves of both, those of low below. */
CM_INLINE uint32x4_t high_halves_of(int32x4_t low, int32x4_t high)
{
    return vreinterpretq_u32_s16(vshrnbq_n_s32(vreinterpretq_s16_s32(high), low, 16));
}

/* window of whole vectors of n samples; their magnitudes are or-ed into used -> how many samples. */
CM_HELIUM static int32_t vector_window(const int16_t *x, const int16_t *h, int32_t n, int32_t bits, uint32_t *z, uint32_t *used)
{
    const uint32_t *end = z + n / 8 * 4;
    uint16x8_t all = vdupq_n_u16(0);
    for (; z < end; z += 4, x += 8, h += 8) {
        const int16x8_t samples = vldrhq_s16(x), weights = vldrhq_s16(h);
        const int32x4_t low = vshlq_r_s32(vmullbq_int_s16(samples, weights), -bits);
        const int32x4_t high = vshlq_r_s32(vmulltq_int_s16(samples, weights), -bits);
        const int16x8_t y = vmovntq_s32(vreinterpretq_s16_s32(low), high);
        all = vorrq_u16(all, vreinterpretq_u16_s16(vabsq_s16(y)));
        vstrwq_u32(z, vreinterpretq_u32_s16(y));
    }
    const uint32x4_t words = vreinterpretq_u32_u16(all);
    *used |= vgetq_lane_u32(words, 0) | vgetq_lane_u32(words, 1) | vgetq_lane_u32(words, 2) | vgetq_lane_u32(words, 3);
    return n / 8 * 8;
}

CM_INLINE void vector_real_butterflies(uint32x4_t *a, uint32x4_t *m)
{
    const uint32x4_t unit = both(UNIT);
    const int32x4_t low = vaddq_n_s32(low_times(*a, unit), UNIT), high = vaddq_n_s32(high_times(*a, unit), UNIT);
    const int32x4_t p_low = low_times(*m, unit), p_high = high_times(*m, unit);
    *a = high_halves_of(vaddq_s32(low, p_low), vaddq_s32(high, p_high));
    *m = high_halves_of(vsubq_s32(low, p_low), vsubq_s32(high, p_high));
}

CM_INLINE uint32x4_t vector_scaled(const uint32_t *z, uint32_t factor)
{
    return vreinterpretq_u32_u16(vmulq_n_u16(vreinterpretq_u16_u32(vldrwq_u32(z)), (uint16_t)factor));
}

/* real_stages, h a multiple of 8. */
CM_HELIUM static void vector_real_stages(uint32_t *z, int32_t h, uint32_t factor)
{
    for (uint32_t *end = z + h / 2; z < end; z += 4) {
        uint32x4_t r0 = vector_scaled(z, factor), r1 = vector_scaled(z + h / 2, factor);
        uint32x4_t r2 = vector_scaled(z + h, factor), r3 = vector_scaled(z + h + h / 2, factor);
        vector_real_butterflies(&r0, &r2);
        vstrwq_u32(z + h, r2);
        vector_real_butterflies(&r1, &r3);
        vstrwq_u32(z + h + h / 2, r3);
        vector_real_butterflies(&r0, &r1);
        vstrwq_u32(z, r0);
        vstrwq_u32(z + h / 2, r1);
    }
}

/* A word in all lanes, made anew wherever it is used: there is no register to keep it. */
#define EVERY(vector, word) __asm__ volatile("vdup.32 %q0, %1" : "=w"(vector) : "r"(word))
CM_INLINE uint32_t halves_swapped(uint32_t x) { return x >> 16 | x << 16; }
CM_INLINE uint32x4_t all_halves_swapped(uint32x4_t x) { return vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(x))); }

/* sums_of 4 rows, c_s their twiddles. rounding: HALF, or UNIT for the exact form; no_tie becomes 0 where a sum ties. */
typedef struct { int32x4_t re_plus, im_plus, re_minus, im_minus; } vector_sums;
CM_INLINE vector_sums vector_sums_of(uint32x4_t a, uint32x4_t m, uint32x4_t c_s, uint32x4_t s_c, uint32_t rounding,
                                     uint32x4_t *no_tie)
{
    const uint32x4_t unit = both(UNIT);
    const int32x4_t p_re = vaddq_s32(low_times(m, c_s), high_times(m, c_s));
    const int32x4_t p_im = vsubq_s32(high_times(m, s_c), low_times(m, s_c));
    const int32x4_t re = vaddq_n_s32(low_times(a, unit), UNIT), im = vaddq_n_s32(high_times(a, unit), (int32_t)rounding);
    const vector_sums y = { vaddq_s32(re, p_re), vaddq_s32(im, p_im), vsubq_s32(re, p_re), vsubq_s32(im, p_im) };
    const int32x4_t ends = low_times(vreinterpretq_u32_s32(y.im_plus), vreinterpretq_u32_s32(y.im_minus));
    *no_tie = vminq_u32(*no_tie, vreinterpretq_u32_s32(ends));
    return y;
}

CM_INLINE void vector_butterfly(uint32x4_t *a, uint32x4_t *m, uint32x4_t c_s, uint32x4_t s_c, uint32x4_t *no_tie)
{
    const vector_sums y = vector_sums_of(*a, *m, c_s, s_c, HALF, no_tie);
    *a = high_halves_of(y.re_plus, y.im_plus);
    *m = high_halves_of(y.re_minus, y.im_minus);
}

/* The same twiddle for all. */
typedef struct { uint32_t c_s, s_c; } twiddles;
CM_INLINE twiddles twiddles_at(const int16_t *w)
{
    const uint32_t c_s = cm_load_pair(w);
    return (twiddles){ c_s, halves_swapped(c_s) };
}
CM_INLINE void vector_butterflies(uint32x4_t *a, uint32x4_t *m, twiddles w, uint32x4_t *no_tie)
{
    uint32x4_t c_s, s_c;
    EVERY(c_s, w.c_s);
    EVERY(s_c, w.s_c);
    vector_butterfly(a, m, c_s, s_c, no_tie);
}

CM_INLINE int has_tie(uint32x4_t no_tie) { return vminvq_u32(0xFFFFFFFFu, no_tie) == 0; }

/* One stage of reals at x and their splits, of the low or of the high halves: every second row. */
#define STAGE_OF_REALS(times, rows)                                                                                         \
    do {                                                                                                                    \
        uint32x4_t r0 = high_halves_of(vaddq_n_s32(times(vldrwq_u32(x), both(UNIT)), UNIT),                                 \
                                       vaddq_n_s32(times(vldrwq_u32(x + h / 2), both(-UNIT)), UNIT));                       \
        uint32x4_t r1 = high_halves_of(vaddq_n_s32(times(vldrwq_u32(x + h / 4), both(UNIT)), UNIT),                         \
                                       vaddq_n_s32(times(vldrwq_u32(x + h / 2 + h / 4), both(-UNIT)), UNIT));               \
        vector_butterflies(&r0, &r1, all, &no_tie);                                                                         \
        vstrwq_scatter_shifted_offset_u32(rows, by_turns, r0);                                                              \
        vstrwq_scatter_shifted_offset_u32((rows) + h / 2, by_turns, r1);                                                    \
    } while (0)

/* one_stage_of_reals, h a multiple of 16. */
CM_HELIUM static int vector_stage_of_reals(const uint32_t *x, int32_t h, uint32_t w, uint32_t *rows)
{
    const uint32x4_t by_turns = { 0, 2, 4, 6 };
    const twiddles all = { w, halves_swapped(w) };
    uint32x4_t no_tie = vdupq_n_u32(0xFFFFFFFFu);
    for (const uint32_t *end = x + h / 4; x < end; x += 4, rows += 8) {
        STAGE_OF_REALS(low_times, rows);
        STAGE_OF_REALS(high_times, rows + 1);
    }
    return has_tie(no_tie);
}

/* two_stages, n a multiple of 4. */
CM_HELIUM static int vector_two_stages(uint32_t *z, int32_t n, const int16_t *w, int32_t j, int32_t end)
{
    uint32x4_t no_tie = vdupq_n_u32(0xFFFFFFFFu);
    for (z += 4 * n * j; j < end; j++, z += 3 * n) {
        const twiddles first = twiddles_at(w + 2 * j), even = twiddles_at(w + 4 * j), odd = twiddles_at(w + 4 * j + 2);
        uint32_t *upper = z + 2 * n;
        for (const uint32_t *last = z + n; z < last; z += 4, upper += 4) {
            uint32x4_t r0 = vldrwq_u32(z), r2 = vldrwq_u32(upper);
            vector_butterflies(&r0, &r2, first, &no_tie);
            uint32x4_t r1 = vldrwq_u32(z + n), r3 = vldrwq_u32(upper + n);
            vector_butterflies(&r1, &r3, first, &no_tie);
            vector_butterflies(&r0, &r1, even, &no_tie);
            vstrwq_u32(z, r0);
            vstrwq_u32(z + n, r1);
            vector_butterflies(&r2, &r3, odd, &no_tie);
            vstrwq_u32(upper, r2);
            vstrwq_u32(upper + n, r3);
        }
    }
    return has_tie(no_tie);
}

/* The exact form's stage of blocks j .. end - 1 of 2 n rows, n a multiple of 4. */
CM_HELIUM static void vector_exact_stage(uint32_t *z, int32_t n, const int16_t *w, int32_t j, int32_t end)
{
    uint32x4_t any = vdupq_n_u32(0);
    for (z += 2 * n * j; j < end; j++, z += n) {
        const uint32x4_t c_s = vdupq_n_u32(cm_load_pair(w + 2 * j)), s_c = all_halves_swapped(c_s);
        for (const uint32_t *last = z + n; z < last; z += 4) {
            const vector_sums y = vector_sums_of(vldrwq_u32(z), vldrwq_u32(z + n), c_s, s_c, UNIT, &any);
            vstrwq_u32(z, high_halves_of(y.re_plus, y.im_plus));
            vstrwq_u32(z + n, high_halves_of(y.re_minus, y.im_minus));
        }
    }
}

/* Twiddles of two blocks, two rows of each. */
CM_INLINE uint32x4_t two_twiddles(const int16_t *first, const int16_t *second)
{
    uint32x4_t c_s = vdupq_n_u32(cm_load_pair(first));
    __asm__("vmov %f0, %1, %1" : "+w"(c_s) : "r"(cm_load_pair(second)));
    return c_s;
}

/* two_stages, n = 2: two blocks at a time. */
CM_HELIUM static int vector_two_stages_of_2(uint32_t *z, const int16_t *w, int32_t j, int32_t end)
{
    const uint32x4_t at = { 0, 1, 8, 9 };
    uint32x4_t no_tie = vdupq_n_u32(0xFFFFFFFFu);
    for (z += 8 * j; j < end; j += 2, z += 16) {
        uint32x4_t r0 = vldrwq_gather_shifted_offset_u32(z, at), r2 = vldrwq_gather_shifted_offset_u32(z + 4, at);
        uint32x4_t c_s = two_twiddles(w + 2 * j, w + 2 * j + 2), s_c = all_halves_swapped(c_s);
        vector_butterfly(&r0, &r2, c_s, s_c, &no_tie);
        uint32x4_t r1 = vldrwq_gather_shifted_offset_u32(z + 2, at), r3 = vldrwq_gather_shifted_offset_u32(z + 6, at);
        vector_butterfly(&r1, &r3, c_s, s_c, &no_tie);
        c_s = two_twiddles(w + 4 * j, w + 4 * j + 4);
        vector_butterfly(&r0, &r1, c_s, all_halves_swapped(c_s), &no_tie);
        vstrwq_scatter_shifted_offset_u32(z, at, r0);
        vstrwq_scatter_shifted_offset_u32(z + 2, at, r1);
        c_s = two_twiddles(w + 4 * j + 2, w + 4 * j + 6);
        vector_butterfly(&r2, &r3, c_s, all_halves_swapped(c_s), &no_tie);
        vstrwq_scatter_shifted_offset_u32(z + 4, at, r2);
        vstrwq_scatter_shifted_offset_u32(z + 6, at, r3);
    }
    return has_tie(no_tie);
}

/* The first stage of energies_of_4 alone, h a multiple of 8: of two blocks the rows 0 and 1 with 2 and 3. */
CM_HELIUM static int vector_stage_of_4(uint32_t *z, int32_t h, const int16_t *w)
{
    const uint32x4_t at = { 0, 1, 4, 5 };
    uint32x4_t no_tie = vdupq_n_u32(0xFFFFFFFFu);
    z += 2 * h, w += h;
    for (const uint32_t *end = z + h; z < end; z += 8, w += 4) {
        const uint32x4_t c_s = two_twiddles(w, w + 2);
        uint32x4_t a = vldrwq_gather_shifted_offset_u32(z, at), m = vldrwq_gather_shifted_offset_u32(z + 2, at);
        vector_butterfly(&a, &m, c_s, all_halves_swapped(c_s), &no_tie);
        vstrwq_scatter_shifted_offset_u32(z, at, a);
        vstrwq_scatter_shifted_offset_u32(z + 2, at, m);
    }
    return has_tie(no_tie);
}

CM_INLINE uint32x4_t vector_energy(int32x4_t re_sum, int32x4_t im_sum)
{
    const int32x4_t re = vshrq_n_s32(re_sum, 17), im = vshrq_n_s32(im_sum, 17);
    return vreinterpretq_u32_s32(vaddq_s32(vmulq_s32(re, re), vmulq_s32(im, im)));
}

/* energies_of_2, h a multiple of 8. */
CM_HELIUM static int vector_energies_of_2(uint32_t *z, int32_t h, const int16_t *w)
{
    const uint32x4_t at = { 0, 2, 4, 6 }, down = { 6, 4, 2, 0 };
    uint32x4_t no_tie = vdupq_n_u32(0xFFFFFFFFu);
    uint32_t *mirror = z + 4 * h - 8;
    z += 2 * h, w += 2 * h;
    for (const uint32_t *end = z + h; z < end; z += 8, mirror -= 8, w += 8) {
        const uint32x4_t c_s = vreinterpretq_u32_s16(vldrhq_s16(w));
        const uint32x4_t a = vldrwq_gather_shifted_offset_u32(z, at), m = vldrwq_gather_shifted_offset_u32(z + 1, at);
        const vector_sums y = vector_sums_of(a, m, c_s, all_halves_swapped(c_s), HALF, &no_tie);
        vstrwq_scatter_shifted_offset_u32(z, at, vector_energy(y.re_plus, y.im_plus));
        vstrwq_scatter_shifted_offset_u32(mirror, down, vector_energy(y.re_minus, vaddq_n_s32(y.im_minus, 0x10000)));
    }
    return has_tie(no_tie);
}

/* n bins' energies from bin k on: times weights to falling, times unweights to rising. Bin k is in row rev(k), of `bits`
   bits; the loop leaves out what is beyond n in its last turn. */
CM_INLINE void vector_mel_sums(const uint32_t *z, int32_t k, int32_t n, int32_t bits, const int16_t *unweights,
                               const int16_t *weights, uint64_t *rising, uint64_t *falling)
{
    __asm__ volatile("wlstp.32 lr, %[n], 2f\n1:\n\t"
                     "vidup.u32 q0, %[k], #1\n\tvbrsr.32 q0, q0, %[bits]\n\tvldrw.u32 q1, [%[z], q0, uxtw #2]\n\t"
                     "vldrh.u32 q2, [%[u]], #8\n\tvmlaldava.u32 %Q[rising], %R[rising], q1, q2\n\t"
                     "vldrh.u32 q2, [%[w]], #8\n\tvmlaldava.u32 %Q[falling], %R[falling], q1, q2\n\t"
                     "letp lr, 1b\n2:"
                     : [k] "+Te"(k), [u] "+l"(unweights), [w] "+l"(weights), [rising] "+r"(*rising), [falling] "+r"(*falling)
                     : [n] "r"(n), [bits] "r"(bits), [z] "r"(z) : "lr", "q0", "q1", "q2", "cc", "memory");
}

#endif
