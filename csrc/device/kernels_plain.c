/* The layers in plain C: the formulas of npgru/int8_reference.py, on the buffers of layers.h. Any sizes, any core. */
#include "cortex_m.h"
#include "layers.h"
#if NPGRU_HELIUM_BLOCKS
#include "helium.h"
#endif

#define PLAIN_BLOCKS (NPGRU_BLOCKS > 0 && (NPGRU_PLAIN_DEPTHWISE || NPGRU_PLAIN_POINTWISE || NPGRU_PLAIN_POOL))

#if NPGRU_PLAIN_CONV || PLAIN_BLOCKS
/* k: of the channels that have this form; n is the layer's. */
static inline int32_t channel(const int16_t *exact, int32_t k) { return exact ? exact[k] : k; }

static inline int32_t output(const npgru_stage *s, int32_t acc, int32_t k)
{
    return cm_clamp(cm_qadd(cm_mbq(acc + s->bias[k], s->multiplier[k], s->shift[k]), s->zero), s->low, s->high);
}
#endif

#if NPGRU_PLAIN_CONV
void npgru_conv_plain(const npgru_conv *p, const npgru_half *window, uint32_t *work, uint8_t *ring, int32_t slot)
{
    (void)work;
    const int8_t *w = p->w;
    for (int32_t k = 0; k < p->n_exact; k++, w += p->kernel_rows * p->kernel_columns)
        for (int32_t m = 0; m < p->columns; m++) {
            int32_t acc = 0;
            for (int32_t i = 0; i < p->kernel_rows; i++) {
                const npgru_half *x = window + i * p->window_columns + m * p->stride_columns;
                for (int32_t j = 0; j < p->kernel_columns; j++)
                    acc += x[j] * w[i * p->kernel_columns + j];
            }
            ring[(channel(p->exact, k) * p->ring_columns + m) * 4 + slot] = (uint8_t)output(&p->stage, acc, k);
        }
}
#endif

/* Pairs and pooled are as in layers.h; of the vectors' form, as in kernels_helium.c. */
#if PLAIN_BLOCKS && !NPGRU_HELIUM_BLOCKS
/* Halfword of channel c, row, column (of the group) in a buffer of pairs. */
static inline int32_t place(int32_t c, int32_t row, int32_t column)
{
    return (((row * (NPGRU_GROUP / 4) + (column >> 2)) * NPGRU_PAIRS + (c >> 1)) * 4 + (column & 3)) * 2 + (c & 1);
}
#endif

#if NPGRU_PLAIN_DEPTHWISE && NPGRU_BLOCKS > 0
static void put_pair(npgru_half *pairs, int32_t C, int32_t c, int32_t row, int32_t column, int32_t u)
{
#if NPGRU_HELIUM_BLOCKS
    ((int8_t *)pairs)[(2 * column + row) * up_to_16(C) + c] = (int8_t)(u - 128);
#else
    (void)C;
    pairs[place(c, row, column)] = (npgru_half)u;
#endif
}

/* 3 x 3 taps around row (1 or 2 of the ring's 4) and column m. */
static int32_t depthwise_sum(const npgru_depthwise *p, const uint8_t *ring, const int8_t *w, int32_t turn, int32_t row,
                             int32_t m)
{
    int32_t acc = 0;
    for (int32_t j = 0; j < 3; j++)
        for (int32_t i = 0; i < 3; i++) {
            const int32_t column = m + j - 1, slot = (row - 1 + i + 2 * turn) & 3;
            const int32_t x = column < 0 || column >= p->columns ? p->in_zero : ring[column * 4 + slot];
            acc += x * w[i * 3 + j];
        }
    return acc;
}

void npgru_depthwise_plain(const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first, int32_t n,
                           npgru_half *pairs)
{
    for (int32_t k = 0; k < p->n_exact; k++) {
        const int32_t c = channel(p->exact, k);
        const uint8_t *words = (const uint8_t *)(ring + c * p->ring_columns);
        for (int32_t row = 0; row < 2; row++)
            for (int32_t m = 0; m < n; m++) {
                const int32_t acc = depthwise_sum(p, words, p->w + 9 * k, turn, row + 1, first + m);
                put_pair(pairs, p->channels, c, row, m, output(&p->stage, acc, k));
            }
    }
}
#endif

