/* npgru_log_mel over many clips: chooses the AVX2 form or the device form at run time. */
#include "log_mel_avx2.h"
#include "npgru_host.h"

static int32_t bit_reversed(int32_t k, int32_t n)         /* k < n, n a power of two up to 2^15 */
{
    k = (k & 0x5555) << 1 | (k >> 1 & 0x5555);
    k = (k & 0x3333) << 2 | (k >> 2 & 0x3333);
    k = (k & 0x0f0f) << 4 | (k >> 4 & 0x0f0f);
    k = (k & 0x00ff) << 8 | (k >> 8 & 0x00ff);
    return k * n >> 16;                                   /* of 16 reversed bits the upper log2(n) */
}

static int32_t rounded_up(int32_t M)
{
    return (M + 7) & ~7;
}

/* Lays the workspace out in the caller's scratch: 52 N + 80 M8 bytes from a multiple of 32 on. */
static npgru_log_mel_workspace make_workspace(const npgru_log_mel_params *p, void *scratch)
{
    const int32_t N = p->window_len, first = p->segments[0], bins = p->segments[p->n_channels + 1] - first;
    npgru_log_mel_workspace w;
    w.z = (int32_t *)(((uintptr_t)scratch + 31) & ~(uintptr_t)31);
    w.sums = (uint64_t *)(void *)(w.z + NPGRU_LANES * N);
    w.windowed = (int16_t *)(w.sums + NPGRU_LANES * rounded_up(p->n_channels));
    w.tail = w.windowed + NPGRU_LANES * N;
    w.rows = (uint16_t *)(w.tail + N);                    /* bins < N/2, so 2 bins fit in N */
    w.y = w.rows + N;
    for (int32_t bin = 0; bin < bins; bin++) {
        w.rows[2 * bin] = (uint16_t)bit_reversed(first + bin, N);
        w.rows[2 * bin + 1] = (uint16_t)bit_reversed(N - first - bin, N);
    }
    return w;
}

/* One clip of T windows -> y (T, M). A last group that is not full repeats the last window. */
static void log_mel_clip(const npgru_log_mel_params *p, const npgru_log_mel_workspace *w,
                         const int16_t *samples, int32_t n_samples, int32_t T, uint16_t *y)
{
    const int32_t M = p->n_channels, last = (T - 1) * p->window_stride;
    if (p->pad_tail)
        for (int32_t i = 0; i < p->window_len; i++)
            w->tail[i] = (int16_t)(i < n_samples - last ? samples[last + i] : 0);
    for (int32_t first = 0; first < T; first += NPGRU_LANES) {
        const int16_t *x[NPGRU_LANES];
        for (int32_t f = 0; f < NPGRU_LANES; f++) {
            const int32_t t = first + f < T ? first + f : T - 1;
            x[f] = p->pad_tail && t == T - 1 ? w->tail : samples + t * p->window_stride;
        }
        npgru_log_mel_group_avx2(p, w, x);
        for (int32_t f = 0; f < NPGRU_LANES && first + f < T; f++)
            for (int32_t q = 0; q < M; q++) *y++ = w->y[f * rounded_up(M) + q];
    }
}

int32_t npgru_log_mel_host_is_avx2(const npgru_log_mel_params *p)
{
    return npgru_log_mel_scratch_bytes(p) != 0 && p->window_len >= 32 && npgru_has_avx2();
}

size_t npgru_log_mel_host_scratch_bytes(const npgru_log_mel_params *p)
{
    if (!npgru_log_mel_host_is_avx2(p)) return npgru_log_mel_scratch_bytes(p);
    return 52 * (size_t)p->window_len + 80 * (size_t)rounded_up(p->n_channels) + 31;
}

npgru_status npgru_log_mel_host(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_clips,
                                int32_t n_samples, void *scratch, uint16_t *y)
{
    const int32_t T = npgru_log_mel_n_frames(p, n_samples);
    if (T == 0) return npgru_log_mel(p, samples, n_samples, scratch, y);       /* says what is bad */
    if (n_clips < 0) return NPGRU_BAD_SHAPE;
    const int avx2 = npgru_log_mel_host_is_avx2(p);
    npgru_log_mel_workspace w = { 0 };
    if (avx2) w = make_workspace(p, scratch);
    for (int32_t i = 0; i < n_clips; i++) {
        if (avx2) log_mel_clip(p, &w, samples, n_samples, T, y);
        else (void)npgru_log_mel(p, samples, n_samples, scratch, y);
        samples += n_samples;
        y += (size_t)T * (size_t)p->n_channels;
    }
    return NPGRU_OK;
}
