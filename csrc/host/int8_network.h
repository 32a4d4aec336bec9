/* Between int8_network.c, int8_pack.c and int8_run.c, which lay out, pack and run an integer network, and the forms of its
   kernels: int8_plain.c, int8_neon.c, int8_avx2.c and int8_avx512.c compile the same csrc/host/kernels/ for their own vectors.

   A tensor of a clip lies as int16 "stored" = code - zero, where zero is the zero point that its reader subtracts: padding
   is then 0, and sums of products need no correction. Rows of pixels have their padding around them. */
#ifndef NPGRU_INT8_NETWORK_H
#define NPGRU_INT8_NETWORK_H

#include "checks.h"
#include "log_mel_avx2.h"                 /* npgru_has_avx2 */
#include "npgru_host.h"

#define NPGRU_PAD 16                     /* channels in memory are a multiple of this: the lanes of the widest form */

typedef struct {
    int32_t T, M, C;
    int32_t pitch;                       /* from one pixel to the next, in int16: C for one channel, else C rounded up */
    int32_t before_t, after_t, before_m, after_m;       /* pixels of padding */
    int32_t zero;
    size_t row;                          /* from one row of pixels to the next, in int16 */
    size_t place;                        /* of pixel (0, 0) in the workspace, in int16 */
} npgru_tensor;

/* The output stage of N_pad columns: y = clamp(MBQ(acc + bias)) + add, or MBQ64 (wide). (N_pad,) each. */
typedef struct {
    int32_t *bias, *multiplier, *left, *right;
    int32_t low, high, add;              /* the clamp without y's zero point; what makes a code "stored" */
    int32_t wide;                        /* MBQ64: multiplier is the rounded upper half, right 15 - shift */
} npgru_outputs;

/* x (pixels) -> y (pixels, N_pad): sums over segments, each n_pairs pairs of neighbouring int16. */
typedef struct {
    npgru_outputs out;
    int32_t N_pad, n_segments, n_pairs;
    ptrdiff_t *segments;                 /* (n_segments,) where they begin behind a pixel */
    int16_t *w;                          /* (n_segments, n_pairs, N_pad, 2) */
} npgru_matrix;

/* Depthwise: taps instead of segments, two at a time. */
typedef struct {
    npgru_outputs out;
    int32_t N_pad, n_pairs;
    ptrdiff_t *taps;                     /* (2 n_pairs,) */
    int16_t *w;                          /* (n_pairs, N_pad, 2) */
} npgru_depthwise;

/* Where a kernel reads and writes: rows of `count` pixels. Steps in int16. */
typedef struct {
    const int16_t *x;
    int16_t *y;
    ptrdiff_t x_row, x_step, y_row, y_step;
    int32_t rows, count;
} npgru_view;

typedef struct {
    const npgru_gru_params *p;
    int32_t bits, H_pad;                 /* of the state; columns of z, r and n */
    npgru_matrix input, state;
    int32_t *sigmoid, *tanh;             /* int8 state: the tables (256,) */
} npgru_gru;

typedef struct {
    void (*features)(const npgru_features *p, int32_t zero, int32_t n, const uint16_t *f, int16_t *y);
    void (*matrix)(const npgru_matrix *p, const npgru_view *v);
    void (*depthwise)(const npgru_depthwise *p, const npgru_view *v);
    void (*max_pool)(const npgru_window *p, int32_t low, int32_t high, int32_t n, const npgru_view *v);
    /* gx (T, 3 H_pad), gh (3 H_pad,) scratch; h (T + 1, H_pad), its first row the state before */
    void (*gru)(const npgru_gru *g, int32_t T, const int16_t *gx, int16_t *gh, int16_t *h);
    void (*mean_time)(const npgru_rescale *p, int32_t add, int32_t T, int32_t n, const int16_t *x, int16_t *y);
} npgru_form_int8;

extern const npgru_form_int8 npgru_int8_plain, npgru_int8_neon, npgru_int8_avx2, npgru_int8_avx512;
int32_t npgru_has_avx512(void);          /* 1 if this processor and operating system run the AVX-512 form, else 0 */

/* An operator, ready to run. */
typedef struct {
    const npgru_int8_operator *op;
    npgru_tensor x, y;
    union {
        npgru_matrix matrix;
        npgru_depthwise depthwise;
        npgru_gru gru;
    } packed;
    int32_t add;                         /* of mean_time: from code to stored */
    int32_t by_device;                   /* gru: sums may leave int32, so the device's 64-bit kernel computes them */
} npgru_step;

struct npgru_int8_network {
    const npgru_form_int8 *form;
    int32_t T, M, n_steps;
    size_t n_workspace, scratch;         /* in int16: all of it; where the scratch of a gru begins */
    uint64_t n_packed;                   /* bytes */
    uint8_t *packed;
    npgru_step *steps;
};

/* Memory for what is packed: counts only, as long as there is no base. */
typedef struct {
    uint8_t *base;
    uint64_t used;
} npgru_arena;

/* Packs one operator whose tensors are known; int8_pack.c. */
void npgru_pack(npgru_arena *arena, npgru_step *step);

static inline int32_t npgru_padded(int32_t C) { return (C + NPGRU_PAD - 1) / NPGRU_PAD * NPGRU_PAD; }

#endif
