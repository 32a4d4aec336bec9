/* Forward, backward and Adam: phase after phase, shard beside shard, group of clips after group. */
#include "network.h"
#include <math.h>
#include <string.h>

/* A job for all shards: one phase. */
typedef struct { npgru_train *net; const phase *phase; } job;

/* What a lap is of: see npgru_train_measure. */
#define FORWARD(layer) (2 * (layer))
#define BACKWARD(layer) (2 * (layer) + 1)

/* A stopwatch, when somebody measures: start it, and say what the time since then, or since the last lap, was for. */
static void start(buffers *b)
{
    if (b->seconds) b->since = npgru_seconds();
}

static void lap(buffers *b, int32_t what)
{
    if (!b->seconds) return;
    const double now = npgru_seconds();
    b->seconds[what] += now - b->since;
    b->since = now;
}

static int32_t first_clip(const npgru_train *net, int32_t shard)
{
    return (int32_t)((int64_t)net->B * shard / SHARDS);
}

/* Rows that a batch-norm sees of n clips. */
static int32_t norm_rows(const npgru_train_layer *l, int32_t n)
{
    return n * l->T * l->M;
}

static npgru_view view(const npgru_train *net, int32_t i, int32_t clip, int32_t n, const float *x, float *scratch)
{
    const npgru_train_layer *l = &net->layers[i];
    const size_t at = (size_t)clip;
    return (npgru_view){
        .layer = l, .n = n, .x = x, .y = net->y[i] ? net->y[i] + at * npgru_out_floats(l) : NULL,
        .w = net->params + l->weights, .w_transposed = net->w_transposed + l->weights,
        .dropout = net->training && l->kind == NPGRU_DROPOUT ? net->dropout + at * npgru_in_floats(l) : NULL,
        .saved = net->saved[i] + at * npgru_saved_floats(l), .scratch = scratch };
}

/* What the layers of a phase get for clips clip .. clip + n - 1. */
static const float *phase_input(const npgru_train *net, const phase *p, int32_t clip, int32_t n, float *buffer)
{
    if (p->before < 0) return net->x + (size_t)clip * npgru_in_floats(&net->layers[0]);
    const npgru_train_layer *norm = &net->layers[p->before];
    const float *x = net->y[p->before - 1] + (size_t)clip * npgru_in_floats(norm);
    net->form->normalise(norm, &net->norms[p->before], norm_rows(norm, n), x, buffer);
    return buffer;
}

static void forward_group(const npgru_train *net, const phase *p, int32_t clip, int32_t n, buffers *b)
{
    const float *x = phase_input(net, p, clip, n, b->input);
    lap(b, FORWARD(p->before >= 0 ? p->before : p->first));
    for (int32_t i = p->first; i < p->last; i++) {
        const npgru_view v = view(net, i, clip, n, x, b->scratch);
        float *y = net->y[i] + (size_t)clip * npgru_out_floats(v.layer);
        net->form->forward(&v, y);
        lap(b, FORWARD(i));
        x = y;
    }
    if (p->after >= 0) return;
    const size_t n_out = npgru_out_floats(&net->layers[net->n_layers - 1]);
    memcpy(net->out + (size_t)clip * n_out, x, sizeof(float) * n_out * (size_t)n);
    lap(b, FORWARD(net->n_layers - 1));
}

static void forward_shard(void *context, int32_t shard, int32_t worker)
{
    const job *j = context;
    const npgru_train *net = j->net;
    const phase *p = j->phase;
    const int32_t first = first_clip(net, shard), last = first_clip(net, shard + 1);
    const npgru_train_layer *norm = p->after < 0 ? NULL : &net->layers[p->after];
    float *mean = norm ? net->shard_stats + shard * net->n_stats + norm->stats : NULL;
    buffers *b = &net->buffers[worker];
    start(b);
    if (norm) memset(mean, 0, sizeof(float) * 2 * (size_t)norm->C);
    for (int32_t clip = first, n; clip < last; clip += n) {
        n = last - clip < p->group ? last - clip : p->group;
        forward_group(net, p, clip, n, b);
        if (!norm || !net->training) continue;
        net->form->statistics(norm_rows(norm, n), norm->C, net->y[p->after - 1] + (size_t)clip * npgru_in_floats(norm),
                              (float)norm_rows(norm, clip - first), mean, mean + norm->C);
        lap(b, FORWARD(p->after));
    }
}

