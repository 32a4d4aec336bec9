/* The product in AVX2: tiles of up to 6 x 16 sums that stay in 12 registers, 12 FMAs for 8 loads. */

/* ROWS and VECTORS are constants once this is inlined; the array has a fixed size, or it would not stay in registers.
   mask: lanes of the last vector that exist; full: all of them. */
AVX2 static inline __attribute__((always_inline)) void tile(
    const int ROWS, const int VECTORS, const int full, int32_t depth, __m256i mask, matrix a, matrix b, matrix start,
    float *c, ptrdiff_t c_row)
{
    __m256 sum[6][2];
#define LOAD(p, v) (full || (v) + 1 < VECTORS ? _mm256_loadu_ps((p) + 8 * (v)) : _mm256_maskload_ps((p) + 8 * (v), mask))
#pragma GCC unroll 6
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = start.at ? LOAD(start.at + i * start.row, v) : _mm256_setzero_ps();
    for (int32_t k = 0; k < depth; k++, a.at += a.column, b.at += b.row) {
        const __m256 b_0 = LOAD(b.at, 0), b_1 = VECTORS > 1 ? LOAD(b.at, 1) : b_0;
#pragma GCC unroll 6
        for (int i = 0; i < ROWS; i++) {
            const __m256 a_i = _mm256_broadcast_ss(a.at + i * a.row);
            sum[i][0] = _mm256_fmadd_ps(a_i, b_0, sum[i][0]);
            if (VECTORS > 1) sum[i][1] = _mm256_fmadd_ps(a_i, b_1, sum[i][1]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++) {
            if (full || v + 1 < VECTORS) _mm256_storeu_ps(c + i * c_row + 8 * v, sum[i][v]);
            else _mm256_maskstore_ps(c + i * c_row + 8 * v, mask, sum[i][v]);
        }
#undef LOAD
}

/* ROWS rows: columns in sixteens, then eight, then what is left. */
AVX2 static inline __attribute__((always_inline)) void product_rows(
    const int ROWS, product_size n, matrix a, matrix b, matrix start, float *c, ptrdiff_t c_row)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int32_t j = 0, step;
    for (; j < n.columns; j += step, b.at += step, c += step, start.at += start.at ? step : 0) {
        const int32_t left = n.columns - j;
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lanes);
        step = left >= 16 ? 16 : 8;
        if (left >= 16) tile(ROWS, 2, 1, n.depth, mask, a, b, start, c, c_row);
        else if (left >= 8) tile(ROWS, 1, 1, n.depth, mask, a, b, start, c, c_row);
        else tile(ROWS, 1, 0, n.depth, mask, a, b, start, c, c_row);
    }
}

AVX2 static void product(product_size n, matrix a, matrix b, matrix start, float *c, ptrdiff_t c_row)
{
    int32_t i = 0, step;
    for (; i < n.rows; i += step, a.at += step * a.row, c += step * c_row, start.at += start.at ? step * start.row : 0) {
        const int32_t left = n.rows - i;
        step = left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (step == 6) product_rows(6, n, a, b, start, c, c_row);
        else if (step == 4) product_rows(4, n, a, b, start, c, c_row);
        else if (step == 2) product_rows(2, n, a, b, start, c, c_row);
        else product_rows(1, n, a, b, start, c, c_row);
    }
}
