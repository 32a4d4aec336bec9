/* Real numbers on the grids of the integers; npgru/layers/fake_quant.py, operation by operation, so that codes are equal. */

#define WEIGHT_MAX 127.0f

/* Nearest whole number, halves away from zero. */
KERNEL inline float round_half_away(float x)
{
    return copysignf(floorf(fabsf(x) + 0.5f), x);
}

/* One kernel w (rows, N) -> scale (N,) and y (rows, N) = codes times scale. */
KERNEL void weights_on_grid(int32_t rows, int32_t N, const float *restrict w, float *restrict scale, float *restrict y)
{
    for (int32_t n = 0; n < N; n++) scale[n] = 0;
    for (int32_t r = 0; r < rows; r++)
        for (int32_t n = 0; n < N; n++) {
            const float size = fabsf(w[(ptrdiff_t)r * N + n]);
            scale[n] = size > scale[n] ? size : scale[n];
        }
    for (int32_t n = 0; n < N; n++) scale[n] = scale[n] > 0 ? scale[n] / WEIGHT_MAX : 1;
    for (int32_t r = 0; r < rows; r++)
        for (int32_t n = 0; n < N; n++) {
            const float code = round_half_away(w[(ptrdiff_t)r * N + n] / scale[n]);
            y[(ptrdiff_t)r * N + n] = clamp(code, -WEIGHT_MAX, WEIGHT_MAX) * scale[n];
        }
}

/* A bias b (N,) in whole multiples of x_scale w_scale[n], the unit of the accumulator it is added to. */
KERNEL void bias_on_grid(int32_t N, float x_scale, const float *restrict w_scale, const float *restrict b, float *restrict y)
{
    for (int32_t n = 0; n < N; n++) {
        const float unit = x_scale * w_scale[n];
        y[n] = round_half_away(b[n] / unit) * unit;
    }
}

/* Smallest and largest (C,) of each channel of x (rows, C). */
KERNEL void extremes(int32_t rows, int32_t C, const float *restrict x, float *restrict low, float *restrict high)
{
    for (int32_t c = 0; c < C; c++) low[c] = high[c] = x[c];
    for (int32_t r = 1; r < rows; r++)
        for (int32_t c = 0; c < C; c++) {
            const float v = x[(ptrdiff_t)r * C + c];
            low[c] = v < low[c] ? v : low[c];
            high[c] = v > high[c] ? v : high[c];
        }
}

/* Codes before they are clipped; v: what they are of. inverse_first: 1 / first, powers of two. */
KERNEL inline float code_of(float v, float scale, float first, float inverse_first)
{
    return round_half_away(round_half_away(v / scale * inverse_first) * first);
}

/* y = scale clip(code of clamp(x + bias)); x, y (rows, C). */
KERNEL void quantise(const npgru_train_layer *layer, const npgru_grid *grid, int32_t rows, const float *restrict x,
                     float *restrict y)
{
    const float y_min = layer->y_min, y_max = layer->y_max, scale = grid->scale, low = grid->low, high = grid->high;
    const float *restrict bias = grid->bias, *restrict first = grid->first, *restrict inverse = grid->inverse_first;
    const int32_t C = layer->C;
    for (int32_t r = 0; r < rows; r++, x += C, y += C)
        for (int32_t c = 0; c < C; c++) {
            const float v = clamp(x[c] + bias[c], y_min, y_max);
            y[c] = clamp(code_of(v, scale, first[c], inverse[c]), low, high) * scale;
        }
}

/* dy (rows, C), in place, passes inside the clamp and inside the codes; dbias (C,) += what passed, unless it is NULL. */
KERNEL void quantise_backward(const npgru_train_layer *layer, const npgru_grid *grid, int32_t rows, const float *restrict x,
                              float *restrict dy, float *restrict dbias)
{
    const float y_min = layer->y_min, y_max = layer->y_max, scale = grid->scale, low = grid->low, high = grid->high;
    const float *restrict bias = grid->bias, *restrict first = grid->first, *restrict inverse = grid->inverse_first;
    const int32_t C = layer->C;
    for (int32_t r = 0; r < rows; r++, x += C, dy += C) {
        for (int32_t c = 0; c < C; c++) {
            const float v = x[c] + bias[c], code = code_of(clamp(v, y_min, y_max), scale, first[c], inverse[c]);
            dy[c] = inside(v, y_min, y_max) & (code >= low) & (code <= high) ? dy[c] : 0;
        }
        if (dbias) add_rows(1, C, dy, dbias);
    }
}
