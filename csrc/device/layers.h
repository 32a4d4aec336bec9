/* The network of a device: the numbers of each layer, and one function a kernel.

   The network runs row by row: a row of features in, and as soon as its neighbours are there, a row out of each layer.
   Activations are kept as u = code + 128, 0..255; `zero` is the u of real 0 (after a ReLU it is 0), which padding holds.

   window   k_t rows of features, one halfword a band, padding included: what the next row of the convolution sees
   ring     one word per (channel, column) of a layer's output holds its last 4 rows as bytes; C x columns words.
            Rows come in pairs. Bytes 2 and 3 are the new pair if turn is 0, bytes 0 and 1 if it is 1.
   pairs    what a depthwise layer leaves for its pointwise layer: NPGRU_GROUP columns of 2 rows. A word holds 2 channels:
            [row][column / 4][channel / 2][column % 4], with room for NPGRU_PAIRS of channel / 2 in every block
   pooled   the GRU's input, 2 rows of D = bands x C values; a word holds 2 of them: [d / 2][row]

   Every kernel exists in plain C (kernels_plain.c: the exact formula, any sizes) and, for the cores with the DSP
   instructions, in a fast form (<layer>_dsp.c: the same integers). Which of them a channel takes was decided when the model
   was exported: npgru/device_fast.py proves the fast form for every attainable sum; where it cannot, the plain kernel runs
   behind the fast one, for those channels. */
#ifndef NPGRU_LAYERS_H
#define NPGRU_LAYERS_H

#include "form.h"
#include "npgru_int8.h"
#include "npgru_model.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NPGRU_MAY_ALIAS __attribute__((may_alias))
#define NPGRU_BARRIER() __asm__ volatile("")
#else
#define NPGRU_MAY_ALIAS
#define NPGRU_BARRIER() (void)0
#endif
typedef uint32_t NPGRU_MAY_ALIAS npgru_word;           /* a buffer seen as words or as halfwords */
typedef uint16_t NPGRU_MAY_ALIAS npgru_half;
#if NPGRU_STATE_BITS == 16
typedef int16_t npgru_state;
typedef int64_t npgru_gru_bias;
#else
typedef int8_t npgru_state;
typedef int32_t npgru_gru_bias;
#endif

/* Output stage: u = clamp(MBQ(acc, multiplier, shift) + zero, low, high). */
typedef struct {
    int32_t zero, low, high;
    const int32_t *bias, *multiplier;                   /* (N,); the input's zero is inside the bias */
    const int8_t *shift;                                /* (N,) */
} npgru_stage;

/* A layer that is fast on this core has `fast`, its weights and output stage in one stream. w and stage are of the channels
   that have the exact form: n_exact of them, those in `exact`, or all if that is NULL. The fast form leaves 0 for them. */
typedef struct {
    int32_t kernel_rows, kernel_columns, stride_rows, stride_columns, pad_rows, pad_columns;
    int32_t window_columns, in_columns, in_zero;        /* of the window, padding included; of the features */
    int32_t channels, columns, ring_columns;
    const int8_t *w;                                    /* (n_exact, k_t, k_m) */
    npgru_stage stage;
    int32_t n_exact;
    const int16_t *exact;
    const uint32_t *fast;
} npgru_conv;

typedef struct {
    int32_t channels, columns, ring_columns, in_zero;   /* kernel 3 x 3, stride 1 */
    const int8_t *w;                                    /* (n_exact, 3 rows, 3 columns) */
    npgru_stage stage;
    int32_t n_exact;
    const int16_t *exact;
    const uint32_t *fast;
} npgru_depthwise;

typedef struct {
    int32_t in_channels, channels, columns, ring_columns;
    int32_t pair_words;                                 /* of 4 columns of a row: 4 for every 2 inputs of whole turns */
    int32_t pool;                                       /* 0, or the columns of which the last block takes the maximum */
    const int8_t *w;                                    /* (n_exact, C) */
    npgru_stage stage;
    int32_t n_exact;
    const int16_t *exact;
    const uint32_t *fast;
} npgru_pointwise;

typedef struct {
    int32_t in_features, units;                         /* D, H */
#if NPGRU_FAST_GRU
    const uint32_t *fast_w, *fast_u;
#else
    npgru_gru_params exact;
    const int8_t *w, *u;                                /* (3H, D), (3H, H) */
    const npgru_gru_bias *x_bias, *h_bias;              /* (3H,) */
#endif
} npgru_gru;

typedef struct {
    npgru_dense_params exact;
    const int8_t *w;
    const int32_t *bias;
} npgru_dense;

typedef struct {
    const void *bytes;
    uint32_t n_bytes;
} npgru_span;

typedef struct {
    uint32_t magic, check;                              /* of npgru_model.h's sizes; CRC-32 of the arrays */
    const npgru_span *arrays;
    int32_t n_arrays;
    npgru_conv conv;
    npgru_depthwise depthwise[NPGRU_BLOCKS > 0 ? NPGRU_BLOCKS : 1];     /* C has no empty arrays */
    npgru_pointwise pointwise[NPGRU_BLOCKS > 0 ? NPGRU_BLOCKS : 1];
    npgru_gru gru;
    npgru_rescale mean;
    npgru_dense dense[NPGRU_DENSE_LAYERS];
    npgru_softmax softmax;
} npgru_model_data;

extern const npgru_model_data npgru_model;
extern const npgru_log_mel_params npgru_front_end;
extern const int32_t npgru_ring_start[NPGRU_RINGS + 1]; /* words; of every ring, and one past the last */

#define NPGRU_NEW_ROWS(turn) ((turn) ? 0 : 2)           /* first byte of the new pair in a word of a ring */

/* window -> byte `slot` of every word of the ring. work: NPGRU_NETWORK_WORK_WORDS, free. */
void npgru_conv_plain(const npgru_conv *p, const npgru_half *window, uint32_t *work, uint8_t *ring, int32_t slot);
void npgru_conv_fast(const npgru_conv *p, const npgru_half *window, uint32_t *work, uint8_t *ring, int32_t slot);

/* The 4 rows of the ring -> the 2 rows in their middle, columns first..first + n - 1, as pairs. */
void npgru_depthwise_plain(const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first, int32_t n,
                           npgru_half *pairs);
void npgru_depthwise_fast(const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first, int32_t n,
                          npgru_half *pairs);

/* pairs -> the new rows of the next ring: those of rows (1: the first, 2: the second, 3: both). */
void npgru_pointwise_plain(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t turn, int32_t first,
                           int32_t n, uint8_t *ring);
void npgru_pointwise_fast(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t turn, int32_t first,
                          int32_t n, uint8_t *ring);

/* The last block's: pairs -> pooled, which takes the largest of its columns. */
void npgru_pool_plain(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t first, int32_t n,
                      npgru_half *pooled);
void npgru_pool_fast(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t first, int32_t n,
                     npgru_half *pooled);

/* Without blocks: the new rows of the only ring -> pooled. */
void npgru_pool_ring(const npgru_pointwise *p, const uint8_t *ring, int32_t turn, npgru_half *pooled);

/* pooled -> one or two steps of the GRU, that of row 0 first; h and the sum of the states over time. */
#if NPGRU_FAST_GRU
void npgru_gru_input_fast(const npgru_gru *p, const npgru_half *pooled, int16_t *gx);
void npgru_gru_step_fast(const npgru_gru *p, const int16_t *gx, int16_t *scratch, npgru_state *h);
#else
void npgru_gru_plain(const npgru_gru *p, const npgru_half *pooled, int32_t row, void *scratch, npgru_state *h);
#endif

#ifdef __cplusplus
}
#endif
#endif
