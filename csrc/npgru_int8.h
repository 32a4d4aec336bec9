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
    NPGRU_BAD_RANGE = 2   /* a parameter other than a size is */
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

/* T, windows in a clip of n_samples; 0 for a bad struct, or n_samples outside [N, 2^30]. */
int32_t npgru_log_mel_n_frames(const npgru_log_mel_params *p, int32_t n_samples);

/* Bytes of scratch for both functions below, 4 N: one complex window. 0 for a bad struct. */
size_t npgru_log_mel_scratch_bytes(const npgru_log_mel_params *p);

/* One window: samples (n_samples,), 0 <= n_samples <= N, zeros follow; y (M,). scratch: aligned to 2 bytes. */
npgru_status npgru_log_mel_frame(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_samples,
                                 void *scratch, uint16_t *y);

/* A clip: samples (n_samples,) -> y (T, M), T as above. */
npgru_status npgru_log_mel(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_samples,
                           void *scratch, uint16_t *y);

#ifdef __cplusplus
}
#endif
#endif
