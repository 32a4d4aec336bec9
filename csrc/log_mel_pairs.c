/* The front end of log_mel.c, faster and bit for bit the same: two 16-bit numbers in a word, and nothing is computed that
   the input's zeros or the bins in use make needless. With n_blocks blocks in a stage,
   - block 0 is real, and block 1 until it is split (there c = 0 and s = 32767): they travel as pairs of reals;
   - all other rows are pairs (re, im); no component is beyond 23 170 and rounding, for they come out of block 1;
   - two stages are one pass over the data; the last stage is done with the energies, for the bins in use alone.
   Real rows lie packed in front: a pass writes only where it has read, or behind all real rows. */
#include "cortex_m.h"
#include "npgru_int8.h"

#define UNIT 32767

/* Two neighbours of an array as a pair, the first one low. */
CM_INLINE uint32_t pair_at(const int16_t *x) { return cm_load_pair(x); }

/* (x h) >> bits, in pairs z (N/2,), and b: shifted left by b the largest sample has 15 bits; 15 for silence. */
CM_HOT static int32_t window(const npgru_log_mel_params *p, const int16_t *x, int32_t n, uint32_t *z)
{
    const int32_t bits = p->window_bits;
    const int16_t *h = p->window;
    uint32_t used = 0;                                    /* -32768 has no magnitude of 15 bits, so it is left out */
    for (int32_t i = 0; i < n / 2; i++) {
        const uint32_t samples = pair_at(x + 2 * i), weights = pair_at(h + 2 * i);
        const int32_t low = cm_smlabb(samples, weights, 0) >> bits, high = cm_smlatt(samples, weights, 0) >> bits;
        z[i] = cm_pair(low, high);
        used |= cm_abs16(z[i]);
    }
    for (int32_t i = n / 2; i < p->window_len / 2; i++)
        z[i] = 2 * i + 1 == n ? (uint32_t)((x[n - 1] * h[n - 1]) >> bits) & 0xFFFFu : 0;
    if (n % 2 == 1) used |= cm_abs16(z[n / 2]);
    return cm_clz((used | used >> 16) & 0x7FFFu) - 17;
}

/* Both halves times factor; only an unscaled -32768 can wrap. */
CM_INLINE uint32_t scaled(uint32_t x, uint32_t factor)
{
    return factor == 1 ? x : cm_pair(cm_smlabb(x, factor, 0), cm_smlatb(x, factor, 0));
}

/* 32767 x + 32767 of a half: what a butterfly adds its product to, before it takes the high half. */
CM_INLINE uint32_t low_part(uint32_t x) { return (uint32_t)cm_smlabb(x, UNIT, UNIT); }
CM_INLINE uint32_t high_part(uint32_t x) { return (uint32_t)cm_smlatb(x, UNIT, UNIT); }

/* a' = (a + p) / 2, m' = (a - p) / 2, p = m (c - i s), w = (c, s). */
CM_INLINE void butterfly(uint32_t *a, uint32_t *m, uint32_t w)
{
    const uint32_t re = low_part(*a), im = high_part(*a);
    const uint32_t re_plus = (uint32_t)cm_smlad(*m, w, (int32_t)re), im_plus = (uint32_t)cm_smlsdx(w, *m, (int32_t)im);
    *a = cm_high_pair(re_plus, im_plus);
    *m = cm_high_pair(2 * re - re_plus, 2 * im - im_plus);
}

/* Block 0, two butterflies of reals: p = 32767 m. */
CM_INLINE void real_butterflies(uint32_t *a, uint32_t *m)
{
    const uint32_t low = low_part(*a), high = high_part(*a);
    const uint32_t low_plus = (uint32_t)cm_smlabb(*m, UNIT, (int32_t)low);
    const uint32_t high_plus = (uint32_t)cm_smlatb(*m, UNIT, (int32_t)high);
    *a = cm_high_pair(low_plus, high_plus);
    *m = cm_high_pair(2 * low - low_plus, 2 * high - high_plus);
}

/* Block 1, one butterfly of reals, their parts: p = -32767 i m. */
CM_INLINE void splitting_butterfly(uint32_t a_part, uint32_t m_part, uint32_t *a, uint32_t *m)
{
    *a = cm_high_pair(a_part, 2 * UNIT - m_part);
    *m = cm_high_pair(a_part, m_part);
}

