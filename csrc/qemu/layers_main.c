/* The instructions of every layer of an exported detector, for one clip of noise: npgru cost --measure.
   The linker puts a count around each kernel (--wrap), whose time is not counted; the kernels are those of the folder. */
#include "board.h"
#include "npgru.h"

static npgru detector;
static int16_t samples[NPGRU_CLIP_SAMPLES];
static uint64_t front_end, conv, depthwise[NPGRU_BLOCKS + 1], pointwise[NPGRU_BLOCKS + 1], gru_input, gru_step;

#define COUNTED(total, type, name, arguments, call)                     \
    type __real_##name arguments;                                       \
    type __wrap_##name arguments;                                       \
    type __wrap_##name arguments                                        \
    {                                                                   \
        const uint64_t start = board_ticks();                           \
        __real_##name call;                                             \
        total += board_instructions_since(start);                       \
    }

#define CONV_ARGUMENTS (const npgru_conv *p, const npgru_half *x, uint32_t *work, uint8_t *ring, int32_t slot)
#define DEPTHWISE_ARGUMENTS (const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first, int32_t n, npgru_half *y)
#define POINTWISE_ARGUMENTS \
    (const npgru_pointwise *p, const npgru_half *x, int32_t rows, int32_t turn, int32_t first, int32_t n, uint8_t *ring)
#define POOL_ARGUMENTS \
    (const npgru_pointwise *p, const npgru_half *x, int32_t rows, int32_t first, int32_t n, npgru_half *y)

#if NPGRU_FAST_CONV
COUNTED(conv, void, npgru_conv_fast, CONV_ARGUMENTS, (p, x, work, ring, slot))
#endif
#if NPGRU_PLAIN_CONV
COUNTED(conv, void, npgru_conv_plain, CONV_ARGUMENTS, (p, x, work, ring, slot))
#endif
#if NPGRU_BLOCKS > 0
#if NPGRU_FAST_DEPTHWISE
COUNTED(depthwise[p - npgru_model.depthwise], void, npgru_depthwise_fast, DEPTHWISE_ARGUMENTS, (p, ring, turn, first, n, y))
#endif
#if NPGRU_PLAIN_DEPTHWISE
COUNTED(depthwise[p - npgru_model.depthwise], void, npgru_depthwise_plain, DEPTHWISE_ARGUMENTS, (p, ring, turn, first, n, y))
#endif
#if NPGRU_FAST_POOL
COUNTED(pointwise[p - npgru_model.pointwise], void, npgru_pool_fast, POOL_ARGUMENTS, (p, x, rows, first, n, y))
#endif
#if NPGRU_PLAIN_POOL
COUNTED(pointwise[p - npgru_model.pointwise], void, npgru_pool_plain, POOL_ARGUMENTS, (p, x, rows, first, n, y))
#endif
#endif
#if NPGRU_BLOCKS > 1
#if NPGRU_FAST_POINTWISE
COUNTED(pointwise[p - npgru_model.pointwise], void, npgru_pointwise_fast, POINTWISE_ARGUMENTS, (p, x, rows, turn, first, n, ring))
#endif
#if NPGRU_PLAIN_POINTWISE
COUNTED(pointwise[p - npgru_model.pointwise], void, npgru_pointwise_plain, POINTWISE_ARGUMENTS, (p, x, rows, turn, first, n, ring))
#endif
#endif
#if NPGRU_FAST_GRU
COUNTED(gru_input, void, npgru_gru_input_fast, (const npgru_gru *p, const npgru_half *x, int16_t *gx), (p, x, gx))
COUNTED(gru_step, void, npgru_gru_step_fast, (const npgru_gru *p, const int16_t *gx, int16_t *scratch, npgru_state *h),
        (p, gx, scratch, h))
#else
COUNTED(gru_step, void, npgru_gru_plain,
        (const npgru_gru *p, const npgru_half *x, int32_t row, void *scratch, npgru_state *h), (p, x, row, scratch, h))
#endif

npgru_status __real_npgru_log_mel_frame_pairs(const npgru_log_mel_params *p, const int16_t *x, int32_t n, void *scratch, uint16_t *y);
npgru_status __wrap_npgru_log_mel_frame_pairs(const npgru_log_mel_params *p, const int16_t *x, int32_t n, void *scratch, uint16_t *y);
npgru_status __wrap_npgru_log_mel_frame_pairs(const npgru_log_mel_params *p, const int16_t *x, int32_t n, void *scratch, uint16_t *y)
{
    const uint64_t start = board_ticks();
    const npgru_status status = __real_npgru_log_mel_frame_pairs(p, x, n, scratch, y);
    front_end += board_instructions_since(start);
    return status;
}

static void print_block(const char *layer, int32_t block, uint64_t instructions)
{
    char name[] = "block1_";
    name[5] = (char)('1' + block);
    board_print(name);
    board_print_number(layer, instructions);
}

int main(void)
{
    uint32_t noise = 7;
    npgru_result result;
    for (int32_t i = 0; i < NPGRU_CLIP_SAMPLES; i++) {
        noise = 1664525u * noise + 1013904223u;
        samples[i] = (int16_t)(noise >> 16);
    }
    if (npgru_init(&detector, sizeof detector, NPGRU_CLIPS) != NPGRU_OK) return 1;
    board_start_counting();
    (void)npgru_push(&detector, samples, NPGRU_CLIP_SAMPLES);
    if (npgru_score(&detector, &result) != NPGRU_OK) return 2;
    board_print_number("front_end", front_end);
    board_print_number("conv", conv);
    for (int32_t b = 0; b < NPGRU_BLOCKS; b++) {
        print_block("depthwise", b, depthwise[b]);
        print_block("pointwise", b, pointwise[b]);
    }
    board_print_number("gru_input", gru_input);
    board_print_number("gru_steps", gru_step);
    board_print_number("context_bytes", sizeof detector);
    return 0;
}
