/* Depthwise 3 x 3, stride 1, SAME padding; npgru/layers/depthwise2d.py. The form's own depthwise_clip and
   depthwise_clip_dw do one clip. */

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