/* Stages of 1 and 2 blocks, or of the first two blocks: 4 n reals z (2 n words) -> 2 n reals in front, rows from 2 n on. */
CM_INLINE void real_block(uint32_t *z, int32_t n, uint32_t factor)
{
    uint32_t *rows = z + 2 * n;
    for (uint32_t *end = z + n / 2; z < end; z++, rows += 2) {
        uint32_t r0 = scaled(z[0], factor), r1 = scaled(z[n / 2], factor);
        uint32_t r2 = scaled(z[n], factor), r3 = scaled(z[n + n / 2], factor);
        real_butterflies(&r0, &r2);
        real_butterflies(&r1, &r3);
        real_butterflies(&r0, &r1);
        z[0] = r0, z[n / 2] = r1;
        splitting_butterfly(low_part(r2), low_part(r3), &rows[0], &rows[n]);
        splitting_butterfly(high_part(r2), high_part(r3), &rows[1], &rows[n + 1]);
    }
}

/* Two stages of block 1: 4 n reals z (2 n words) -> rows (4 n,), blocks 2 and 3 of the second stage with even and odd. */
CM_HOT static void split_block(const uint32_t *z, int32_t n, uint32_t even, uint32_t odd, uint32_t *rows)
{
    for (const uint32_t *end = z + n / 2; z < end; z++)
        for (int32_t half = 0; half < 2; half++, rows++) {
            uint32_t part[4], r0, r1, r2, r3;
            for (int32_t k = 0; k < 4; k++) part[k] = half == 0 ? low_part(z[k * n / 2]) : high_part(z[k * n / 2]);
            splitting_butterfly(part[0], part[2], &r0, &r2);
            splitting_butterfly(part[1], part[3], &r1, &r3);
            butterfly(&r0, &r1, even);
            butterfly(&r2, &r3, odd);
            rows[0] = r0, rows[n] = r1, rows[2 * n] = r2, rows[3 * n] = r3;
        }
}

/* Two stages of a complex block, 4 n rows: with first, then with even and odd. */
CM_INLINE void two_stages(uint32_t *z, int32_t n, uint32_t first, uint32_t even, uint32_t odd)
{
    uint32_t *upper = z + 2 * n;
    for (uint32_t *end = z + n; z < end; z++, upper++) {
        uint32_t r0 = z[0], r1 = z[n], r2 = upper[0], r3 = upper[n];
        butterfly(&r0, &r2, first);
        butterfly(&r1, &r3, first);
        butterfly(&r0, &r1, even);
        butterfly(&r2, &r3, odd);
        z[0] = r0, z[n] = r1, upper[0] = r2, upper[n] = r3;
    }
}

/* All stages but the last: z (N/2,) pairs of samples, to be shifted left by b -> z (N,) rows. */
CM_HOT static void fft_but_last(const npgru_log_mel_params *p, uint32_t *z, int32_t b)
{
    const int32_t N = p->window_len;
    const int16_t *w = p->twiddles;
    int32_t n_blocks = 4;
    if (cm_clz((uint32_t)N) % 2 == 0) {                   /* the number of stages is odd */
        real_block(z, N / 4, 1u << b);
    } else {
        n_blocks = 2;
        for (int32_t i = 0; i < N / 4; i++) {
            z[i] = scaled(z[i], 1u << b), z[i + N / 4] = scaled(z[i + N / 4], 1u << b);
            real_butterflies(&z[i], &z[i + N / 4]);
        }
    }
    for (; n_blocks < N / 2; n_blocks *= 4) {
        const int32_t n = N / n_blocks / 4;
        split_block(z + 2 * n, n, pair_at(w + 4), pair_at(w + 6), z + 4 * n);
        real_block(z, n, 1);
        for (int32_t j = 2; n == 2 && j < n_blocks; j++)  /* half of all blocks: constant addresses pay */
            two_stages(z + 8 * j, 2, pair_at(w + 2 * j), pair_at(w + 4 * j), pair_at(w + 4 * j + 2));
        for (int32_t j = 2; n != 2 && j < n_blocks; j++)
            two_stages(z + 4 * n * j, n, pair_at(w + 2 * j), pair_at(w + 4 * j), pair_at(w + 4 * j + 2));
    }
    const uint32_t front = z[0], behind = z[1];           /* the last four reals become rows */
    z[0] = front & 0xFFFFu, z[1] = front >> 16, z[2] = behind & 0xFFFFu, z[3] = behind >> 16;
}

/* Energy of bin k: the last stage's sum in the block of row rev(k) and difference in that of row rev(N - k), then the real
   spectrum as in log_mel.c. The input is real, so Q is a few units. */
