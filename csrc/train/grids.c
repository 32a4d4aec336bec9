/* The grids of a quantised network during a step: of its weights, of the tensors between layers, of the GRU's inside.
   npgru/model.py: weights_on_grids, activation_scale, move; npgru/layers/fake_quant.py. */
#include "network.h"
#include <math.h>
#include <string.h>

#define STATE_UNIT (1.0f / 32768)        /* of the GRU's states */

/* Once: where a border finds its bias, and what stands for a bias and a first rounding that it does not have. */
void npgru_begin_grids(npgru_train *net)
{
    for (int32_t i = 0; i < net->n_layers; i++) {
        const npgru_train_layer *l = &net->layers[i];
        npgru_grid *grid = &net->grids[i];
        if (l->kind != NPGRU_QUANTISE) continue;
        grid->bias = l->quantised ? net->w_on_grid + l->weights : grid->no_bias;
        for (int32_t c = 0; c < l->C; c++) grid->no_bias[c] = 0, grid->first[c] = grid->inverse_first[c] = 1;
    }
}

/* Weights that layer i's kernel multiplies by, as npgru_weight_floats counts them, on the grid of their channel. */
static void round_kernel(void *context, int32_t i, int32_t worker)
{
    const npgru_train *net = context;
    const npgru_train_layer *l = &net->layers[i];
    const int32_t D = l->M * l->C, H = l->N;
    const float *w = net->params + l->weights;
    float *y = net->w_on_grid + l->weights, *scale = net->w_scale[i];
    (void)worker;
    if (!scale) return;
    if (l->kind == NPGRU_GRU) {
        net->form->weights_on_grid(D, 3 * H, w, scale, y);
        net->form->weights_on_grid(H, 3 * H, w + D * 3 * H, scale + 3 * H, y + D * 3 * H);
    } else net->form->weights_on_grid(npgru_weight_floats(l) / l->N, l->N, w, scale, y);
}

void npgru_round_weights(npgru_train *net)
{
    net->w = net->params;
    if (!net->w_on_grid) return;
    memcpy(net->w_on_grid, net->params, sizeof(float) * (size_t)net->n_params);
    npgru_pool_run(net->pool, round_kernel, net, net->n_layers);
    net->w = net->w_on_grid;
}

/* The kernel on a grid, or the codes, that come next before layer i; there are some, or the list was refused. */
static int32_t kernel_before(const npgru_train *net, int32_t i)
{
    while (!net->w_scale[--i]) { }
    return i;
}

static int32_t codes_before(const npgru_train *net, int32_t i)
{
    while (net->layers[--i].kind != NPGRU_QUANTISE) { }
    return i;
}

/* Scale and clipping of int8 codes for values from low to high, widened to hold 0. */
static void set_scale(npgru_grid *grid, double low, double high, int32_t bits)
{
    int exponent;
    low = low < 0 ? low : 0, high = high > 0 ? high : 0;
    const double mantissa = frexp((high - low > 1e-6 ? high - low : 1e-6) / 255, &exponent);
    grid->scale = (float)ldexp(ceil(ldexp(mantissa, bits)), exponent - bits);
    const double zero_point = fmin(fmax(rint(-128 - low / (double)grid->scale), -128), 127);
    grid->low = (float)(-128 - zero_point);
    grid->high = (float)(127 - zero_point);
}

/* The power of two at which an integer kernel rounds first: see fake_quant.first_rounding. */
static void set_first(npgru_grid *grid, int32_t C, float x_scale, const float *w_scale)
{
    for (int32_t c = 0; c < C; c++) {
        int exponent;
        (void)frexp((double)x_scale * (double)w_scale[c] / (double)grid->scale, &exponent);
        grid->first[c] = ldexpf(1, exponent < 0 ? exponent : 0);
        grid->inverse_first[c] = 1 / grid->first[c];
    }
}

/* Biases that are added to what kernels make of the codes of layer i, up to the next codes. */
static void round_biases(npgru_train *net, int32_t i)
{
    const float x_scale = net->grids[i].scale;
    for (int32_t j = i + 1; j < net->n_layers; j++) {
        const npgru_train_layer *l = &net->layers[j];
        const int32_t D = l->M * l->C, H = l->N;
        const float *b = net->params + l->weights;
        float *y = net->w_on_grid + l->weights;
        if (l->kind == NPGRU_GRU && l->quantised) {
            const ptrdiff_t at = (ptrdiff_t)(D + H) * 3 * H;
            net->form->bias_on_grid(3 * H, x_scale, net->w_scale[j], b + at, y + at);
            net->form->bias_on_grid(3 * H, STATE_UNIT, net->w_scale[j] + 3 * H, b + at + 3 * H, y + at + 3 * H);
        }
        if (l->kind != NPGRU_QUANTISE) continue;
        if (l->quantised) net->form->bias_on_grid(l->C, x_scale, net->w_scale[kernel_before(net, j)], b, y);
        return;
    }
}

void npgru_finish_grid(npgru_train *net, int32_t i)
{
    const npgru_train_layer *l = &net->layers[i];
    npgru_grid *grid = &net->grids[i];
    float *range = net->stats + l->stats, low = INFINITY, high = -INFINITY;
    for (int32_t shard = 0; net->training && shard < SHARDS; shard++) {
        const float *met = net->shard_stats + shard * net->n_stats + l->stats;
        low = fminf(low, met[0]), high = fmaxf(high, met[1]);
    }
    if (net->training) {
        range[0] += l->share * (low - range[0]);
        range[1] += l->share * (high - range[1]);
    }
    set_scale(grid, (double)range[0], (double)range[1], l->bits);
    if (l->quantised) {
        const int32_t kernel = kernel_before(net, i);
        set_first(grid, l->C, net->grids[codes_before(net, kernel)].scale, net->w_scale[kernel]);
    }
    round_biases(net, i);
}

/* What a GRU of this shard meets in its ranges. */
void npgru_begin_ranges(const npgru_train *net, int32_t i, int32_t shard)
{
    const npgru_train_layer *l = &net->layers[i];
    if (l->kind == NPGRU_GRU && l->quantised)
        memset(net->shard_stats + shard * net->n_stats + l->stats, 0, sizeof(float) * 4);
}

/* The GRU's ranges hold what all shards met. */
void npgru_finish_ranges(npgru_train *net, int32_t i)
{
    const npgru_train_layer *l = &net->layers[i];
    if (l->kind != NPGRU_GRU || !l->quantised || !net->training) return;
    for (int32_t shard = 0; shard < SHARDS; shard++)
        for (int k = 0; k < 4; k++)
            net->stats[l->stats + k] = fmaxf(net->stats[l->stats + k], net->shard_stats[shard * net->n_stats + l->stats + k]);
}
