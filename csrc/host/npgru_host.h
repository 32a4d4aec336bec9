/* Host-only twins of device kernels: the same integers, many frames at once. Not for firmware. */
#ifndef NPGRU_HOST_H
#define NPGRU_HOST_H

#include "npgru_int8.h"

#ifdef __cplusplus
extern "C" {
#endif

/* npgru_log_mel over many clips of one length: samples (n_clips, n_samples) -> y (n_clips, T, M).
   Equal to the device form for every input. AVX2 where the processor has it, the device form elsewhere. */
size_t npgru_log_mel_host_scratch_bytes(const npgru_log_mel_params *p);
npgru_status npgru_log_mel_host(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_clips,
                                int32_t n_samples, void *scratch, uint16_t *y);

/* 1 if npgru_log_mel_host takes the AVX2 form for this struct on this processor, else 0. */
int32_t npgru_log_mel_host_is_avx2(const npgru_log_mel_params *p);

#ifdef __cplusplus
}
#endif
#endif
