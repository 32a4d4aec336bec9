/* The fixed-point log-mel front end: the stages of npgru/features.py, one window at a time.
   Source: the BioDCASE-Tiny 2025 challenge's Python front end, commit 587b658; all integers are its own.
   Signed right shifts floor and (int16_t) keeps the low 16 bits: C99 leaves both to the compiler,
   every one we know does so, and the first is checked here. */
#include "npgru_int8.h"

typedef char right_shift_must_floor[(-3 >> 1) == -2 ? 1 : -1];

npgru_status npgru_log_mel_check(const npgru_log_mel_params *p)
{
    const int32_t N = p->window_len, M = p->n_channels;
    if (N < 16 || N > 8192 || (N & (N - 1)) != 0) return NPGRU_BAD_SHAPE;
    if (p->window_stride < 1 || p->window_stride > 65536 || M < 1 || M > 256) return NPGRU_BAD_SHAPE;
    if (p->window_bits < 0 || p->window_bits > 14 || p->post_bits < 0 || p->post_bits > 12) return NPGRU_BAD_RANGE;
    if (p->pad_tail < 0 || p->pad_tail > 1) return NPGRU_BAD_RANGE;
    if (!p->window || !p->twiddles || !p->segments || !p->weights || !p->unweights || !p->log_table)
        return NPGRU_BAD_RANGE;
    if (p->segments[0] < 1 || p->segments[M + 1] >= N / 2) return NPGRU_BAD_RANGE;
    for (int32_t i = 0; i <= M; i++)
        if (p->segments[i] > p->segments[i + 1]) return NPGRU_BAD_RANGE;
    return NPGRU_OK;
}

static int32_t bit_length(uint32_t v)                     /* 0 for 0, else 1 + floor(log2 v) */
{
    int32_t length = 0;
    for (; v != 0; v >>= 1) length++;
    return length;
}

/* Window, then shift left until the largest sample has 15 bits.
   x (n,), zeros follow; z (N, 2), imaginary parts 0. Returns the shift b, 15 for silence. */
static int32_t window_and_scale(const npgru_log_mel_params *p, const int16_t *x, int32_t n, int16_t *z)
{
    int16_t largest = 0;
    for (int32_t i = 0; i < p->window_len; i++) {
        const int16_t y = (int16_t)(i < n ? (x[i] * p->window[i]) >> p->window_bits : 0);
        const int16_t magnitude = (int16_t)(y < 0 ? -y : y);     /* -32768 stays negative, so it is left out */
        if (magnitude > largest) largest = magnitude;
        z[2 * i] = y;
        z[2 * i + 1] = 0;
    }
    const int32_t b = 15 - bit_length((uint32_t)largest);
    for (int32_t i = 0; i < p->window_len; i++)
        z[2 * i] = (int16_t)(z[2 * i] * (1 << b));               /* only that -32768 can wrap */
    return b;
}

/* high_half(32767 a + 32767 + p): unsigned, so wrapping is defined; only bits 16..31 are used. */
static int16_t half_sum(int16_t a, uint32_t p)
{
    return (int16_t)(((uint32_t)(32767 * a + 32767) + p) >> 16);
}

/* a' = (a + p) / 2, m' = (a - p) / 2, p = m (c - i s); a, m: re, im. */
static void butterfly(int16_t *a, int16_t *m, int32_t c, int32_t s)
{
    const uint32_t p_re = (uint32_t)(c * m[0]) + (uint32_t)(s * m[1]);
    const uint32_t p_im = (uint32_t)(c * m[1]) - (uint32_t)(s * m[0]);
    m[0] = half_sum(a[0], 0u - p_re);
    m[1] = half_sum(a[1], 0u - p_im);
    a[0] = half_sum(a[0], p_re);
    a[1] = half_sum(a[1], p_im);
}

/* z (N, 2) natural order -> DFT(z) / N in bit-reversed order, in place. */
static void fft(const npgru_log_mel_params *p, int16_t *z)
{
    for (int32_t half = p->window_len / 2; half >= 1; half /= 2) {
        const int32_t n_blocks = p->window_len / (2 * half);
        for (int32_t j = 0; j < n_blocks; j++) {
            int16_t *a = z + 4 * half * j, *m = a + 2 * half;
            for (int32_t i = 0; i < half; i++)
                butterfly(a + 2 * i, m + 2 * i, p->twiddles[2 * j], p->twiddles[2 * j + 1]);
        }
    }
}

static int32_t bit_reversed(int32_t k, int32_t n)         /* k < n, n a power of two up to 2^15 */
{
    k = (k & 0x5555) << 1 | (k >> 1 & 0x5555);
    k = (k & 0x3333) << 2 | (k >> 2 & 0x3333);
    k = (k & 0x0f0f) << 4 | (k >> 4 & 0x0f0f);
    k = (k & 0x00ff) << 8 | (k >> 8 & 0x00ff);
    return k * n >> 16;                                   /* of 16 reversed bits the upper log2(n) */
}

