/* npgru_log_mel for hosts: eight windows at a time in AVX2, the integers of csrc/log_mel.c. */
#include "pairs_avx2.h"

#ifdef NPGRU_HAS_AVX2_FORM

/* Window N samples and find the shift b that brings the largest to 15 bits. */
AVX2 static int window_one(const npgru_log_mel_params *p, const int16_t *x, int16_t *y)
{
    const __m128i down = _mm_cvtsi32_si128(p->window_bits), up = _mm_cvtsi32_si128(16 - p->window_bits);
    const int16_t *window = p->window;
    const int N = p->window_len;
    __m256i largest = _mm256_setzero_si256();
    for (int i = 0; i < N; i += 16) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(x + i));
        const __m256i h = _mm256_loadu_si256((const __m256i *)(window + i));
        const __m256i lo = _mm256_srl_epi16(_mm256_mullo_epi16(a, h), down);
        const __m256i v = _mm256_or_si256(lo, _mm256_sll_epi16(_mm256_mulhi_epi16(a, h), up));
        largest = _mm256_max_epi16(largest, _mm256_abs_epi16(v));      /* |-32768| = -32768: left out */
        _mm256_storeu_si256((__m256i *)(y + i), v);
    }
    int16_t lanes[16];
    unsigned all = 0;
    _mm256_storeu_si256((__m256i *)lanes, largest);
    for (int i = 0; i < 16; i++) all |= (unsigned)lanes[i];            /* none is negative: as long as the largest */
    return all ? __builtin_clz(all) - 17 : 15;                         /* 15 - bit length */
}

/* Eight rows of eight 32-bit elements -> eight columns. */
AVX2 static inline void transpose(__m256i r[LANES])
{
    __m256i t[LANES], u[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            u[i + 2 * j] = _mm256_unpacklo_epi64(t[i + j], t[i + j + 2]);
            u[i + 2 * j + 1] = _mm256_unpackhi_epi64(t[i + j], t[i + j + 2]);
        }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
    }
}

/* Scale up, windows -> lanes, and a real butterfly of each pair: r (8 windows, 8 pairs) -> eight rows.
   gain: 2^b of each window in both halves of its lane. Pair i is sample i + (i & 4): see first_stage. */
AVX2 static inline void first_rows(__m256i r[LANES], __m256i gain, __m256i *a, __m256i *m)
{
    const __m256i half = _mm256_set1_epi32(32767), plus = pairs(32767, 32767), minus = pairs(32767, -32767);
    transpose(r);
    for (int i = 0; i < LANES; i++) {
        const __m256i am = _mm256_mullo_epi16(r[i], gain);
        a[i + (i & 4)] = _mm256_srli_epi32(_mm256_add_epi32(_mm256_madd_epi16(am, plus), half), 16);
        m[i + (i & 4)] = _mm256_srli_epi32(_mm256_add_epi32(_mm256_madd_epi16(am, minus), half), 16);
    }
}

/* Stage 0 of the FFT: windowed (8, N) -> z (N,) rows. Unpacking 16 samples a and 16 samples m, N/2 later,
   gives the pairs (a, m) of samples 0..3, 8..11 and of 4..7, 12..15. */
AVX2 static void first_stage(const int16_t *windowed, int N, __m256i gain, __m256i *z)
{
    for (int n = 0; n < N / 2; n += 16) {
        __m256i lo[LANES], hi[LANES];
        for (int f = 0; f < LANES; f++) {
            const __m256i a = _mm256_loadu_si256((const __m256i *)(windowed + f * N + n));
            const __m256i m = _mm256_loadu_si256((const __m256i *)(windowed + f * N + n + N / 2));
            lo[f] = _mm256_unpacklo_epi16(a, m);
            hi[f] = _mm256_unpackhi_epi16(a, m);
        }
        first_rows(lo, gain, z + n, z + n + N / 2);
        first_rows(hi, gain, z + n + 4, z + n + 4 + N / 2);
    }
}

