/* One clip of a depthwise convolution in AVX2: eight channels at a time, sliding along a row. What is reused stays in
   registers: nine weights and the sums of two unfinished pixels; or nine sums and the dy of three pixels. */

/* A row of pixels: the first, floats to the next. Above and below the clip: zeros that do not advance. */
typedef struct { const float *at; ptrdiff_t step; } pixel_row;

AVX2 static inline pixel_row row_of_clip(const npgru_train_layer *l, const float *x, int32_t t, int32_t c)
{
    static const float zeros[8] = { 0 };
    if (t < 0 || t >= l->T) return (pixel_row){ zeros, 0 };
    return (pixel_row){ x + (ptrdiff_t)t * l->M * l->C + c, l->C };
}

#define LOAD(full, p, mask) ((full) ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask))

AVX2 static inline void store(const int full, float *p, __m256i mask, __m256 v)
{
    if (full) _mm256_storeu_ps(p, v);
    else _mm256_maskstore_ps(p, mask, v);
}

/* Nine taps of eight channels along row t of the clip: y of M pixels, C apart. A pixel adds to its right neighbour first
   (next), then to itself (here), then to its left neighbour, which is then done. */
AVX2 static inline __attribute__((always_inline)) void slide_row(
    const int full, __m256i mask, int32_t M, const pixel_row rows[3], const __m256 w[9], float *y, int32_t C)
{
    const float *x0 = rows[0].at, *x1 = rows[1].at, *x2 = rows[2].at;
    __m256 before = _mm256_setzero_ps(), here = before;
    for (int32_t m = 0; m < M; m++, x0 += rows[0].step, x1 += rows[1].step, x2 += rows[2].step) {
        const __m256 a = LOAD(full, x0, mask), b = LOAD(full, x1, mask), c = LOAD(full, x2, mask);
        const __m256 next = _mm256_fmadd_ps(c, w[6], _mm256_fmadd_ps(b, w[3], _mm256_mul_ps(a, w[0])));
        here = _mm256_fmadd_ps(c, w[7], _mm256_fmadd_ps(b, w[4], _mm256_fmadd_ps(a, w[1], here)));
        before = _mm256_fmadd_ps(c, w[8], _mm256_fmadd_ps(b, w[5], _mm256_fmadd_ps(a, w[2], before)));
        if (m > 0) store(full, y + (ptrdiff_t)(m - 1) * C, mask, before);
        before = here, here = next;
    }
    store(full, y + (ptrdiff_t)(M - 1) * C, mask, before);
}

AVX2 static inline __attribute__((always_inline)) void clip_channels(
    const int full, __m256i mask, const npgru_train_layer *l, int32_t c, const float *x, ptrdiff_t tap, const float *w,
    float *y)
{
    __m256 taps[9];
    for (int k = 0; k < 9; k++) taps[k] = LOAD(full, w + k * tap + c, mask);
    for (int32_t t = 0; t < l->T; t++) {
        const pixel_row rows[3] = { row_of_clip(l, x, t - 1, c), row_of_clip(l, x, t, c), row_of_clip(l, x, t + 1, c) };
        slide_row(full, mask, l->M, rows, taps, y + (ptrdiff_t)t * l->M * l->C + c, l->C);
    }
}

/* Nine sums of x dy over eight channels of a clip. Column m of x meets dy of its left neighbour (tap 2 of a row), its own
   (tap 1) and its right neighbour's (tap 0). */
AVX2 static inline __attribute__((always_inline)) void dw_channels(
    const int full, __m256i mask, const npgru_train_layer *l, int32_t c, const float *x, const float *dy, float *dw)
{
    const int32_t C = l->C, M = l->M;
    __m256 sums[9];
    for (int k = 0; k < 9; k++) sums[k] = LOAD(full, dw + k * C + c, mask);
    for (int32_t t = 0; t < l->T; t++) {
        const pixel_row r0 = row_of_clip(l, x, t - 1, c), r1 = row_of_clip(l, x, t, c), r2 = row_of_clip(l, x, t + 1, c);
        const float *x0 = r0.at, *x1 = r1.at, *x2 = r2.at, *d = dy + (ptrdiff_t)t * M * C + c;
        __m256 left = _mm256_setzero_ps(), own = LOAD(full, d, mask);
        for (int32_t m = 0; m < M; m++, x0 += r0.step, x1 += r1.step, x2 += r2.step) {
            const __m256 right = m + 1 < M ? LOAD(full, d + (ptrdiff_t)(m + 1) * C, mask) : _mm256_setzero_ps();
            const __m256 column[3] = { LOAD(full, x0, mask), LOAD(full, x1, mask), LOAD(full, x2, mask) };
#pragma GCC unroll 3
            for (int i = 0; i < 3; i++) {
                sums[3 * i] = _mm256_fmadd_ps(column[i], right, sums[3 * i]);
                sums[3 * i + 1] = _mm256_fmadd_ps(column[i], own, sums[3 * i + 1]);
                sums[3 * i + 2] = _mm256_fmadd_ps(column[i], left, sums[3 * i + 2]);
            }
            left = own, own = right;
        }
    }
    for (int k = 0; k < 9; k++) store(full, dw + k * C + c, mask, sums[k]);
}

AVX2 static __m256i first_lanes(int32_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* x (T, M, C), w (3, 3, C): tap k is at w + k tap, tap = C, or from the end backwards -C -> y (T, M, C). */
AVX2 static void depthwise_clip(const npgru_train_layer *l, const float *x, ptrdiff_t tap, const float *w, float *y)
{
    int32_t c = 0;
    for (; c + 8 <= l->C; c += 8) clip_channels(1, first_lanes(8), l, c, x, tap, w, y);
    if (c < l->C) clip_channels(0, first_lanes(l->C - c), l, c, x, tap, w, y);
}

/* x, dy (T, M, C); dw (3, 3, C) is added to. */
AVX2 static void depthwise_clip_dw(const npgru_train_layer *l, const float *x, const float *dy, float *dw)
{
    int32_t c = 0;
    for (; c + 8 <= l->C; c += 8) dw_channels(1, first_lanes(8), l, c, x, dy, dw);
    if (c < l->C) dw_channels(0, first_lanes(l->C - c), l, c, x, dy, dw);
}
#undef LOAD
