/* The GRU with an int16 state for two rows in a word: rows.h. */
#include "rows.h"

#if NPGRU_FORM == NPGRU_ROWS && NPGRU_FAST_GRU
#include "gru_cell.h"

/* A record: bias, r << 16 | shift, weights. MBQ64 of 32 bits, 0 <= r < 2^15, 17 <= shift <= 31: (x r + 2^(shift - 1)) >> shift. */
static inline int16_t rescaled(int32_t x, uint32_t of)
{
    const int32_t r = (int32_t)(of >> 16), shift = (int32_t)(of & 0xFFFFu);
#if NPGRU_IS_M0
    const int32_t y = (x >> 16) * r + (int32_t)(((uint32_t)x & 0xFFFFu) * (uint32_t)r >> 16);
    return (int16_t)CM_SSAT((y + (1 << (shift - 17))) >> (shift - 16), 16);
#else
    return (int16_t)CM_SSAT(cm_smmulr(x, r << (32 - shift)), 16);
#endif
}

/* pooled -> K words X; both bytes of a halfword may be anything behind the last, where the weights are 0. */
static void unpack(const npgru_word *pooled, npgru_word *x, int32_t K)
{
    for (npgru_word *end = x + K; x != end; x += 2) {
        const uint32_t two = *pooled++;
        x[0] = packed((int32_t)(two & 0xFF), (int32_t)(two >> 8 & 0xFF));
        x[1] = packed((int32_t)(two >> 16 & 0xFF), (int32_t)(two >> 24));
    }
}

/* gx is the beginning of work, and not all of it: behind it is room for the words X. */
CM_HOT void npgru_gru_input_fast(const npgru_gru *p, const npgru_half *pooled, int16_t *gx)
{
    const int32_t N = 3 * p->units, K = up8(p->in_features);
    const uint32_t *next = p->fast_w;
    npgru_word *x = (npgru_word *)(void *)(gx + 2 * NPGRU_GRU_ROWS);
    unpack((const npgru_word *)(const void *)pooled, x, K);
    for (int32_t n = 0; n < N; n++, next += 2 + K / 4) {
        int32_t sums[2];
        npgru_row_products(x, (const int8_t *)(next + 2), K, sums);
        gx[n] = rescaled(sums[0] + (int32_t)next[0], next[1]);
        gx[NPGRU_GRU_ROWS + n] = rescaled(sums[1] + (int32_t)next[0], next[1]);
    }
}

CM_HOT void npgru_gru_step_fast(const npgru_gru *p, const int16_t *gx, int16_t *gh, npgru_state *h)
{
    const int32_t H = p->units;
    const uint32_t *next = p->fast_u;
    for (int32_t n = 0; n < 3 * H; n++, next += 2 + up4(H) / 4) {
        const int8_t *u = (const int8_t *)(next + 2);
        int32_t acc = (int32_t)next[0];
        for (int32_t d = 0; d < H; d++) acc += h[d] * u[d];
        gh[n] = rescaled(acc, next[1]);
    }
    npgru_gru_cell(H, gx, gh, h);
}

#endif