/* Energy of bin k of the real spectrum, from rows rev(k) and rev(N - k) of the FFT. */
static uint32_t bin_energy(const npgru_log_mel_params *p, const int16_t *z, int32_t k)
{
    const int32_t row = bit_reversed(k, p->window_len), mirror = bit_reversed(p->window_len - k, p->window_len);
    const int16_t *Z_k = z + 2 * row, *Z_m = z + 2 * mirror;
    const int32_t c = p->twiddles[2 * row], s = p->twiddles[2 * row + 1];
    const int32_t P_re = Z_k[0] + Z_m[0], P_im = Z_k[1] - Z_m[1];
    const int32_t Q_re = Z_k[0] - Z_m[0], Q_im = Z_k[1] + Z_m[1];        /* a few units: the input is real */
    const int32_t re = (P_re + ((c * Q_im - s * Q_re) >> 15)) >> 2;
    const int32_t im = (P_im - ((c * Q_re + s * Q_im) >> 15)) >> 2;
    return (uint32_t)(re * re) + (uint32_t)(im * im);
}

/* Nearest integer to sqrt(m), m < 2^40, bit by bit; for m < 2^32 at most 65535. */
static uint32_t rounded_root(uint64_t m)
{
    uint64_t root = 0, rest = m;                          /* rest = m - root^2 when the loop ends */
    for (uint64_t bit = (uint64_t)1 << 40; bit != 0; bit >>= 2) {
        const uint64_t trial = root + bit;
        root >>= 1;
        if (rest >= trial) {
            rest -= trial;
            root += bit;
        }
    }
    return (uint32_t)(root + (rest > root && root != 65535 ? 1 : 0));
}

/* 2^pb ln v, 0 for v = 0. v <= 2^20 and pb <= 12 keep it below 56784 and every step in 32 bits. */
static uint16_t fixed_log(const npgru_log_mel_params *p, uint32_t v)
{
    if (v == 0) return 0;
    const int32_t e = bit_length(v) - 1;
    const uint32_t above = v - (1u << e);
    const int32_t f = (int32_t)(e <= 16 ? above << (16 - e) : above >> (e - 16));
    const int16_t *T = p->log_table + (f >> 9);
    const int32_t l = f + T[0] + (((T[1] - T[0]) * (f & 511)) >> 16);
    const uint32_t ln = 45426u * (uint32_t)e + ((45426u * (uint32_t)l + 32768u) >> 16);
    return (uint16_t)(((ln << p->post_bits) + 32768u) >> 16);
}

/* Mel bank, root, scale down by b, logarithm: z (N, 2) -> y (M,).
   Segment i is the rising edge of channel i and the falling edge of channel i - 1. */
static void mel_log(const npgru_log_mel_params *p, const int16_t *z, int32_t b, uint16_t *y)
{
    uint64_t risen = 0;                                   /* rising edge of channel i - 1 */
    for (int32_t i = 0; i <= p->n_channels; i++) {
        uint64_t rising = 0, falling = 0;
        for (int32_t k = p->segments[i]; k < p->segments[i + 1]; k++) {
            const uint64_t E = bin_energy(p, z, k);
            rising += E * (uint64_t)p->unweights[k - p->segments[0]];
            falling += E * (uint64_t)p->weights[k - p->segments[0]];
        }
        if (i > 0) y[i - 1] = fixed_log(p, rounded_root(risen + falling) >> b);
        risen = rising;
    }
}

int32_t npgru_log_mel_n_frames(const npgru_log_mel_params *p, int32_t n_samples)
{
    if (npgru_log_mel_check(p) != NPGRU_OK || n_samples < p->window_len || n_samples > (1 << 30)) return 0;
    return 1 + (n_samples - p->window_len) / p->window_stride + p->pad_tail;
}

size_t npgru_log_mel_scratch_bytes(const npgru_log_mel_params *p)
{
    return npgru_log_mel_check(p) == NPGRU_OK ? 2 * sizeof(int16_t) * (size_t)p->window_len : 0;
}

npgru_status npgru_log_mel_frame(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_samples,
                                 void *scratch, uint16_t *y)
{
    const npgru_status status = npgru_log_mel_check(p);
    if (status != NPGRU_OK) return status;
    if (n_samples < 0 || n_samples > p->window_len) return NPGRU_BAD_SHAPE;
    int16_t *z = scratch;
    const int32_t b = window_and_scale(p, samples, n_samples, z);
    fft(p, z);
    mel_log(p, z, b, y);
    return NPGRU_OK;
}

npgru_status npgru_log_mel(const npgru_log_mel_params *p, const int16_t *samples, int32_t n_samples,
                           void *scratch, uint16_t *y)
{
    const npgru_status status = npgru_log_mel_check(p);
    if (status != NPGRU_OK) return status;
    const int32_t T = npgru_log_mel_n_frames(p, n_samples);
    if (T == 0) return NPGRU_BAD_SHAPE;
    for (int32_t t = 0; t < T; t++) {
        const int32_t first = t * p->window_stride, rest = n_samples - first;      /* rest < N in a padded window */
        const int32_t n = rest < 0 ? 0 : rest < p->window_len ? rest : p->window_len;
        (void)npgru_log_mel_frame(p, samples + (n > 0 ? first : 0), n, scratch, y);
        y += p->n_channels;
    }
    return NPGRU_OK;
}
