/* Sums of products of one clip: convolutions and dense layers. */

/* P pixels from x on, V vectors of columns from n on; P and V are constants where this is called. */
INLINE void tile(const npgru_matrix *p, int P, int V, int32_t n, const npgru_view *view, const int16_t *x, int16_t *y)
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
                const pairs x_i = all_pairs(x_s + i * view->x_step + 2 * k);
                for (int v = 0; v < V; v++) acc[i][v] = dot(acc[i][v], x_i, w_v[v]);
            }
        }
    }
    for (int v = 0; v < V; v++) {
        const int32_t c = n + v * LANES;
        if (o->wide) {
            const vec multiplier = load(o->multiplier + c), shift = load(o->right + c);
            for (int i = 0; i < P; i++) store_output(o, wide_shift(acc[i][v], multiplier, shift), y + i * view->y_step + c);
        } else {
            const scale to_y = scale_of(load(o->multiplier + c), load(o->left + c), load(o->right + c));
            for (int i = 0; i < P; i++) store_output(o, mbq(acc[i][v], to_y), y + i * view->y_step + c);
        }
    }
}

INLINE void pixels(const npgru_matrix *p, int V, int32_t n, const npgru_view *view, int32_t row)
{
    const int16_t *x = view->x + row * view->x_row;
    int16_t *y = view->y + row * view->y_row;
    int32_t left_over = view->count;
    for (; left_over >= 4; left_over -= 4, x += 4 * view->x_step, y += 4 * view->y_step) tile(p, 4, V, n, view, x, y);
    for (; left_over > 0; left_over--, x += view->x_step, y += view->y_step) tile(p, 1, V, n, view, x, y);
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
