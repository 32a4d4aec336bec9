/* What the sanitizers' tests of the integer kernels draw: numbers near their limits, and structs full of them, legal or not. */
#ifndef DRAW_H
#define DRAW_H

#include <stdlib.h>
#include <string.h>
#include "npgru_int8.h"

static uint32_t state = 7;

static uint32_t draw(void)
{
    state = 1664525u * state + 1013904223u;
    return state >> 8;
}

static int32_t between(int32_t low, int32_t high)
{
    return (int32_t)((uint32_t)low + (draw() << 8 ^ draw()) % ((uint32_t)high - (uint32_t)low + 1u));
}

static int32_t any32(void)
{
    const int32_t corners[] = { 0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32768, 65536, 1 << 30, INT32_MAX, INT32_MIN };
    return draw() % 2 ? corners[draw() % 14] : (int32_t)(draw() << 8 ^ draw());
}

/* good: mostly a value in [low, high], once in `rare` anything. */
static int32_t field(int32_t low, int32_t high, uint32_t rare)
{
    const uint32_t kind = draw() % rare;
    if (kind == 0) return any32();
    return kind == 1 ? low : kind == 2 ? high : between(low, high);
}

static void *filled(size_t n_bytes)
{
    uint8_t *a = malloc(n_bytes ? n_bytes : 1);
    const uint32_t kind = draw() % 4;
    for (size_t i = 0; i < n_bytes; i++)
        a[i] = kind == 0 ? 0x80 : kind == 1 ? 0x7F : (uint8_t)draw();
    return a;
}

#define MAX_N 60                                /* channels; the arrays below have this many */
static int32_t multipliers[MAX_N], shifts[MAX_N], bias32[MAX_N];
static int64_t bias64[MAX_N];

static npgru_channels channels(uint32_t rare, int32_t bits)
{
    const int32_t zero = bits == 8 ? 128 : 0, limit = 1 << (bits - 1);
    for (int i = 0; i < MAX_N; i++) {
        multipliers[i] = field(1 << 30, INT32_MAX, MAX_N * rare);
        shifts[i] = field(-31, bits == 8 ? 31 : 14, MAX_N * rare);
        bias32[i] = field(-(1 << 30), 1 << 30, MAX_N * rare);
        bias64[i] = (int64_t)between(-(1 << 30), 1 << 30) * (1 << between(0, 16));
    }
    if (draw() % (8 * rare) == 0) bias64[0] = draw() % 2 ? INT64_MIN : INT64_MAX;
    const npgru_channels c = { field(-zero, zero ? 127 : 0, rare), field(-zero, zero ? 127 : 0, rare), field(-limit, 0, rare),
                               field(0, limit - 1, rare),
                               draw() % (4 * rare) ? multipliers : NULL, draw() % (4 * rare) ? shifts : NULL };
    return c;
}

static npgru_sum sum(uint32_t rare, int32_t bits)
{
    const int32_t zero = bits == 8 ? 128 : 0, limit = 1 << (bits - 1), top = zero ? 127 : 0;
    const npgru_sum p = { field(bits == 8 ? 20 : 15, bits == 8 ? 20 : 15, rare),
                          field(-zero, top, rare), field(1 << 30, INT32_MAX, rare), field(-31, 0, rare),
                          field(-zero, top, rare), field(1 << 30, INT32_MAX, rare), field(-31, 0, rare),
                          field(-zero, top, rare), field(1 << 30, INT32_MAX, rare), field(-31, 0, rare),
                          field(-limit, 0, rare), field(0, limit - 1, rare) };
    return p;
}

static npgru_product product(uint32_t rare, int32_t bits)
{
    const int32_t zero = bits == 8 ? 128 : 0, limit = 1 << (bits - 1), top = zero ? 127 : 0;
    const npgru_product p = { field(-zero, top, rare), field(-zero, top, rare), field(-zero, top, rare),
                              field(1 << 30, INT32_MAX, rare), field(-31, 31, rare),
                              field(-limit, 0, rare), field(0, limit - 1, rare) };
    return p;
}

static npgru_curve curve(uint32_t rare)
{
    const npgru_curve p = { field(16383, 32767, rare), field(0, 31, rare) };
    return p;
}

#endif
