/* npgru: the one header a firmware includes. C99, no malloc, no float, no globals.
   Statuses, parameter structs and prototypes of every kernel that runs on the device. */
#ifndef NPGRU_INT8_H
#define NPGRU_INT8_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    NPGRU_OK = 0,
    NPGRU_BAD_SHAPE = 1,  /* a size is out of the range its struct states */
    NPGRU_BAD_RANGE = 2,  /* a parameter other than a size is */
    NPGRU_BAD_MODEL = 3,  /* npgru.h: the model's bytes are not those that were exported */
    NPGRU_TOO_SMALL = 4,  /* npgru.h: the context is of another size, or not at a word's address */
    NPGRU_NOT_READY = 5   /* npgru.h: no new score; or the context was not initialised */
} npgru_status;

/* ---- log_mel.c: int16 samples -> log-mel features. Stages and symbols: npgru/features.py ---- */

typedef struct {
    int32_t window_len;         /* N, a power of two in [16, 8192] */
    int32_t window_stride;      /* samples from one window to the next, in [1, 65536] */
    int32_t window_bits;        /* the window's centre is 2^bits, in [0, 14] */
    int32_t n_channels;         /* M, in [1, 256] */
    int32_t post_bits;          /* features are 2^bits ln V, in [0, 12] */
    int32_t pad_tail;           /* 1: one more window at the end, filled up with zeros; 0: full windows */
    const int16_t *window;      /* (N,) in [0, 2^window_bits] */
    const int16_t *twiddles;    /* (N, 2) cos, sin; unit 32767, rows in bit-reversed order */
    const int16_t *segments;    /* (M + 2,) rising, in [1, N/2): segment i is bins segments[i]..segments[i+1]-1 */
    const int16_t *weights;     /* (bins,) falling edge, in [0, 4096]; the first belongs to bin segments[0] */
    const int16_t *unweights;   /* (bins,) rising edge, in [0, 4096] */
    const int16_t *log_table;   /* (129,) correction of log2, unit 2^-16 */
} npgru_log_mel_params;

/* NPGRU_OK, or what all functions below refuse. */
npgru_status npgru_log_mel_check(const npgru_log_mel_params *p);

/* T, windows in a clip of n_samples; 0 for a bad struct, or n_samples outside [N, 2^30]. */
int32_t npgru_log_mel_n_frames(const npgru_log_mel_params *p, int32_t n_samples);

/* Bytes of scratch for the functions below, 4 N: one complex window. 0 for a bad struct. */
size_t npgru_log_mel_scratch_bytes(const npgru_log_mel_params *p);

/* One window: samples (n_samples,), 0 <= n_samples <= N, zeros follow; y (M,). scratch: aligned to 2 bytes. */
npgru_status npgru_log_mel_frame(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_samples,
                                 void *scratch, uint16_t *y);

/* log_mel_pairs.c: the same integers in a fifth of the instructions on an M4. Tables: of npgru/front_end.py; scratch: aligned
   to 4 bytes. */
npgru_status npgru_log_mel_frame_pairs(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_samples,
                                       void *scratch, uint16_t *y);

/* A clip: samples (n_samples,) -> y (T, M), T as above. */
npgru_status npgru_log_mel(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_samples,
                           void *scratch, uint16_t *y);

/* ---- Integer operators. The specification is npgru/int8_reference.py, int8_nonlinear.py and int8_gru.py; how the numbers
   of a struct follow from scales is in npgru/int8_params.py. Every number of a struct is checked, the contents of its
   arrays too; a bad one gives a status and nothing is written. Buffers do not overlap; y of an element-wise operator
   (add to softmax) may be the very buffer of an input. A multiplier and its shift stand for multiplier 2^(shift - 31). ---- */

/* Where the windows of a convolution or a pool lie. All sizes in [1, 32767], all buffers below 2^31 elements. */
typedef struct {
    int32_t batch, in_t, in_m, in_channels;     /* x (B, T, M, C): frames, mel bands */
    int32_t out_t, out_m, out_channels;         /* y (B, T', M', N); every window begins before the end of x */
    int32_t kernel_t, kernel_m;                 /* convolutions: kernel_t kernel_m in_channels <= 32000 */
    int32_t stride_t, stride_m;
    int32_t pad_t, pad_m;                       /* frames and bands added in front, in [0, kernel - 1] */
} npgru_window;

