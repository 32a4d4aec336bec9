/* The FFT of csrc/log_mel.c for eight windows at a time. Rows that are real are treated as such:
   block 0 of every stage, and block 1 until it is split. */
#include "pairs_avx2.h"

#ifdef NPGRU_HAS_AVX2_FORM

/* High halves of two sums of 32 bits -> pairs (re, im). */
AVX2 static inline __m256i high_halves(__m256i re, __m256i im)
{
    return _mm256_blend_epi16(_mm256_srli_epi32(re, 16), im, 0xaa);
}

/* 32767 a_re + 32767: what a butterfly adds its product to. */
AVX2 static inline __m256i real_part(__m256i a)
{
    return _mm256_add_epi32(_mm256_madd_epi16(a, pairs(32767, 0)), _mm256_set1_epi32(32767));
}

/* a' = (a + p) / 2, m' = (a - p) / 2: 13 instructions for eight windows. One is added to a ahead of the
   product, 32767 (a + 1): complex rows come out of butterfly_1, so no component is beyond 23 170 and rounding. */
AVX2 static inline void butterfly(__m256i *a, __m256i *m, twiddle w)
{
    const __m256i p_re = _mm256_madd_epi16(*m, w.re), p_im = _mm256_madd_epi16(*m, w.im);
    const __m256i above = _mm256_add_epi16(*a, _mm256_set1_epi16(1));
    const __m256i re = _mm256_madd_epi16(above, pairs(32767, 0)), im = _mm256_madd_epi16(above, pairs(0, 32767));
    *a = high_halves(_mm256_add_epi32(re, p_re), _mm256_add_epi32(im, p_im));
    *m = high_halves(_mm256_sub_epi32(re, p_re), _mm256_sub_epi32(im, p_im));
}

/* In block 0, (c, s) = (32767, 0), a and m are real and stay real. */
AVX2 static inline void butterfly_0(__m256i *a, __m256i *m)
{
    const __m256i re = real_part(*a), p_re = _mm256_madd_epi16(*m, pairs(32767, 0));
    *a = _mm256_srli_epi32(_mm256_add_epi32(re, p_re), 16);
    *m = _mm256_srli_epi32(_mm256_sub_epi32(re, p_re), 16);
}

/* In block 1, (c, s) = (0, 32767), a and m are real: p = -i m. */
AVX2 static inline void butterfly_1(__m256i *a, __m256i *m)
{
    const __m256i re = real_part(*a), im = _mm256_set1_epi32(32767);
    const __m256i p_im = _mm256_madd_epi16(*m, pairs(-32767, 0));
    *a = high_halves(re, _mm256_add_epi32(im, p_im));
    *m = high_halves(re, _mm256_sub_epi32(im, p_im));
}

/* Two stages in one pass over a block of 4 n rows: block j of the first, 2j and 2j + 1 of the second. */
AVX2 static inline void two_stages(__m256i *z, int n, twiddle first, twiddle even, twiddle odd)
{
    for (int i = 0; i < n; i++) {
        __m256i r0 = z[i], r1 = z[i + n], r2 = z[i + 2 * n], r3 = z[i + 3 * n];
        butterfly(&r0, &r2, first);
        butterfly(&r1, &r3, first);
        butterfly(&r0, &r1, even);
        butterfly(&r2, &r3, odd);
        z[i] = r0, z[i + n] = r1, z[i + 2 * n] = r2, z[i + 3 * n] = r3;
    }
}

/* Blocks 0 and 1, whose rows are real before the first stage: 8 n rows. */
AVX2 static void two_stages_real(const int16_t *twiddles, __m256i *z, int n)
{
    const twiddle even = load_twiddle(twiddles + 4), odd = load_twiddle(twiddles + 6);
    for (int i = 0; i < n; i++) {
        __m256i r0 = z[i], r1 = z[i + n], r2 = z[i + 2 * n], r3 = z[i + 3 * n];
        butterfly_0(&r0, &r2);
        butterfly_0(&r1, &r3);
        butterfly_0(&r0, &r1);
        butterfly_1(&r2, &r3);
        z[i] = r0, z[i + n] = r1, z[i + 2 * n] = r2, z[i + 3 * n] = r3;
    }
    for (int i = 4 * n; i < 5 * n; i++) {
        __m256i r0 = z[i], r1 = z[i + n], r2 = z[i + 2 * n], r3 = z[i + 3 * n];
        butterfly_1(&r0, &r2);
        butterfly_1(&r1, &r3);
        butterfly(&r0, &r1, even);
        butterfly(&r2, &r3, odd);
        z[i] = r0, z[i + n] = r1, z[i + 2 * n] = r2, z[i + 3 * n] = r3;
    }
}

/* Two stages at a time; where their number is odd, stage 1 alone. */
AVX2 void npgru_fft_avx2(const int16_t *twiddles, int N, __m256i *z)
{
    int n_blocks = 2;
    if (__builtin_ctz((unsigned)N) % 2 == 0) {
        for (int i = 0; i < N / 4; i++) {
            butterfly_0(z + i, z + N / 4 + i);
            butterfly_1(z + N / 2 + i, z + 3 * N / 4 + i);
        }
        n_blocks = 4;
    }
    for (; n_blocks < N; n_blocks *= 4) {
        const int n = N / n_blocks / 4;
        two_stages_real(twiddles, z, n);
        for (int j = 2; j < n_blocks; j++)
            two_stages(z + 4 * n * j, n, load_twiddle(twiddles + 2 * j), load_twiddle(twiddles + 4 * j),
                       load_twiddle(twiddles + 4 * j + 2));
    }
}

#endif
