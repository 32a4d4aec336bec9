/* The stream: samples -> windows -> features -> the network; clips begin and end here. */
#include "cortex_m.h"
#include "network.h"

#define MAGIC 0x6E706731u       /* of a context that was initialised */

CM_SMALL static uint32_t crc32(uint32_t crc, const uint8_t *bytes, uint32_t n)       /* reflected, 0xEDB88320 */
{
    for (uint32_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int32_t bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return crc;
}

CM_SMALL static int good_model(void)
{
    uint32_t crc = 0xFFFFFFFFu;
    if (npgru_model.magic != NPGRU_MODEL_MAGIC) return 0;
    for (int32_t i = 0; i < npgru_model.n_arrays; i++)
        crc = crc32(crc, npgru_model.arrays[i].bytes, npgru_model.arrays[i].n_bytes);
    return (crc ^ 0xFFFFFFFFu) == npgru_model.check;
}

static void begin(npgru *c)
{
#if NPGRU_FRONT_END
    c->n_samples = c->n_clip = 0;
#endif
    c->n_rows = 0;
    npgru_network_reset(c);
}

CM_SMALL npgru_status npgru_init(npgru *c, size_t context_bytes, npgru_mode mode)
{
    if (!c || context_bytes != sizeof(npgru) || (uintptr_t)c % sizeof(uint32_t) != 0) return NPGRU_TOO_SMALL;
    c->magic = 0;
    if (mode != NPGRU_CLIPS && !(NPGRU_WITH_CONTINUOUS && mode == NPGRU_CONTINUOUS)) return NPGRU_BAD_RANGE;
    if (!good_model()) return NPGRU_BAD_MODEL;
    c->magic = MAGIC;
    c->mode = (int32_t)mode;
    c->n_new = 0;
    begin(c);
    return NPGRU_OK;
}

/* u = min(floor(f / scale + 1/2), 255 - zero) + zero: npgru_quantize_features, u = code + 128. */
static npgru_half quantized(uint16_t f)
{
    const uint16_t bounded = f < NPGRU_FEATURES_LAST ? f : NPGRU_FEATURES_LAST;        /* from there on it is 255 */
    const uint32_t q = (uint32_t)((bounded * NPGRU_FEATURES_MULTIPLIER + NPGRU_FEATURES_HALF) >> NPGRU_FEATURES_SHIFT);
    return (npgru_half)(q < 255 - NPGRU_FEATURES_ZERO ? q + NPGRU_FEATURES_ZERO : 255);
}

static void write_row(npgru *c, const uint16_t *features)
{
    npgru_half *row = npgru_network_row(c);
    for (int32_t m = 0; row && m < NPGRU_MELS; m++) row[m] = quantized(features[m]);
}

/* u = code + 128; four at a time where a word may be at any address. */
static void write_codes(npgru_half *row, const int8_t *codes)
{
#if CM_HAS_DSP && defined(__ARM_FEATURE_UNALIGNED)
    const int32_t n = NPGRU_MELS & ~3;
    for (int32_t m = 0; m < n; m += 4) {
        uint32_t word;
        __builtin_memcpy(&word, codes + m, sizeof word);
        word ^= 0x80808080u;
        const uint32_t even = cm_uxtb16(word), odd = cm_uxtb16_8(word);
        const uint32_t first = cm_pair((int32_t)even, (int32_t)odd), second = cm_high_pair(even, odd);
        __builtin_memcpy(row + m, &first, sizeof first);
        __builtin_memcpy(row + m + 2, &second, sizeof second);
    }
#else
    const int32_t n = 0;
#endif
    for (int32_t m = n; m < NPGRU_MELS; m++) row[m] = (npgru_half)(codes[m] + 128);
}

static npgru_status end(npgru *c)
{
    const npgru_status status = npgru_network_end(c);
    begin(c);
    return status;
}

#if NPGRU_FRONT_END
/* The samples in the buffer, zeros behind them -> a row of features. */
static void window_done(npgru *c)
{
    uint16_t features[NPGRU_MELS];
    const int32_t n = c->n_samples > 0 ? c->n_samples : 0;
    (void)NPGRU_LOG_MEL(&npgru_front_end, c->samples, n, c->work, features);            /* its struct was exported */
    write_row(c, features);
    npgru_network_push(c);
}

/* n samples; to lies before from, or anywhere apart. */
static void copy(int16_t *to, const int16_t *from, int32_t n)
{
    for (; n >= 8; n -= 8, to += 8, from += 8) {
#if CM_HAS_HELIUM
        vstrhq_s16(to, vldrhq_s16(from));
#else
        for (int32_t k = 0; k < 8; k += 2) cm_copy_pair(to + k, from + k);
#endif
        NPGRU_BARRIER();
    }
    for (; n > 0; n--) {
        *to++ = *from++;
        NPGRU_BARRIER();
    }
}

/* The buffer is full: a row of features, and room for the next window's samples. */
static void slide(npgru *c)
{
    const int32_t stride = NPGRU_WINDOW_STRIDE, kept = NPGRU_WINDOW_SAMPLES - stride;
    window_done(c);
    copy(c->samples, c->samples + stride, kept);
    c->n_samples = kept;
}

/* Up to n samples into the buffer, no further than the clip's end -> how many. */
static int32_t take(npgru *c, const int16_t *samples, int32_t n)
{
    const int32_t room = c->n_samples < 0 ? -c->n_samples : NPGRU_WINDOW_SAMPLES - c->n_samples;
    if (n > room) n = room;
    if (c->mode == NPGRU_CLIPS && n > NPGRU_CLIP_SAMPLES - c->n_clip) n = NPGRU_CLIP_SAMPLES - c->n_clip;
    if (c->n_samples >= 0) copy(c->samples + c->n_samples, samples, n);
    c->n_samples += n;
    if (c->n_clip < NPGRU_CLIP_SAMPLES) c->n_clip += n;
    return n;
}

int32_t npgru_push(npgru *c, const int16_t *samples, int32_t n)
{
    if (!c || c->magic != MAGIC) return -NPGRU_NOT_READY;
    if (n < 0 || (n > 0 && !samples)) return -NPGRU_BAD_SHAPE;
    int32_t at = 0;
    c->n_new = 0;
    while (at < n && c->n_new == 0) {
        at += take(c, samples + at, n - at);
        if (c->n_samples == NPGRU_WINDOW_SAMPLES) slide(c);
        if (c->mode == NPGRU_CLIPS && c->n_clip >= NPGRU_CLIP_SAMPLES) (void)npgru_flush(c);
    }
    return at;
}
#endif

static void row_done(npgru *c)
{
    npgru_network_push(c);
    if (c->mode == NPGRU_CLIPS && ++c->n_rows == NPGRU_FRAMES) (void)end(c);
}

npgru_status npgru_push_features(npgru *c, const uint16_t *features)
{
    if (!c || c->magic != MAGIC) return NPGRU_NOT_READY;
    write_row(c, features);
    row_done(c);
    return NPGRU_OK;
}

npgru_status npgru_push_codes(npgru *c, const int8_t *codes)
{
    if (!c || c->magic != MAGIC) return NPGRU_NOT_READY;
    npgru_half *row = npgru_network_row(c);
    if (row) write_codes(row, codes);
    row_done(c);
    return NPGRU_OK;
}

npgru_status npgru_flush(npgru *c)
{
    if (!c || c->magic != MAGIC) return NPGRU_NOT_READY;
#if NPGRU_FRONT_END
    if (NPGRU_PAD_TAIL && c->n_clip >= NPGRU_WINDOW_SAMPLES) window_done(c);
#endif
    return end(c);
}

npgru_status npgru_score(npgru *c, npgru_result *result)
{
    if (!c || c->magic != MAGIC || !result || c->n_new == 0) return NPGRU_NOT_READY;
    *result = c->results[0];
    c->results[0] = c->results[1];
    c->n_new--;
    return NPGRU_OK;
}
