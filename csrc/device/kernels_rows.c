/* The layers for two rows in a word: rows.h. */
#include "rows.h"

#if NPGRU_FORM == NPGRU_ROWS && NPGRU_FAST_CONV

typedef struct { int32_t offset, factor; uint32_t info; } record;

/* A record made ready: is_exact; the rest on an M0+, as npgru_outputs takes it. */
typedef struct { const record *r; int32_t is_exact, start; uint32_t most, factor, open; } stage;

static inline stage stage_of(const record *r)
{
    stage s = { r, r->info >> 31 ? 1 : 0, r->offset, 0, (uint32_t)r->factor, 0 };
#if NPGRU_IS_M0
    s.start >>= 8, s.factor >>= 12;
    s.most = (r->info & 0x1FFFF) << (r->info >> 17 & 31), s.open = (r->info >> 22 & 0xFF) << 24;
#endif
    return s;
}

/* MBQ, clamped: info is 1 << 31 | (bit 30) | (shift + 31) << 24 | zero << 16 | low << 8 | high. */
CM_SMALL static int32_t exact_output(const record *r, int32_t acc)
{
    const int32_t shift = (int32_t)(r->info >> 24 & 0x3F) - 31, zero = (int32_t)(r->info >> 16 & 0xFF);
    const int32_t code = cm_qadd(cm_mbq(acc + r->offset, r->factor, shift), zero);
    return cm_clamp(code, (int32_t)(r->info >> 8 & 0xFF), (int32_t)(r->info & 0xFF));
}

#if NPGRU_IS_M0
CM_SMALL static int32_t long_output(int32_t acc, const stage *s)
{
    return cm_clamp((int32_t)(((int64_t)(acc * 256 + s->r->offset) * s->r->factor) >> 44), 0, 255);
}

/* Sums y (n,) -> outputs, in place; n > 0. Without a 64-bit product: of_32_bits in npgru/device_rows.py. With a = acc + start,
   2^24 u is a factor, too small by at most both of them; whether that can matter its lower 24 bits tell: from `open` on, u is
   when_open's. Below 0 it is 0, beyond `most` 255. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
CM_NAKED static void npgru_outputs(const stage *s, int32_t *y, int32_t n, int32_t (*when_open)(int32_t acc, const stage *s))
{
    __asm__ volatile(
        ".syntax unified\n\tpush {r3-r7, lr}\n\tlsls r7, r2, #2\n\tadds r7, r7, r1\n\tmov r12, r0\n\t"
        "adds r0, #8\n\tldmia r0!, {r2, r3, r4, r6}\n"
        "0:\n\tldr r0, [r1]\n\tadds r0, r0, r2\n\tbmi 2f\n\tcmp r0, r3\n\tbhi 3f\n\tmuls r0, r4, r0\n\t"
        "lsls r5, r0, #8\n\tcmp r5, r6\n\tbhs 4f\n\tlsrs r0, r0, #24\n"
        "1:\n\tstmia r1!, {r0}\n\tcmp r1, r7\n\tbne 0b\n\tpop {r3-r7, pc}\n"
        "2:\n\tmovs r0, #0\n\tb 1b\n"
        "3:\n\tmovs r0, #255\n\tb 1b\n"
        "4:\n\tmov r5, r12\n\tpush {r0-r3}\n\tldr r3, [sp, #16]\n\tldr r0, [r1]\n\tmov r1, r12\n\tblx r3\n\t"
        "add sp, #4\n\tpop {r1-r3}\n\tmov r12, r5\n\tb 1b");
}
#pragma GCC diagnostic pop

static void outputs(const stage *s, int32_t *y, int32_t n)
{
    if (!s->is_exact) npgru_outputs(s, y, n, long_output);
    else for (int32_t i = 0; i < n; i++) y[i] = exact_output(s->r, y[i]);
}

static inline int32_t output(const stage *s, int32_t y) { return (void)s, y; }           /* `outputs` made it */
#else
/* `output` makes each where it goes. */
static inline void outputs(const stage *s, const int32_t *y, int32_t n) { (void)s, (void)y, (void)n; }

