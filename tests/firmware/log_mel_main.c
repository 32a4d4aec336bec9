/* Both forms of the front end on a device, window by window, for front ends of many sizes: do they give the same bits?
   front_ends.h is written by test_log_mel.py: an array of npgru_log_mel_params, `front_ends`. */
#include "board.h"
#include "npgru_int8.h"
#include "front_ends.h"

enum { MOST = 2048, N_FRONT_ENDS = sizeof front_ends / sizeof *front_ends, N_WINDOWS = 60 };
static int16_t samples[MOST];
static uint32_t scratch[MOST], noise_state = 7;
static uint16_t exact[256], found[256];

static int16_t noise(void)
{
    noise_state = 1664525u * noise_state + 1013904223u;
    return (int16_t)(noise_state >> 16);
}

/* Window k: noise of every level, the ends of the range, zeros but for one sample. */
static int16_t sample(int32_t k, int32_t i)
{
    const int16_t x = noise();
    if (k < 3 * 16) return (int16_t)(x >> k / 3);
    if (k % 3 == 0) return x < 0 ? INT16_MIN : INT16_MAX;
    if (k % 3 == 1) return i % 97 == k ? x : 0;
    return (int16_t)(i / (k - 40) % 2 ? INT16_MIN : INT16_MAX);
}

int main(void)
{
    uint32_t different = 0, largest = 0;
    for (int32_t f = 0; f < N_FRONT_ENDS; f++)
        for (int32_t k = 0; k < N_WINDOWS; k++) {
            const npgru_log_mel_params *p = &front_ends[f];
            const int32_t n = k % 5 == 4 ? p->window_len - k : p->window_len;
            for (int32_t i = 0; i < p->window_len; i++) samples[i] = sample(k, i);
            if (npgru_log_mel_frame(p, samples, n > 0 ? n : 0, scratch, exact) != NPGRU_OK) return 1;
            if (npgru_log_mel_frame_pairs(p, samples, n > 0 ? n : 0, scratch, found) != NPGRU_OK) return 2;
            for (int32_t i = 0; i < p->n_channels; i++) {
                different += exact[i] != found[i];
                if (exact[i] > largest) largest = exact[i];
            }
        }
    board_print_number("different", different);
    board_print_number("largest", largest);
    return 0;
}
