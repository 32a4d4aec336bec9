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

/* Channels in columns of a few vectors, down all rows: what belongs to a channel stays in registers. column(vectors, full,
   which, c, ...): from channel c on; the first two are constants once it is inlined, as in product_vector.h. */
#define IN_COLUMNS(C, column, ...) do { \
        int32_t c_ = 0; \
        for (; c_ + NORM_VECTORS * LANES <= (C); c_ += NORM_VECTORS * LANES) \
            column(NORM_VECTORS, 1, first_lanes(LANES), c_, __VA_ARGS__); \
        for (; c_ + LANES <= (C); c_ += LANES) column(1, 1, first_lanes(LANES), c_, __VA_ARGS__); \
        if (c_ < (C)) column(1, 0, first_lanes((C) - c_), c_, __VA_ARGS__); \
    } while (0)
#define EACH_VECTOR _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)

/* Sum of (x - centre)^power over the rows, power 1 or 2. Rows in fours: less rounding. */
VECTOR vector column_sum(const int power, const int full, lanes which, int32_t rows, int32_t C, const float *x, vector centre)
{
    vector sum = zeros();
    int32_t r = 0;
    for (; r + 4 <= rows; r += 4, x += 4 * (ptrdiff_t)C) {
        const vector d0 = load_some(full, x, which) - centre, d1 = load_some(full, x + C, which) - centre,
                     d2 = load_some(full, x + 2 * C, which) - centre, d3 = load_some(full, x + 3 * C, which) - centre;
        if (power == 1) sum += (d0 + d1) + (d2 + d3);
        else sum += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
    }
    for (; r < rows; r++, x += C) {
        const vector d = load_some(full, x, which) - centre;
        if (power == 1) sum += d;
        else sum += d * d;
    }
    return sum;
}

/* Mean and sum of squares about it of these rows alone, then of all. */
VECTOR void column_statistics(const int V, const int full, lanes which, int32_t c, int32_t rows, int32_t C, const float *x,
                              float rows_before, float *mean, float *m2)
{
    const float n = (float)rows;
    for (int v = 0; v < V; v++, c += LANES) {
        float mean_of[LANES] = { 0 }, m2_of[LANES] = { 0 };
        const vector sum = column_sum(1, full, which, rows, C, x + c, zeros()), m = sum / splat(&n);
        store(mean_of, m);
        store(m2_of, column_sum(2, full, which, rows, C, x + c, m));
        merge_statistics(C - c < LANES ? C - c : LANES, rows_before, n, mean_of, m2_of, mean + c, m2 + c);
    }
}

/* x (rows, C): its statistics are merged into mean (C,) and m2 (C,) of rows_before rows. */
KERNEL void statistics(int32_t rows, int32_t C, const float *x, float rows_before, float *mean, float *m2)
{
    IN_COLUMNS(C, column_statistics, rows, C, x, rows_before, mean, m2);
}

VECTOR void column_normalise(const int V, const int full, lanes which, int32_t c, const npgru_train_layer *layer,
                             const npgru_norm *norm, int32_t rows, const float *x, float *y)
{
    const int32_t C = layer->C;
    const vector low = splat(&layer->y_min), high = splat(&layer->y_max);
    vector mean[NORM_VECTORS], scale[NORM_VECTORS], beta[NORM_VECTORS];
    EACH_VECTOR {
        mean[v] = load_some(full, norm->mean + c + v * LANES, which);
        scale[v] = load_some(full, norm->scale + c + v * LANES, which);
        beta[v] = load_some(full, norm->beta + c + v * LANES, which);
    }
    for (x += c, y += c; rows > 0; rows--, x += C, y += C)
        EACH_VECTOR {
            const vector d = load_some(full, x + v * LANES, which) - mean[v];
            store_some(full, y + v * LANES, which, clamp_lanes(fused(d, scale[v], beta[v]), low, high));
        }
}

/* y = clamp(scale (x - mean) + beta); x, y (rows, C). */
KERNEL void normalise(const npgru_train_layer *layer, const npgru_norm *norm, int32_t rows, const float *x, float *y)
{
    IN_COLUMNS(layer->C, column_normalise, layer, norm, rows, x, y);
}

VECTOR void column_sums(const int V, const int full, lanes which, int32_t c, const npgru_train_layer *layer,
                        const npgru_norm *norm, int32_t rows, const float *x, const float *y, float *dy, float *sums)
{
    const int32_t C = layer->C;
    const vector low = splat(&layer->y_min), high = splat(&layer->y_max);
    vector mean[NORM_VECTORS], sum_x[NORM_VECTORS], sum[NORM_VECTORS];
    EACH_VECTOR {
        mean[v] = load_some(full, norm->mean + c + v * LANES, which);
        sum_x[v] = load_some(full, sums + c + v * LANES, which);
        sum[v] = load_some(full, sums + C + c + v * LANES, which);
    }
    for (x += c, y += c, dy += c; rows > 0; rows--, x += C, y += C, dy += C)
        EACH_VECTOR {
            const vector y_v = load_some(full, y + v * LANES, which), d_all = load_some(full, dy + v * LANES, which);
            const vector d = if_inside(y_v, low, high, d_all);
            store_some(full, dy + v * LANES, which, d);
            sum_x[v] = fused(d, load_some(full, x + v * LANES, which) - mean[v], sum_x[v]);
            sum[v] = sum[v] + d;
        }
    EACH_VECTOR {
        store_some(full, sums + c + v * LANES, which, sum_x[v]);
        store_some(full, sums + C + c + v * LANES, which, sum[v]);
    }
}

/* x, y, dy (rows, C); dy, in place, passes where y is inside the clamp; sums (2, C) += sum of dy (x - mean), sum of dy. */
KERNEL void normalise_sums(const npgru_train_layer *layer, const npgru_norm *norm, int32_t rows, const float *x,
                           const float *y, float *dy, float *sums)
{
    IN_COLUMNS(layer->C, column_sums, layer, norm, rows, x, y, dy, sums);
}

VECTOR void column_backward(const int V, const int full, lanes which, int32_t c, int32_t C, const npgru_norm *norm, int32_t rows,
                            const float *x, const float *dy, float *dx)
{
    vector mean[NORM_VECTORS], a[NORM_VECTORS], b[NORM_VECTORS], shift[NORM_VECTORS];
    EACH_VECTOR {
        mean[v] = load_some(full, norm->mean + c + v * LANES, which);
        a[v] = load_some(full, norm->a + c + v * LANES, which);
        b[v] = load_some(full, norm->b + c + v * LANES, which);
        shift[v] = load_some(full, norm->c + c + v * LANES, which);
    }
    for (x += c, dy += c, dx += c; rows > 0; rows--, x += C, dy += C, dx += C)
        EACH_VECTOR {
            const vector d = load_some(full, x + v * LANES, which) - mean[v];
            store_some(full, dx + v * LANES, which,
                       fused(a[v], load_some(full, dy + v * LANES, which), fused(b[v], d, shift[v])));
        }
}

/* dx = a dy + b (x - mean) + c. */
KERNEL void normalise_backward(int32_t C, const npgru_norm *norm, int32_t rows, const float *x, const float *dy, float *dx)
{
    IN_COLUMNS(C, column_backward, C, norm, rows, x, dy, dx);
}

#undef EACH_VECTOR
#undef IN_COLUMNS
