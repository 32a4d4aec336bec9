/* The front end of log_mel.c, faster and bit for bit the same: two 16-bit numbers in a word, and half the spectrum alone.
   With n blocks in a stage, block 0 is real, and block 1 until it is split (there c = 0 and s = 32767): they travel as pairs
   of reals, packed in front. A split begins a family: blocks 2 and 3, then 4 to 7, then 8 to 15 and so on, whose second
   half is the first half's mirror, the conjugate of row j of [2h, 4h) in row 6h - 1 - j:
   - the twiddle of the mirror of block j is (-c, s) where that of j is (c, s): so its a' is the conjugate of j's m', its m'
     of j's a', but for rounding: high_half(x + 32767) rounds halves down, and -x up;
   - so they are conjugates in every bit unless the imaginary part of a sum is a half, a tie: x + 32768 = 0 modulo 65536;
   - so rows [2h, 3h) are computed, with 32768 for the imaginary part, until a sum ties; then the family begins again
     from its reals, every row for itself. That is one window in ten, and more often of a recording below 1/256 of the scale.
   No component of a family is beyond 23 170 and rounding. Two stages are one pass over the data. */
#include "log_mel.h"
#include "log_mel_rows.h"
#if CM_HAS_HELIUM
#include "log_mel_helium.h"
#endif

/* (x h) >> bits of two samples -> z, and its magnitudes. */
CM_INLINE uint32_t windowed(const int16_t *x, const int16_t *h, int32_t bits, uint32_t *z)
{
    const uint32_t samples = cm_load_pair(x), weights = cm_load_pair(h);
    *z = cm_pair(cm_smlabb(samples, weights, 0) >> bits, cm_smlatt(samples, weights, 0) >> bits);
    return cm_abs16(*z);
}

/* (x h) >> bits, in pairs z (N/2,), and b: shifted left by b the largest sample has 15 bits; 15 for silence. */
CM_HOT static int32_t window(const npgru_log_mel_params *p, const int16_t *x, int32_t n, uint32_t *z)
{
    const int32_t bits = p->window_bits;
    const int16_t *h = p->window;
    uint32_t used = 0, *const last = z + p->window_len / 2;       /* -32768 has no magnitude of 15 bits, so it is left out */
#if CM_HAS_HELIUM
    const int32_t done = vector_window(x, h, n, bits, z, &used);
    n -= done, x += done, h += done, z += done / 2;
#endif
    for (; n >= 8; n -= 8, x += 8, h += 8, z += 4)        /* four at a time: constant addresses pay */
        for (int32_t k = 0; k < 4; k++) used |= windowed(x + 2 * k, h + 2 * k, bits, z + k);
    for (int32_t i = 0; z < last; i += 2, z++) {
        *z = cm_pair(i < n ? (x[i] * h[i]) >> bits : 0, i + 1 < n ? (x[i + 1] * h[i + 1]) >> bits : 0);
        used |= cm_abs16(*z);
    }
    return cm_clz((used | used >> 16) & 0x7FFFu) - 17;
}

