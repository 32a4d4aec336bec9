/* Run by tests/test_kernels.py under -fsanitize=address,undefined: the log-mel kernels on nasty signals in
   buffers of exactly the stated size, and on bad structs. tables.h: an array of npgru_log_mel_params, `goods`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host/npgru_host.h"
#include "tables.h"

static int n_failed = 0;

static void expect(int ok, const char *what)
{
    if (ok) return;
    printf("failed: %s\n", what);
    n_failed++;
}

static int16_t sample(int kind, int32_t i)
{
    static uint32_t state = 7;
    state = 1664525u * state + 1013904223u;
    const int16_t noise = (int16_t)(state >> 16);
    const int16_t of_kind[] = { 0, -32768, 32767, (int16_t)(i % 2 ? -32768 : 32767), noise, (int16_t)(noise / 16384),
                                (int16_t)(i % 97 ? 0 : -32768) };
    return of_kind[kind];
}

/* Both forms on one clip; equal, and nothing outside the buffers is touched. */
static void compare(const npgru_log_mel_params *p, int32_t n, int kind)
{
    const size_t n_bytes = sizeof(uint16_t) * (size_t)npgru_log_mel_n_frames(p, n) * (size_t)p->n_channels;
    int16_t *x = malloc(sizeof(int16_t) * (size_t)n);
    uint16_t *device = malloc(n_bytes), *host = malloc(n_bytes);
    void *scratch = malloc(npgru_log_mel_scratch_bytes(p)), *host_scratch = malloc(npgru_log_mel_host_scratch_bytes(p));
    for (int32_t i = 0; i < n; i++) x[i] = sample(kind, i);
    expect(npgru_log_mel(p, x, n, scratch, device) == NPGRU_OK, "device form runs");
    expect(npgru_log_mel_host(p, x, 1, n, host_scratch, host) == NPGRU_OK, "host form runs");
    expect(memcmp(device, host, n_bytes) == 0, "host form equals device form");
    const int32_t last = (npgru_log_mel_n_frames(p, n) - 1) * p->window_stride, rest = n - last;
    for (int32_t t = 0; t * p->window_stride <= last; t++) {
        const int32_t there = t * p->window_stride < last || !p->pad_tail ? p->window_len : rest > 0 ? rest : 0;
        const npgru_status status = npgru_log_mel_frame_pairs(p, x + (there > 0 ? t * p->window_stride : 0), there, scratch,
                                                              host + t * p->n_channels);
        expect(status == NPGRU_OK, "pairs form runs");
    }
    expect(memcmp(device, host, n_bytes) == 0, "pairs form equals device form");
    free(x), free(device), free(host), free(scratch), free(host_scratch);
}

/* The struct must be refused by every function, without touching a buffer. */
static void expect_refused(const npgru_log_mel_params *p, const char *what)
{
    expect(npgru_log_mel_scratch_bytes(p) == 0 && npgru_log_mel_host_scratch_bytes(p) == 0, what);
    expect(npgru_log_mel_n_frames(p, 100000) == 0, what);
    expect(npgru_log_mel_frame(p, NULL, 0, NULL, NULL) != NPGRU_OK, what);
    expect(npgru_log_mel_frame_pairs(p, NULL, 0, NULL, NULL) != NPGRU_OK, what);
    expect(npgru_log_mel(p, NULL, 100000, NULL, NULL) != NPGRU_OK, what);
    expect(npgru_log_mel_host(p, NULL, 1, 100000, NULL, NULL) != NPGRU_OK, what);
}

#define REFUSED(field, value) \
    do { npgru_log_mel_params p = *good; p.field = value; expect_refused(&p, #field); } while (0)

static void bad_structs(const npgru_log_mel_params *good)
{
    int16_t segments[258];
    const int32_t M = good->n_channels;
    REFUSED(window_len, 0); REFUSED(window_len, 8); REFUSED(window_len, -512); REFUSED(window_len, 500);
    REFUSED(window_len, 16384); REFUSED(window_len, INT32_MIN);
    REFUSED(window_stride, 0); REFUSED(window_stride, 65537); REFUSED(window_stride, INT32_MIN);
    REFUSED(window_bits, -1); REFUSED(window_bits, 15); REFUSED(post_bits, -1); REFUSED(post_bits, 13);
    REFUSED(n_channels, 0); REFUSED(n_channels, 257); REFUSED(n_channels, INT32_MAX);
    REFUSED(pad_tail, 2); REFUSED(pad_tail, -1);
    REFUSED(window, NULL); REFUSED(twiddles, NULL); REFUSED(segments, NULL);
    REFUSED(weights, NULL); REFUSED(unweights, NULL); REFUSED(log_table, NULL);
    memcpy(segments, good->segments, sizeof(int16_t) * (size_t)(M + 2));
    segments[0] = 0;
    REFUSED(segments, segments);
    segments[0] = (int16_t)(segments[1] + 1);
    REFUSED(segments, segments);
    segments[0] = good->segments[0];
    segments[M + 1] = (int16_t)(good->window_len / 2);
    REFUSED(segments, segments);
    expect(npgru_log_mel(good, NULL, good->window_len - 1, NULL, NULL) == NPGRU_BAD_SHAPE, "a clip too short");
    expect(npgru_log_mel(good, NULL, INT32_MAX, NULL, NULL) == NPGRU_BAD_SHAPE, "a clip too long");
    expect(npgru_log_mel_host(good, NULL, -1, good->window_len, NULL, NULL) == NPGRU_BAD_SHAPE, "clips below 0");
    expect(npgru_log_mel_frame(good, NULL, good->window_len + 1, NULL, NULL) == NPGRU_BAD_SHAPE, "a window too long");
}

int main(void)
{
    for (size_t g = 0; g < sizeof goods / sizeof goods[0]; g++) {
        const int32_t N = goods[g].window_len, stride = goods[g].window_stride;
        const int32_t lengths[] = { N, N + 1, N + 5 * stride - 1, N + 9 * stride + 3 };
        for (int kind = 0; kind < 7; kind++)
            for (int i = 0; i < 4; i++) compare(&goods[g], lengths[i], kind);
        bad_structs(&goods[g]);
    }
    return n_failed != 0;
}
