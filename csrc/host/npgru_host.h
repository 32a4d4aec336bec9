/* Host-only twins of device kernels: the same integers, many frames or a whole network at once. Not for firmware. */
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

/* ---- A whole integer network: the operators of npgru_int8.h one after another, every clip in one call. The same integers
   as theirs, for every input; weights are packed once. ---- */

typedef enum {
    NPGRU_INT8_FEATURES,                 /* npgru_features; (T, M) uint16 -> (T, M, 1) */
    NPGRU_INT8_CONV2D,                   /* npgru_conv2d_params, batch 1 */
    NPGRU_INT8_DEPTHWISE2D,              /* npgru_conv2d_params, batch 1 */
    NPGRU_INT8_MAX_POOL,                 /* npgru_max_pool_params, batch 1, windows inside x */
    NPGRU_INT8_GRU_S16,                  /* npgru_gru_params; (T, M, C) -> states (T, 1, H) int16, from a state of zeros */
    NPGRU_INT8_GRU_S8,                   /* the same, int8 */
    NPGRU_INT8_MEAN_TIME,                /* npgru_rescale: the sum over time, then QUANTIZE; (T, M, C) -> (1, M, C) int8 */
    NPGRU_INT8_DENSE,                    /* npgru_dense_params, batch 1 */
    NPGRU_INT8_SOFTMAX                   /* npgru_softmax, over all codes of a clip */
} npgru_int8_kind;

/* Arrays have the sizes that the struct states, and stay where they are until npgru_int8_destroy. */
typedef struct {
    int32_t kind;                        /* npgru_int8_kind */
    const void *params;                  /* the struct named there */
    const int8_t *w, *u;                 /* u: of a gru */
    const void *bias, *h_bias;           /* int32, or int64 of NPGRU_INT8_GRU_S16; h_bias: of a gru */
} npgru_int8_operator;

typedef struct npgru_int8_network npgru_int8_network;

/* Forms of the kernels: portable C; NEON of 64-bit Arm; AVX2; AVX-512 with VNNI. */
typedef enum { NPGRU_PLAIN, NPGRU_NEON, NPGRU_AVX2, NPGRU_AVX512 } npgru_int8_form;
int32_t npgru_int8_runs(int32_t form);   /* 1 if this processor and operating system run it, else 0 */

/* Packs a network for clips (T, M); the first operator is NPGRU_INT8_FEATURES, and each reads what the one before wrote.
   NULL with a status for what an operator refuses, NULL with NPGRU_OK if there is not enough memory. */
npgru_int8_network *npgru_int8_create(const npgru_int8_operator *operators, int32_t n_operators, int32_t T, int32_t M,
                                      int32_t form, npgru_status *status);
void npgru_int8_destroy(npgru_int8_network *net);
size_t npgru_int8_bytes(const npgru_int8_network *net);                /* what npgru_int8_create took */
size_t npgru_int8_workspace_bytes(const npgru_int8_network *net);      /* for a call; at most 2^31 */

/* features (n_clips, T, M). codes (n_operators,): NULL, or room for (n_clips, ..) codes of that operator, which are int16
   of NPGRU_INT8_GRU_S16 and int8 of all others. workspace: aligned to 2 bytes. A network may run in many threads at once,
   each with a workspace of its own. */
npgru_status npgru_int8_run(const npgru_int8_network *net, int32_t n_clips, const uint16_t *features, void *workspace,
                            void *const *codes);

#ifdef __cplusplus
}
#endif
#endif
