/* The fixed-point log-mel front end: the stages of npgru/features.py, one window at a time.
   Source: the BioDCASE-Tiny 2025 challenge's Python front end, commit 587b658; all integers are its own.
   Signed right shifts floor and (int16_t) keeps the low 16 bits: C99 leaves both to the compiler,
   every one we know does so, and the first is checked here. */
#include "cortex_m.h"
#include "log_mel.h"

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
    const int32_t b = cm_clz((uint32_t)largest) - 17;
    for (int32_t i = 0; i < p->window_len; i++)
        z[2 * i] = (int16_t)(z[2 * i] * (1 << b));               /* only that -32768 can wrap */
    return b;
}

/* high_half(32767 a + 32767 + p): unsigned, so wrapping is defined; only bits 16..31 are used. */
static int16_t half_sum(int16_t a, uint32_t p)
{
    return (int16_t)(((uint32_t)(32767 * a + 32767) + p) >> 16);
}

void npgru_log_mel_butterfly(int16_t *a, int16_t *m, const int16_t *w)
{
    const int32_t c = w[0], s = w[1];
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
                npgru_log_mel_butterfly(a + 2 * i, m + 2 * i, p->twiddles + 2 * j);
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

uint32_t npgru_log_mel_energy(const int16_t *Z_k, const int16_t *Z_m, const int16_t *w)
{
    const int32_t c = w[0], s = w[1];
    const int32_t P_re = Z_k[0] + Z_m[0], P_im = Z_k[1] - Z_m[1];
    const int32_t Q_re = Z_k[0] - Z_m[0], Q_im = Z_k[1] + Z_m[1];        /* a few units: the input is real */
    const int32_t re = (P_re + ((c * Q_im - s * Q_re) >> 15)) >> 2;
    const int32_t im = (P_im - ((c * Q_re + s * Q_im) >> 15)) >> 2;
    return (uint32_t)(re * re) + (uint32_t)(im * im);
}

static uint32_t bin_energy(const npgru_log_mel_params *p, const int16_t *z, int32_t k)
{
    const int32_t row = bit_reversed(k, p->window_len), mirror = bit_reversed(p->window_len - k, p->window_len);
    return npgru_log_mel_energy(z + 2 * row, z + 2 * mirror, p->twiddles + 2 * row);
}

/* 128 / sqrt((i + 1/2) / 128), i = 32..127. */
static const uint8_t inverse_roots[96] = {
    254, 250, 247, 243, 240, 236, 233, 230, 228, 225, 222, 220, 217, 215, 212, 210, 208, 206, 204, 202, 200, 198, 196, 194,
    193, 191, 189, 188, 186, 185, 183, 182, 180, 179, 178, 176, 175, 174, 172, 171, 170, 169, 168, 167, 166, 164, 163, 162,
    161, 160, 159, 158, 158, 157, 156, 155, 154, 153, 152, 151, 151, 150, 149, 148, 147, 147, 146, 145, 144, 144, 143, 142,
    142, 141, 140, 140, 139, 138, 138, 137, 137, 136, 135, 135, 134, 134, 133, 132, 132, 131, 131, 130, 130, 129, 129, 128
};

/* Nearest integer to sqrt(m), m < 2^40; for m < 2^32 at most 65535. v = m 4^e or m / 4^e in [2^30, 2^32) has a root within
   1.2 % of r = v y, y from the table. A step r + (v - r^2) y / 2 first leaves 1.5 times the square of that, then 1.2 % of
   what there was: two come within 1; a third at the scale of a larger m, too. v - r^2 fits in 32 bits where it is taken. */
static uint32_t rounded_root(uint64_t m)
{
    const uint32_t high = (uint32_t)(m >> 32), low = (uint32_t)m;
    if (m == 0) return 0;
    const int32_t e = high != 0 ? (33 - cm_clz(high)) / 2 : cm_clz(low) / 2;
    const uint32_t v = high != 0 ? high << (32 - 2 * e) | low >> 2 * e : low << 2 * e;
    const int32_t y = inverse_roots[(v >> 25) - 32];
    uint32_t r = (v >> 16) * (uint32_t)y >> 7;
    r += (uint32_t)(((int32_t)(v - r * r) >> 8) * y >> 16);
    r += (uint32_t)((int32_t)(v - r * r) * y >> 24);
    if (high != 0) {
        r <<= e;
        r += (uint32_t)(((int32_t)(low - r * r) >> e) * y >> 24);
    } else {
        r >>= e;
    }
    const int32_t rest = (int32_t)(low - r * r);
    r = r + (rest > (int32_t)r) - (rest <= -(int32_t)r);
    return r == 65536 && high == 0 ? 65535 : r;
}

/* 2^pb ln v, 0 for v = 0. v <= 2^20 and pb <= 12 keep it below 56784 and every step in 32 bits. */
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

uint16_t npgru_log_mel_feature(const npgru_log_mel_params *p, int32_t b, uint64_t m)
{
    return fixed_log(p, rounded_root(m) >> b);
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
        if (i > 0) y[i - 1] = npgru_log_mel_feature(p, b, risen + falling);
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
