/* A network's memory: laid out once, for the largest batch. */
#define _DEFAULT_SOURCE
#include "network.h"
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define HUGE_PAGE ((size_t)1 << 21)

static const npgru_form *const FORMS[NPGRU_TRAIN_FORMS] = { &npgru_form_plain, &npgru_form_neon, &npgru_form_avx2,
                                                      &npgru_form_avx512 };              /* by npgru_train_form */

int32_t npgru_train_has(int32_t form)
{
    return form >= 0 && form < NPGRU_TRAIN_FORMS && FORMS[form]->is_here && FORMS[form]->is_here();
}

int32_t npgru_weight_floats(const npgru_train_layer *l)
{
    const int32_t D = l->M * l->C, H = l->N;
    switch (l->kind) {
    case NPGRU_CONV2D:      return l->k_t * l->k_m * l->C * l->N;
    case NPGRU_DEPTHWISE2D: return 9 * l->C;
    case NPGRU_POINTWISE:   return l->C * l->N;
    case NPGRU_BATCHNORM:   return 2 * l->C;
    case NPGRU_GRU:         return (D + H + 2) * 3 * H;
    case NPGRU_QUANTISE:    return l->quantised ? l->C : 0;
    case NPGRU_DENSE:       return (l->C + 1) * l->N;
    default:                return 0;
    }
}

size_t npgru_saved_floats(const npgru_train_layer *l)
{
    switch (l->kind) {
    case NPGRU_CONV2D: return (size_t)(l->k_t * l->k_m) * (size_t)(l->T_out * l->M_out) * (size_t)l->C;
    case NPGRU_GRU:    return 4 * npgru_out_floats(l);
    default:           return 0;
    }
}

/* Floats of scratch for n clips, forward and backward: see the kernels. */
static size_t scratch_floats(const npgru_train_layer *l, int32_t n)
{
    const size_t H = (size_t)l->N, rows = (size_t)n * (size_t)l->T;
    switch (l->kind) {
    case NPGRU_CONV2D:  return npgru_saved_floats(l);
    case NPGRU_MAXPOOL: return (size_t)l->C;
    case NPGRU_QUANTISE: return 2 * (size_t)l->C;
    case NPGRU_GRU:     return (6 * rows + 3 * (size_t)n + 1) * H;
    default:            return 0;
    }
}

static int is_good(const npgru_train_layer *l, const npgru_train_layer *next)
{
    const int32_t sizes[] = { l->T, l->M, l->C, l->T_out, l->M_out, l->N };
    for (int i = 0; i < 6; i++)
        if (sizes[i] < 1 || sizes[i] > 1 << 24) return 0;
    if (l->kind < NPGRU_SCALE || l->kind > NPGRU_QUANTISE) return 0;
    if (l->kind == NPGRU_CONV2D && (l->k_t < 1 || l->k_m < 1 || l->s_t < 1 || l->s_m < 1)) return 0;
    if (l->kind == NPGRU_MAXPOOL && (l->k_m < 1 || l->M_out != l->M / l->k_m)) return 0;
    if (l->weights < 0 || l->stats < 0) return 0;
    return !next || (npgru_out_floats(l) == npgru_in_floats(next)
                     && !(npgru_is_border(l) && npgru_is_border(next)));
}

