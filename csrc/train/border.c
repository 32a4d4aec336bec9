/* What lies between two phases: a batch-norm, which needs statistics of the whole batch, or the rounding of a tensor to the
   codes of the integers, which needs its range. Before it lies x, which is kept; y is made anew wherever it is needed. */
#include "network.h"
#include <math.h>
#include <string.h>

/* Rows that border i sees of n clips. */
static int32_t border_rows(const npgru_train_layer *l, int32_t n)
{
    return n * l->T * l->M;
}

/* x of border i, from this clip on. */
static const float *border_x(const npgru_train *net, int32_t i, int32_t clip)
{
    return net->y[i - 1] + (size_t)clip * npgru_in_floats(&net->layers[i]);
}

void npgru_border_begin(const npgru_train *net, int32_t i, int32_t shard)
{
    const npgru_train_layer *l = &net->layers[i];
    float *met = net->shard_stats + shard * net->n_stats + l->stats;
    if (l->kind == NPGRU_BATCHNORM) memset(met, 0, sizeof(float) * 2 * (size_t)l->C);
    else met[0] = INFINITY, met[1] = -INFINITY;
}

/* The clips of this shard so far, n_before, and n more. scratch: (2, C). */
void npgru_border_meet(const npgru_train *net, int32_t i, int32_t shard, int32_t clip, int32_t n, float *scratch)
{
    const npgru_train_layer *l = &net->layers[i];
    const int32_t C = l->C, n_before = clip - npgru_first_clip(net, shard);
    float *met = net->shard_stats + shard * net->n_stats + l->stats;
    const float *x = border_x(net, i, clip);
    if (l->kind == NPGRU_BATCHNORM) {
        net->form->statistics(border_rows(l, n), C, x, (float)border_rows(l, n_before), met, met + C);
        return;
    }
    const float *bias = net->grids[i].bias;
    net->form->extremes(border_rows(l, n), C, x, scratch, scratch + C);
    for (int32_t c = 0; c < C; c++) {                                        /* adding and clamping keep the order */
        met[0] = fminf(met[0], fmaxf(fminf(scratch[c] + bias[c], l->y_max), l->y_min));
        met[1] = fmaxf(met[1], fmaxf(fminf(scratch[C + c] + bias[c], l->y_max), l->y_min));
    }
}

/* The statistics of all shards together; then what normalise needs of them. */
static void finish_norm(npgru_train *net, int32_t i)
{
    const npgru_train_layer *l = &net->layers[i];
    npgru_norm *norm = &net->norms[i];
    const int32_t C = l->C;
    const float *gamma = net->params + l->weights;
    norm->beta = gamma + C;
    norm->mean = net->stats + l->stats, norm->var = norm->mean + C;
    if (net->training) {
        memset(norm->mean, 0, sizeof(float) * 2 * (size_t)C);
        for (int32_t shard = 0; shard < SHARDS; shard++) {
            const float *mean = net->shard_stats + shard * net->n_stats + l->stats;
            const int32_t first = npgru_first_clip(net, shard), n = npgru_first_clip(net, shard + 1) - first;
            if (n > 0) net->form->merge_statistics(C, (float)border_rows(l, first), (float)border_rows(l, n), mean, mean + C,
                                                   norm->mean, norm->var);
        }
        for (int32_t c = 0; c < C; c++) norm->var[c] /= (float)border_rows(l, net->B);
    }
    for (int32_t c = 0; c < C; c++) {
        norm->inv_std[c] = 1 / sqrtf(norm->var[c] + l->eps);
        norm->scale[c] = gamma[c] * norm->inv_std[c];
    }
}

void npgru_border_finish(npgru_train *net, int32_t i)
{
    if (net->layers[i].kind == NPGRU_BATCHNORM) finish_norm(net, i);
    else npgru_finish_grid(net, i);
}

void npgru_border_forward(const npgru_train *net, int32_t i, int32_t clip, int32_t n, float *y)
{
    const npgru_train_layer *l = &net->layers[i];
    const float *x = border_x(net, i, clip);
    if (l->kind == NPGRU_BATCHNORM) net->form->normalise(l, &net->norms[i], border_rows(l, n), x, y);
    else net->form->quantise(l, &net->grids[i], border_rows(l, n), x, y);
}

/* dy, in place, passes where y is not clamped; dw += the sums that the gradients of its weights are made of. */
void npgru_border_sums(const npgru_train *net, int32_t i, int32_t clip, int32_t n, const float *y, float *dy, float *dw)
{
    const npgru_train_layer *l = &net->layers[i];
    const float *x = border_x(net, i, clip);
    if (l->kind == NPGRU_BATCHNORM) net->form->normalise_sums(l, &net->norms[i], border_rows(l, n), x, y, dy, dw + l->weights);
    else net->form->quantise_backward(l, &net->grids[i], border_rows(l, n), x, dy, l->quantised ? dw + l->weights : NULL);
}

/* (4) of npgru/layers/batchnorm.py as dx = a dy + b (x - mean) + c, from the sums of all shards:
   a = gamma / sqrt(v + eps), b = -a (sum of dy (x - mean)) / (R (v + eps)), c = -a (sum of dy) / R. */
void npgru_border_finish_sums(npgru_train *net, int32_t i)
{
    const npgru_train_layer *l = &net->layers[i];
    if (l->kind != NPGRU_BATCHNORM) return;
    npgru_norm *norm = &net->norms[i];
    const float R = (float)border_rows(l, net->B), *shards = net->shard_gradients + l->weights;
    net->form->sum_shards(SHARDS, net->n_params, l->C, shards, norm->b);
    net->form->sum_shards(SHARDS, net->n_params, l->C, shards + l->C, norm->c);
    for (int32_t c = 0; c < l->C; c++) {
        norm->a[c] = norm->scale[c];
        norm->b[c] *= -norm->a[c] * norm->inv_std[c] * norm->inv_std[c] / R;
        norm->c[c] *= -norm->a[c] / R;
    }
}

/* dy that passed npgru_border_sums -> dx; in the buffer, or dy itself. */
const float *npgru_border_backward(const npgru_train *net, int32_t i, int32_t clip, int32_t n, const float *dy, float *buffer)
{
    const npgru_train_layer *l = &net->layers[i];
    if (l->kind != NPGRU_BATCHNORM) return dy;
    net->form->normalise_backward(l->C, &net->norms[i], border_rows(l, n), border_x(net, i, clip), dy, buffer);
    return buffer;
}
