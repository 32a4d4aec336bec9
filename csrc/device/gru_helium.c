/* The GRU's product with its input for Helium: npgru/int8_gru.py, every rounding point of it. */
#include "layers.h"

#if NPGRU_FORM == NPGRU_HELIUM && NPGRU_HELIUM_GRU
#include "helium.h"

/* Per 2 rows of w: both rows of bytes, 2 biases, 2 factors R; of pooled's two rows. MBQ64 is VRMULH(acc, R), saturated. */
CM_HELIUM void npgru_gru_input_fast(const npgru_gru *p, const npgru_half *pooled, int16_t *gx)
{
    const int32_t V = up_to_16(p->in_features) / 16, next = (3 * p->units + 3) & ~3;
    const uint32x4_t at = { 0, 1, (uint32_t)next, (uint32_t)next + 1 }, of_row = { 0, 1, 0, 1 };
    const int8_t *s = (const int8_t *)p->fast_w, *x = (const int8_t *)pooled;
    for (int32_t n = next; n > 0; n -= 2, gx += 2, s += 32 * V + 16) {
        const int8_t *u = x, *end = x + 16 * V, *w = s;
        int32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0;
        for (; u < end; u += 16, w += 16) {
            const int8x16_t u0 = vldrbq_s8(u), u1 = vldrbq_s8(u + 16 * V), a = vldrbq_s8(w), b = vldrbq_s8(w + 16 * V);
            a0 = vmladavaq_s8(a0, u0, a), a1 = vmladavaq_s8(a1, u1, a);
            b0 = vmladavaq_s8(b0, u0, b), b1 = vmladavaq_s8(b1, u1, b);
        }
        const int32_t *numbers = (const int32_t *)(const void *)(s + 32 * V);
        int32x4_t v;
        LANES_0_1(v, a0, b0);
        LANES_2_3(v, a1, b1);
        v = vaddq_s32(v, vldrwq_gather_shifted_offset_s32(numbers, of_row));
        v = vrmulhq_s32(v, vldrwq_gather_shifted_offset_s32(numbers + 2, of_row));
        vstrhq_scatter_shifted_offset_s32(gx, at, vreinterpretq_s32_s16(vqmovnbq_s32(vdupq_n_s16(0), v)));
    }
}
#endif
