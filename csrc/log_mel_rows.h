/* Butterflies of log_mel_pairs.c on a row (re, im) of the FFT, in memory a word: re low. With DSP instructions it is a word
   in registers too; without, two numbers. */
#ifndef NPGRU_LOG_MEL_ROWS_H
#define NPGRU_LOG_MEL_ROWS_H

#include "cortex_m.h"

/* CM_HOT for a loop over rows. Where a row takes two registers, GCC shall keep to the order of the C, and to one pointer. */
#if defined(__ARM_ARCH) && defined(__GNUC__) && !defined(__clang__) && !CM_HAS_DSP
#define ROW_LOOP __attribute__((noinline, optimize("O3", "no-schedule-insns", "no-ivopts", "no-gcse", "no-tree-pre", \
                                                   "no-tree-sink", "no-tree-loop-im")))
#else
#define ROW_LOOP CM_HOT
#endif

#define UNIT 32767
#define HALF 32768u             /* what an imaginary part is rounded with where ties are looked for; else UNIT */

/* 32767 x + 32767 of a half: what a butterfly adds its product to, before it takes the high half. */
CM_INLINE uint32_t low_part(uint32_t x) { return (uint32_t)cm_smlabb(x, UNIT, UNIT); }
CM_INLINE uint32_t high_part(uint32_t x) { return (uint32_t)cm_smlatb(x, UNIT, UNIT); }

/* Does one of two sums end in 16 zeros? */
#if CM_HAS_DSP
CM_INLINE int ties(uint32_t x, uint32_t y) { return cm_low(x) * cm_low(y) == 0; }
#else
CM_INLINE int ties(uint32_t x, uint32_t y) { return x << 16 == 0 || y << 16 == 0; }
#endif

/* Energy of a bin, its row halved, from the row's 32-bit sums. */
CM_INLINE uint32_t energy(uint32_t re_sum, uint32_t im_sum)
{
    const int32_t re = (int32_t)re_sum >> 17, im = (int32_t)im_sum >> 17;
    return (uint32_t)(re * re) + (uint32_t)(im * im);
}

/* a + p and a - p, p = m (c - i s), of which a butterfly takes the high halves. */
typedef struct { uint32_t re_plus, im_plus, re_minus, im_minus; } sums;

#if CM_HAS_DSP

typedef uint32_t row;
typedef uint32_t twiddle;       /* c, s */
CM_INLINE row get(const uint32_t *z) { return *z; }
CM_INLINE void put(uint32_t *z, row r) { *z = r; }
CM_INLINE twiddle twiddle_at(const int16_t *w) { return cm_load_pair(w); }
CM_INLINE row high_halves(uint32_t re_sum, uint32_t im_sum) { return cm_high_pair(re_sum, im_sum); }

CM_INLINE sums sums_of(row a, row m, twiddle w, uint32_t rounding)
{
    const uint32_t re = low_part(a), im = (uint32_t)cm_smlatb(a, UNIT, (int32_t)rounding);
    const uint32_t re_plus = (uint32_t)cm_smlad(m, w, (int32_t)re), im_plus = (uint32_t)cm_smlsdx(w, m, (int32_t)im);
    return (sums){ re_plus, im_plus, 2 * re - re_plus, 2 * im - im_plus };
}

#else

typedef struct { int32_t re, im; } row;
typedef struct { int32_t c, s; } twiddle;
CM_INLINE row get(const uint32_t *z) { return (row){ cm_low(*z), cm_high(*z) }; }
CM_INLINE void put(uint32_t *z, row r) { *z = cm_pair(r.re, r.im); }
CM_INLINE twiddle twiddle_at(const int16_t *w) { return (twiddle){ w[0], w[1] }; }
CM_INLINE row high_halves(uint32_t re_sum, uint32_t im_sum) { return (row){ (int32_t)re_sum >> 16, (int32_t)im_sum >> 16 }; }

CM_INLINE sums sums_of(row a, row m, twiddle w, uint32_t rounding)
{
    const uint32_t re = ((uint32_t)a.re << 15) - (uint32_t)a.re + UNIT, im = ((uint32_t)a.im << 15) - (uint32_t)a.im + rounding;
    const uint32_t p_re = (uint32_t)(w.c * m.re) + (uint32_t)(w.s * m.im);
    const uint32_t p_im = (uint32_t)(w.c * m.im) - (uint32_t)(w.s * m.re);
    return (sums){ re + p_re, im + p_im, re - p_re, im - p_im };
}

#endif

/* a' = (a + p) / 2, m' = (a - p) / 2 -> does an imaginary part tie? Then nothing is changed; exact: it does not matter. */
CM_INLINE int butterfly(row *a, row *m, twiddle w, int exact)
{
    const sums s = sums_of(*a, *m, w, exact ? UNIT : HALF);
    if (!exact && ties(s.im_plus, s.im_minus)) return 1;
    *a = high_halves(s.re_plus, s.im_plus);
    *m = high_halves(s.re_minus, s.im_minus);
    return 0;
}

#if CM_THUMB1
/* log_mel_m0.c: butterflies of n_blocks blocks from z on, of twice n_bytes; w: the first one's twiddle. -> did a sum tie? */
int npgru_log_mel_stage(uint32_t *z, int32_t n_bytes, const int16_t *w, int32_t n_blocks);

/* Blocks of two rows, z to end -> energies in their even rows, and from the one below mirror downwards. -> did a sum tie? */
int npgru_log_mel_last_stage(uint32_t *z, uint32_t *mirror, const int16_t *w, const uint32_t *end);
#endif

/* The upper row of a split, a - i m, of the low and of the high halves of reals. */
#define MINUS_UNIT ((uint32_t)-UNIT)
CM_INLINE row split_low(uint32_t a, uint32_t m) { return high_halves(low_part(a), (uint32_t)cm_smlabb(m, MINUS_UNIT, UNIT)); }
CM_INLINE row split_high(uint32_t a, uint32_t m) { return high_halves(high_part(a), (uint32_t)cm_smlatb(m, MINUS_UNIT, UNIT)); }

#endif
