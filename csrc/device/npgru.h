/* The detector on a device: samples in, a score out.

       static npgru detector;                              about 10 KB, in your memory; no malloc
       npgru_init(&detector, sizeof detector, NPGRU_CLIPS);
       for (;;) {
           n = read_microphone(samples);                   int16_t, mono, NPGRU_SAMPLE_RATE_HZ, any n
           for (int32_t at = 0; at < n; ) {
               at += npgru_push(&detector, samples + at, n - at);
               while (npgru_score(&detector, &result) == NPGRU_OK)
                   if (npgru_detected(&result)) use(result.probabilities[1] + 128);               1/256
           }
       }

   NPGRU_CLIPS cuts the stream into clips of NPGRU_CLIP_SAMPLES samples and scores each exactly as `npgru evaluate` does:
   every clip begins with zeros before it and a GRU of zeros, and ends with zeros behind it.
   NPGRU_CONTINUOUS never stops: a score every NPGRU_HOP_SAMPLES, each from the GRU's last NPGRU_STEPS states; rows go
   through the network in pairs, so two scores come at once, every two hops. No row is computed twice. At a clip's borders
   it differs from the other: it sees the samples before and behind instead of zeros, its GRU remembers what was before,
   and there is no last window filled up with zeros. npgru_flush ends a clip where it is, with zeros behind it: after
   NPGRU_CLIP_SAMPLES samples from npgru_init or npgru_flush, the score is that of NPGRU_CLIPS.
   Every function is safe to call in any order; none touches memory outside the context and its arguments. */
#ifndef NPGRU_H
#define NPGRU_H

#include "layers.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef NPGRU_FRONT_END
#define NPGRU_FRONT_END 1       /* 0: no npgru_push; features come from elsewhere, the context is smaller */
#endif
#ifndef NPGRU_WITH_CONTINUOUS
#define NPGRU_WITH_CONTINUOUS 1 /* 0: no NPGRU_CONTINUOUS; the context is smaller */
#endif

typedef enum { NPGRU_CLIPS = 0, NPGRU_CONTINUOUS = 1 } npgru_mode;

typedef struct {
    int8_t probabilities[NPGRU_CLASSES];    /* + 128, in 1/256; the target is class 1 */
    int8_t logits[NPGRU_CLASSES];           /* NPGRU_LOGIT_SCALE (logit - NPGRU_LOGIT_ZERO_POINT) */
} npgru_result;

typedef struct {
    uint32_t magic;
    int32_t mode, n_new;        /* scores that wait, at most 2 */
    int32_t n_rows;             /* of features since the clip's start */
    int32_t n_window;           /* rows in the window; below 0: to be skipped */
    int32_t n_conv, end;        /* rows out of the convolution; rows there will be */
    int32_t n_steps;            /* of the GRU, up to NPGRU_STEPS */
#if NPGRU_FRONT_END
    int32_t n_samples;          /* in the buffer; below 0: to be skipped */
    int32_t n_clip;             /* samples since the clip's start */
    int16_t samples[NPGRU_WINDOW_SAMPLES];
#endif
    npgru_result results[2];    /* the older one first */
    npgru_state h[NPGRU_UNITS];
    int32_t sum[NPGRU_UNITS];
#if NPGRU_WITH_CONTINUOUS
    int32_t oldest;
    npgru_state history[NPGRU_STEPS * NPGRU_UNITS];
#endif
    uint32_t window[NPGRU_WINDOW_WORDS];
    uint32_t rings[NPGRU_RING_WORDS];
    uint32_t pooled[NPGRU_POOLED_WORDS];
    uint32_t work[NPGRU_FRONT_END ? NPGRU_WORK_WORDS : NPGRU_NETWORK_WORK_WORDS];
} npgru;

/* Checks the model's bytes, the context's size and its address, and starts anew; a context that is refused stays as it is or
   is not ready. context_bytes: sizeof(npgru) as the caller has it. */
npgru_status npgru_init(npgru *c, size_t context_bytes, npgru_mode mode);

/* Takes up to n samples; stops behind one that brings a score. Returns how many it took; -status on an error. */
int32_t npgru_push(npgru *c, const int16_t *samples, int32_t n);

/* Instead of npgru_push: a row of features (NPGRU_MELS,) as npgru features computes them, or its int8 codes.
   NPGRU_CLIPS: NPGRU_FRAMES rows are a clip. */
npgru_status npgru_push_features(npgru *c, const uint16_t *features);
npgru_status npgru_push_codes(npgru *c, const int8_t *codes);

/* The clip ends here, with what was pushed so far; a new one begins. NPGRU_NOT_READY: too little for a score. */
npgru_status npgru_flush(npgru *c);

/* The next score, each once, up to 2 of the last npgru_push; NPGRU_NOT_READY: there is none. */
npgru_status npgru_score(npgru *c, npgru_result *result);

/* 1 for a detection: the score of `npgru detect` reaches its threshold, npgru_model.h. */
static inline int npgru_detected(const npgru_result *r) { return r->logits[1] - r->logits[0] >= NPGRU_THRESHOLD; }

#ifdef __cplusplus
}
#endif
#endif
