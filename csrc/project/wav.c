/* Scores a WAV file on this machine: npgru_wav FILE [--continuous]. 16 bits, mono, at the model's sample rate. */
#include <stdio.h>
#include <string.h>
#include "npgru.h"

static uint32_t number(const uint8_t *bytes, int n)                     /* little-endian */
{
    uint32_t value = 0;
    for (int i = n - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

/* The file is left at its first sample. Returns the bytes of its samples, 0 after a message. */
static uint32_t open_samples(FILE *file, const char *name)
{
    uint8_t head[12], format[16] = { 0 };
    int known = 0;
    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0) {
        fprintf(stderr, "%s: not a WAV file\n", name);
        return 0;
    }
    while (fread(head, 1, 8, file) == 8) {
        const uint32_t n = number(head + 4, 4);
        if (memcmp(head, "data", 4) == 0) {
            if (known && number(format, 2) == 1 && number(format + 2, 2) == 1 && number(format + 14, 2) == 16 &&
                number(format + 4, 4) == NPGRU_SAMPLE_RATE_HZ) return n;
            break;
        }
        if (memcmp(head, "fmt ", 4) == 0 && n >= 16) {
            known = fread(format, 1, 16, file) == 16;
            if (fseek(file, (long)(n - 16 + (n & 1)), SEEK_CUR) != 0) break;
        } else if (fseek(file, (long)(n + (n & 1)), SEEK_CUR) != 0) break;
    }
    fprintf(stderr, "%s: needs 16-bit mono PCM at %d Hz\n", name, NPGRU_SAMPLE_RATE_HZ);
    return 0;
}

/* A line for every score that waits. Returns how many. */
static long tell(npgru *detector, long long n_heard)
{
    npgru_result r;
    long n_scores = 0;
    for (; npgru_score(detector, &r) == NPGRU_OK; n_scores++) {
        const double end_s = (double)n_heard / NPGRU_SAMPLE_RATE_HZ;
        printf("%.3f s  score %.4f%s  logits", end_s, (r.probabilities[1] + 128) / 256.0, npgru_detected(&r) ? "  detected" : "");
        for (int k = 0; k < NPGRU_CLASSES; k++) printf(" %d", r.logits[k]);
        printf("\n");
    }
    return n_scores;
}

/* Samples to the detector. Returns how many scores they brought. */
static long listen(npgru *detector, const int16_t *samples, int32_t n, long long begin)
{
    long n_scores = 0;
    for (int32_t at = 0; at < n; ) {
        const int32_t taken = npgru_push(detector, samples + at, n - at);
        if (taken < 0) return n_scores;
        at += taken;
        n_scores += tell(detector, begin + at);
    }
    return n_scores;
}

int main(int argc, char **argv)
{
    static npgru detector;
    uint8_t bytes[2 * 777];                                             /* any size will do */
    int16_t samples[777];
    long n_scores = 0;
    long long n_read = 0;
    const npgru_mode mode = argc == 3 && strcmp(argv[2], "--continuous") == 0 ? NPGRU_CONTINUOUS : NPGRU_CLIPS;
    FILE *file = argc == 2 || mode == NPGRU_CONTINUOUS ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        if (argc == 2 || mode == NPGRU_CONTINUOUS) fprintf(stderr, "%s: cannot be opened\n", argv[1]);
        else fprintf(stderr, "usage: npgru_wav FILE [--continuous]\n");
        return 2;
    }
    uint32_t left = open_samples(file, argv[1]);
    const npgru_status status = npgru_init(&detector, sizeof detector, mode);
    if (left == 0 || status != NPGRU_OK) {
        if (status != NPGRU_OK) fprintf(stderr, "npgru_init: status %d\n", (int)status);
        return 1;
    }
    while (left > 0) {
        const size_t wanted = left < sizeof bytes ? left : sizeof bytes, n = fread(bytes, 1, wanted, file) / 2;
        for (size_t i = 0; i < n; i++) samples[i] = (int16_t)number(bytes + 2 * i, 2);
        n_scores += listen(&detector, samples, (int32_t)n, n_read);
        n_read += (long long)n;
        left = n * 2 < wanted ? 0 : left - (uint32_t)(2 * n);
    }
    fclose(file);
    if (mode == NPGRU_CONTINUOUS && npgru_flush(&detector) == NPGRU_OK) n_scores += tell(&detector, n_read);
    if (n_scores == 0) fprintf(stderr, "%s: shorter than a clip of %d samples\n", argv[1], NPGRU_CLIP_SAMPLES);
    return n_scores == 0;
}