/* A quantised kernel has codes before it; a quantised border has such a kernel between the codes before it and itself. */
static int is_good_order(const npgru_train_layer *layers, int32_t n_layers)
{
    int32_t codes = 0, kernel = 0;
    for (int32_t i = 0; i < n_layers; i++) {
        const npgru_train_layer *l = &layers[i];
        if (l->kind == NPGRU_QUANTISE) {
            if (l->bits < 1 || l->bits > 24 || (l->quantised && !kernel)) return 0;
            codes = 1, kernel = 0;
        } else if (l->quantised) {
            if (!codes || kernel || (l->kind != NPGRU_CONV2D && l->kind != NPGRU_DEPTHWISE2D && l->kind != NPGRU_POINTWISE
                           && l->kind != NPGRU_GRU)) return 0;
            kernel = 1;
        }
    }
    return 1;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Cut the layers into phases, and find the sizes of everything. */
static void find_phases(npgru_train *net)
{
    net->phases[0] = (phase){ 0, 0, 0, -1, -1, 0, 1 };
    for (int32_t i = 0; i < net->n_layers; i++) {
        const npgru_train_layer *l = &net->layers[i];
        phase *p = &net->phases[net->n_phases];
        const size_t n_in = npgru_in_floats(l), n_out = npgru_out_floats(l), n_scratch = scratch_floats(l, GROUP);
        net->n_clip = n_in > net->n_clip ? n_in : net->n_clip;
        net->n_clip = n_out > net->n_clip ? n_out : net->n_clip;
        net->n_scratch = n_scratch > net->n_scratch ? n_scratch : net->n_scratch;
        net->n_params = larger(net->n_params, l->weights + npgru_weight_floats(l));
        if (l->kind == NPGRU_GRU) p->group = GROUP;
        if (l->kind == NPGRU_BATCHNORM) net->n_stats = larger(net->n_stats, l->stats + 2 * l->C);
        if (l->kind == NPGRU_QUANTISE) net->n_stats = larger(net->n_stats, l->stats + 2);
        if (l->kind == NPGRU_GRU && l->quantised) net->n_stats = larger(net->n_stats, l->stats + 4);
        if (npgru_is_border(l)) {
            p->after = i;
            net->phases[++net->n_phases] = (phase){ i + 1, i + 1, i + 1, i, -1, net->n_params > 0, 1 };
        } else {
            if (p->first_weights == p->last && npgru_weight_floats(l) == 0) p->first_weights = i + 1;
            p->last = i + 1;
        }
    }
    net->n_phases++;
}

/* n floats from *memory on, which moves behind them to a multiple of 64 bytes. NULL stays NULL: then it only counts. */
static float *take(float *memory, size_t *used, size_t n)
{
    float *here = memory ? memory + *used : NULL;
    *used += (n + 15) & ~(size_t)15;
    return here;
}

/* Whether the layer's kernel is rounded to the grids of the integers. */
static int is_on_grid(const npgru_train_layer *l)
{
    return l->quantised && l->kind != NPGRU_QUANTISE;
}

static int is_quantised(const npgru_train *net)
{
    int32_t i = 0;
    while (i < net->n_layers && !is_on_grid(&net->layers[i])) i++;
    return i < net->n_layers;
}

/* Give every array its place in `memory`; returns how many floats they are. */
static size_t lay_out(npgru_train *net, float *memory)
{
    const size_t batch = (size_t)net->batch;
    size_t used = 0;
    for (int32_t i = 0; i < net->n_layers; i++) {
        const npgru_train_layer *l = &net->layers[i];
        const size_t C = (size_t)l->C;
        if (l->kind == NPGRU_BATCHNORM) {
            npgru_norm *norm = &net->norms[i];
            float **arrays[] = { &norm->inv_std, &norm->scale, &norm->a, &norm->b, &norm->c };
            for (int k = 0; k < 5; k++) *arrays[k] = take(memory, &used, C);
        } else if (l->kind == NPGRU_QUANTISE) {
            npgru_grid *grid = &net->grids[i];
            grid->first = take(memory, &used, C), grid->inverse_first = take(memory, &used, C);
            grid->no_bias = take(memory, &used, C);
        } else net->y[i] = take(memory, &used, batch * npgru_out_floats(l));
        if (is_on_grid(l)) net->w_scale[i] = take(memory, &used, l->kind == NPGRU_GRU ? 6 * (size_t)l->N : (size_t)l->N);
        net->saved[i] = take(memory, &used, batch * npgru_saved_floats(l));
    }
    net->dy[0] = take(memory, &used, batch * net->n_clip);
    net->dy[1] = take(memory, &used, batch * net->n_clip);
    net->shard_stats = take(memory, &used, SHARDS * (size_t)net->n_stats);
    net->shard_gradients = take(memory, &used, SHARDS * (size_t)net->n_params);
    net->w_transposed = take(memory, &used, (size_t)net->n_params);
    if (is_quantised(net)) net->w_on_grid = take(memory, &used, (size_t)net->n_params);
    for (int32_t i = 0; i < net->n_threads; i++) {
        buffers *b = &net->buffers[i];
        b->met = net->shard_stats;
        b->input = take(memory, &used, GROUP * net->n_clip);
        b->dy[0] = take(memory, &used, GROUP * net->n_clip);
        b->dy[1] = take(memory, &used, GROUP * net->n_clip);
        b->scratch = take(memory, &used, net->n_scratch);
    }
    return used;
}

/* n bytes from a multiple of `align` on; *block is what is to be freed. In huge pages, where the system has them, memory
   beyond the caches is read half as fast again. */
static float *aligned_memory(size_t n, size_t align, float **block)
{
    *block = malloc(n + align);
    if (!*block) return NULL;
    float *memory = (float *)(((uintptr_t)*block + align - 1) & ~(uintptr_t)(align - 1));
#ifdef __linux__
    if (align == HUGE_PAGE) (void)madvise(memory, n, MADV_HUGEPAGE);
#endif
    return memory;
}

static int allocate(npgru_train *net)
{
    const size_t n_layers = (size_t)net->n_layers;
    net->phases = calloc(n_layers + 1, sizeof *net->phases);
    net->y = calloc(n_layers, sizeof *net->y);
    net->saved = calloc(n_layers, sizeof *net->saved);
    net->norms = calloc(n_layers, sizeof *net->norms);
    net->grids = calloc(n_layers, sizeof *net->grids);
    net->w_scale = calloc(n_layers, sizeof *net->w_scale);
    net->buffers = calloc((size_t)net->n_threads, sizeof *net->buffers);
    net->pool = npgru_pool_create(net->n_threads);
    if (!net->phases || !net->y || !net->saved || !net->norms || !net->grids || !net->w_scale || !net->buffers || !net->pool) return 0;
    find_phases(net);
    const size_t n = lay_out(net, NULL);
    net->n_bytes = sizeof(float) * n;
    float *memory = aligned_memory(net->n_bytes, net->n_bytes < HUGE_PAGE ? 64 : HUGE_PAGE, &net->memory);
    if (memory) lay_out(net, memory);
    if (memory) npgru_begin_grids(net);
    return memory != NULL;
}

npgru_train *npgru_train_create(const npgru_train_layer *layers, int32_t n_layers, int32_t batch, int32_t n_threads,
                                int32_t form)
{
    if (n_layers < 1 || batch < 1 || n_threads < 1 || n_threads > 1024) return NULL;
    if (npgru_is_border(&layers[0]) || !npgru_train_has(form) || !is_good_order(layers, n_layers)) return NULL;
    for (int32_t i = 0; i < n_layers; i++)
        if (!is_good(&layers[i], i + 1 < n_layers ? &layers[i + 1] : NULL)) return NULL;
    npgru_train *net = calloc(1, sizeof *net);
    if (!net) return NULL;
    net->n_layers = n_layers, net->batch = batch, net->n_threads = n_threads;
    net->form = FORMS[form];
    net->layers = malloc(sizeof *layers * (size_t)n_layers);
    if (net->layers) memcpy(net->layers, layers, sizeof *layers * (size_t)n_layers);
    if (net->layers && allocate(net)) return net;
    npgru_train_destroy(net);
    return NULL;
}

void npgru_train_destroy(npgru_train *net)
{
    if (!net) return;
    npgru_pool_destroy(net->pool);
    free(net->memory);
    free(net->buffers);
    free(net->w_scale);
    free(net->grids);
    free(net->norms);
    free(net->saved);
    free(net->y);
    free(net->phases);
    free(net->layers);
    free(net);
}

size_t npgru_train_bytes(const npgru_train *net)
{
    return net->n_bytes;
}

void npgru_train_measure(npgru_train *net, double *seconds)
{
    for (int32_t i = 0; i < net->n_threads; i++)
        net->buffers[i].seconds = seconds ? seconds + (ptrdiff_t)i * 2 * (net->n_layers + 2) : NULL;
}
