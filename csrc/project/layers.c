/* The instructions of each layer, in one clip of noise: the linker puts these functions in front of the kernels,
   -Wl,--wrap=npgru_<kernel>_<form> for each of KERNELS of export_c.py. Build with -DNPGRU_FRONT_END=0. */
#include "board.h"
#include "npgru.h"

static npgru detector;
static uint64_t conv, gru_input, gru_steps, depthwise[NPGRU_BLOCKS + 1], pointwise[NPGRU_BLOCKS + 1];

#define COUNTED(name, count, parameters, arguments)             \
    void __real_##name parameters;                              \
    void __wrap_##name parameters;                              \
    void __wrap_##name parameters                               \
    {                                                           \
        const uint64_t start = board_ticks();                   \
        __real_##name arguments;                                \
        count += board_instructions_since(start);               \
    }
#define COUNTED_CONV(form) \
    COUNTED(npgru_conv_##form, conv, (const npgru_conv *p, const npgru_half *x, uint32_t *work, uint8_t *y, int32_t slot), \
            (p, x, work, y, slot))
#define COUNTED_DEPTHWISE(form)                                                                                          \
    COUNTED(npgru_depthwise_##form, depthwise[p - npgru_model.depthwise], (const npgru_depthwise *p, const uint32_t *x,  \
            int32_t turn, int32_t first, int32_t n, npgru_half *y), (p, x, turn, first, n, y))
#define COUNTED_POINTWISE(form)                                                                                          \
    COUNTED(npgru_pointwise_##form, pointwise[p - npgru_model.pointwise], (const npgru_pointwise *p, const npgru_half *x, \
            int32_t rows, int32_t turn, int32_t first, int32_t n, uint8_t *y), (p, x, rows, turn, first, n, y))
#define COUNTED_POOL(form)                                                                                               \
    COUNTED(npgru_pool_##form, pointwise[p - npgru_model.pointwise], (const npgru_pointwise *p, const npgru_half *x,     \
            int32_t rows, int32_t first, int32_t n, npgru_half *y), (p, x, rows, first, n, y))

#if NPGRU_FAST_CONV
COUNTED_CONV(fast)
#endif
#if NPGRU_PLAIN_CONV
COUNTED_CONV(plain)
#endif
#if NPGRU_FAST_DEPTHWISE
COUNTED_DEPTHWISE(fast)
#endif
#if NPGRU_PLAIN_DEPTHWISE && NPGRU_BLOCKS > 0
COUNTED_DEPTHWISE(plain)
#endif
#if NPGRU_FAST_POINTWISE
COUNTED_POINTWISE(fast)
#endif
#if NPGRU_PLAIN_POINTWISE && NPGRU_BLOCKS > 1
COUNTED_POINTWISE(plain)
#endif
#if NPGRU_FAST_POOL
COUNTED_POOL(fast)
#endif
#if NPGRU_PLAIN_POOL && NPGRU_BLOCKS > 0
COUNTED_POOL(plain)
#endif
#if NPGRU_FAST_GRU
COUNTED(npgru_gru_input_fast, gru_input, (const npgru_gru *p, const npgru_half *x, int16_t *gx), (p, x, gx))
COUNTED(npgru_gru_step_fast, gru_steps, (const npgru_gru *p, const int16_t *gx, int16_t *scratch, npgru_state *h),
        (p, gx, scratch, h))
#else
COUNTED(npgru_gru_plain, gru_steps, (const npgru_gru *p, const npgru_half *x, int32_t row, void *scratch, npgru_state *h),
        (p, x, row, scratch, h))
#endif

int main(void)
{
    int8_t codes[NPGRU_MELS];
    uint32_t noise = 7;
    if (npgru_init(&detector, sizeof detector, NPGRU_CLIPS) != NPGRU_OK) return 1;
    board_start_counting();
    for (int32_t t = 0; t < NPGRU_FRAMES; t++) {
        for (int32_t m = 0; m < NPGRU_MELS; m++) {
            noise = 1664525u * noise + 1013904223u;
            codes[m] = (int8_t)(noise >> 16);
        }
        (void)npgru_push_codes(&detector, codes);
    }
    board_print_number("conv", conv);
    for (int32_t b = 0; b < NPGRU_BLOCKS; b++) {
        board_print_number("depthwise", depthwise[b]);
        board_print_number("pointwise", pointwise[b]);
    }
    board_print_number("gru_input", gru_input);
    board_print_number("gru_steps", gru_steps);
    return 0;
}