CM_INLINE uint32_t bin_energy(const uint32_t *z, const int16_t *twiddles, int32_t k, int32_t N, int32_t shift)
{
    const uint32_t row = cm_rbit((uint32_t)k) >> shift, mirror = cm_rbit((uint32_t)(N / 2 - k)) >> shift;
    uint32_t Z_k = z[row], m_k = z[row + 1], a_m = z[mirror], Z_m = z[mirror + 1];
    butterfly(&Z_k, &m_k, pair_at(twiddles + row));
    butterfly(&a_m, &Z_m, pair_at(twiddles + mirror));
    const uint32_t Q = cm_halves(cm_ssub16(Z_k, Z_m), cm_sadd16(Z_k, Z_m));
    const uint32_t w = pair_at(twiddles + 2 * row);
    const int32_t P_re = cm_low(Z_k) + cm_low(Z_m), P_im = cm_high(Z_k) - cm_high(Z_m);
    const int32_t re = (P_re + (cm_smusdx(w, Q) >> 15)) >> 2, im = (P_im - (cm_smuad(w, Q) >> 15)) >> 2;
    return (uint32_t)(re * re) + (uint32_t)(im * im);
}

/* floor(sqrt(v)): Newton's steps from the tangent 0.3125 u + 0.8, u = v / 4^e in [1, 4), at most 12 % too large. After
   three the value is the root or one more: steps in integers stay at or above it. */
static uint32_t floor_root(uint32_t v)
{
    if (v == 0) return 0;
    const int32_t e = (31 - cm_clz(v)) / 2;
    uint32_t x = (v >> e >> 2) + (v >> e >> 4) + (13u << e >> 4) + 1;
    for (int32_t step = 0; step < 3; step++) x = (x + v / x) >> 1;
    return x - (x > v / x ? 1 : 0);
}

/* Nearest integer to sqrt(m), m < 2^40; for m < 2^32 at most 65535. Above 2^32, four more bits by one division. */
static uint32_t rounded_root(uint64_t m)
{
    const uint32_t low = (uint32_t)m;                     /* m - r^2 fits in 32 bits wherever it is taken */
    uint32_t r = floor_root(m >> 32 == 0 ? low : (uint32_t)(m >> 8));
    if (m >> 32 != 0) {
        r <<= 4;
        r += (low - r * r) / (2 * r);
        if ((int32_t)(low - r * r) < 0) r--;
    }
    return r + (low - r * r > r && r != 65535 ? 1 : 0);
}

/* 2^pb ln v, 0 for v = 0: as in log_mel.c. */
static uint16_t fixed_log(const npgru_log_mel_params *p, uint32_t v)
{
    if (v == 0) return 0;
    const int32_t e = 31 - cm_clz(v);
    const uint32_t above = v - (1u << e);
    const int32_t f = (int32_t)(e <= 16 ? above << (16 - e) : above >> (e - 16));
    const int16_t *T = p->log_table + (f >> 9);
    const int32_t l = f + T[0] + (((T[1] - T[0]) * (f & 511)) >> 16);
    const uint32_t ln = 45426u * (uint32_t)e + ((45426u * (uint32_t)l + 32768u) >> 16);
    return (uint16_t)(((ln << p->post_bits) + 32768u) >> 16);
}

/* The last stage, energies, mel bank, root, scale down by b, logarithm: z (N,) -> y (M,). */
CM_HOT static void mel_log(const npgru_log_mel_params *p, const uint32_t *z, int32_t b, uint16_t *y)
{
    const int32_t N = p->window_len, shift = cm_clz((uint32_t)N) + 1;
    const int16_t *weights = p->weights, *unweights = p->unweights;
    uint64_t risen = 0;                                   /* rising edge of channel i - 1 */
    int32_t k = p->segments[0];
    for (int32_t i = 0; i <= p->n_channels; i++) {
        uint64_t rising = 0, falling = 0;
        for (const int32_t end = p->segments[i + 1]; k < end; k++) {
            const uint32_t E = bin_energy(z, p->twiddles, k, N, shift);
            rising += (uint64_t)E * (uint16_t)*unweights++;
            falling += (uint64_t)E * (uint16_t)*weights++;
        }
        if (i > 0) y[i - 1] = fixed_log(p, rounded_root(risen + falling) >> b);
        risen = rising;
    }
}

npgru_status npgru_log_mel_frame_pairs(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_samples,
                                       void *scratch, uint16_t *y)
{
    const npgru_status status = npgru_log_mel_check(p);
    if (status != NPGRU_OK) return status;
    if (n_samples < 0 || n_samples > p->window_len) return NPGRU_BAD_SHAPE;
    uint32_t *z = scratch;
    const int32_t b = window(p, samples, n_samples, z);
    fft_but_last(p, z, b);
    mel_log(p, z, b, y);
    return NPGRU_OK;
}