/* Output stage of convolutions and dense layers: y = clamp(acc multiplier[n] 2^(shift[n] - 31) + y_zero_point). */
typedef struct {
    int32_t x_zero_point, y_zero_point;         /* in [-128, 127]; int16: 0 */
    int32_t y_min, y_max;                       /* y_min <= y_max, inside y's type */
    const int32_t *multiplier;                  /* (N,) >= 0 */
    const int32_t *shift;                       /* (N,) in [-31, 31]; int16: [-31, 14] */
} npgru_channels;

typedef struct {
    npgru_window window;
    npgru_channels channels;
} npgru_conv2d_params;

/* CONV_2D.   w (N, k_t, k_m, C) int8, bias (N,) with |bias| <= 2^30: |acc| <= 255 * 128 * 32000 + 2^30 < 2^31. */
npgru_status npgru_conv2d_s8(const npgru_conv2d_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y);

/* DEPTHWISE_CONV_2D, out_channels = in_channels.   w (k_t, k_m, C) int8, bias (C,) as above, or NULL. */
npgru_status npgru_depthwise2d_s8(const npgru_conv2d_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                                  int8_t *y);

typedef struct {
    int32_t batch, in_features, out_features;   /* B, D, N, each >= 1; D <= 32000; B D, N D, B N < 2^31 */
    npgru_channels channels;
} npgru_dense_params;

/* FULLY_CONNECTED.   x (B, D), w (N, D), y (B, N); bias (N,) or NULL, bounded as in conv2d. */
npgru_status npgru_dense_s8(const npgru_dense_params *p, const int8_t *x, const int8_t *w, const int32_t *bias, int8_t *y);

/* The same with int16 x and y; bias (N,) with |bias| <= 2^46: |acc| < 2^47. The 64-bit rounding, MBQ64. */
npgru_status npgru_dense_s16(const npgru_dense_params *p, const int16_t *x, const int8_t *w, const int64_t *bias, int16_t *y);

/* ADD and SUB: both inputs on a common scale, 2^left_shift finer; the x multipliers are at most 1/2, y's is below 1. */
typedef struct {
    int32_t left_shift;                         /* 20 for int8, 15 for int16: |a_1| + |a_2| <= 2^30 */
    int32_t x1_zero_point, x1_multiplier, x1_shift;     /* zero points in [-128, 127]; int16: 0 */
    int32_t x2_zero_point, x2_multiplier, x2_shift;     /* shifts in [-31, 0] */
    int32_t y_zero_point, y_multiplier, y_shift;
    int32_t y_min, y_max;
} npgru_sum;

/* x1, x2, y (size,); size >= 0. */
npgru_status npgru_add_s8(const npgru_sum *p, int32_t size, const int8_t *x1, const int8_t *x2, int8_t *y);
npgru_status npgru_add_s16(const npgru_sum *p, int32_t size, const int16_t *x1, const int16_t *x2, int16_t *y);
npgru_status npgru_sub_s8(const npgru_sum *p, int32_t size, const int8_t *x1, const int8_t *x2, int8_t *y);
npgru_status npgru_sub_s16(const npgru_sum *p, int32_t size, const int16_t *x1, const int16_t *x2, int16_t *y);

typedef struct {
    int32_t x1_zero_point, x2_zero_point, y_zero_point;     /* in [-128, 127]; int16: 0 */
    int32_t multiplier, shift;                              /* >= 0; in [-31, 31] */
    int32_t y_min, y_max;
} npgru_product;

npgru_status npgru_mul_s8(const npgru_product *p, int32_t size, const int8_t *x1, const int8_t *x2, int8_t *y);
npgru_status npgru_mul_s16(const npgru_product *p, int32_t size, const int16_t *x1, const int16_t *x2, int16_t *y);

/* QUANTIZE and MEAN. */
typedef struct {
    int32_t x_zero_point, y_zero_point;         /* in [-128, 127]; of int32 x, and for MEAN of int16: 0 */
    int32_t multiplier, shift;                  /* >= 0; in [-31, 31] */
    int32_t y_min, y_max;
} npgru_rescale;

npgru_status npgru_quantize_s8(const npgru_rescale *p, int32_t size, const int8_t *x, int8_t *y);
npgru_status npgru_quantize_s16(const npgru_rescale *p, int32_t size, const int16_t *x, int8_t *y);
npgru_status npgru_quantize_s32(const npgru_rescale *p, int32_t size, const int32_t *x, int8_t *y);

