/* DEPTHWISE_CONV_2D and MAX_POOL_2D of one clip: a channel to itself. */

INLINE vec depthwise_sum(const npgru_depthwise *p, int n_pairs, const int16_t *x, int32_t n)
{
    vec acc = load(p->out.bias + n);
    for (int k = 0; k < n_pairs; k++)
        acc = dot(acc, zip(x + p->taps[2 * k], x + p->taps[2 * k + 1]), load_pairs(p->w + 2 * (k * p->N_pad + n)));
    return acc;
}

INLINE void depthwise_row(const npgru_depthwise *p, int n_pairs, int32_t n, const npgru_view *view, int32_t row)
{
    const npgru_outputs *o = &p->out;
    const scale to_y = scale_of(load(o->multiplier + n), load(o->left + n), load(o->right + n));
    const int16_t *x = view->x + row * view->x_row + n;
    int16_t *y = view->y + row * view->y_row + n;
    for (int32_t i = 0; i < view->count; i++, x += view->x_step, y += view->y_step)
        store_output(o, mbq(depthwise_sum(p, n_pairs, x, n), to_y), y);
}

KERNEL void depthwise(const npgru_depthwise *p, const npgru_view *view)
{
    for (int32_t row = 0; row < view->rows; row++)
        for (int32_t n = 0; n < p->N_pad; n += LANES) {
            if (p->n_pairs == 5) depthwise_row(p, 5, n, view, row);          /* 3 x 3 */
            else depthwise_row(p, p->n_pairs, n, view, row);
        }
}

KERNEL void max_pool(const npgru_window *p, int32_t low, int32_t high, int32_t n, const npgru_view *view)
{
    const ptrdiff_t band = view->x_step / p->stride_m, frame = view->x_row / p->stride_t;
    for (int32_t row = 0; row < view->rows; row++)
        for (int32_t m = 0; m < view->count; m++) {
            const int16_t *x = view->x + row * view->x_row + m * view->x_step;
            int16_t *y = view->y + row * view->y_row + m * view->y_step;
            for (int32_t c = 0; c < n; c++) y[c] = (int16_t)low;
            for (int32_t i = 0; i < p->kernel_t; i++)
                for (int32_t j = 0; j < p->kernel_m; j++) {
                    const int16_t *tap = x + i * frame + j * band;
                    for (int32_t c = 0; c < n; c++) y[c] = tap[c] > y[c] ? tap[c] : y[c];
                }
            for (int32_t c = 0; c < n; c++) y[c] = y[c] < high ? y[c] : (int16_t)high;
        }
}
