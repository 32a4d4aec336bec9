/* The gated recurrent unit over a sequence; npgru/layers/gru.py, whose equation numbers these are.
   Weights w (D, 3H), u (H, 3H), b (3H,), c (3H,); columns z | r | n. The first state is zero. */

typedef struct { int32_t n, T, D, H; const float *w, *u, *b, *c, *w_t, *u_t; } gru_view;

KERNEL gru_view view_gru(const npgru_view *v)
{
    const npgru_train_layer *l = v->layer;
    const int32_t D = l->M * l->C, H = l->N;
    const float *u = v->w + D * 3 * H, *b = u + H * 3 * H;
    return (gru_view){ v->n, l->T, D, H, v->w, u, b, b + 3 * H, v->w_transposed, v->w_transposed + D * 3 * H };
}

/* (2)-(5) of one clip and step. gates (4H,): a of (1) comes in, z | r | n | s_n goes out; s (3H,), h and y (H,). */
KERNEL void gates_forward(int32_t H, const float *restrict s, const float *restrict h, float *restrict gates,
                          float *restrict y)
{
    float *restrict r = gates + H, *restrict n = gates + 2 * H, *restrict s_n = gates + 3 * H;
    for (int32_t i = 0; i < 2 * H; i++) gates[i] = sigmoid(gates[i] + s[i]);                                /* (2), (3) */
    for (int32_t i = 0; i < H; i++) {
        s_n[i] = s[2 * H + i];
        n[i] = hyperbolic_tangent(multiply_add(r[i], s_n[i], n[i]));                                       /* (4) */
        y[i] = multiply_add(gates[i], h[i] - n[i], n[i]);                                                  /* (5) */
    }
}

/* y (n, T, H); saved (n, T, 4H) gates; scratch: s (n, 3H), zeros (H,). */
KERNEL void gru_forward(const npgru_view *v, float *y)
{
    const gru_view g = view_gru(v);
    const int32_t H = g.H, T = g.T;
    float *s = v->scratch, *zeros = s + g.n * 3 * H;
    memset(zeros, 0, sizeof(float) * (size_t)H);
    product((product_size){ g.n * T, g.D, 3 * H }, (matrix){ v->x, g.D, 1 }, (matrix){ g.w, 3 * H, 1 },
            (matrix){ g.b, 0, 1 }, v->saved, 4 * H);                                                       /* (1): a */
    for (int32_t t = 0; t < T; t++) {
        const matrix h = t ? (matrix){ y + (t - 1) * H, (ptrdiff_t)T * H, 1 } : (matrix){ zeros, 0, 1 };
        product((product_size){ g.n, H, 3 * H }, h, (matrix){ g.u, 3 * H, 1 }, (matrix){ g.c, 0, 1 }, s, 3 * H);   /* (1) */
        for (int32_t i = 0; i < g.n; i++)
            gates_forward(H, s + i * 3 * H, h.at + i * h.row, v->saved + (ptrdiff_t)(i * T + t) * 4 * H,
                          y + (ptrdiff_t)(i * T + t) * H);
    }
}

/* One clip and step: dy + dh -> da, ds (3H,); dh becomes dy z, to which ds u' is still to be added. */
KERNEL void gates_backward(int32_t H, const float *restrict dy, const float *restrict gates, const float *restrict h,
                           float *restrict dh, float *restrict da, float *restrict ds)
{
    const float *z = gates, *r = gates + H, *n = gates + 2 * H, *s_n = gates + 3 * H;
    for (int32_t i = 0; i < H; i++) {
        const float d = dy[i] + dh[i];
        const float dp_n = d * (1 - z[i]) * (1 - n[i] * n[i]);                                             /* (5), (4) */
        da[i] = ds[i] = d * (h[i] - n[i]) * z[i] * (1 - z[i]);                                             /* (5), (2) */
        da[H + i] = ds[H + i] = dp_n * s_n[i] * r[i] * (1 - r[i]);                                         /* (4), (3) */
        da[2 * H + i] = dp_n;
        ds[2 * H + i] = dp_n * r[i];
        dh[i] = d * z[i];
    }
}

/* Backwards through time: da, ds (n, T, 3H). dh (n, H) and zeros (H,) come as zeros. */
KERNEL void recurrence_backward(const npgru_view *v, const float *dy, float *dh, const float *zeros, float *da, float *ds)
{
    const gru_view g = view_gru(v);
    const int32_t H = g.H, T = g.T;
    for (int32_t t = T - 1; t >= 0; t--) {
        for (int32_t i = 0; i < g.n; i++) {
            const ptrdiff_t row = (ptrdiff_t)i * T + t;
            gates_backward(H, dy + row * H, v->saved + row * 4 * H, t ? v->y + (row - 1) * H : zeros, dh + i * H,
                           da + row * 3 * H, ds + row * 3 * H);
        }
        const matrix ds_t = { ds + t * 3 * H, (ptrdiff_t)T * 3 * H, 1 };
        product((product_size){ g.n, 3 * H, H }, ds_t, (matrix){ g.u_t, H, 1 }, (matrix){ dh, H, 1 }, dh, H);
    }
}

/* scratch: da, ds (n, T, 3H), dh (n, H), zeros (H,). */
KERNEL void gru_backward(const npgru_view *v, const float *dy, float *dx, float *dw)
{
    const gru_view g = view_gru(v);
    const int32_t H = g.H, T = g.T, D = g.D, rows = g.n * T;
    float *da = v->scratch, *ds = da + rows * 3 * H, *dh = ds + rows * 3 * H, *zeros = dh + g.n * H;
    float *du = dw + D * 3 * H, *db = du + H * 3 * H, *dc = db + 3 * H;
    memset(dh, 0, sizeof(float) * (size_t)((g.n + 1) * H));
    recurrence_backward(v, dy, dh, zeros, da, ds);
    product((product_size){ D, rows, 3 * H }, (matrix){ v->x, 1, D }, (matrix){ da, 3 * H, 1 },
            (matrix){ dw, 3 * H, 1 }, dw, 3 * H);
    for (int32_t i = 0; i < g.n; i++)
        product((product_size){ H, T - 1, 3 * H }, (matrix){ v->y + (ptrdiff_t)i * T * H, 1, H },
                (matrix){ ds + (ptrdiff_t)(i * T + 1) * 3 * H, 3 * H, 1 }, (matrix){ du, 3 * H, 1 }, du, 3 * H);
    add_rows(rows, 3 * H, da, db);
    add_rows(rows, 3 * H, ds, dc);
    if (dx) product((product_size){ rows, 3 * H, D }, (matrix){ da, 3 * H, 1 }, (matrix){ g.w_t, D, 1 }, ZEROS, dx, D);
}
