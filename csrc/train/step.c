/* Forward, backward and Adam: phase after phase, shard beside shard, group of clips after group. */
#include "network.h"
#include <math.h>
#include <string.h>

/* A job for all shards: some phases, one after another. */
typedef struct { npgru_train *net; const phase *phase; int32_t n_phases; } job;

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

static npgru_view view(const npgru_train *net, int32_t i, int32_t clip, int32_t n, const float *x, const buffers *b)
{
    const npgru_train_layer *l = &net->layers[i];
    const size_t at = (size_t)clip;
    return (npgru_view){
        .layer = l, .n = n, .x = x, .y = net->y[i] ? net->y[i] + at * npgru_out_floats(l) : NULL,
        .w = net->w + l->weights, .w_transposed = net->w_transposed + l->weights,
        .dropout = net->training && l->kind == NPGRU_DROPOUT ? net->dropout + at * npgru_in_floats(l) : NULL,
        .saved = net->saved[i] + at * npgru_saved_floats(l), .scratch = b->scratch,
        .ranges = net->stats + l->stats, .met = b->met + l->stats };
}

/* What the layers of a phase get for clips clip .. clip + n - 1. */
static const float *phase_input(const npgru_train *net, const phase *p, int32_t clip, int32_t n, float *buffer)
{
    if (p->before < 0) return net->x + (size_t)clip * npgru_in_floats(&net->layers[0]);
    npgru_border_forward(net, p->before, clip, n, buffer);
    return buffer;
}