static inline int32_t output(const stage *s, int32_t acc)
{
    if (s->is_exact) return exact_output(s->r, acc);
#if NPGRU_IS_M3
    int32_t low, high;                                   /* GCC would take three multiplications */
    __asm__("smull %0, %1, %2, %3" : "=&r"(low), "=&r"(high) : "r"(acc * 256 + s->start), "r"(s->factor));
#else
    const int32_t high = (int32_t)(((int64_t)(acc * 256 + s->start) * s->r->factor) >> 32);
#endif
    return CM_USAT(high >> 12, 8);
}
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
        uint8_t *y = ring + c * p->ring_columns * 4 + slot;
        const stage of = stage_of(r);
        for (int32_t m = 0; m <= last; m += 4 * MOST) {
            const int32_t left = (last + 4 - m) >> 2, n = left < MOST ? left : MOST;
            npgru_products(work + (m >> 1) * K8, (const int8_t *)(next + 3), K8, s, n);
            outputs(&of, &s[0].a_lower, 4 * n);
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

/* Both rows' sums of a channel's 9 taps at columns first..first + n - 1: those of the i-th are y[2 i + 4] and y[2 i + 5].
   y has room for 2 n + 4. column: of the ring, at `first`. */
static inline void ring_sums(const npgru_depthwise *p, const record *r, const uint32_t *column, int32_t turn, int32_t first,
                             int32_t n, int32_t *y)
{
    const int32_t left = first > 0, right = first + n < p->columns, turn_bits = turn ? 16 : 0;
#if NPGRU_IS_M0
    const uint32_t *words = (const uint32_t *)(r + 1);
    uint32_t taps[3 * (NPGRU_GROUP + 2) + 1], *end = taps + 3 * (n + 1);
    int32_t wide[12], *w = wide;
    const uint32_t outside = packed(p->in_zero, p->in_zero);
    npgru_ring_taps(column - left, taps + (left ? 0 : 3), n + left + right, turn_bits);
    if (!left) taps[0] = taps[1] = taps[2] = outside;
    if (!right) end[0] = end[1] = end[2] = outside;
    end[3] = 0;
    for (int32_t k = 0; k < 12; k += 4, w += 4) {
        const uint32_t four = words[k / 4];
        w[0] = (int8_t)four, w[1] = (int8_t)(four >> 8), w[2] = (int8_t)(four >> 16), w[3] = (int32_t)four >> 24;
    }
    if (r->info >> 30 & 1) npgru_nine_by_threes(taps, wide, y + 4, n);
    else npgru_nine_by_twos(taps, wide, y + 4, n);
#else
    const uint32_t outside = 0x01010101u * (uint32_t)p->in_zero;
    uint32_t x[NPGRU_GROUP + 2];
    x[0] = (left ? column[-1] : outside) ^ 0x80808080u, x[n + 1] = (right ? column[n] : outside) ^ 0x80808080u;    /* codes */
    for (int32_t m = 0; m < n; m++) x[m + 1] = column[m] ^ 0x80808080u;
    npgru_ring_products(x, (const int8_t *)(r + 1), turn_bits, y, n);
#endif
}

CM_HOT void npgru_depthwise_fast(const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first, int32_t n,
                                 npgru_half *pairs)
{
    const int32_t K8 = up8(p->channels);
    const uint32_t *next = p->fast;
    for (int32_t c = 0; c < p->channels; c++, next += 6) {
        const record *r = (const record *)(const void *)next;
        int32_t sums[2 * (NPGRU_GROUP + 2)], *at = sums + 4, left = n;
        uint32_t *y = pair_of((uint32_t *)(void *)pairs, K8, c, 0);
        ring_sums(p, r, ring + c * p->ring_columns + first, turn, first, n, sums);
        const stage of = stage_of(r);
        outputs(&of, at, 2 * n);
        for (; left > 0; left -= 2, at += 4, y += 2 * K8) {
            y[0] = packed(output(&of, at[0]), output(&of, at[1]));
            if (left > 1) y[2] = packed(output(&of, at[2]), output(&of, at[3]));
        }
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
        uint8_t *y = ring + (c * p->ring_columns + first) * 4 + NPGRU_NEW_ROWS(turn);
        const stage of = stage_of(r);
        npgru_sums s[MOST];
        npgru_products(x, (const int8_t *)(next + 3), K8, s, (n + 1) / 2);
        outputs(&of, &s[0].a_lower, 4 * ((n + 1) / 2));
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
    if (first_band >= n_bands) return;
    for (int32_t c = 0; c < p->channels; c++, next += 3 + K8 / 4) {
        const record *r = (const record *)(const void *)next;
        const uint32_t *x = (const uint32_t *)(const void *)pairs;
        npgru_half *y = pooled + first_band * p->channels + c;
        int32_t left = p->pool - n_before, n_found = 0;
        const stage of = stage_of(r);
        npgru_sums s[MOST];
        npgru_products(x, (const int8_t *)(next + 3), K8, s, (n + 1) / 2);
        int32_t *sum = &s[0].a_lower, *const found = sum;                /* the maxima take the place of sums that were read */
        for (int32_t m = 0; m < n && first_band + n_found < n_bands; n_found++) {
            const int32_t here = left < n - m ? left : n - m, *const end = sum + 2 * here;
            int32_t lower = sum[0], upper = sum[1];
            for (sum += 2; sum != end; sum += 2) lower = larger(lower, sum[0]), upper = larger(upper, sum[1]);
            found[2 * n_found] = lower, found[2 * n_found + 1] = upper;
            left = p->pool, m += here;
        }
        outputs(&of, found, 2 * n_found);
        for (int32_t i = 0; i < n_found; i++, y += p->channels) {
            const int32_t both = output(&of, found[2 * i]) | output(&of, found[2 * i + 1]) << 8;
            *y = (npgru_half)(i == 0 && n_before > 0 ? larger_bytes(*y, both) : both);
        }
    }
}

#endif
