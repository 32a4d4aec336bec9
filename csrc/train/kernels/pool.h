/* Maximum over bands, mean over time; npgru/layers/pool.py. */

/* y (T, M / k, C) of each clip: the maximum over k neighbouring bands, a remainder is left out. */
KERNEL void maxpool_forward(const npgru_view *v, float *y)
{
    const npgru_train_layer *l = v->layer;
    const int32_t C = l->C, k = l->k_m;
    for (int32_t row = 0; row < v->n * l->T; row++)
        for (int32_t m = 0; m < l->M_out; m++, y += C) {
            const float *restrict x = v->x + ((ptrdiff_t)row * l->M + m * k) * C;
            float *restrict y_m = y;
            for (int32_t c = 0; c < C; c++) y_m[c] = x[c];
            for (int32_t j = 1; j < k; j++)
                for (int32_t c = 0; c < C; c++) y_m[c] = y_m[c] > x[j * C + c] ? y_m[c] : x[j * C + c];
        }
}

/* To the maximum, to the first where several tie. What is still to be given away, dy or 0, is in the scratch (C,). */
KERNEL void maxpool_backward(const npgru_view *v, const float *dy, float *dx)
{
    const npgru_train_layer *l = v->layer;
    const int32_t C = l->C, k = l->k_m;
    float *restrict left = v->scratch;
    if (!dx) return;
    if (l->M % k) memset(dx, 0, sizeof(float) * (size_t)(v->n * l->T) * (size_t)(l->M * C));
    for (int32_t row = 0; row < v->n * l->T; row++)
        for (int32_t m = 0; m < l->M_out; m++, dy += C) {
            const ptrdiff_t first = ((ptrdiff_t)row * l->M + m * k) * C;
            const float *restrict y = v->y + ((ptrdiff_t)row * l->M_out + m) * C;
            for (int32_t c = 0; c < C; c++) left[c] = dy[c];
            for (int32_t j = 0; j < k; j++) {
                const float *restrict x_j = v->x + first + j * C;
                float *restrict dx_j = dx + first + j * C;
                for (int32_t c = 0; c < C; c++) {
                    const float d = left[c];
                    dx_j[c] = x_j[c] == y[c] ? d : 0;
                    left[c] = x_j[c] == y[c] ? 0 : d;
                }
            }
        }
}

/* x (T, C) of each clip -> y (C,). */
KERNEL void mean_time_forward(const npgru_view *v, float *y)
{
    const npgru_train_layer *l = v->layer;
    const int32_t T = l->T, C = l->M * l->C;
    memset(y, 0, sizeof(float) * (size_t)(v->n * C));
    for (int32_t i = 0; i < v->n; i++, y += C) {
        add_rows(T, C, v->x + (ptrdiff_t)i * T * C, y);
        for (int32_t c = 0; c < C; c++) y[c] /= (float)T;
    }
}

KERNEL void mean_time_backward(const npgru_view *v, const float *dy, float *dx)
{
    const npgru_train_layer *l = v->layer;
    const int32_t T = l->T, C = l->M * l->C;
    if (!dx) return;
    for (int32_t row = 0; row < v->n * T; row++, dx += C)
        for (int32_t c = 0; c < C; c++) dx[c] = dy[row / T * C + c] / (float)T;
}
