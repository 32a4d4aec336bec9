/* The training step of a whole network on the host, in float32: forward, backward, Adam. Not for firmware.
   The layers are those of npgru/layers/, equation by equation; npgru/kernels_train.py lists them for C. */
#ifndef NPGRU_TRAIN_H
#define NPGRU_TRAIN_H

#include "npgru_int8.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    NPGRU_SCALE, NPGRU_CONV2D, NPGRU_DEPTHWISE2D, NPGRU_POINTWISE, NPGRU_BATCHNORM, NPGRU_CLAMP, NPGRU_MAXPOOL,
    NPGRU_GRU, NPGRU_DROPOUT, NPGRU_MEAN_TIME, NPGRU_DENSE, NPGRU_QUANTISE
} npgru_kind;

typedef struct {
    int32_t kind;                 /* npgru_kind */
    int32_t T, M, C;              /* a clip that comes in: frames, bands, channels */
    int32_t T_out, M_out, N;      /* a clip that goes out */
    int32_t k_t, k_m;             /* conv2d: kernel (frames, bands); maxpool: k_m neighbouring bands */
    int32_t s_t, s_m;             /* conv2d: stride */
    int32_t before_t, before_m;   /* conv2d: zeros ahead of the first frame and band */
    int32_t weights;              /* where its weights begin in params, in the order of the NumPy layer's arguments */
    int32_t stats;                /* batchnorm: where its mean (C,) begins in stats, its variance (C,) follows; quantise:
                                     its range (low, high); gru, quantised: its ranges (4,) */
    int32_t quantised;            /* conv2d, depthwise2d, pointwise, gru: 1: on the grids of the integers, their input on
                                     that of the quantise layer before; quantise: 1: it adds a bias and rounds what such a
                                     layer puts out */
    int32_t bits;                 /* quantise: significant bits of its scale, 1 to 24 */
    float share;                  /* quantise: share of a training batch's range that goes into the running one */
    float factor;                 /* scale */
    float eps;                    /* batchnorm */
    float y_min, y_max;           /* clamp, batchnorm, quantise before it rounds: limits of y; relu6: 0 and 6 */
} npgru_train_layer;

typedef struct {
    float eta, share1, share2, epsilon;      /* (3) of npgru/optimiser.py; 1 - beta1; 1 - beta2 */
} npgru_adam;

typedef struct npgru_train npgru_train;

/* Forms of the kernels: plain C, and the same C compiled for an instruction set. Their last bits differ. */
typedef enum {
    NPGRU_TRAIN_PLAIN, NPGRU_TRAIN_NEON, NPGRU_TRAIN_AVX2, NPGRU_TRAIN_AVX512, NPGRU_TRAIN_FORMS
} npgru_train_form;

/* 1: this processor can run that form; 0: it cannot, or there is no such form. */
int32_t npgru_train_has(int32_t form);

/* Memory and threads for batches of up to `batch` clips; NULL if there is not enough memory, or for a bad layer list or form.
   form: npgru_train_form. The layers are copied. Results do not depend on n_threads, down to the last bit. */
npgru_train *npgru_train_create(const npgru_train_layer *layers, int32_t n_layers, int32_t batch, int32_t n_threads,
                                int32_t form);
void npgru_train_destroy(npgru_train *net);
size_t npgru_train_bytes(const npgru_train *net);

/* From now on add the seconds that each thread spends to `seconds`, (n_threads, n_layers + 2, 2): forward and backward of
   each layer; sums over shards (the backward of layer n_layers); last, and of the calling thread alone, the whole of
   npgru_train_forward and npgru_train_backward. NULL, as at the start: measure nothing. Results are the same. */
void npgru_train_measure(npgru_train *net, double *seconds);

/* x (B, T, M, C) of the first layer -> y (B, T_out, M_out, N) of the last. params (P,) and x must stay until backward.
   training 1: batch-norm uses the batch and writes its mean and variance to stats (S,), running ranges move there;
   dropout: (B, T M C) factors. training 0: stats are used as they are, dropout does nothing and may be NULL. */
npgru_status npgru_train_forward(npgru_train *net, int32_t B, int32_t training, const float *x, const float *params,
                                 const float *dropout, float *stats, float *y);

/* After a forward in training: dy, of y's shape -> gradients (P,) and, unless it is NULL, dx, of x's shape. */
npgru_status npgru_train_backward(npgru_train *net, const float *dy, float *gradients, float *dx);

/* One update of params, m and v, (n,) each, by gradients (n,). */
void npgru_train_adam(npgru_train *net, const npgru_adam *adam, int32_t n, const float *gradients, float *m, float *v,
                      float *params);

/* The roof of one core, for whoever times it: does `rounds` of multiply-adds and returns how many operations they were;
   0 where it does not know the processor. *sum is nothing of interest. */
double npgru_train_peak(int32_t rounds, float *sum);

#ifdef __cplusplus
}
#endif
#endif