/* The statistics of all shards together; then what normalise needs of them. */
static void finish_statistics(npgru_train *net, int32_t i)
{
    const npgru_train_layer *l = &net->layers[i];
    npgru_norm *norm = &net->norms[i];
    const int32_t C = l->C;
    start(&net->buffers[0]);
    const float *gamma = net->params + l->weights;
    norm->beta = gamma + C;
    norm->mean = net->stats + l->stats, norm->var = norm->mean + C;
    if (net->training) {
        memset(norm->mean, 0, sizeof(float) * 2 * (size_t)C);
        for (int32_t shard = 0; shard < SHARDS; shard++) {
            const float *mean = net->shard_stats + shard * net->n_stats + l->stats;
            const int32_t first = first_clip(net, shard), n = first_clip(net, shard + 1) - first;
            if (n > 0) net->form->merge_statistics(C, (float)norm_rows(l, first), (float)norm_rows(l, n), mean, mean + C,
                                                   norm->mean, norm->var);
        }
        for (int32_t c = 0; c < C; c++) norm->var[c] /= (float)norm_rows(l, net->B);
    }
    for (int32_t c = 0; c < C; c++) {
        norm->inv_std[c] = 1 / sqrtf(norm->var[c] + l->eps);
        norm->scale[c] = gamma[c] * norm->inv_std[c];
    }
    lap(&net->buffers[0], FORWARD(i));
}

npgru_status npgru_train_forward(npgru_train *net, int32_t B, int32_t training, const float *x, const float *params,
                                 const float *dropout, float *stats, float *y)
{
    if (B < 1 || B > net->batch) return NPGRU_BAD_SHAPE;
    net->B = B, net->training = training, net->x = x, net->params = params, net->dropout = dropout;
    net->stats = stats, net->out = y;
    const double began = npgru_seconds();
    for (int32_t k = 0; k < net->n_phases; k++) {
        job j = { net, &net->phases[k] };
        npgru_pool_run(net->pool, forward_shard, &j, SHARDS);
        if (j.phase->after >= 0) finish_statistics(net, j.phase->after);
    }
    if (net->buffers[0].seconds) net->buffers[0].seconds[FORWARD(net->n_layers + 1)] += npgru_seconds() - began;
    return NPGRU_OK;
}

/* dy of the phase's last layer for these clips: dL/dx of the batch-norm behind it, or what backward was given. */
static const float *phase_dy(const npgru_train *net, const phase *p, int32_t clip, int32_t n, float *buffer)
{
    if (p->after < 0) return net->dy_in + (size_t)clip * npgru_out_floats(&net->layers[net->n_layers - 1]);
    const npgru_train_layer *norm = &net->layers[p->after];
    const float *x = net->y[p->after - 1] + (size_t)clip * npgru_in_floats(norm);
    net->form->normalise_backward(norm->C, &net->norms[p->after], norm_rows(norm, n), x,
                                  net->dy[(p - net->phases + 1) % 2] + (size_t)clip * npgru_in_floats(norm), buffer);
    return buffer;
}

static void backward_group(const npgru_train *net, const phase *p, int32_t clip, int32_t n, buffers *b, float *dw)
{
    const float *input = phase_input(net, p, clip, n, b->input);
    lap(b, BACKWARD(p->before >= 0 ? p->before : p->first));
    const float *dy = phase_dy(net, p, clip, n, b->dy[0]);
    lap(b, BACKWARD(p->after >= 0 ? p->after : p->last - 1));
    const size_t at = (size_t)clip;
    const size_t n_in = npgru_in_floats(&net->layers[p->before >= 0 ? p->before : 0]);
    float *all_dx = p->before >= 0 ? net->dy[(p - net->phases) % 2] : net->dx, *dx_out = all_dx ? all_dx + at * n_in : NULL;
    const int32_t end = dx_out ? p->first : p->first_weights;                /* what is before needs no gradient */
    for (int32_t i = p->last - 1; i >= end; i--) {
        const float *x = i == p->first ? input : net->y[i - 1] + at * npgru_in_floats(&net->layers[i]);
        const npgru_view v = view(net, i, clip, n, x, b->scratch);
        float *dx = i == p->first ? dx_out : i == end ? NULL : dy == b->dy[0] ? b->dy[1] : b->dy[0];
        net->form->backward(&v, dy, dx, dw + v.layer->weights);
        lap(b, BACKWARD(i));
        dy = dx;
    }
    if (p->before < 0) return;
    const npgru_train_layer *norm = &net->layers[p->before];
    const float *x = net->y[p->before - 1] + at * n_in;
    if (p->first == p->last) memcpy(dx_out, dy, sizeof(float) * n_in * (size_t)n);
    net->form->normalise_sums(norm, &net->norms[p->before], norm_rows(norm, n), x, input, dx_out, dw + norm->weights);
    lap(b, BACKWARD(p->before));
}

static void backward_shard(void *context, int32_t shard, int32_t worker)
{
    const job *j = context;
    const npgru_train *net = j->net;
    const phase *p = j->phase;
    const int32_t last = first_clip(net, shard + 1);
    float *dw = net->shard_gradients + (ptrdiff_t)shard * net->n_params;
    start(&net->buffers[worker]);
    for (int32_t i = p->before >= 0 ? p->before : p->first; i < p->last; i++)
        memset(dw + net->layers[i].weights, 0, sizeof(float) * (size_t)npgru_weight_floats(&net->layers[i]));
    for (int32_t clip = first_clip(net, shard), n; clip < last; clip += n) {
        n = last - clip < p->group ? last - clip : p->group;
        backward_group(net, p, clip, n, &net->buffers[worker], dw);
    }
}

