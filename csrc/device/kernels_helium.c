/* The layers for Helium, the vectors of a Cortex-M55: 16 products of bytes in an instruction.

   The vectors are of codes, u - 128, as signed bytes; 128 times the sum of the weights is in the bias. An output is
   u = USAT8(((256 a + d) Q >> 32) >> N), proved for the DSP form (npgru/device_fast.py): VQDMULH takes the product doubled,
   so one bit more is shifted. Sums are made in general registers, two rows of weights at a time, which stay in vectors; four
   of them go into a vector to be scaled.

   window and ring as in layers.h; pairs: codes, [column][row][channel], pooled: codes, [row][d]; both with what fills up
   16 behind, which weights of 0 meet. The streams of weights: npgru/device_helium.py. */
#include "layers.h"

#if NPGRU_FORM == NPGRU_HELIUM && (NPGRU_HELIUM_CONV || NPGRU_HELIUM_BLOCKS)
#include "helium.h"

/* u of the scaled sums a and b in the 16-bit lanes a, b, a, b, ..: what is shifted fits them, npgru/device_helium.py.
   VQSHRUN would shift and saturate at once, but an assembler or emulator of 2023 rounds there. */
#define OUTPUTS(a, b, shift) saturated(vshrntq_n_s32(vreinterpretq_s16_s32(vshrq_n_s32(a, (shift) + 1)), b, (shift) + 1))

ALWAYS uint16x8_t saturated(int16x8_t v)                                /* the low bytes; above them is what was there */
{
    __asm__("vqmovunb.s16 %q0, %q0" : "+w"(v));
    return vreinterpretq_u16_s16(v);
}

ALWAYS int32x4_t scaled(int32x4_t a, int32_t d, int32_t Q) { return vqdmulhq_n_s32(vaddq_n_s32(vshlq_n_s32(a, 8), d), Q); }

/* The same, where there is a register for 256. */
ALWAYS int32x4_t scaled_by(int32x4_t of_256, int32x4_t a, int32_t d, int32_t Q)
{
    return vqdmulhq_n_s32(vmlasq_n_s32(a, of_256, d), Q);
}

/* Where the outputs of four_products go, a's and b's by turns: b's channel is `next` bytes behind a's. */
ALWAYS void offsets(uint16_t *at, int32_t x1, int32_t x2, int32_t x3, int32_t next)
{
    const int32_t of_x[4] = { 0, x1, x2, x3 };
    for (int32_t i = 0; i < 4; i++) at[2 * i] = (uint16_t)of_x[i], at[2 * i + 1] = (uint16_t)(of_x[i] + next);
}

#if NPGRU_HELIUM_CONV
/* The window as codes, column by column: 8 columns at a time, the last 8 again where they are not a multiple of that. */
static void turn_window(const npgru_conv *p, const npgru_half *window, int8_t *x)
{
    const int32_t K = p->kernel_rows, M = p->window_columns;
    const uint16x8_t down = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)K);
    for (int32_t i = 0; i < K; i++, x++) {
        uint8_t *y = (uint8_t *)x;
        const npgru_half *end = window + M - 8;
        for (; window < end; window += 8, y += 8 * K)
            vstrbq_scatter_offset_u16(y, down, vaddq_n_u16(vldrhq_u16(window), 128));
        y -= (window - end) * K;
        vstrbq_scatter_offset_u16(y, down, vaddq_n_u16(vldrhq_u16(end), 128));
        window = end + 8;
    }
}

