/* The remaining layers, and the table of all of them. */

/* y = x w + b, for rows of D = C features; npgru/layers/dense.py. */
KERNEL void dense_forward(const npgru_view *v, float *y)
{
    const npgru_train_layer *l = v->layer;
    const int32_t D = l->C, N = l->N;
    product((product_size){ v->n, D, N }, (matrix){ v->x, D, 1 }, (matrix){ v->w, N, 1 },
            (matrix){ v->w + D * N, 0, 1 }, y, N);
}

KERNEL void dense_backward(const npgru_view *v, const float *dy, float *dx, float *dw)
{
    pointwise_backward(v, dy, dx, dw);
    add_rows(v->n, v->layer->N, dy, dw + v->layer->C * v->layer->N);
}

KERNEL size_t clip_floats(const npgru_train_layer *l)
{
    return (size_t)l->T * (size_t)l->M * (size_t)l->C;
}

/* relu and relu6; npgru/layers/activations.py. */
KERNEL void clamp_forward(const npgru_view *v, float *restrict y)
{
    const float y_min = v->layer->y_min, y_max = v->layer->y_max, *x = v->x;
    const size_t n = (size_t)v->n * clip_floats(v->layer);
    for (size_t i = 0; i < n; i++) y[i] = clamp(x[i], y_min, y_max);
}

KERNEL void clamp_backward(const npgru_view *v, const float *dy, float *restrict dx)
{
    const float y_min = v->layer->y_min, y_max = v->layer->y_max, *y = v->y;
    const size_t n = (size_t)v->n * clip_floats(v->layer);
    for (size_t i = 0; dx && i < n; i++) dx[i] = inside(y[i], y_min, y_max) ? dy[i] : 0;
}

/* y = factor x. */
KERNEL void scale(const npgru_view *v, const float *x, float *restrict y)
{
    const float factor = v->layer->factor;
    const size_t n = (size_t)v->n * clip_floats(v->layer);
    for (size_t i = 0; y && i < n; i++) y[i] = factor * x[i];
}

/* y = x times the factors that npgru.layers.dropout drew, which are 1 in inference; backward is the same. */
KERNEL void scale_by(const npgru_view *v, const float *x, float *restrict y)
{
    const size_t n = (size_t)v->n * clip_floats(v->layer);
    for (size_t i = 0; y && i < n; i++) y[i] = v->dropout ? x[i] * v->dropout[i] : x[i];
}

KERNEL void layer_forward(const npgru_view *v, float *y)
{
    switch (v->layer->kind) {
    case NPGRU_SCALE:       scale(v, v->x, y);         break;
    case NPGRU_CONV2D:      conv2d_forward(v, y);      break;
    case NPGRU_DEPTHWISE2D: depthwise2d_forward(v, y); break;
    case NPGRU_POINTWISE:   pointwise_forward(v, y);   break;
    case NPGRU_CLAMP:       clamp_forward(v, y);       break;
    case NPGRU_MAXPOOL:     maxpool_forward(v, y);     break;
    case NPGRU_GRU:         v->layer->quantised ? gru_quantised_forward(v, y) : gru_forward(v, y); break;
    case NPGRU_DROPOUT:     scale_by(v, v->x, y);      break;
    case NPGRU_MEAN_TIME:   mean_time_forward(v, y);   break;
    default:                dense_forward(v, y);       break;
    }
}

KERNEL void layer_backward(const npgru_view *v, const float *dy, float *dx, float *dw)
{
    switch (v->layer->kind) {
    case NPGRU_SCALE:       scale(v, dy, dx);                    break;
    case NPGRU_CONV2D:      conv2d_backward(v, dy, dx, dw);      break;
    case NPGRU_DEPTHWISE2D: depthwise2d_backward(v, dy, dx, dw); break;
    case NPGRU_POINTWISE:   pointwise_backward(v, dy, dx, dw);   break;
    case NPGRU_CLAMP:       clamp_backward(v, dy, dx);           break;
    case NPGRU_MAXPOOL:     maxpool_backward(v, dy, dx);         break;
    case NPGRU_GRU:         gru_backward(v, dy, dx, dw);         break;
    case NPGRU_DROPOUT:     scale_by(v, dy, dx);                 break;
    case NPGRU_MEAN_TIME:   mean_time_backward(v, dy, dx);       break;
    default:                dense_backward(v, dy, dx, dw);       break;
    }
}

#define NPGRU_FORM { is_here, layer_forward, layer_backward, statistics, merge_statistics, normalise, normalise_sums, \
                     normalise_backward, weights_on_grid, bias_on_grid, extremes, quantise, quantise_backward, transpose, \
                     sum_shards, adam }
