/* The layers for two rows in a word: rows.h. */
#include "rows.h"

#if NPGRU_FORM == NPGRU_ROWS && NPGRU_FAST_CONV

typedef struct { int32_t offset, factor; uint32_t info; } record;

/* A record made ready: is_exact; the rest on an M0+: the factor's upper 16 bits, and what is shifted out of the sum. */
typedef struct { const record *r; int32_t offset, factor, is_exact, shift; uint32_t upper; } stage;

static inline stage stage_of(const record *r)
{
    stage s = { r, r->offset, r->factor, r->info >> 31 ? 1 : 0, 0, 0 };
#if NPGRU_IS_M0
    s.shift = (int32_t)(r->info & 0xFF), s.upper = (uint32_t)r->factor >> (r->info >> 8 & 31);
#endif
    return s;
}

/* MBQ, clamped: info is 1 << 31 | (shift + 31) << 24 | zero << 16 | low << 8 | high. */
CM_SMALL static int32_t exact_output(const record *r, int32_t acc)
{
    const int32_t shift = (int32_t)(r->info >> 24 & 0x7F) - 31, zero = (int32_t)(r->info >> 16 & 0xFF);
    const int32_t code = cm_qadd(cm_mbq(acc + r->offset, r->factor, shift), zero);
    return cm_clamp(code, (int32_t)(r->info >> 8 & 0xFF), (int32_t)(r->info & 0xFF));
}

#if NPGRU_IS_M0
CM_SMALL static int32_t long_output(int32_t v, int32_t factor)
{
    return cm_clamp((int32_t)(((int64_t)v * factor) >> 44), 0, 255);
}

/* Without a 64-bit product: the upper 16 bits of both factors give 2^23 u, at most 2^17 too small; one time in 64 that does
   not settle u. */
static inline int32_t output(const stage *s, int32_t acc)
{
    const int32_t v = acc * 256 + s->offset;
    if (s->is_exact) return exact_output(s->r, acc);
    if (v < 0) return 0;
    const uint32_t upper = (uint32_t)v >> s->shift, t = upper * s->upper;
    if (upper >> 16 || t >> 31) return 255;
    if (t << 9 >= 0xFC000000u) return long_output(v, s->factor);
    return (int32_t)(t >> 23);
}
#else
static inline int32_t output(const stage *s, int32_t acc)
{
    if (s->is_exact) return exact_output(s->r, acc);
#if NPGRU_IS_M3
    int32_t low, high;                                   /* GCC would take three multiplications */
    __asm__("smull %0, %1, %2, %3" : "=&r"(low), "=&r"(high) : "r"(acc * 256 + s->offset), "r"(s->factor));
#else
    const int32_t high = (int32_t)(((int64_t)(acc * 256 + s->offset) * s->factor) >> 32);
#endif
    return CM_USAT(high >> 12, 8);
}
#endif

/* A channel's weights as `products` takes them; K a multiple of 8. */
#if NPGRU_IS_M0
#define WIDENED(name, bytes, K) npgru_weight name[NPGRU_MAX_TERMS_ROWS]; widen((const uint32_t *)(bytes), K, name)
static void widen(const uint32_t *bytes, int32_t K, npgru_weight *w)
{
    for (npgru_weight *end = w + K; w != end; w += 4) {
        const uint32_t four = *bytes++;
        w[0] = (int8_t)four, w[1] = (int8_t)(four >> 8), w[2] = (int8_t)(four >> 16), w[3] = (int32_t)four >> 24;
    }
}
#else
#define WIDENED(name, bytes, K) const npgru_weight *name = (const npgru_weight *)(bytes)
#endif

/* The windows of the output's columns m..m + 3 (the last one again beyond the last), as `products` takes them. */
CM_HOT static void four_patches(const npgru_conv *p, const npgru_half *window, int32_t m, uint32_t *x, int32_t K8)
{
    int32_t start[4];
    for (int32_t i = 0; i < 4; i++) start[i] = (m + i < p->columns ? m + i : p->columns - 1) * p->stride_columns;
    for (int32_t k = p->kernel_rows * p->kernel_columns; k < K8; k++) x[(k >> 1) * 4 + (k & 1)] = x[(k >> 1) * 4 + 2 + (k & 1)] = 0;
    const npgru_half *a = window + start[0], *b = window + start[1], *c = window + start[2], *d = window + start[3];
    int32_t odd = 0;
    for (int32_t i = 0; i < p->kernel_rows; i++) {
        for (int32_t j = 0; j < p->kernel_columns; j++) {
            x[0] = packed(a[j], b[j]), x[2] = packed(c[j], d[j]);
            x += odd ? 3 : 1, odd = !odd;
        }
        a += p->window_columns, b += p->window_columns, c += p->window_columns, d += p->window_columns;
    }
}

CM_HOT void npgru_conv_fast(const npgru_conv *p, const npgru_half *window, uint32_t *work, uint8_t *ring, int32_t slot)
{
    const int32_t K = p->kernel_rows * p->kernel_columns, K8 = up8(K), last = p->columns - 1;
    uint32_t *x = work;                                  /* rows are columns here */
    for (int32_t m = 0; m <= last; m += 4, x += 2 * K8)
        four_patches(p, window, m, x, K8);
    const uint32_t *next = p->fast;
    npgru_sums s[MOST];
    for (int32_t c = 0; c < p->channels; c++, next += 3 + K8 / 4) {
        const record *r = (const record *)(const void *)next;
        WIDENED(w, next + 3, K8);
        uint8_t *y = ring + c * p->ring_columns * 4 + slot;
        const stage of = stage_of(r);
        for (int32_t m = 0; m <= last; m += 4 * MOST) {
            const int32_t left = (last + 4 - m) >> 2, n = left < MOST ? left : MOST;
            npgru_products(work + (m >> 1) * K8, w, K8, s, n);
            for (int32_t i = 0; i < n; i++, y += 16) {
                y[0] = (uint8_t)output(&of, s[i].a_lower), y[4] = (uint8_t)output(&of, s[i].a_upper);
                y[8] = (uint8_t)output(&of, s[i].b_lower), y[12] = (uint8_t)output(&of, s[i].b_upper);
            }
        }
    }
}