CM_HELIUM void npgru_conv_fast(const npgru_conv *p, const npgru_half *window, uint32_t *work, uint8_t *ring, int32_t slot)
{
    const int32_t next = 4 * p->ring_columns, V = VECTORS(NPGRU_VECTORS_CONV, p->kernel_rows * p->kernel_columns);
    const int8_t *s = (const int8_t *)p->fast;
    uint16_t at[8];
    offsets(at, 4, 8, 12, next);
    turn_window(p, window, (int8_t *)work);
    for (int32_t n = p->channels; n > 0; n -= 2, ring += 2 * next, s += 32 * V + 16) {
        const npgru_weights w = two_rows(s, V);
        const int32_t *end = (const int32_t *)(const void *)(s + 32 * V);
        const int32_t d0 = end[0], d1 = end[1], q0 = end[2], q1 = end[3];
        const int8_t *x = (const int8_t *)work;
        uint8_t *y = ring + slot;
        for (int32_t m = p->columns; m > 0; m -= 4, y += 16) {
            int32x4_t a, b;
            uint16x8_t places;
            four_products(w, &x, NPGRU_CONV_STEP, NPGRU_VECTORS_CONV, &a, &b);
            uint16x8_t u = OUTPUTS(scaled(a, d0, q0), scaled(b, d1, q1), NPGRU_SHIFT_CONV);
            WAITING(places, at, u);
            vstrbq_scatter_offset_u16(y, places, u);
        }
    }
}
#endif

#if NPGRU_HELIUM_BLOCKS
/* Weights of the depthwise layer for outputs of the first or the second row: words of the ring, the oldest row first. */
static inline int8x16_t turned(uint32x4_t w, int32_t turn)
{
    return vreinterpretq_s8_u32(turn ? vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(w))) : w);
}

typedef struct { int8x16_t row0, row1, next_row0, next_row1; } npgru_taps;     /* for a column, and for the next one */

/* Two columns of the output, scaled, of 4 columns of the ring. */
ALWAYS int32x4_t two_columns(uint32x4_t u, npgru_taps w, int32_t d, int32_t Q)
{
    const int8x16_t codes = vaddq_n_s8(vreinterpretq_s8_u32(u), -128);
    int32x4_t a;
    LANES_0_1(a, vmladavq_s8(codes, w.row0), vmladavq_s8(codes, w.row1));
    LANES_2_3(a, vmladavq_s8(codes, w.next_row0), vmladavq_s8(codes, w.next_row1));
    return scaled(a, d, Q);
}

ALWAYS void store_columns(uint8_t *y, uint16x8_t at, int32x4_t a, int32x4_t b)
{
    vstrbq_scatter_offset_u16(y, at, vaddq_n_u16(OUTPUTS(a, b, NPGRU_SHIFT_DEPTHWISE), 128));
}

/* n is a multiple of 4; outside of the row are real zeros. */
CM_HELIUM void npgru_depthwise_fast(const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first, int32_t n,
                                    npgru_half *pairs)
{
    const int32_t C = up_to_16(p->channels);
    const uint16x8_t at = { 0, (uint16_t)(4 * C), (uint16_t)C, (uint16_t)(5 * C), (uint16_t)(2 * C), (uint16_t)(6 * C),
                            (uint16_t)(3 * C), (uint16_t)(7 * C) };
    const mve_pred16_t left = first > 0 ? 0xFFFF : 0xFFF0, right = first + n < p->columns ? 0xFFFF : 0x0FFF;
    const uint32_t *s = p->fast, *end = s + 7 * p->channels;
    const int32_t M = NPGRU_COLUMNS ? NPGRU_COLUMNS : n, next = p->ring_columns;
    ring += first - 1;
    for (int8_t *pair = (int8_t *)pairs; s < end; ring += next, pair++, s += 7) {
        const uint32x4_t w0 = vldrwq_u32(s + 1), w1 = vldrwq_u32(s);
        const npgru_taps w = { turned(w0, turn), turned(vshlq_n_u32(w0, 8), turn), turned(w1, turn),
                               turned(vshlq_n_u32(w1, 8), turn) };
        const int32_t d = (int32_t)s[5], Q = (int32_t)s[6];
        const uint32_t *x = ring;
        uint8_t *y = (uint8_t *)pair;
        int32x4_t a = two_columns(vldrwq_z_u32(x, left), w, d, Q);
#pragma GCC unroll 4
        for (int32_t m = M; m > 4; m -= 4, x += 4, y += 8 * C) {
            store_columns(y, at, a, two_columns(vldrwq_u32(x + 2), w, d, Q));
            a = two_columns(vldrwq_u32(x + 4), w, d, Q);
        }
        store_columns(y, at, a, two_columns(vldrwq_z_u32(x + 2, right), w, d, Q));
    }
}