/* uint16 features -> int8: y = min(q + y_zero_point, 127), q = min((f multiplier + half) >> shift, 255), half = 2^(shift - 1). */
typedef struct {
    uint64_t multiplier;                        /* <= 2^34: f multiplier < 2^50 */
    int32_t shift;                              /* in [0, 50] */
    int32_t y_zero_point;                       /* in [-128, 127] */
} npgru_features;

npgru_status npgru_quantize_features(const npgru_features *p, int32_t size, const uint16_t *f, int8_t *y);

/* MEAN over the middle axis: x (B, n, C) -> y (B, C), 1 / n inside the multiplier; n in [1, 65535]. */
npgru_status npgru_mean_s8(const npgru_rescale *p, int32_t batch, int32_t n, int32_t channels, const int8_t *x, int8_t *y);
npgru_status npgru_mean_s16(const npgru_rescale *p, int32_t batch, int32_t n, int32_t channels, const int16_t *x, int16_t *y);

typedef struct {
    npgru_window window;                        /* out_channels = in_channels */
    int32_t y_min, y_max;
} npgru_max_pool_params;

/* MAX_POOL_2D: the largest code of each window, clamped; what lies beyond the borders does not count. */
npgru_status npgru_max_pool_s8(const npgru_max_pool_params *p, const int8_t *x, int8_t *y);

/* LOGISTIC, TANH on int8: y = table[x + 128], table (256,). */
npgru_status npgru_lookup_s8(const int8_t *table, int32_t size, const int8_t *x, int8_t *y);

/* LOGISTIC, TANH on int16, y in 2^-15: x multiplier 2^-shift is the place in a table of 256 values. */
typedef struct {
    int32_t multiplier;                         /* in [0, 65535]; in [0, 32767] if shift > 0 */
    int32_t shift;                              /* in [0, 31] */
} npgru_curve;

npgru_status npgru_logistic_s16(const npgru_curve *p, int32_t size, const int16_t *x, int16_t *y);
npgru_status npgru_tanh_s16(const npgru_curve *p, int32_t size, const int16_t *x, int16_t *y);

typedef struct {
    int32_t multiplier, shift;                  /* >= 0; in [0, 31] */
    int32_t diff_min;                           /* <= 0, and -diff_min 2^shift <= 31 2^26 */
} npgru_softmax;

/* SOFTMAX, scale 1/256, zero point -128: x, y (rows, K), rows >= 1, K in [1, 511]. */
npgru_status npgru_softmax_s8(const npgru_softmax *p, int32_t rows, int32_t K, const int8_t *x, int8_t *y);

/* One GRU step, of the operators above in this order; rows of the weights and biases: z | r | n. */
typedef struct {
    int32_t in_features, units;                 /* D, H, as in a dense layer with N = 3 H */
    npgru_channels input, state;                /* gx = FC(x), gh = FC(h) */
    npgru_sum gates;                            /* gx_zr + gh_zr, then sigmoid */
    npgru_curve sigmoid, tanh;                  /* int16 state */
    const int8_t *sigmoid_table, *tanh_table;   /* int8 state, (256,) each */
    npgru_product reset;                        /* r gh_n */
    npgru_sum candidate;                        /* gx_n + r gh_n, then tanh: n */
    npgru_sum difference;                       /* h - n */
    npgru_product blend;                        /* z (h - n) */
    npgru_sum update;                           /* n + z (h - n): the new h */
} npgru_gru_params;

/* 2 (D + 6 H) for the int16 state, 6 H for the int8 state; 0 for bad sizes. */
size_t npgru_gru_s16_scratch_bytes(const npgru_gru_params *p);
size_t npgru_gru_s8_scratch_bytes(const npgru_gru_params *p);

/* x (D,) int8, its raw codes: fold its zero point into x_bias. w (3H, D), u (3H, H), x_bias, h_bias (3H,); h (H,) is
   replaced. scratch: aligned to 2 bytes. */
npgru_status npgru_gru_step_s16(const npgru_gru_params *p, const int8_t *x, const int8_t *w, const int8_t *u,
                                const int64_t *x_bias, const int64_t *h_bias, void *scratch, int16_t *h);
npgru_status npgru_gru_step_s8(const npgru_gru_params *p, const int8_t *x, const int8_t *w, const int8_t *u,
                               const int32_t *x_bias, const int32_t *h_bias, void *scratch, int8_t *h);

#ifdef __cplusplus
}
#endif
#endif
