/* The memory of a network between network.c, which lays it out, and step.c, which runs it.

   The layers between two borders (border.c: batch-norm, quantise) are a phase: every clip can go through it without knowing
   of the others. Phases are where threads meet, for the statistics of the batch. What a border puts out is not kept: the
   phase after it makes it anew from x, forward and backward, in a worker's buffer that stays in the cache. */
#ifndef NPGRU_NETWORK_H
#define NPGRU_NETWORK_H

#include "form.h"
#include "threads.h"

/* A batch is cut into this many shards, whatever the number of threads, and sums over clips are taken shard by shard
   in their order: so the same bytes come out on any number of threads. */
#define SHARDS 8
#define GROUP 8                          /* most clips that go through a phase together */

typedef struct {
    int32_t first, last;                 /* its layers are first .. last - 1 */
    int32_t first_weights;               /* the first of them that has weights */
    int32_t before, after;               /* border ahead of it and behind it, -1 for none */
    int32_t has_weights_before;          /* a layer ahead of the first has weights */
    int32_t group;                       /* clips together: GROUP where a gru multiplies by their rows, else 1 */
} phase;

typedef struct {
    float *input, *dy[2], *scratch;
    float *met;                          /* shard_stats of the shard that it is at */
    double *seconds;                     /* (n_layers + 2, 2) of npgru_train_measure, or NULL */
    double since;                        /* when the last lap ended */
} buffers;                               /* of one worker */

struct npgru_train {
    npgru_train_layer *layers;
    phase *phases;
    int32_t n_layers, n_phases, n_threads;
    int32_t batch, n_params, n_stats;
    size_t n_clip;                       /* floats of the largest clip between two layers */
    size_t n_scratch, n_bytes;
    const npgru_form *form;
    npgru_pool *pool;
    float *memory;                       /* all that follows is inside */
    float **y;                           /* per layer: (batch, T_out, M_out, N); of a border nothing */
    float **saved;                       /* per layer: (batch, npgru_saved_floats) */
    npgru_norm *norms;                   /* per layer */
    npgru_grid *grids;                   /* per layer */
    float **w_scale;                     /* per layer: (N,), of a gru (2, 3H); NULL where weights are not on grids */
    float *dy[2];                        /* (batch, n_clip) what phase k of backward leaves for phase k - 1: dy[k % 2] */
    float *shard_stats;                  /* (SHARDS, n_stats) mean and m2, or what was met of a range */
    float *shard_gradients;              /* (SHARDS, n_params) */
    float *w_transposed;                 /* (n_params,) */
    float *w_on_grid;                    /* (n_params,); NULL where no weights are on grids */
    const float *w;                      /* params or w_on_grid */
    buffers *buffers;                    /* (n_threads,) */

    int32_t B, training;                 /* the batch that is in */
    const float *x, *params, *dropout, *dy_in;
    float *stats, *out, *dx, *gradients;
};

int32_t npgru_weight_floats(const npgru_train_layer *layer);
size_t npgru_saved_floats(const npgru_train_layer *layer);         /* a clip's */

static inline int32_t npgru_is_border(const npgru_train_layer *l)
{
    return l->kind == NPGRU_BATCHNORM || l->kind == NPGRU_QUANTISE;
}

static inline int32_t npgru_first_clip(const npgru_train *net, int32_t shard)
{
    return (int32_t)((int64_t)net->B * shard / SHARDS);
}

static inline size_t npgru_in_floats(const npgru_train_layer *l)
{
    return (size_t)l->T * (size_t)l->M * (size_t)l->C;
}

static inline size_t npgru_out_floats(const npgru_train_layer *l)
{
    return (size_t)l->T_out * (size_t)l->M_out * (size_t)l->N;
}

/* border.c; i: the layer, clip .. clip + n - 1: of one shard. */
void npgru_border_begin(const npgru_train *net, int32_t i, int32_t shard);
void npgru_border_meet(const npgru_train *net, int32_t i, int32_t shard, int32_t clip, int32_t n, float *scratch);
void npgru_border_finish(npgru_train *net, int32_t i);
void npgru_border_forward(const npgru_train *net, int32_t i, int32_t clip, int32_t n, float *y);
void npgru_border_sums(const npgru_train *net, int32_t i, int32_t clip, int32_t n, const float *y, float *dy, float *dw);
void npgru_border_finish_sums(npgru_train *net, int32_t i);
const float *npgru_border_backward(const npgru_train *net, int32_t i, int32_t clip, int32_t n, const float *dy, float *buffer);

/* grids.c */
void npgru_begin_grids(npgru_train *net);
void npgru_round_weights(npgru_train *net);
void npgru_finish_grid(npgru_train *net, int32_t i);
void npgru_begin_ranges(const npgru_train *net, int32_t i, int32_t shard);
void npgru_finish_ranges(npgru_train *net, int32_t i);

#endif