#if NPGRU_BLOCKS > 1
CM_HELIUM void npgru_pointwise_fast(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t turn,
                                    int32_t first, int32_t n, uint8_t *ring)
{
    const int32_t next = 4 * p->ring_columns, V = VECTORS(NPGRU_VECTORS_POINTWISE, p->in_channels);
    uint16_t offsets_of[8];
    offsets(offsets_of, 1, 4, 5, next);
    const uint16x8_t at = vldrhq_u16(offsets_of);
    const int32x4_t of_256 = vdupq_n_s32(256);
    const int8_t *s = (const int8_t *)p->fast;
    ring += 4 * first + NPGRU_NEW_ROWS(turn);
    for (int32_t c = p->channels; c > 0; c -= 2, ring += 2 * next, s += 32 * V + 16) {
        const npgru_weights w = two_rows(s, V);
        const int32_t *end = (const int32_t *)(const void *)(s + 32 * V);
        const int32_t d0 = end[0], d1 = end[1], q0 = end[2], q1 = end[3];
        const int8_t *x = (const int8_t *)pairs;
        uint8_t *y = ring;
        for (int32_t m = n; m > 0; m -= 2, y += 8) {
            int32x4_t a, b;
            four_products(w, &x, 16 * V, NPGRU_VECTORS_POINTWISE, &a, &b);
            a = scaled_by(of_256, a, d0, q0), b = scaled_by(of_256, b, d1, q1);
            vstrbq_scatter_offset_u16(y, at, OUTPUTS(a, b, NPGRU_SHIFT_POINTWISE));
        }
        if (rows != 3)
            for (int32_t m = 0; m < 4 * n; m += 4) ring[m + (rows & 1)] = 0, ring[next + m + (rows & 1)] = 0;
    }
}
#endif

/* The output stage rises with the sum: of 4 columns, the largest sum is the largest output. */
CM_HELIUM void npgru_pool_fast(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t first, int32_t n,
                               npgru_half *pooled)
{
    const int32_t V = VECTORS(NPGRU_VECTORS_POOL, p->in_channels), N = p->channels, D = up_to_16(p->columns / 4 * N);
    const uint32_t at[4] = { 0, 1, (uint32_t)D, (uint32_t)D + 1 };
    const int8_t *s = (const int8_t *)p->fast;
    (void)rows;
    for (int32_t c = 0; c < N; c += 2, s += 32 * V + 32) {
        const npgru_weights w = two_rows(s, V);
        const int8_t *x = (const int8_t *)pairs, *numbers = s + 32 * V;
        uint8_t *y = (uint8_t *)pooled + first / 4 * N + c;
        for (int32_t m = n; m > 0; m -= 4, y += N) {
            int32x4_t number, a = two_products(w, &x, 16 * V, NPGRU_VECTORS_POOL);
            uint32x4_t places;
#pragma GCC unroll 3
            for (int32_t i = 1; i < 4; i++) a = vmaxq_s32(a, two_products(w, &x, 16 * V, NPGRU_VECTORS_POOL));
            a = vshlq_n_s32(a, 8);
            WAITING(number, numbers, a);
            a = vaddq_s32(a, number);
            WAITING(number, numbers + 16, a);
            a = vshrq_n_s32(vqdmulhq_s32(a, number), NPGRU_SHIFT_POOL + 1);
            uint16x8_t u = vaddq_n_u16(saturated(vreinterpretq_s16_s32(a)), 128);
            WAITING(places, at, u);
            vstrbq_scatter_offset_u32(y, places, vreinterpretq_u32_u16(u));
        }
    }
}
#endif
#endif