/* (4) of npgru/layers/batchnorm.py as dx = a dy + b (x - mean) + c, from the sums of all shards:
   a = gamma / sqrt(v + eps), b = -a (sum of dy (x - mean)) / (R (v + eps)), c = -a (sum of dy) / R. */
static void finish_sums(npgru_train *net, int32_t i)
{
    const npgru_train_layer *l = &net->layers[i];
    npgru_norm *norm = &net->norms[i];
    const float R = (float)norm_rows(l, net->B), *shards = net->shard_gradients + l->weights;
    start(&net->buffers[0]);
    net->form->sum_shards(SHARDS, net->n_params, l->C, shards, norm->b);
    net->form->sum_shards(SHARDS, net->n_params, l->C, shards + l->C, norm->c);
    for (int32_t c = 0; c < l->C; c++) {
        norm->a[c] = norm->scale[c];
        norm->b[c] *= -norm->a[c] * norm->inv_std[c] * norm->inv_std[c] / R;
        norm->c[c] *= -norm->a[c] / R;
    }
    lap(&net->buffers[0], BACKWARD(i));
}

static void transpose_layer(void *context, int32_t i, int32_t worker)
{
    npgru_train *net = context;
    const npgru_train_layer *l = &net->layers[i];
    const int32_t D = l->M * l->C, H = l->N;
    const float *w = net->params + l->weights;
    float *w_t = net->w_transposed + l->weights;
    start(&net->buffers[worker]);
    switch (l->kind) {
    case NPGRU_CONV2D: net->form->transpose(l->k_t * l->k_m * l->C, l->N, w, w_t); break;
    case NPGRU_POINTWISE:
    case NPGRU_DENSE: net->form->transpose(l->C, l->N, w, w_t); break;
    case NPGRU_GRU:
        net->form->transpose(D, 3 * H, w, w_t);
        net->form->transpose(H, 3 * H, w + D * 3 * H, w_t + D * 3 * H);
        break;
    default: break;
    }
    lap(&net->buffers[worker], BACKWARD(i));
}

/* Part `task` of n elements in SHARDS parts: where it begins. */
static int32_t part(int32_t n, int32_t task)
{
    return task < SHARDS ? (int32_t)((int64_t)n * task / SHARDS) & ~15 : n;
}

static void sum_part(void *context, int32_t task, int32_t worker)
{
    npgru_train *net = context;
    const int32_t first = part(net->n_params, task), end = part(net->n_params, task + 1);
    start(&net->buffers[worker]);
    net->form->sum_shards(SHARDS, net->n_params, end - first, net->shard_gradients + first, net->gradients + first);
    lap(&net->buffers[worker], BACKWARD(net->n_layers));
}

npgru_status npgru_train_backward(npgru_train *net, const float *dy, float *gradients, float *dx)
{
    if (!net->training || net->B < 1) return NPGRU_BAD_RANGE;
    net->dy_in = dy, net->gradients = gradients, net->dx = dx;
    const double began = npgru_seconds();
    npgru_pool_run(net->pool, transpose_layer, net, net->n_layers);
    for (int32_t k = net->n_phases - 1; k >= 0; k--) {
        job j = { net, &net->phases[k] };
        npgru_pool_run(net->pool, backward_shard, &j, SHARDS);
        if (j.phase->before >= 0) finish_sums(net, j.phase->before);
    }
    npgru_pool_run(net->pool, sum_part, net, SHARDS);
    for (int32_t i = 0; i < net->n_layers; i++) {                             /* of gamma: sum of dy (x - mean) so far */
        const npgru_train_layer *l = &net->layers[i];
        float *dgamma = gradients + l->weights;
        for (int32_t c = 0; l->kind == NPGRU_BATCHNORM && c < l->C; c++) dgamma[c] *= net->norms[i].inv_std[c];
    }
    if (net->buffers[0].seconds) net->buffers[0].seconds[BACKWARD(net->n_layers + 1)] += npgru_seconds() - began;
    return NPGRU_OK;
}

/* All parts of Adam are given to the threads. */
typedef struct {
    const npgru_form *form;
    const npgru_adam *adam;
    int32_t n;
    const float *gradients;
    float *m, *v, *params;
} adam_job;

static void adam_part(void *context, int32_t task, int32_t worker)
{
    const adam_job *j = context;
    const int32_t i = part(j->n, task), n = part(j->n, task + 1) - i;
    (void)worker;
    j->form->adam(j->adam, n, j->gradients + i, j->m + i, j->v + i, j->params + i);
}

void npgru_train_adam(npgru_train *net, const npgru_adam *adam, int32_t n, const float *gradients, float *m, float *v,
                      float *params)
{
    adam_job j = { net->form, adam, n, gradients, m, v, params };
    npgru_pool_run(net->pool, adam_part, &j, SHARDS);
}