/* Energies of one bin. With P = 2 Z_k - Q and t, Q a few units, X = (Z_k + ((t - Q) >> 1)) >> 1 holds in
   16 bits: for real z no component of Z_k, 0 < k < N/2, is beyond 23 170 and rounding. */
AVX2 static inline __m256i bin_energy(__m256i Z_k, __m256i Z_m, twiddle w)
{
    const __m256i conjugate = pairs(1, -1);
    const __m256i Q = _mm256_sub_epi16(Z_k, _mm256_sign_epi16(Z_m, conjugate));
    const __m256i t_re = _mm256_madd_epi16(Q, w.im), t_im = _mm256_madd_epi16(Q, w.re);
    const __m256i t = _mm256_blend_epi16(_mm256_srli_epi32(t_re, 15), _mm256_slli_epi32(t_im, 1), 0xaa);
    const __m256i correction = _mm256_sub_epi16(_mm256_sign_epi16(t, conjugate), Q);
    const __m256i X = _mm256_srai_epi16(_mm256_add_epi16(Z_k, _mm256_srai_epi16(correction, 1)), 1);
    return _mm256_madd_epi16(X, X);
}

/* Nearest integers to sqrt of four sums below 2^40, exact in double; for sums below 2^32 at most 65535. */
AVX2 static inline __m128i rounded_root(__m256i m)
{
    const __m256d two_52 = _mm256_set1_pd(4503599627370496.0), two_32 = _mm256_set1_pd(4294967296.0);
    const __m256d sum = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(m, _mm256_castpd_si256(two_52))), two_52);
    const __m256d root = _mm256_round_pd(_mm256_sqrt_pd(sum), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256d capped = _mm256_min_pd(root, _mm256_set1_pd(65535.0));
    return _mm256_cvttpd_epi32(_mm256_blendv_pd(root, capped, _mm256_cmp_pd(sum, two_32, _CMP_LT_OQ)));
}

/* 2^pb ln v for v < 2^24, 0 for v = 0: exponent and fraction are those of v as a float, which is exact. */
AVX2 static inline __m256i fixed_log(const npgru_log_mel_params *p, __m256i v)
{
    const __m256i bits = _mm256_castps_si256(_mm256_cvtepi32_ps(v)), round = _mm256_set1_epi32(32768);
    const __m256i e = _mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127));
    const __m256i f = _mm256_and_si256(_mm256_srli_epi32(bits, 7), _mm256_set1_epi32(0xffff));
    const __m256i T = _mm256_i32gather_epi32((const int *)(const void *)p->log_table, _mm256_srli_epi32(f, 9), 2);
    const __m256i low = _mm256_and_si256(T, _mm256_set1_epi32(0xffff));            /* T_g; above it T_(g+1) */
    const __m256i slope = _mm256_sub_epi32(_mm256_srli_epi32(T, 16), low);
    const __m256i bend = _mm256_mullo_epi32(slope, _mm256_and_si256(f, _mm256_set1_epi32(511)));
    const __m256i l = _mm256_add_epi32(_mm256_add_epi32(f, low), _mm256_srai_epi32(bend, 16));
    const __m256i ln_2 = _mm256_set1_epi32(45426);
    const __m256i ln_l = _mm256_srli_epi32(_mm256_add_epi32(_mm256_mullo_epi32(l, ln_2), round), 16);
    const __m256i ln = _mm256_add_epi32(_mm256_mullo_epi32(e, ln_2), ln_l);
    const __m256i up = _mm256_sll_epi32(ln, _mm_cvtsi32_si128(p->post_bits));
    const __m256i out = _mm256_srli_epi32(_mm256_add_epi32(up, round), 16);
    return _mm256_andnot_si256(_mm256_cmpeq_epi32(v, _mm256_setzero_si256()), out);
}

/* Even and odd windows apart: 64-bit sums + 32-bit energies times a weight. */
typedef struct { __m256i even, odd; } sums;

