/* Sums of products of one clip: convolutions and dense layers. */

/* P pixels, V vectors of columns from n on; P and V are constants where this is called. */
INLINE void tile(const npgru_matrix *p, int P, int V, const int16_t *x, ptrdiff_t x_step, int32_t n, int16_t *y, ptrdiff_t y_step)
{
    const npgru_outputs *o = &p->out;
    const int16_t *w = p->w + 2 * n;
    vec acc[4][3];
    for (int i = 0; i < P; i++)
        for (int v = 0; v < V; v++) acc[i][v] = load(o->bias + n + v * LANES);
    for (int32_t s = 0; s < p->n_segments; s++) {
        const int16_t *x_s = x + p->segments[s];
        for (int32_t k = 0; k < p->n_pairs; k++, w += 2 * p->N_pad) {
            pairs w_v[3];
            for (int v = 0; v < V; v++) w_v[v] = load_pairs(w + 2 * v * LANES);
            for (int i = 0; i < P; i++) {
                const pairs x_i = all_pairs(x_s + i * x_step + 2 * k);
                for (int v = 0; v < V; v++) acc[i][v] = dot(acc[i][v], x_i, w_v[v]);
            }
        }
    }
    for (int v = 0; v < V; v++) {
        const int32_t c = n + v * LANES;
        if (o->wide) {
            const vec multiplier = load(o->multiplier + c), shift = load(o->right + c);
            for (int i = 0; i < P; i++) store_output(o, wide_shift(acc[i][v], multiplier, shift), y + i * y_step + c);
        } else {
            const scale to_y = scale_of(load(o->multiplier + c), load(o->left + c), load(o->right + c));
            for (int i = 0; i < P; i++) store_output(o, mbq(acc[i][v], to_y), y + i * y_step + c);
        }
    }
}

INLINE void pixels(const npgru_matrix *p, int V, int32_t n, const npgru_view *view, int32_t row)
{
    const int16_t *x = view->x + row * view->x_row;
    int16_t *y = view->y + row * view->y_row;
    int32_t i = 0;
    for (; i + 4 <= view->count; i += 4) tile(p, 4, V, x + i * view->x_step, view->x_step, n, y + i * view->y_step, view->y_step);
    for (; i < view->count; i++) tile(p, 1, V, x + i * view->x_step, view->x_step, n, y + i * view->y_step, view->y_step);
}

KERNEL void matrix(const npgru_matrix *p, const npgru_view *view)
{
    const int32_t n_vectors = p->N_pad / LANES, n_blocks = (n_vectors + 2) / 3;
    for (int32_t row = 0; row < view->rows; row++)
        for (int32_t b = 0; b < n_blocks; b++) {
            const int32_t v = n_vectors * b / n_blocks, V = n_vectors * (b + 1) / n_blocks - v;
            if (V == 1) pixels(p, 1, v * LANES, view, row);
            else if (V == 2) pixels(p, 2, v * LANES, view, row);
            else pixels(p, 3, v * LANES, view, row);
        }
}
