/* Run by tests/test_export_c.py with the files of an exported folder: input on stdin -> every score, raw, on stdout.
   clips | continuous N: samples, N at a time, the clip ended behind the last | features: rows of features
   statuses: what is refused; prints the number of failures
   chaos SEED N: calls in any order, with what no one should pass, before clips of N samples at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "npgru.h"

static void write_scores(npgru *c)
{
    npgru_result r;
    while (npgru_score(c, &r) == NPGRU_OK)
        if (fwrite(&r, sizeof r, 1, stdout) != 1) exit(5);
}

static void hear(npgru *c, size_t chunk)
{
    int16_t *samples = malloc(sizeof(int16_t) * chunk);
    size_t n;
    while ((n = fread(samples, sizeof(int16_t), chunk, stdin)) > 0)
        for (size_t at = 0; at < n; ) {
            const int32_t taken = npgru_push(c, samples + at, (int32_t)(n - at));
            if (taken <= 0) exit(4);
            at += (size_t)taken;
            write_scores(c);
        }
    free(samples);
    if (npgru_flush(c) == NPGRU_OK) write_scores(c);
}

static void see(npgru *c)
{
    uint16_t *row = malloc(sizeof(uint16_t) * NPGRU_MELS);
    while (fread(row, sizeof(uint16_t), NPGRU_MELS, stdin) == NPGRU_MELS) {
        if (npgru_push_features(c, row) != NPGRU_OK) exit(4);
        write_scores(c);
    }
    free(row);
}

static int n_failed = 0;

static void expect(int found, int expected, const char *what)
{
    if (found == expected) return;
    printf("%s: %d, expected %d\n", what, found, expected);
    n_failed++;
}

static void statuses(npgru *c)
{
    npgru_result r;
    const int16_t sample = 1;
    const uint16_t row[NPGRU_MELS] = { 0 };
    const int8_t codes[NPGRU_MELS] = { 0 };
    memset(c, 0, sizeof *c);
    expect(npgru_push(c, &sample, 1), -NPGRU_NOT_READY, "push before init");
    expect(npgru_push_features(c, row), NPGRU_NOT_READY, "push_features before init");
    expect(npgru_push_codes(NULL, codes), NPGRU_NOT_READY, "push_codes without a context");
    expect(npgru_flush(c), NPGRU_NOT_READY, "flush before init");
    expect(npgru_score(c, &r), NPGRU_NOT_READY, "score before init");
    expect(npgru_init(c, sizeof *c - 1, NPGRU_CLIPS), NPGRU_TOO_SMALL, "a context too small");
    expect(npgru_init(c, 0, NPGRU_CLIPS), NPGRU_TOO_SMALL, "an empty context");
    expect(npgru_init(NULL, sizeof *c, NPGRU_CLIPS), NPGRU_TOO_SMALL, "no context");
    expect(npgru_init((npgru *)(void *)((char *)c + 2), sizeof *c, NPGRU_CLIPS), NPGRU_TOO_SMALL, "a context at an odd address");
    expect(npgru_init(c, sizeof *c, (npgru_mode)2), NPGRU_BAD_RANGE, "an unknown mode");
    expect(npgru_push(c, &sample, 1), -NPGRU_NOT_READY, "push after a refused init");
    expect(npgru_init(c, sizeof *c, NPGRU_CLIPS), NPGRU_OK, "init");
    expect(npgru_score(c, &r), NPGRU_NOT_READY, "no score yet");
    expect(npgru_score(c, NULL), NPGRU_NOT_READY, "nowhere to put a score");
    expect(npgru_push(c, NULL, 1), -NPGRU_BAD_SHAPE, "no samples");
    expect(npgru_push(c, &sample, -1), -NPGRU_BAD_SHAPE, "less than no samples");
    expect(npgru_push(c, NULL, 0), 0, "none");
    expect(npgru_push(c, &sample, 1), 1, "one sample");
    expect(npgru_flush(c), NPGRU_NOT_READY, "a clip of one sample");
    expect(npgru_flush(c), NPGRU_NOT_READY, "no clip at all");
    for (int32_t t = 0; t < NPGRU_FRAMES; t++) expect(npgru_push_codes(c, codes), NPGRU_OK, "a row");
    expect(npgru_init(c, sizeof *c, (npgru_mode)2), NPGRU_BAD_RANGE, "an unknown mode, a score waits");
    expect(npgru_score(c, &r), NPGRU_NOT_READY, "score after a refused init");
    expect(npgru_push_codes(c, codes), NPGRU_NOT_READY, "push_codes after a refused init");
    expect(npgru_init(c, sizeof *c, NPGRU_CONTINUOUS), NPGRU_OK, "init after a refused one");
    expect(npgru_score(c, &r), NPGRU_NOT_READY, "the score before is gone");
    for (int32_t t = 0; t < NPGRU_FRAMES; t++) expect(npgru_push_features(c, row), NPGRU_OK, "a row of features");
    expect(npgru_flush(c), NPGRU_OK, "the clip ends");
    expect(npgru_score(c, &r), NPGRU_OK, "its score");
}

/* Calls in any order, in memory that held something else. All of it must be gone with the next npgru_init. */
static void chaos(npgru *c, uint32_t noise)
{
    int16_t samples[1500];
    uint16_t row[NPGRU_MELS];
    int8_t codes[NPGRU_MELS];
    npgru_result r;
    memset(c, 0xA5, sizeof *c);
    for (int call = 0; call < 600; call++) {
        for (int i = 0; i < 1500; i++) noise = 1664525u * noise + 1013904223u, samples[i] = (int16_t)(noise >> 16);
        for (int m = 0; m < NPGRU_MELS; m++) row[m] = (uint16_t)samples[m], codes[m] = (int8_t)samples[m];
        const uint32_t what = noise >> 16 & 63, size = noise >> 22;
        const int32_t n = (int32_t)(size < 1000 ? size : 1500);
        if (what == 0) (void)npgru_init(c, sizeof *c, (npgru_mode)(size % 3));
        else if (what == 1) (void)npgru_init(c, sizeof *c - size % 2, NPGRU_CONTINUOUS);
        else if (what < 4) (void)npgru_flush(c);
        else if (what < 10) (void)npgru_push_features(c, row);
        else if (what < 20) (void)npgru_push_codes(c, codes);
        else if (what < 26) (void)npgru_score(c, what < 21 ? NULL : &r);
        else if (what == 26) (void)npgru_push(c, NULL, n);
        else if (what == 27) (void)npgru_push(c, samples, INT32_MIN);
        else (void)npgru_push(c, samples, n);
    }
}

int main(int argc, char **argv)
{
    npgru *c = malloc(sizeof *c);
    const int continuous = argc > 1 && strcmp(argv[1], "continuous") == 0;
    if (argc < 2 || !c) return 2;
    if (strcmp(argv[1], "statuses") == 0) {
        statuses(c);
    } else {
        const int is_chaos = strcmp(argv[1], "chaos") == 0;
        if (is_chaos) chaos(c, (uint32_t)strtoul(argv[2], NULL, 10)), argv++, argc--;
        const npgru_status status = npgru_init(c, sizeof *c, continuous ? NPGRU_CONTINUOUS : NPGRU_CLIPS);
        if (status != NPGRU_OK) {
            printf("status %d\n", (int)status);
            free(c);
            return 3;
        }
        if (argc > 2) hear(c, (size_t)strtoul(argv[2], NULL, 10));
        else see(c);
    }
    free(c);
    return n_failed != 0;
}