AVX2 static inline sums add_weighted(sums to, __m256i E, int weight)
{
    const __m256i w = _mm256_set1_epi32(weight);
    to.even = _mm256_add_epi64(to.even, _mm256_mul_epu32(E, w));
    to.odd = _mm256_add_epi64(to.odd, _mm256_mul_epu32(_mm256_srli_epi64(E, 32), w));
    return to;
}

/* Mel bank: rows z -> channels (M,). Segment i is the rising edge of channel i, the falling one of i - 1. */
AVX2 static void mel_sums(const npgru_log_mel_params *p, const uint16_t *rows, const __m256i *z, sums *channels)
{
    const int16_t *twiddles = p->twiddles, *weights = p->weights, *unweights = p->unweights;
    const sums none = { _mm256_setzero_si256(), _mm256_setzero_si256() };
    sums risen = none;
    for (int i = 0; i <= p->n_channels; i++) {
        sums rising = none, sum = risen;
        const int end = p->segments[i + 1] - p->segments[0];
        for (int bin = p->segments[i] - p->segments[0]; bin < end; bin++) {
            const int k = rows[2 * bin], mirror = rows[2 * bin + 1];
            const __m256i E = bin_energy(z[k], z[mirror], load_twiddle(twiddles + 2 * k));
            rising = add_weighted(rising, E, unweights[bin]);
            sum = add_weighted(sum, E, weights[bin]);
        }
        if (i > 0) channels[i - 1] = sum;
        risen = rising;
    }
}

/* Root, scale down, logarithm, eight channels at a time: channels (M,) -> y (8, M rounded up to eights). */
AVX2 static void roots_and_logs(const npgru_log_mel_params *p, const sums *channels, __m256i shift, uint16_t *y)
{
    const int M = p->n_channels, M8 = (M + 7) & ~7;
    for (int q = 0; q < M8; q += 8) {
        __m256i r[LANES];
        for (int i = 0; i < 8; i++) {
            const sums sum = channels[q + i < M ? q + i : M - 1];
            const __m128i even = rounded_root(sum.even), odd = rounded_root(sum.odd);
            const __m256i root = _mm256_set_m128i(_mm_unpackhi_epi32(even, odd), _mm_unpacklo_epi32(even, odd));
            r[i] = fixed_log(p, _mm256_srlv_epi32(root, shift));
        }
        transpose(r);
        for (int f = 0; f < LANES; f++) {
            const __m128i lo = _mm256_castsi256_si128(r[f]), hi = _mm256_extracti128_si256(r[f], 1);
            _mm_storeu_si128((__m128i *)(void *)(y + f * M8 + q), _mm_packus_epi32(lo, hi));
        }
    }
}

AVX2 void npgru_log_mel_group_avx2(const npgru_log_mel_params *p, const npgru_log_mel_workspace *w,
                                   const int16_t *const x[LANES])
{
    __m256i *z = (__m256i *)(void *)w->z;
    sums *channels = (sums *)(void *)w->sums;
    int32_t b[LANES], gain[LANES];
    for (int f = 0; f < LANES; f++) {
        b[f] = window_one(p, x[f], w->windowed + f * p->window_len);
        gain[f] = (int32_t)(0x10001u << b[f]);
    }
    first_stage(w->windowed, p->window_len, _mm256_loadu_si256((const __m256i *)gain), z);
    npgru_fft_avx2(p->twiddles, p->window_len, z);
    mel_sums(p, w->rows, z, channels);
    roots_and_logs(p, channels, _mm256_loadu_si256((const __m256i *)b), w->y);
}

int32_t npgru_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

#else

int32_t npgru_has_avx2(void)
{
    return 0;
}

void npgru_log_mel_group_avx2(const npgru_log_mel_params *p, const npgru_log_mel_workspace *w,
                              const int16_t *const x[NPGRU_LANES])
{
    (void)p; (void)w; (void)x;                            /* never called: npgru_has_avx2 is 0 */
}

#endif
