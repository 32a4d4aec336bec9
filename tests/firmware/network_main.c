/* The exported network on a device: int8 features of clips in, logits and probabilities out; instructions of the first clip. */
#include "board.h"
#include "npgru.h"

static npgru detector;
static int8_t codes[NPGRU_FRAMES][NPGRU_MELS];

static void clip(void)
{
    for (int32_t t = 0; t < NPGRU_FRAMES; t++) (void)npgru_push_codes(&detector, codes[t]);
}

int main(void)
{
    npgru_result result = { { 0 }, { 0 } };
    const int32_t input = board_open("codes.bin", "rb"), output = board_open("scores.bin", "wb");
    if (npgru_init(&detector, sizeof detector, NPGRU_CLIPS) != NPGRU_OK) return 1;
    board_start_counting();
    for (int32_t k = 0; board_read(input, codes, sizeof codes) == sizeof codes; k++) {
        const uint64_t start = board_ticks();
        clip();
        if (k == 0) board_print_number("instructions", board_instructions_since(start));
        if (npgru_score(&detector, &result) != NPGRU_OK) return 2;
        board_write(output, result.logits, sizeof result.logits);
        board_write(output, result.probabilities, sizeof result.probabilities);
    }
    board_close(output);
    board_print_number("context_bytes", sizeof detector);
    board_paint_stack();
    clip();
    board_print_number("stack_bytes", board_stack_used());
    return 0;
}
