/* The detector on an emulated Cortex-M, counted: noise in, a line for each figure. Instructions, not cycles.
   With NPGRU_FRONT_END 0 the network alone, from int8 features; with -DDEMO_EMPTY nothing, to tell its bytes. */
#include "board.h"
#include "npgru.h"

#ifdef DEMO_EMPTY
static npgru_status nothing(const npgru *c, const void *p) { return c->magic == 1 || !p ? NPGRU_BAD_MODEL : NPGRU_OK; }
#define npgru_init(c, n_bytes, mode) nothing(c, c)
#define npgru_push(c, samples, n) nothing(c, samples)
#define npgru_push_codes(c, codes) nothing(c, codes)
#define npgru_score(c, result) nothing(c, result)
#endif

static npgru detector;
static uint32_t noise_state = 7;

static uint32_t noise(void)
{
    noise_state = 1664525u * noise_state + 1013904223u;
    return noise_state >> 16;
}

#if NPGRU_FRONT_END
static int16_t samples[NPGRU_CLIP_SAMPLES];
static void prepare(void)
{
    for (int32_t i = 0; i < NPGRU_CLIP_SAMPLES; i++) samples[i] = (int16_t)noise();
}
static void clip(void) { (void)npgru_push(&detector, samples, NPGRU_CLIP_SAMPLES); }
#else
static int8_t codes[NPGRU_FRAMES][NPGRU_MELS];
static void prepare(void)
{
    for (int32_t t = 0; t < NPGRU_FRAMES; t++)
        for (int32_t m = 0; m < NPGRU_MELS; m++) codes[t][m] = (int8_t)noise();
}
static void clip(void)
{
    for (int32_t t = 0; t < NPGRU_FRAMES; t++) (void)npgru_push_codes(&detector, codes[t]);
}
#endif

int main(void)
{
    npgru_result result = { { 0 }, { 0 } };
    prepare();
    if (npgru_init(&detector, sizeof detector, NPGRU_CLIPS) != NPGRU_OK) return 1;
    board_start_counting();
    const uint64_t start = board_ticks();
    clip();
    board_print_number("instructions", board_instructions_since(start));
    if (npgru_score(&detector, &result) != NPGRU_OK) return 2;
    board_print_number("score_256", (uint64_t)(result.probabilities[1] + 128));
    board_print_number("detected", (uint64_t)npgru_detected(&result));
    board_print_number("context_bytes", sizeof detector);
    board_paint_stack();
    clip();
    board_print_number("stack_bytes", board_stack_used());
    return 0;
}