/* Both halves times factor; only an unscaled -32768 can wrap. */
CM_INLINE uint32_t scaled(uint32_t x, uint32_t factor)
{
    return cm_pair(cm_smlabb(x, factor, 0), cm_smlatb(x, factor, 0));
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

/* Block 0, 4 h reals (2 h words) times factor: its stage, and the next one's of the first half if there are four words. */
CM_HOT static void real_stages(uint32_t *z, int32_t h, uint32_t factor)
{
    if (h == 1) real_butterflies(&z[0], &z[1]);
#if CM_HAS_HELIUM
    if (h % 8 == 0) {
        vector_real_stages(z, h, factor);
        return;
    }
#endif
    for (uint32_t *end = z + h / 2; z < end; z++) {
        uint32_t r0 = scaled(z[0], factor), r1 = scaled(z[h / 2], factor);
        uint32_t r2 = scaled(z[h], factor), r3 = scaled(z[h + h / 2], factor);
        real_butterflies(&r0, &r2);
        real_butterflies(&r1, &r3);
        real_butterflies(&r0, &r1);
        z[0] = r0, z[h / 2] = r1, z[h] = r2, z[h + h / 2] = r3;
    }
}

/* ---- A family: 2 h reals in z[h .. 2h) -> energies of h bins, bin k in z[row], its row of the FFT, in [2h, 4h) ---- */

/* Its first stage, with the split. */
ROW_LOOP static int one_stage_of_reals(const uint32_t *x, int32_t h, twiddle w, uint32_t *rows)
{
#if CM_HAS_HELIUM
    if (h % 16 == 0) return vector_stage_of_reals(x, h, w, rows);
#endif
    for (const uint32_t *end = x + h / 4; x < end; x++)
        for (int32_t half = 0; half < 2; half++, rows++) {
            const uint32_t a0 = x[0], a1 = x[h / 4], m0 = x[h / 2], m1 = x[h / 2 + h / 4];
            row r0 = half == 0 ? split_low(a0, m0) : split_high(a0, m0);
            row r1 = half == 0 ? split_low(a1, m1) : split_high(a1, m1);
            if (butterfly(&r0, &r1, w, 0)) return 1;
            put(rows, r0), put(rows + h / 2, r1);
        }
    return 0;
}

#if CM_THUMB1

/* All stages behind the split, every row for itself. */
static void exact_stages(uint32_t *z, int32_t h, const int16_t *w)
{
    int16_t *rows = (int16_t *)(void *)z;
    for (int32_t n = h / 2; n >= 1; n /= 2)
        for (int32_t j = h / n; j < 2 * h / n; j++)
            for (int32_t i = 0; i < n; i++)
                npgru_log_mel_butterfly(rows + 4 * n * j + 2 * i, rows + 4 * n * j + 2 * (n + i), w + 2 * j);
}

/* All its stages but the first -> energies. */
static int more_stages(uint32_t *z, int32_t h, const int16_t *w)
{
    for (int32_t n = h / 2; n > 2; n /= 2)
        if (npgru_log_mel_stage(z + 2 * h, 2 * n, w + 4 * h / n, h / n)) return 1;
    return npgru_log_mel_last_stage(z + 2 * h, z + 4 * h, w + 2 * h, z + 3 * h);
}

#else

/* Two stages of blocks j .. end - 1 of 4 n rows. exact is a constant where this is called. */
CM_INLINE int two_stages(uint32_t *z, int32_t n, const int16_t *w, int32_t j, int32_t end, int exact)
{
    for (z += 4 * n * j; j < end; j++, z += 3 * n) {
        const twiddle first = twiddle_at(w + 2 * j), even = twiddle_at(w + 4 * j), odd = twiddle_at(w + 4 * j + 2);
        uint32_t *upper = z + 2 * n;
        for (const uint32_t *last = z + n; z < last; z++, upper++) {
            CM_OPAQUE(z);                                 /* two pointers, not four */
            CM_OPAQUE(upper);
            row r0 = get(z), r2 = get(upper);
            if (butterfly(&r0, &r2, first, exact)) return 1;
            row r1 = get(z + n), r3 = get(upper + n);
            if (butterfly(&r1, &r3, first, exact)) return 1;
            if (butterfly(&r0, &r1, even, exact)) return 1;
            put(z, r0), put(z + n, r1);
            if (butterfly(&r2, &r3, odd, exact)) return 1;
            put(upper, r2), put(upper + n, r3);
        }
    }
    return 0;
}

ROW_LOOP static int two_stages_unless_tied(uint32_t *z, int32_t n, const int16_t *w, int32_t j, int32_t end)
{
#if CM_HAS_HELIUM
    if (n % 4 == 0) return vector_two_stages(z, n, w, j, end);
    if (n == 2 && (end - j) % 2 == 0) return vector_two_stages_of_2(z, w, j, end);
#endif
    return two_stages(z, n, w, j, end, 0);
}

ROW_LOOP static void two_exact_stages(uint32_t *z, int32_t n, const int16_t *w, int32_t j, int32_t end)
{
    (void)two_stages(z, n, w, j, end, 1);
}

ROW_LOOP static void exact_stage_of_2(uint32_t *z, int32_t h, const int16_t *w)
{
    for (int32_t j = h; j < 2 * h; j++) {
        row a = get(z + 2 * j), m = get(z + 2 * j + 1);
        (void)butterfly(&a, &m, twiddle_at(w + 2 * j), 1);
        put(z + 2 * j, a), put(z + 2 * j + 1, m);
    }
}

/* All stages behind the split, every row for itself. */
static void exact_stages(uint32_t *z, int32_t h, const int16_t *w)
{
    int32_t n = h;                                        /* rows of a block */
#if CM_HAS_HELIUM
    for (; n >= 8; n /= 2) vector_exact_stage(z, n / 2, w, 2 * h / n, 4 * h / n);
#endif
    for (; n >= 4; n /= 4) two_exact_stages(z, n / 4, w, 2 * h / n, 4 * h / n);
    if (n == 2) exact_stage_of_2(z, h, w);
}

/* The last stage of the block of rows 2 j and 2 j + 1 -> the energies of their bins; an odd row is its mirror's. */
CM_INLINE int energies(row a, row m, twiddle w, uint32_t *even, uint32_t *odd)
{
    const sums s = sums_of(a, m, w, HALF);
    if (ties(s.im_plus, s.im_minus)) return 1;
    *even = energy(s.re_plus, s.im_plus);
    *odd = energy(s.re_minus, s.im_minus + 0x10000u);     /* floor(-x / 2) = -floor((x + 1) / 2) */
    return 0;
}

/* The last stage alone. */
ROW_LOOP static int energies_of_2(uint32_t *z, int32_t h, const int16_t *w)
{
#if CM_HAS_HELIUM
    if (h % 8 == 0) return vector_energies_of_2(z, h, w);
#endif
    uint32_t *mirror = z + 4 * h;
    z += 2 * h, w += 2 * h;
    for (const uint32_t *end = z + h; z < end; z += 2, mirror -= 2, w += 2)
        if (energies(get(z), get(z + 1), twiddle_at(w), z, mirror - 2)) return 1;
    return 0;
}

/* The last two stages. */
ROW_LOOP static int energies_of_4(uint32_t *z, int32_t h, const int16_t *w)
{
#if CM_HAS_HELIUM
    if (h % 8 == 0) return vector_stage_of_4(z, h, w) || vector_energies_of_2(z, h, w);
#endif
    const int16_t *first = w + h;
    uint32_t *mirror = z + 4 * h;
    z += 2 * h, w += 2 * h;
    for (const uint32_t *end = z + h; z < end; z += 4, mirror -= 4, first += 2, w += 4) {
        row r0 = get(z), r2 = get(z + 2);
        if (butterfly(&r0, &r2, twiddle_at(first), 0)) return 1;
        row r1 = get(z + 1), r3 = get(z + 3);
        if (butterfly(&r1, &r3, twiddle_at(first), 0)) return 1;
        if (energies(r0, r1, twiddle_at(w), z, mirror - 2)) return 1;
        if (energies(r2, r3, twiddle_at(w + 2), z + 2, mirror - 4)) return 1;
    }
    return 0;
}

/* All its stages but the first -> energies. */
static int more_stages(uint32_t *z, int32_t h, const int16_t *w)
{
    int32_t n = h / 2;                                    /* rows of a block */
    for (; n > 4; n /= 4)
        if (two_stages_unless_tied(z, n / 4, w, 2 * h / n, 3 * h / n)) return 1;
    return n == 4 ? energies_of_4(z, h, w) : energies_of_2(z, h, w);
}

#endif

/* The split of two reals -> a row and its mirror, h rows above: a - i m, p = -32767 i m, and a + i m. */
CM_INLINE void split(uint32_t *rows, int32_t h, int32_t a, int32_t m)
{
    const int32_t re = (UNIT * a + UNIT) >> 16;
    rows[0] = cm_pair(re, (UNIT - UNIT * m) >> 16), rows[h] = cm_pair(re, (UNIT + UNIT * m) >> 16);
}

CM_INLINE uint32_t exact_energy(uint32_t upright, uint32_t mirror, const int16_t *w)
{
    const int16_t Z_k[2] = { (int16_t)cm_low(upright), (int16_t)cm_high(upright) };
    const int16_t Z_m[2] = { (int16_t)cm_low(mirror), (int16_t)cm_high(mirror) };
    return npgru_log_mel_energy(Z_k, Z_m, w);
}

/* The exact form. */
CM_HOT static void whole_family(const npgru_log_mel_params *p, uint32_t *z, int32_t h)
{
    const int16_t *w = p->twiddles;
    if (h == 1) split(z + 2, 1, cm_low(z[1]), cm_high(z[1]));
    for (int32_t i = 0; i + 1 < h; i += 2) {
        const uint32_t a = z[h + i / 2], m = z[h + h / 2 + i / 2];
        split(z + 2 * h + i, h, cm_low(a), cm_low(m));
        split(z + 2 * h + i + 1, h, cm_high(a), cm_high(m));
    }
    exact_stages(z, h, w);
    for (int32_t j = 2 * h; j < 4 * h; j += 2) z[j] = exact_energy(z[j], z[6 * h - 1 - j], w + 2 * j);
}

/* The first half of its rows alone; h >= 4. -> did a sum tie? */
static int half_family(const npgru_log_mel_params *p, uint32_t *z, int32_t h)
{
    const int16_t *w = p->twiddles;
    return one_stage_of_reals(z + h, h, twiddle_at(w + 4), z + 2 * h) || more_stages(z, h, w);
}

static void family(const npgru_log_mel_params *p, uint32_t *z, int32_t h)
{
    if (h < 4 || half_family(p, z, h)) whole_family(p, z, h);
}

/* z (N/2,) pairs of samples, to be shifted left by b -> energies of bins k in z[rev(k)]. */
static void spectrum(const npgru_log_mel_params *p, uint32_t *z, int32_t b)
{
    real_stages(z, p->window_len / 4, 1u << b);
    for (int32_t h = p->window_len / 4; h >= 1; h /= 4) {
        if (h != p->window_len / 4) real_stages(z, h, 1);
        family(p, z, h);
        if (h > 1) family(p, z, h / 2);
    }
}

/* Where the energy of a bin is, and where that of the next. */
typedef struct { const int16_t *u, *w; uint32_t k; } bins;

#if CM_THUMB1

/* The same in 32 bits, 16 bins at a time: E = 65536 high + low, and the weights are at most 4096. at->k: the row. */
CM_INLINE void add_bins(const uint32_t *z, bins *at, int32_t n, uint64_t *rising, uint64_t *falling, int32_t N)
{
    while (n > 0) {
        uint32_t low_u = 0, low_w = 0, high_u = 0, high_w = 0;
        const int32_t chunk = n < 16 ? n : 16;
        for (const int16_t *end = at->u + chunk; at->u < end; ) {
            const uint32_t E = z[at->k], low = E & 0xFFFFu, high = E >> 16;
            const uint32_t u = *(const uint16_t *)at->u++, w = *(const uint16_t *)at->w++;
            low_u += low * u, high_u += high * u;
            low_w += low * w, high_w += high * w;
            uint32_t bit = (uint32_t)N / 2;               /* the next row: a carry that runs down */
            for (; at->k & bit; bit /= 2) at->k ^= bit;
            at->k |= bit;
        }
        *rising += low_u + ((uint64_t)high_u << 16);
        *falling += low_w + ((uint64_t)high_w << 16);
        n -= chunk;
    }
}
CM_INLINE uint32_t first_bin(int32_t k, int32_t N) { return cm_rbit((uint32_t)k) >> (cm_clz((uint32_t)N) + 1); }

#elif CM_HAS_HELIUM

/* at->k: the bin. */
CM_INLINE void add_bins(const uint32_t *z, bins *at, int32_t n, uint64_t *rising, uint64_t *falling, int32_t N)
{
    vector_mel_sums(z, (int32_t)at->k, n, 31 - cm_clz((uint32_t)N), at->u, at->w, rising, falling);
    at->k += (uint32_t)n, at->u += n, at->w += n;
}
CM_INLINE uint32_t first_bin(int32_t k, int32_t N) { return (uint32_t)(N > 0 ? k : 0); }

#else

/* n bins: rising += u E, falling += w E. at->k: the bin so that in reverse it is its row, in bytes. */
CM_INLINE void add_bins(const uint32_t *z, bins *at, int32_t n, uint64_t *rising, uint64_t *falling, int32_t N)
{
    const int32_t shift = cm_clz((uint32_t)N) - 1;
    for (const uint32_t end = at->k + ((uint32_t)n << shift); at->k != end; at->k += 1u << shift) {
        const uint32_t E = *(const uint32_t *)(const void *)((const char *)z + cm_rbit(at->k));
        const uint32_t u = (uint32_t)*at->u++, w = (uint32_t)*at->w++;
        *rising += (uint64_t)E * u;
        *falling += (uint64_t)E * w;
    }
}
CM_INLINE uint32_t first_bin(int32_t k, int32_t N) { return (uint32_t)k << (cm_clz((uint32_t)N) - 1); }

#endif

/* Energies, mel bank -> y (M,). */
CM_HOT static void mel(const npgru_log_mel_params *p, const uint32_t *z, int32_t b, uint16_t *y)
{
    const int16_t *segments = p->segments;
    bins at = { p->unweights, p->weights, first_bin(segments[0], p->window_len) };
    uint64_t risen = 0;                                   /* rising edge of channel i - 1 */
    for (int32_t i = 0; i <= p->n_channels; i++) {
        uint64_t rising = 0, falling = 0;
        add_bins(z, &at, segments[i + 1] - segments[i], &rising, &falling, p->window_len);
        if (i > 0) y[i - 1] = npgru_log_mel_feature(p, b, risen + falling);
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
    spectrum(p, z, b);
    mel(p, z, b, y);
    return NPGRU_OK;
}
