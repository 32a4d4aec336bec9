/* Batch normalisation and the clamp that follows it; npgru/layers/batchnorm.py. Rows of C channels. */

/* mean and m2 = sum of (x - mean)^2 of rows seen before, and these rows -> of both together.
   Mean and m2 of these rows first, then (1), (2) with d the difference of the means; s = rows / (rows_before + rows).
       mean <- mean + s d                                  (1)
       m2   <- m2 + m2' + rows_before s d^2                (2)
   Source: Chan, Golub and LeVeque 1979, STAN-CS-79-773. No difference of large sums is taken. */
KERNEL void merge_statistics(int32_t C, float rows_before, float rows, const float *mean_of, const float *m2_of,
                             float *restrict mean, float *restrict m2)
{
    const float s = rows / (rows_before + rows);
    for (int32_t c = 0; c < C; c++) {
        const float d = mean_of[c] - mean[c];
        mean[c] += s * d;                                                                       /* (1) */
        m2[c] += m2_of[c] + rows_before * s * d * d;                                            /* (2) */
    }
}

#define CHANNELS 64                      /* channels at a time: their sums stay in the first cache */

/* Statistics of up to CHANNELS channels of these rows alone; a row begins every C floats. Rows in fours: less rounding. */
KERNEL void row_statistics(int32_t rows, int32_t C, int32_t n, const float *restrict x, float *restrict mean,
                           float *restrict m2)
{
    int32_t r = 0;
    for (int32_t c = 0; c < n; c++) mean[c] = m2[c] = 0;
    for (; r + 4 <= rows; r += 4) {
        const float *x0 = x + (ptrdiff_t)r * C, *x1 = x0 + C, *x2 = x1 + C, *x3 = x2 + C;
        for (int32_t c = 0; c < n; c++) mean[c] += (x0[c] + x1[c]) + (x2[c] + x3[c]);
    }
    for (; r < rows; r++)
        for (int32_t c = 0; c < n; c++) mean[c] += x[(ptrdiff_t)r * C + c];
    for (int32_t c = 0; c < n; c++) mean[c] /= (float)rows;
    for (r = 0; r + 4 <= rows; r += 4) {
        const float *x0 = x + (ptrdiff_t)r * C, *x1 = x0 + C, *x2 = x1 + C, *x3 = x2 + C;
        for (int32_t c = 0; c < n; c++) {
            const float d0 = x0[c] - mean[c], d1 = x1[c] - mean[c], d2 = x2[c] - mean[c], d3 = x3[c] - mean[c];
            m2[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; r < rows; r++)
        for (int32_t c = 0; c < n; c++) {
            const float d = x[(ptrdiff_t)r * C + c] - mean[c];
            m2[c] += d * d;
        }
}

/* x (rows, C): its statistics are merged into mean (C,) and m2 (C,) of rows_before rows. */
KERNEL void statistics(int32_t rows, int32_t C, const float *x, float rows_before, float *mean, float *m2)
{
    float mean_of[CHANNELS], m2_of[CHANNELS];
    for (int32_t c = 0; c < C; c += CHANNELS) {
        const int32_t n = C - c < CHANNELS ? C - c : CHANNELS;
        row_statistics(rows, C, n, x + c, mean_of, m2_of);
        merge_statistics(n, rows_before, (float)rows, mean_of, m2_of, mean + c, m2 + c);
    }
}

/* y = clamp(scale (x - mean) + beta); x, y (rows, C). */
KERNEL void normalise(const npgru_train_layer *layer, const npgru_norm *norm, int32_t rows, const float *restrict x,
                      float *restrict y)
{
    const float *mean = norm->mean, *scale = norm->scale, *beta = norm->beta;
    const float y_min = layer->y_min, y_max = layer->y_max;
    const int32_t C = layer->C;
    for (int32_t r = 0; r < rows; r++, x += C, y += C)
        for (int32_t c = 0; c < C; c++) {
            const float v = multiply_add(x[c] - mean[c], scale[c], beta[c]);
            y[c] = clamp(v, y_min, y_max);
        }
}

/* One row: dy passes where y is inside the clamp; what passed, and times (x - mean), is added to the sums. */
KERNEL inline void normalise_row_sums(int32_t C, float y_min, float y_max, const float *mean, const float *restrict x,
                                      const float *restrict y, float *restrict dy, float *restrict sum_x,
                                      float *restrict sum)
{
    for (int32_t c = 0; c < C; c++) {
        const float d = inside(y[c], y_min, y_max) ? dy[c] : 0;
        dy[c] = d;
        sum_x[c] = multiply_add(d, x[c] - mean[c], sum_x[c]);
        sum[c] += d;
    }
}

/* x, y, dy (rows, C), dy in place; sums (2, C) += sum of dy (x - mean), sum of dy. */
KERNEL void normalise_sums(const npgru_train_layer *layer, const npgru_norm *norm, int32_t rows, const float *x,
                           const float *y, float *dy, float *sums)
{
    const int32_t C = layer->C;
    for (int32_t r = 0; r < rows; r++, x += C, y += C, dy += C)
        normalise_row_sums(C, layer->y_min, layer->y_max, norm->mean, x, y, dy, sums, sums + C);
}

/* dx = a dy + b (x - mean) + c. */
KERNEL void normalise_backward(int32_t C, const npgru_norm *norm, int32_t rows, const float *restrict x,
                               const float *restrict dy, float *restrict dx)
{
    const float *mean = norm->mean, *a = norm->a, *b = norm->b, *c = norm->c;
    for (int32_t r = 0; r < rows; r++, x += C, dy += C, dx += C)
        for (int32_t i = 0; i < C; i++)
            dx[i] = multiply_add(a[i], dy[i], multiply_add(b[i], x[i] - mean[i], c[i]));
}