static void forward_group(const npgru_train *net, const phase *p, int32_t clip, int32_t n, buffers *b)
{
    const float *x = phase_input(net, p, clip, n, b->input);
    lap(b, FORWARD(p->before >= 0 ? p->before : p->first));
    for (int32_t i = p->first; i < p->last; i++) {
        const npgru_view v = view(net, i, clip, n, x, b);
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

/* One phase of a shard. */
static void forward_phase(const npgru_train *net, const phase *p, int32_t shard, buffers *b)
{
    const int32_t last = npgru_first_clip(net, shard + 1), meets = p->after >= 0 && net->training;
    if (meets) npgru_border_begin(net, p->after, shard);
    for (int32_t i = p->first; i < p->last; i++) npgru_begin_ranges(net, i, shard);
    for (int32_t clip = npgru_first_clip(net, shard), n; clip < last; clip += n) {
        n = last - clip < p->group ? last - clip : p->group;
        forward_group(net, p, clip, n, b);
        if (meets) npgru_border_meet(net, p->after, shard, clip, n, b->scratch);
        if (meets) lap(b, FORWARD(p->after));
    }
}

static void forward_shard(void *context, int32_t shard, int32_t worker)
{
    const job *j = context;
    buffers *b = &j->net->buffers[worker];
    b->met = j->net->shard_stats + shard * j->net->n_stats;
    start(b);
    for (int32_t k = 0; k < j->n_phases; k++) forward_phase(j->net, j->phase + k, shard, b);
}

/* What is known of the border behind a phase, when all its clips have been there. */
static void finish_phase(npgru_train *net, const phase *p)
{
    start(&net->buffers[0]);
    for (int32_t i = p->first; i < p->last; i++) npgru_finish_ranges(net, i);
    if (p->after < 0) return;
    npgru_border_finish(net, p->after);
    lap(&net->buffers[0], FORWARD(p->after));
}

npgru_status npgru_train_forward(npgru_train *net, int32_t B, int32_t training, const float *x, const float *params,
                                 const float *dropout, float *stats, float *y)
{
    if (B < 1 || B > net->batch) return NPGRU_BAD_SHAPE;
    net->B = B, net->training = training, net->x = x, net->params = params, net->dropout = dropout;
    net->stats = stats, net->out = y;
    const double began = npgru_seconds();
    npgru_round_weights(net);
    for (int32_t k = 0; k < net->n_phases; k++) {
        job j = { net, &net->phases[k], 1 };
        if (training) npgru_pool_run(net->pool, forward_shard, &j, SHARDS);
        finish_phase(net, j.phase);
    }
    job all = { net, net->phases, net->n_phases };
    if (!training) npgru_pool_run(net->pool, forward_shard, &all, SHARDS);                 /* no clip waits for another */
    if (net->buffers[0].seconds) net->buffers[0].seconds[FORWARD(net->n_layers + 1)] += npgru_seconds() - began;
    return NPGRU_OK;
}

/* dy of the phase's last layer for these clips: dL/dx of the border behind it, or what backward was given. */
static const float *phase_dy(const npgru_train *net, const phase *p, int32_t clip, int32_t n, float *buffer)
{
    if (p->after < 0) return net->dy_in + (size_t)clip * npgru_out_floats(&net->layers[net->n_layers - 1]);
    const float *dy = net->dy[(p - net->phases + 1) % 2] + (size_t)clip * npgru_in_floats(&net->layers[p->after]);
    return npgru_border_backward(net, p->after, clip, n, dy, buffer);
}

/* Whether somebody needs the gradient of what comes into a phase. */
static int needs_dx(const npgru_train *net, const phase *p)
{
    return p->has_weights_before || net->dx;
}

static void backward_group(const npgru_train *net, const phase *p, int32_t clip, int32_t n, buffers *b, float *dw)
{
    const float *input = phase_input(net, p, clip, n, b->input);
    lap(b, BACKWARD(p->before >= 0 ? p->before : p->first));
    const float *dy = phase_dy(net, p, clip, n, b->dy[0]);
    lap(b, BACKWARD(p->after >= 0 ? p->after : p->last - 1));
    const size_t at = (size_t)clip;
    const size_t n_in = npgru_in_floats(&net->layers[p->before >= 0 ? p->before : 0]);
    float *all_dx = p->before >= 0 ? net->dy[(p - net->phases) % 2] : net->dx;
    float *dx_out = needs_dx(net, p) ? all_dx + at * n_in : NULL;
    const int32_t end = dx_out ? p->first : p->first_weights;                /* what is before needs no gradient */
    for (int32_t i = p->last - 1; i >= end; i--) {
        const float *x = i == p->first ? input : net->y[i - 1] + at * npgru_in_floats(&net->layers[i]);
        const npgru_view v = view(net, i, clip, n, x, b);
        float *dx = i == p->first ? dx_out : i == end ? NULL : dy == b->dy[0] ? b->dy[1] : b->dy[0];
        net->form->backward(&v, dy, dx, dw + v.layer->weights);
        lap(b, BACKWARD(i));
        dy = dx;
    }
    if (p->before < 0 || !dx_out) return;
    if (p->first == p->last) memcpy(dx_out, dy, sizeof(float) * n_in * (size_t)n);
    npgru_border_sums(net, p->before, clip, n, input, dx_out, dw);
    lap(b, BACKWARD(p->before));
}

static void backward_shard(void *context, int32_t shard, int32_t worker)
{
    const job *j = context;
    const npgru_train *net = j->net;
    const phase *p = j->phase;
    const int32_t last = npgru_first_clip(net, shard + 1);
    float *dw = net->shard_gradients + (ptrdiff_t)shard * net->n_params;
    start(&net->buffers[worker]);
    for (int32_t i = p->before >= 0 ? p->before : p->first; i < p->last; i++)
        memset(dw + net->layers[i].weights, 0, sizeof(float) * (size_t)npgru_weight_floats(&net->layers[i]));
    for (int32_t clip = npgru_first_clip(net, shard), n; clip < last; clip += n) {
        n = last - clip < p->group ? last - clip : p->group;
        backward_group(net, p, clip, n, &net->buffers[worker], dw);
    }
}

static void transpose_layer(void *context, int32_t i, int32_t worker)
{
    npgru_train *net = context;
    const npgru_train_layer *l = &net->layers[i];
    const int32_t D = l->M * l->C, H = l->N;
    const float *w = net->w + l->weights;
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
        job j = { net, &net->phases[k], 1 };
        if (!needs_dx(net, j.phase) && j.phase->first_weights == j.phase->last) continue;
        npgru_pool_run(net->pool, backward_shard, &j, SHARDS);
        start(&net->buffers[0]);
        if (j.phase->before < 0) continue;
        npgru_border_finish_sums(net, j.phase->before);
        lap(&net->buffers[0], BACKWARD(j.phase->before));
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
