/* One clip of a depthwise convolution in plain C. Pixels outside, channels inside. A pixel whose nine taps are all inside
   the clip is done in one go, one at the border tap by tap; so nothing is padded. */

/* y[c] = sum of nine taps; x: the pixel, row: floats from it to the pixel below, C to its neighbour. Tap k of w is at
   w + k tap: tap = C, or from the end backwards, tap = -C. */
KERNEL void inner_pixel(int32_t C, ptrdiff_t row, const float *x, ptrdiff_t tap, const float *w, float *restrict y)
{
    const float *a = x - row, *b = x + row;                                   /* above, below */
    const float *w0 = w, *w1 = w0 + tap, *w2 = w1 + tap, *w3 = w2 + tap, *w4 = w3 + tap, *w5 = w4 + tap, *w6 = w5 + tap,
                *w7 = w6 + tap, *w8 = w7 + tap;
    for (int32_t c = 0; c < C; c++) {
        float s0 = a[c - C] * w0[c], s1 = x[c - C] * w3[c], s2 = b[c - C] * w6[c];
        s0 = multiply_add(a[c], w1[c], s0);
        s1 = multiply_add(x[c], w4[c], s1);
        s2 = multiply_add(b[c], w7[c], s2);
        s0 = multiply_add(a[c + C], w2[c], s0);
        s1 = multiply_add(x[c + C], w5[c], s1);
        s2 = multiply_add(b[c + C], w8[c], s2);
        y[c] = (s0 + s1) + s2;
    }
}

KERNEL void border_pixel(const npgru_train_layer *l, int32_t t, int32_t m, const float *x, ptrdiff_t tap, const float *w,
                         float *restrict y)
{
    const int32_t C = l->C;
    for (int32_t c = 0; c < C; c++) y[c] = 0;
    for (int32_t i = -1; i <= 1; i++)
        for (int32_t j = -1; j <= 1; j++) {
            if (t + i < 0 || t + i >= l->T || m + j < 0 || m + j >= l->M) continue;
            const float *x_ij = x + (i * l->M + j) * C, *w_ij = w + (3 * i + j + 4) * tap;
            for (int32_t c = 0; c < C; c++) y[c] = multiply_add(x_ij[c], w_ij[c], y[c]);
        }
}

/* One clip x (T, M, C) -> y; with the taps backwards it is the way from dy to dx. */
KERNEL void depthwise_clip(const npgru_train_layer *l, const float *x, ptrdiff_t tap, const float *w, float *y)
{
    const int32_t C = l->C;
    const ptrdiff_t row = (ptrdiff_t)l->M * C;
    for (int32_t t = 0; t < l->T; t++)
        for (int32_t m = 0; m < l->M; m++, x += C, y += C) {
            if (t > 0 && t < l->T - 1 && m > 0 && m < l->M - 1) inner_pixel(C, row, x, tap, w, y);
            else border_pixel(l, t, m, x, tap, w, y);
        }
}

/* dw += x dy of an inner pixel and its right neighbour, both inside: dw is read and written once for the two. */
KERNEL void inner_pair_dw(int32_t C, ptrdiff_t row, const float *x, const float *dy, float *restrict dw)
{
    for (int32_t i = -1; i <= 1; i++) {
        const float *x_i = x + i * row - C;
        float *restrict w0 = dw + 3 * (i + 1) * C, *restrict w1 = w0 + C, *restrict w2 = w1 + C;
        for (int32_t c = 0; c < C; c++) {
            const float d0 = dy[c], d1 = dy[C + c];
            const float x0 = x_i[c], x1 = x_i[C + c], x2 = x_i[2 * C + c], x3 = x_i[3 * C + c];
            w0[c] = multiply_add(x0, d0, multiply_add(x1, d1, w0[c]));
            w1[c] = multiply_add(x1, d0, multiply_add(x2, d1, w1[c]));
            w2[c] = multiply_add(x2, d0, multiply_add(x3, d1, w2[c]));
        }
    }
}

KERNEL void border_pixel_dw(const npgru_train_layer *l, int32_t t, int32_t m, const float *x, const float *dy,
                            float *restrict dw)
{
    const int32_t C = l->C;
    for (int32_t i = -1; i <= 1; i++)
        for (int32_t j = -1; j <= 1; j++) {
            if (t + i < 0 || t + i >= l->T || m + j < 0 || m + j >= l->M) continue;
            const float *x_ij = x + (i * l->M + j) * C;
            float *restrict dw_ij = dw + (3 * i + j + 4) * C;
            for (int32_t c = 0; c < C; c++) dw_ij[c] = multiply_add(x_ij[c], dy[c], dw_ij[c]);
        }
}

KERNEL void depthwise_clip_dw(const npgru_train_layer *l, const float *x, const float *dy, float *dw)
{
    const int32_t C = l->C, M = l->M;
    for (int32_t t = 0; t < l->T; t++)
        for (int32_t m = 0, step; m < M; m += step, x += step * C, dy += step * C) {
            step = t > 0 && t < l->T - 1 && m > 0 && m + 2 < M ? 2 : 1;
            if (step == 2) inner_pair_dw(C, (ptrdiff_t)M * C, x, dy, dw);
            else border_pixel_dw(l, t, m, x, dy, dw);
        }
}
