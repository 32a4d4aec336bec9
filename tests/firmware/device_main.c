/* An exported folder on a device: samples of clips in, every score's bytes out, in chunks of no particular size. */
#include "board.h"
#include "npgru.h"

static npgru detector;
static int16_t samples[1234];

int main(void)
{
    npgru_result result;
    const int32_t in = board_open("samples.bin", "rb"), out = board_open("scores.bin", "wb");
    const npgru_status status = npgru_init(&detector, sizeof detector, NPGRU_CLIPS);
    if (status != NPGRU_OK) return (int)status;
    for (size_t n; (n = board_read(in, samples, sizeof samples) / sizeof samples[0]) > 0;)
        for (size_t at = 0; at < n;) {
            const int32_t taken = npgru_push(&detector, samples + at, (int32_t)(n - at));
            if (taken <= 0) return 10;
            at += (size_t)taken;
            while (npgru_score(&detector, &result) == NPGRU_OK) board_write(out, &result, sizeof result);
        }
    board_close(out);
    return 0;
}
