/* Windows in, one after another, each as long as its front end says, of which every fifth ends early; features out.
   tables.h: front ends, `goods`. */
#include "board.h"
#include "npgru_int8.h"
#include "tables.h"

enum { N_WINDOWS = 24, MAX_LENGTH = 2048, MAX_CHANNELS = 256 };

int main(void)
{
    static int16_t samples[MAX_LENGTH];
    static uint32_t scratch[MAX_LENGTH];
    static uint16_t features[MAX_CHANNELS];
    const int32_t input = board_open("samples.bin", "rb"), output = board_open("features.bin", "wb");
    for (size_t g = 0; g < sizeof goods / sizeof goods[0]; g++)
        for (int32_t t = 0; t < N_WINDOWS; t++) {
            const int32_t N = goods[g].window_len, n = t % 5 == 4 ? N - t : N;
            (void)board_read(input, samples, (size_t)N * sizeof samples[0]);
            if (npgru_log_mel_frame_pairs(&goods[g], samples, n > 0 ? n : 0, scratch, features) != NPGRU_OK) return 1;
            board_write(output, features, (size_t)goods[g].n_channels * sizeof features[0]);
        }
    board_close(output);
    return 0;
}
