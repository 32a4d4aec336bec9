/* Convolutions over (time, frequency); npgru/layers/conv2d.py. Clip by clip, so that a clip's arrays stay in the cache. */

/* Which of the k_m C numbers of a patch's row that begins at band m_in are inside the clip: first, end. */
typedef struct { int32_t first, end; } span;

KERNEL span inside_row(const npgru_train_layer *l, int32_t t_in, int32_t m_in)
{
    const int32_t width = l->k_m * l->C, from = -m_in * l->C, to = (l->M - m_in) * l->C;
    if (t_in < 0 || t_in >= l->T) return (span){ 0, 0 };
    return (span){ from < 0 ? 0 : from < width ? from : width, to < 0 ? 0 : to < width ? to : width };
}

/* One clip x (T, M, C) -> patches (T' M', k_t k_m C), zeros where a patch reaches beyond the clip. */
KERNEL void gather_patches(const npgru_train_layer *l, const float *restrict x, float *restrict patch)
{
    const int32_t width = l->k_m * l->C;
    for (int32_t t = 0; t < l->T_out; t++)
        for (int32_t m = 0; m < l->M_out; m++)
            for (int32_t i = 0; i < l->k_t; i++, patch += width) {
                const int32_t t_in = t * l->s_t + i - l->before_t, m_in = m * l->s_m - l->before_m;
                const span s = inside_row(l, t_in, m_in);
                const ptrdiff_t from = ((ptrdiff_t)t_in * l->M + m_in) * l->C;
                if (s.end - s.first == width) memcpy(patch, x + from, sizeof(float) * (size_t)width);
                else for (int32_t j = 0; j < width; j++) patch[j] = j >= s.first && j < s.end ? x[from + j] : 0;
            }
}

/* The way back: dx (T, M, C), a pixel sums what its patches got. */
KERNEL void scatter_patches(const npgru_train_layer *l, const float *restrict patch, float *restrict dx)
{
    const int32_t width = l->k_m * l->C;
    memset(dx, 0, sizeof(float) * (size_t)(l->T * l->M * l->C));
    for (int32_t t = 0; t < l->T_out; t++)
        for (int32_t m = 0; m < l->M_out; m++)
            for (int32_t i = 0; i < l->k_t; i++, patch += width) {
                const int32_t t_in = t * l->s_t + i - l->before_t, m_in = m * l->s_m - l->before_m;
                const span s = inside_row(l, t_in, m_in);
                const ptrdiff_t from = ((ptrdiff_t)t_in * l->M + m_in) * l->C;
                for (int32_t j = s.first; j < s.end; j++) dx[from + j] += patch[j];
            }
}

/* saved: the patches P of (2), (n, T' M', k_t k_m C). */
KERNEL void conv2d_forward(const npgru_view *v, float *y)
{
    const npgru_train_layer *l = v->layer;
    const int32_t D = l->k_t * l->k_m * l->C, N = l->N, rows = l->T_out * l->M_out;
    for (int32_t i = 0; i < v->n; i++)
        gather_patches(l, v->x + (ptrdiff_t)i * l->T * l->M * l->C, v->saved + (ptrdiff_t)i * rows * D);
    product((product_size){ v->n * rows, D, N }, (matrix){ v->saved, D, 1 }, (matrix){ v->w, N, 1 }, ZEROS, y, N); /* (2) */
}

/* scratch: gradients of one clip's patches. */
KERNEL void conv2d_backward(const npgru_view *v, const float *dy, float *dx, float *dw)
{
    const npgru_train_layer *l = v->layer;
    const int32_t D = l->k_t * l->k_m * l->C, N = l->N, rows = l->T_out * l->M_out;
    product((product_size){ D, v->n * rows, N }, (matrix){ v->saved, 1, D }, (matrix){ dy, N, 1 },
            (matrix){ dw, N, 1 }, dw, N);
    for (int32_t i = 0; dx && i < v->n; i++) {
        product((product_size){ rows, N, D }, (matrix){ dy + (ptrdiff_t)i * rows * N, N, 1 },
                (matrix){ v->w_transposed, D, 1 }, ZEROS, v->scratch, D);
        scatter_patches(l, v->scratch, dx + (ptrdiff_t)i * l->T * l->M * l->C);
    }
}

/* Rows of C channels -> rows of N; also the dense layer without its bias. */
KERNEL void pointwise_forward(const npgru_view *v, float *y)
{
    const npgru_train_layer *l = v->layer;
    const product_size size = { v->n * l->T * l->M, l->C, l->N };
    product(size, (matrix){ v->x, l->C, 1 }, (matrix){ v->w, l->N, 1 }, ZEROS, y, l->N);
}

KERNEL void pointwise_backward(const npgru_view *v, const float *dy, float *dx, float *dw)
{
    const npgru_train_layer *l = v->layer;
    const int32_t rows = v->n * l->T * l->M, C = l->C, N = l->N;
    product((product_size){ C, rows, N }, (matrix){ v->x, 1, C }, (matrix){ dy, N, 1 }, (matrix){ dw, N, 1 }, dw, N);
    if (dx) product((product_size){ rows, N, C }, (matrix){ dy, N, 1 }, (matrix){ v->w_transposed, C, 1 }, ZEROS, dx, C);
}
