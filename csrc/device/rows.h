/* The layers for cores without the DSP instructions, Cortex-M0+ and M3: the codes of two rows in a word,

       X = x_0 + 2^UPPER x_1,  both in [-128, 127]                                              (1)

   so that one multiplication and one load serve both. What is summed of the products with X is taken apart at the end:
   on an M3 by SMLAL, two products in one instruction: 64-bit sums, UPPER = 23, the lower sum below 2^22 (checked when the
   model is exported); on an M0+ UPPER = 16, and of p = X w + X' w', whose lower sum is below 2^15, the upper sum is
   (p + 2^15) >> 16: ASRS leaves the rounding in the carry, ADCS adds it.

   A record of a channel: offset, factor, info, then its weights. Its output u = usat8(floor((256 acc + offset) factor / 2^44))
   was proved equal to the exact formula for every sum (npgru/device_fast.py); where none was found, bit 31 of info is set
   and the record has the exact formula's numbers. Bit 30 says of a depthwise channel that on an M0+ the products of a column's
   three weights may be summed before the rows are taken apart.

   window, ring: as in layers.h. pairs: [column / 2][channel / 2][column % 2][channel % 2], a word X each; pooled: [d], the u of
   both rows in a halfword, row 0 in the lower byte. */
#ifndef NPGRU_ROWS_H
#define NPGRU_ROWS_H

#include "cortex_m.h"
#include "layers.h"

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define NPGRU_IS_M0 1
#define NPGRU_IS_M3 0
#define UPPER 16
#else
#define NPGRU_IS_M0 0
#ifdef __ARM_ARCH_ISA_THUMB
#define NPGRU_IS_M3 1
#else
#define NPGRU_IS_M3 0
#endif
#define UPPER 23
#endif

enum { MOST = NPGRU_GROUP / 2 };                         /* pairs of columns at a time */

/* Sums of two columns, a and b, each of a lower and an upper row. */
typedef struct { int32_t a_lower, a_upper, b_lower, b_upper; } npgru_sums;

/* y (n,): of x: a[k], a[k + 1], b[k], b[k + 1] for k = 0, 2, .. K - 2, and so on n times, with w (K,). K: a multiple of 8. */
void npgru_products(const uint32_t *x, const int8_t *w, int32_t K, npgru_sums *y, int32_t n);

/* y: the lower and the upper sum of x (K,) and w (K,). K: a multiple of 8. */
void npgru_row_products(const uint32_t *x, const int8_t *w, int32_t K, int32_t *y);

#if NPGRU_IS_M0
/* x (n,): words of the ring -> for each the three X of a column's taps: rows 0 and 1, 1 and 2, 2 and 3; the oldest row in the
   lowest byte after a turn right by turn_bits. */
void npgru_ring_taps(const uint32_t *x, uint32_t *taps, int32_t n, int32_t turn_bits);

/* y (n, 2): both rows' sums of 9 products of taps[3 i .. 3 i + 8] with w (9,). By threes: where their lower sums are within 16
   bits; by twos: w[9] is 0, and there is one tap more. */
void npgru_nine_by_threes(const uint32_t *taps, const int32_t *w, int32_t *y, int32_t n);
void npgru_nine_by_twos(const uint32_t *taps, const int32_t *w, int32_t *y, int32_t n);
#else
/* Both rows' sums of 9 taps, w (9,) column by column, for n outputs. x (n + 2,): words of the ring as codes, the oldest row
   in the lowest byte after a turn right by turn_bits. Output i's are y[2 i + 4] and y[2 i + 5]; y has room for 2 n + 4. */
void npgru_ring_products(const uint32_t *x, const int8_t *w, int32_t turn_bits, int32_t *y, int32_t n);
#endif

static inline int32_t up4(int32_t n) { return (n + 3) & ~3; }
static inline int32_t up8(int32_t n) { return (n + 7) & ~7; }

/* Two outputs u as X. */
static inline uint32_t packed(int32_t u_0, int32_t u_1)
{
    return (uint32_t)u_0 + ((uint32_t)u_1 << UPPER) - ((128u << UPPER) + 128u);
}

#endif