/* Column m's rows 0 and 1 of channel c in the pairs of `products`, K8 channels a column. */
static inline uint32_t *pair_of(uint32_t *pairs, int32_t K8, int32_t c, int32_t m)
{
    return pairs + (m >> 1) * 2 * K8 + (c >> 1) * 4 + (m & 1) * 2 + (c & 1);
}

/* One channel: outputs of the columns 0..n - 1 of `column`; beside: what lies before and behind them. y: of columns in pairs. */
CM_HOT static void depthwise_channel(const record *r, const uint32_t *column, const uint32_t *beside, int32_t turn, int32_t n,
                                     uint32_t *y, int32_t K8)
{
    uint32_t x[NPGRU_GROUP + 2];
    int32_t sums[2 * (NPGRU_GROUP + 2)], *at = sums + 4;
    x[0] = beside[0] ^ 0x80808080u, x[n + 1] = beside[1] ^ 0x80808080u;                  /* u as codes */
    for (int32_t m = 0; m < n; m++) x[m + 1] = column[m] ^ 0x80808080u;
    npgru_ring_products(x, (const int8_t *)(r + 1), turn ? 16 : 0, sums, n);
    const stage of = stage_of(r);
    for (; n > 0; n -= 2, at += 4, y += 2 * K8) {
        y[0] = packed(output(&of, at[0]), output(&of, at[1]));
        if (n > 1) y[2] = packed(output(&of, at[2]), output(&of, at[3]));
    }
}

void npgru_depthwise_fast(const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first, int32_t n, npgru_half *pairs)
{
    const int32_t K8 = up8(p->channels), last = first + n == p->columns;
    const uint32_t *next = p->fast, outside = 0x01010101u * (uint32_t)p->in_zero;
    for (int32_t c = 0; c < p->channels; c++, next += 6) {
        const uint32_t *column = ring + c * p->ring_columns + first;
        const uint32_t beside[2] = { first == 0 ? outside : column[-1], last ? outside : column[n] };
        depthwise_channel((const record *)(const void *)next, column, beside, turn, n, pair_of((uint32_t *)(void *)pairs, K8, c, 0), K8);
    }
}

CM_HOT void npgru_pointwise_fast(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t turn, int32_t first,
                                 int32_t n, uint8_t *ring)
{
    const int32_t K8 = up8(p->in_channels);
    const uint32_t *next = p->fast;
    for (int32_t c = 0; c < p->channels; c++, next += 3 + K8 / 4) {
        const record *r = (const record *)(const void *)next;
        const uint32_t *x = (const uint32_t *)(const void *)pairs;
        WIDENED(w, next + 3, K8);
        uint8_t *y = ring + (c * p->ring_columns + first) * 4 + NPGRU_NEW_ROWS(turn);
        const stage of = stage_of(r);
        npgru_sums s[MOST];
        npgru_products(x, w, K8, s, (n + 1) / 2);
        for (int32_t i = 0; i < (n + 1) / 2; i++, y += 8) {
            if (rows & 1) y[0] = (uint8_t)output(&of, s[i].a_lower), y[4] = (uint8_t)output(&of, s[i].b_lower);
            if (rows & 2) y[1] = (uint8_t)output(&of, s[i].a_upper), y[5] = (uint8_t)output(&of, s[i].b_upper);
        }
    }
}

static inline int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* The larger of each byte of two halfwords. */
static int32_t larger_bytes(int32_t a, int32_t b)
{
    return larger(a & 0xFF, b & 0xFF) | larger(a >> 8, b >> 8) << 8;
}

/* The output of the largest sum is the largest output; a band that began in the group before is there already. */
CM_HOT void npgru_pool_fast(const npgru_pointwise *p, const npgru_half *pairs, int32_t rows, int32_t first, int32_t n,
                            npgru_half *pooled)
{
    const int32_t K8 = up8(p->in_channels), n_bands = p->columns / p->pool, first_band = first / p->pool;
    const int32_t n_before = first - first_band * p->pool;              /* columns of the first band seen before */
    const uint32_t *next = p->fast;
    (void)rows;
    for (int32_t c = 0; c < p->channels; c++, next += 3 + K8 / 4) {
        const record *r = (const record *)(const void *)next;
        const uint32_t *x = (const uint32_t *)(const void *)pairs;
        npgru_half *y = pooled + first_band * p->channels + c;
        int32_t lower = INT32_MIN, upper = INT32_MIN, left = p->pool - n_before, begun = n_before > 0;
        WIDENED(w, next + 3, K8);
        const stage of = stage_of(r);
        npgru_sums s[MOST];
        npgru_products(x, w, K8, s, (n + 1) / 2);
        const int32_t *sum = &s[0].a_lower;
        for (int32_t band = first_band, m = 1; m <= n && band < n_bands; m++, sum += 2) {
            lower = larger(lower, sum[0]), upper = larger(upper, sum[1]);
            if (--left != 0 && m != n) continue;
            const int32_t both = output(&of, lower) | output(&of, upper) << 8;
            *y = (npgru_half)(begun ? larger_bytes(*y, both) : both);
            y += p->channels, band++;
            lower = upper = INT32_MIN, left = p->pool, begun = 0;
        }
    }
}

#endif
