/* Eight windows side by side in AVX2: a register holds one row of the FFT, eight 32-bit lanes, each
   (re, im) as two int16, re in the low half. _mm256_madd_epi16 multiplies such pairs and adds the two
   products, exact in 32 bits here: no constant is below -32767, and 2 * 32767 * 32768 < 2^31. Sums of
   more products may wrap, but only their bits 16..31 are used. */
#ifndef NPGRU_PAIRS_AVX2_H
#define NPGRU_PAIRS_AVX2_H

#include "log_mel_avx2.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define NPGRU_HAS_AVX2_FORM
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define LANES NPGRU_LANES

/* lo in the low half of every lane, hi in the high half. */
AVX2 static inline __m256i pairs(int lo, int hi)
{
    return _mm256_set1_epi32((int)(((uint32_t)lo & 0xffffu) | (uint32_t)hi << 16));
}

/* Constants of p = m (c - i s), one multiply-add of pairs for each part: (c, s) and (-s, c). */
typedef struct { __m256i re, im; } twiddle;

AVX2 static inline twiddle load_twiddle(const int16_t *c_s)
{
    const __m256i swap = _mm256_set1_epi32(0x01000302);               /* all lanes are alike, so lane 0 will do */
    twiddle w;
    int32_t both;
    __builtin_memcpy(&both, c_s, sizeof both);
    w.re = _mm256_set1_epi32(both);
    w.im = _mm256_sign_epi16(_mm256_shuffle_epi8(w.re, swap), pairs(-1, 1));
    return w;
}

/* Stages 1..L-1 of the FFT, in place: z (N,) real rows after stage 0 -> Z in bit-reversed order. */
void npgru_fft_avx2(const int16_t *twiddles, int N, __m256i *z);

#endif
#endif
