/* Depthwise 3 x 3, stride 1, SAME padding; npgru/layers/depthwise2d.py. LANES channels at a time, sliding along a row. What is
   reused stays in registers: nine weights and the sums of two unfinished pixels; or nine sums and the dy of three pixels. */

/* A row of pixels: the first, floats to the next. Above and below the clip: zeros that do not advance. */
typedef struct { const float *at; ptrdiff_t step; } pixel_row;

VECTOR pixel_row row_of_clip(const npgru_train_layer *l, const float *x, int32_t t, int32_t c)
{
    static const float nothing[LANES] = { 0 };
    if (t < 0 || t >= l->T) return (pixel_row){ nothing, 0 };
    return (pixel_row){ x + (ptrdiff_t)t * l->M * l->C + c, l->C };
}

/* Nine taps of LANES channels along row t of the clip: y of M pixels, C apart. A pixel adds to its right neighbour first
   (next), then to itself (here), then to its left neighbour, which is then done. */
VECTOR void slide_row(const int full, lanes which, int32_t M, const pixel_row rows[3], const vector w[9], float *y,
                      int32_t C)
{
    const float *x0 = rows[0].at, *x1 = rows[1].at, *x2 = rows[2].at;
    vector before = zeros(), here = before;
    for (int32_t m = 0; m < M; m++, x0 += rows[0].step, x1 += rows[1].step, x2 += rows[2].step) {
        const vector a = load_some(full, x0, which), b = load_some(full, x1, which), c = load_some(full, x2, which);
        const vector next = fused(c, w[6], fused(b, w[3], fused(a, w[0], zeros())));
        here = fused(c, w[7], fused(b, w[4], fused(a, w[1], here)));
        before = fused(c, w[8], fused(b, w[5], fused(a, w[2], before)));
        if (m > 0) store_some(full, y + (ptrdiff_t)(m - 1) * C, which, before);
        before = here, here = next;
    }
    store_some(full, y + (ptrdiff_t)(M - 1) * C, which, before);
}

VECTOR void clip_channels(const int full, lanes which, const npgru_train_layer *l, int32_t c, const float *x, ptrdiff_t tap,
                          const float *w, float *y)
{
    vector taps[9];
    for (int k = 0; k < 9; k++) taps[k] = load_some(full, w + k * tap + c, which);
    for (int32_t t = 0; t < l->T; t++) {
        const pixel_row rows[3] = { row_of_clip(l, x, t - 1, c), row_of_clip(l, x, t, c), row_of_clip(l, x, t + 1, c) };
        slide_row(full, which, l->M, rows, taps, y + (ptrdiff_t)t * l->M * l->C + c, l->C);
    }
}

/* Nine sums of x dy over LANES channels of a clip. Column m of x meets dy of its left neighbour (tap 2 of a row), its own
   (tap 1) and its right neighbour's (tap 0). */
VECTOR void dw_channels(const int full, lanes which, const npgru_train_layer *l, int32_t c, const float *x, const float *dy,
                        float *dw)
{
    const int32_t C = l->C, M = l->M;
    vector sums[9];
    for (int k = 0; k < 9; k++) sums[k] = load_some(full, dw + k * C + c, which);
    for (int32_t t = 0; t < l->T; t++) {
        const pixel_row r0 = row_of_clip(l, x, t - 1, c), r1 = row_of_clip(l, x, t, c), r2 = row_of_clip(l, x, t + 1, c);
        const float *x0 = r0.at, *x1 = r1.at, *x2 = r2.at, *d = dy + (ptrdiff_t)t * M * C + c;
        vector left = zeros(), own = load_some(full, d, which);
        for (int32_t m = 0; m < M; m++, x0 += r0.step, x1 += r1.step, x2 += r2.step) {
            const vector right = m + 1 < M ? load_some(full, d + (ptrdiff_t)(m + 1) * C, which) : zeros();
            const vector column[3] = { load_some(full, x0, which), load_some(full, x1, which), load_some(full, x2, which) };
#pragma GCC unroll 3
            for (int i = 0; i < 3; i++) {
                sums[3 * i] = fused(column[i], right, sums[3 * i]);
                sums[3 * i + 1] = fused(column[i], own, sums[3 * i + 1]);
                sums[3 * i + 2] = fused(column[i], left, sums[3 * i + 2]);
            }
            left = own, own = right;
        }
    }
    for (int k = 0; k < 9; k++) store_some(full, dw + k * C + c, which, sums[k]);
}

/* x (T, M, C), w (3, 3, C): tap k is at w + k tap, tap = C, or from the end backwards -C -> y (T, M, C). */
KERNEL void depthwise_clip(const npgru_train_layer *l, const float *x, ptrdiff_t tap, const float *w, float *y)
{
    int32_t c = 0;
    for (; c + LANES <= l->C; c += LANES) clip_channels(1, first_lanes(LANES), l, c, x, tap, w, y);
    if (c < l->C) clip_channels(0, first_lanes(l->C - c), l, c, x, tap, w, y);
}

/* x, dy (T, M, C); dw (3, 3, C) is added to. */
KERNEL void depthwise_clip_dw(const npgru_train_layer *l, const float *x, const float *dy, float *dw)
{
    int32_t c = 0;
    for (; c + LANES <= l->C; c += LANES) dw_channels(1, first_lanes(LANES), l, c, x, dy, dw);
    if (c < l->C) dw_channels(0, first_lanes(l->C - c), l, c, x, dy, dw);
}

KERNEL void depthwise2d_forward(const npgru_view *v, float *y)
{
    const npgru_train_layer *l = v->layer;
    const ptrdiff_t pixels = (ptrdiff_t)l->T * l->M * l->C;
    for (int32_t i = 0; i < v->n; i++) depthwise_clip(l, v->x + i * pixels, l->C, v->w, y + i * pixels);
}

KERNEL void depthwise2d_backward(const npgru_view *v, const float *dy, float *dx, float *dw)
{
    const npgru_train_layer *l = v->layer;
    const ptrdiff_t pixels = (ptrdiff_t)l->T * l->M * l->C;
    for (int32_t i = 0; i < v->n; i++) {
        depthwise_clip_dw(l, v->x + i * pixels, dy + i * pixels, dw);
        if (dx) depthwise_clip(l, dy + i * pixels, -l->C, v->w + 8 * l->C, dx + i * pixels);
    }
}
