/* The readable kernels of csrc/ on a device: samples of clips in, every layer's codes out, the instructions of each.
   network.h is written by network_source.py: the numbers of one network, and network(), which calls RUN once a layer. */
#include "board.h"
#include "npgru_int8.h"

/* The call is an argument: it is done after the ticks are read, and before finish reads them again. */
#define RUN(name, call, y, n_bytes) do { const uint64_t start = board_ticks(); finish(name, call, start, y, n_bytes); } while (0)

enum { MAX_SCRATCH = 8192, MAX_UNITS = 256 };
static int32_t output, counting;
static int16_t scratch[MAX_SCRATCH] __attribute__((aligned(4)));

static void finish(const char *name, npgru_status status, uint64_t start, const void *y, size_t n_bytes)
{
    const uint64_t instructions = board_instructions_since(start);
    if (status != NPGRU_OK) {
        board_print_number(name, status);
        board_exit(2);
    }
    if (counting) board_print_number(name, instructions);
    board_write(output, y, n_bytes);
}

/* All states of a GRU, h (T, H), from a state of zeros; and their sum over time, (H,). */
#define GRU(suffix, state_type, bias_type)                                                                           \
    static inline npgru_status gru_##suffix(const npgru_gru_params *p, int32_t T, const int8_t *x, const int8_t *w,  \
                                            const int8_t *u, const bias_type *bx, const bias_type *bh, state_type *h) \
    {                                                                                                                \
        state_type state[MAX_UNITS] = { 0 };                                                                         \
        npgru_status status = NPGRU_OK;                                                                              \
        for (int32_t t = 0; t < T && status == NPGRU_OK; t++, x += p->in_features) {                                 \
            status = npgru_gru_step_##suffix(p, x, w, u, bx, bh, scratch, state);                                    \
            for (int32_t i = 0; i < p->units; i++) *h++ = state[i];                                                  \
        }                                                                                                            \
        return status;                                                                                               \
    }                                                                                                                \
    static inline const int32_t *time_sum_##suffix(int32_t T, int32_t H, const state_type *h)                        \
    {                                                                                                                \
        static int32_t sum[MAX_UNITS];                                                                               \
        for (int32_t i = 0; i < H; i++) sum[i] = 0;                                                                  \
        for (int32_t i = 0; i < T * H; i++) sum[i % H] += h[i];                                                      \
        return sum;                                                                                                  \
    }
GRU(s16, int16_t, int64_t)
GRU(s8, int8_t, int32_t)

#include "network.h"

static int16_t samples[N_SAMPLES];
static uint16_t features[N_FEATURES];

/* The clip window by window, by the faster form. */
static npgru_status log_mel_pairs(void)
{
    npgru_status status = NPGRU_OK;
    for (int32_t t = 0; t < N_FRAMES && status == NPGRU_OK; t++) {
        const int32_t first = t * front_end.window_stride, rest = N_SAMPLES - first;
        const int32_t n = rest < front_end.window_len ? rest : front_end.window_len;
        status = npgru_log_mel_frame_pairs(&front_end, samples + first, n, scratch, features + t * front_end.n_channels);
    }
    return status;
}

int main(void)
{
    const int32_t clips = board_open("samples.bin", "rb");
    output = board_open("layers.bin", "wb");
    board_start_counting();
    for (counting = 1; board_read(clips, samples, sizeof samples) == sizeof samples; counting = 0) {
        RUN("log_mel", npgru_log_mel(&front_end, samples, N_SAMPLES, scratch, features), features, sizeof features);
        RUN("log_mel_pairs", log_mel_pairs(), features, sizeof features);
        network(features);
    }
    board_close(output);
    return 0;
}
