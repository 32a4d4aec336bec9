/* Between log_mel_host.c, which cuts clips into groups of eight windows, and log_mel_avx2.c. */
#ifndef NPGRU_LOG_MEL_AVX2_H
#define NPGRU_LOG_MEL_AVX2_H

#include "npgru_int8.h"

#define NPGRU_LANES 8                 /* windows in a group */

typedef struct {                      /* all inside the caller's scratch */
    int32_t *z;                       /* (N, 8) rows of the FFT, (re, im) int16 pairs, aligned to 32 bytes */
    int16_t *windowed;                /* (8, N) */
    int16_t *tail;                    /* (N,) the last window, filled up with zeros */
    uint16_t *rows;                   /* (bins, 2) where bin k and its mirror N - k lie in z */
    uint64_t *sums;                   /* (M, 8) mel bank: even windows, then odd; aligned to 32 bytes */
    uint16_t *y;                      /* (8, M8) features of a group; M8: M rounded up to eights */
} npgru_log_mel_workspace;

/* 1 if this processor and operating system run AVX2, else 0. */
int32_t npgru_has_avx2(void);

/* Eight windows x[f] (N,), N >= 32 -> w->y; needs AVX2 and a checked p. */
void npgru_log_mel_group_avx2(const npgru_log_mel_params *p, const npgru_log_mel_workspace *w,
                              const int16_t *const x[NPGRU_LANES]);

#endif
