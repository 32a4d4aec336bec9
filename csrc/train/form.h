/* One form of the kernels: what the engine (network.c, step.c, border.c, grids.c) calls. plain.c, neon.c, avx2.c and avx512.c compile the same
   csrc/train/kernels/, each for its instruction set; vector_<set>.h says how large the product's register tile is. */
#ifndef NPGRU_FORM_H
#define NPGRU_FORM_H

#include "npgru_train.h"

/* A batch-norm layer during one step, (C,) each. */
typedef struct {
    float *mean, *var;                   /* of the batch, or running; both inside stats */
    float *inv_std, *scale;              /* 1 / sqrt(v + eps), gamma times that */
    float *a, *b, *c;                    /* backward: dx = a dy + b (x - mean) + c */
    const float *beta;
} npgru_norm;

/* A quantise layer during one step: real = scale (q - zero point). (C,) each; where it has no bias, zeros and ones. */
typedef struct {
    float scale, low, high;              /* low, high: the largest codes less the zero point */
    const float *bias;                   /* on its own grid, too */
    float *first, *inverse_first;        /* step of the integers' first rounding, in codes: a power of two */
    float *no_bias;
} npgru_grid;

/* Where a layer finds its arrays, for n clips. */
typedef struct {
    const npgru_train_layer *layer;
    int32_t n;
    const float *x, *y;                  /* what came in, what went out */
    const float *w;                      /* its weights in params */
    const float *w_transposed;           /* the same place in params with every matrix transposed */
    const float *dropout;                /* (n, T M C) factors, NULL in inference */
    float *saved;                        /* what forward keeps for backward: see the kernels */
    float *scratch;
    const float *ranges;                 /* gru, quantised: (4,), and the largest magnitudes that it met */
    float *met;
} npgru_view;

typedef struct {
    int32_t (*is_here)(void);            /* whether this processor has the instructions; NULL: the compiler has not */
    void (*forward)(const npgru_view *v, float *y);
    /* dx NULL: not wanted. dw: gradients of its weights, added to. */
    void (*backward)(const npgru_view *v, const float *dy, float *dx, float *dw);

    /* Batch-norm over `rows` rows of C channels; see batchnorm.h. */
    void (*statistics)(int32_t rows, int32_t C, const float *x, float rows_before, float *mean, float *m2);
    void (*merge_statistics)(int32_t C, float rows_before, float rows, const float *mean_of, const float *m2_of,
                             float *mean, float *m2);
    void (*normalise)(const npgru_train_layer *layer, const npgru_norm *norm, int32_t rows, const float *x, float *y);
    void (*normalise_sums)(const npgru_train_layer *layer, const npgru_norm *norm, int32_t rows, const float *x,
                           const float *y, float *dy, float *sums);
    void (*normalise_backward)(int32_t C, const npgru_norm *norm, int32_t rows, const float *x, const float *dy, float *dx);

    /* See fake_quant.h. */
    void (*weights_on_grid)(int32_t rows, int32_t N, const float *w, float *scale, float *y);
    void (*bias_on_grid)(int32_t N, float x_scale, const float *w_scale, const float *b, float *y);
    void (*extremes)(int32_t rows, int32_t C, const float *x, float *low, float *high);
    void (*quantise)(const npgru_train_layer *layer, const npgru_grid *grid, int32_t rows, const float *x, float *y);
    void (*quantise_backward)(const npgru_train_layer *layer, const npgru_grid *grid, int32_t rows, const float *x, float *dy,
                              float *dbias);

    void (*transpose)(int32_t rows, int32_t columns, const float *x, float *y);
    void (*sum_shards)(int32_t n_shards, int32_t stride, int32_t n, const float *shards, float *sum);
    void (*adam)(const npgru_adam *adam, int32_t n, const float *gradients, float *m, float *v, float *params);
} npgru_form;

extern const npgru_form npgru_form_plain, npgru_form_neon, npgru_form_avx2, npgru_form_avx512;

#endif