#if (NPGRU_PLAIN_POINTWISE || NPGRU_PLAIN_POOL) && NPGRU_BLOCKS > 0
static int32_t pointwise_sum(const npgru_half *pairs, const int8_t *w, int32_t C, int32_t row, int32_t column)
{
    int32_t acc = 0;
#if NPGRU_HELIUM_BLOCKS
    const int8_t *x = (const int8_t *)pairs + (2 * column + row) * up_to_16(C);
    for (int32_t c = 0; c < C; c++) acc += (x[c] + 128) * w[c];
#else
    const npgru_half *x = pairs + place(0, row, column);
    for (const int8_t *end = w + (C & ~1); w < end; w += 2, x += 8) acc += x[0] * w[0] + x[1] * w[1];
    if (C & 1) acc += x[0] * w[0];
#endif
    return acc;
}

static int32_t pointwise_output(const npgru_pointwise *p, const npgru_half *pairs, int32_t k, int32_t row, int32_t column)
{
    const int32_t acc = pointwise_sum(pairs, p->w + k * p->in_channels, p->in_channels, row, column);
    return output(&p->stage, acc, k);
}
#endif

#if NPGRU_PLAIN_POINTWISE && NPGRU_BLOCKS > 1
void npgru_pointwise_plain(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t turn, int32_t first,
                           int32_t n, uint8_t *ring)
{
    for (int32_t k = 0; k < p->n_exact; k++)
        for (int32_t row = 0; row < 2; row++)
            for (int32_t m = 0; m < n && (rows >> row & 1); m++)
                ring[(channel(p->exact, k) * p->ring_columns + first + m) * 4 + NPGRU_NEW_ROWS(turn) + row] =
                    (uint8_t)pointwise_output(p, pairs, k, row, m);
}

#endif

#if NPGRU_PLAIN_POOL
/* The maximum of rounded values, which is the rounded maximum; of u, which is at least 0. */
static void take_larger(const npgru_pointwise *p, int32_t c, int32_t row, int32_t column, int32_t u, npgru_half *pooled)
{
    const int32_t band = column / p->pool, bands = p->columns / p->pool, d = band * p->channels + c;
    if (band >= bands) return;
#if NPGRU_HELIUM_BLOCKS
    int8_t *largest = (int8_t *)pooled + row * up_to_16(bands * p->channels) + d;
    if (u - 128 > *largest) *largest = (int8_t)(u - 128);
#else
    npgru_half *largest = pooled + (d >> 1) * 4 + row * 2 + (d & 1);
    if (u > *largest) *largest = (npgru_half)u;
#endif
}

static void clear(npgru_half *pooled)
{
    for (int32_t i = 0; i < 2 * NPGRU_POOLED_WORDS; i++) pooled[i] = 0;
}
#endif

#if NPGRU_PLAIN_POOL && NPGRU_BLOCKS > 0
void npgru_pool_plain(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t first, int32_t n,
                      npgru_half *pooled)
{
    if (first == 0 && !p->fast) clear(pooled);                          /* the fast form left 0 */
    for (int32_t k = 0; k < p->n_exact; k++)
        for (int32_t row = 0; row < 2; row++)
            for (int32_t m = 0; m < n && (rows >> row & 1); m++)
                take_larger(p, channel(p->exact, k), row, first + m, pointwise_output(p, pairs, k, row, m), pooled);
}
#endif

#if NPGRU_PLAIN_POOL && NPGRU_BLOCKS == 0
void npgru_pool_ring(const npgru_pointwise *p, const uint8_t *ring, int32_t turn, npgru_half *pooled)
{
    clear(pooled);
    for (int32_t c = 0; c < p->channels; c++)
        for (int32_t row = 0; row < 2; row++)
            for (int32_t m = 0; m < p->columns; m++)
                take_larger(p, c, row, m, ring[(c * p->ring_columns + m) * 4 + NPGRU_NEW_ROWS(turn) + row], pooled);
}
#endif

#if NPGRU_PLAIN_GRU
void npgru_gru_plain(const npgru_gru *p, const npgru_half *pooled, int32_t row, void *scratch, npgru_state *h)
{
    int8_t *x = (int8_t *)scratch + NPGRU_GRU_SCRATCH_BYTES;
    for (int32_t d = 0; d < p->in_features; d++) {
#if NPGRU_FORM == NPGRU_ROWS && NPGRU_FAST_POOL
        x[d] = (int8_t)((pooled[d] >> 8 * row & 0xFF) - 128);
#elif NPGRU_HELIUM_BLOCKS
        x[d] = ((const int8_t *)pooled)[row * up_to_16(p->in_features) + d];
#else
        x[d] = (int8_t)(pooled[(d >> 1) * 4 + row * 2 + (d & 1)] - 128);
#endif
    }
    (void)NPGRU_GRU_STEP(&p->exact, x, p->w, p->u, p->x_bias, p->h_bias, scratch, h);       /* its struct was exported */
}
#endif
