/* The memory of a network between network.c, which lays it out, and step.c, which runs it.

   The layers between two batch-norms are a phase: every clip can go through it without knowing of the others. Phases
   are where threads meet, for the statistics of the batch. What a batch-norm puts out is not kept: the phase after
   it makes it anew from x, forward and backward, in a worker's buffer that stays in the cache. */
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
    int32_t before, after;               /* batch-norm layer ahead of it and behind it, -1 for none */
    int32_t group;                       /* clips together: GROUP where a gru multiplies by their rows, else 1 */
} phase;

typedef struct {
    float *input, *dy[2], *scratch;
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
    float **y;                           /* per layer: (batch, T_out, M_out, N); of a batch-norm nothing */
    float **saved;                       /* per layer: (batch, npgru_saved_floats) */
    npgru_norm *norms;                   /* per layer */
    float *dy[2];                        /* (batch, n_clip) what phase k of backward leaves for phase k - 1: dy[k % 2] */
    float *shard_stats;                  /* (SHARDS, n_stats) mean and m2 */
    float *shard_gradients;              /* (SHARDS, n_params) */
    float *w_transposed;                 /* (n_params,) */
    buffers *buffers;                    /* (n_threads,) */

    int32_t B, training;                 /* the batch that is in */
    const float *x, *params, *dropout, *dy_in;
    float *stats, *out, *dx, *gradients;
};

int32_t npgru_weight_floats(const npgru_train_layer *layer);
size_t npgru_saved_floats(const npgru_train_layer *layer);         /* a clip's */

static inline size_t npgru_in_floats(const npgru_train_layer *l)
{
    return (size_t)l->T * (size_t)l->M * (size_t)l->C;
}

static inline size_t npgru_out_floats(const npgru_train_layer *l)
{
    return (size_t)l->T_out * (size_t)l->M_out * (size_t)l->N;
}

#endif
