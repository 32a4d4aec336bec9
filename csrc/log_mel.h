/* What the two forms of the front end share: log_mel.c has it, log_mel_pairs.c calls it. Rows (re, im) of int16. */
#ifndef NPGRU_LOG_MEL_H
#define NPGRU_LOG_MEL_H

#include "npgru_int8.h"

/* a' = (a + p) / 2, m' = (a - p) / 2, p = m (c - i s), w = (c, s). */
void npgru_log_mel_butterfly(int16_t *a, int16_t *m, const int16_t *w);

/* Energy of bin k of the real spectrum, from rows k and N - k of the DFT, w the twiddle of k. */
uint32_t npgru_log_mel_energy(const int16_t *Z_k, const int16_t *Z_m, const int16_t *w);

/* A mel sum m < 2^40 of a window that was shifted left by b -> the feature: root, scale down, logarithm. */
uint16_t npgru_log_mel_feature(const npgru_log_mel_params *p, int32_t b, uint64_t m);

#endif
