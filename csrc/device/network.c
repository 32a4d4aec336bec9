/* The network row by row. A row of the convolution needs k_t rows of features; its rows go through all blocks in pairs,
   each block one row behind the one before: of the pair 2 k, 2 k + 1 the last block makes 2 k - NPGRU_BLOCKS and the next. */
#include "cortex_m.h"
#include "network.h"

/* A layer in its form, then its channels that have the exact one: constants decide where they can. */
#define BY_FORM(kind, p, kernel, arguments)                                                                  \
    do {                                                                                                     \
        if (NPGRU_FAST_##kind && (!NPGRU_PLAIN_##kind || (p)->fast)) kernel##_fast arguments;                \
        if (NPGRU_PLAIN_##kind && (p)->n_exact > 0) kernel##_plain arguments;                                \
    } while (0)

/* n words; four at a time, and not as a call of memset, which small C libraries do byte by byte. */
static void fill(npgru_word *words, int32_t n, uint32_t value)
{
    for (; n >= 4; n -= 4, words += 4) {
        words[0] = value, words[1] = value, words[2] = value, words[3] = value;
        NPGRU_BARRIER();
    }
    while (n-- > 0) *words++ = value;
}

static void fill_halves(npgru_half *halves, int32_t n, int32_t value)
{
    for (int32_t i = 0; i < n; i++) {
        halves[i] = (npgru_half)value;
        NPGRU_BARRIER();
    }
}

/* n words down from `from`, which is behind `to`; read before they are written over. */
static void move(npgru_word *to, const npgru_word *from, int32_t n)
{
    for (; n >= 4; n -= 4, to += 4, from += 4) {
        const uint32_t a = from[0], b = from[1], c = from[2], d = from[3];
        to[0] = a, to[1] = b, to[2] = c, to[3] = d;
        NPGRU_BARRIER();
    }
    while (n-- > 0) *to++ = *from++;
}

static uint32_t *ring_of(npgru *c, int32_t block) { return c->rings + npgru_ring_start[block]; }

/* Words of a ring, and the u of its zeros: that of the layer which reads it. */
static int32_t ring_words(int32_t block) { return npgru_ring_start[block + 1] - npgru_ring_start[block]; }
static int32_t ring_zero(int32_t block) { return NPGRU_BLOCKS > 0 ? npgru_model.depthwise[block].in_zero : 0; }

static void fill_row(npgru *c, int32_t block, int32_t slot)
{
    uint8_t *bytes = (uint8_t *)ring_of(c, block) + slot;
    const int32_t n = ring_words(block);                                /* a multiple of 4 */
    const uint8_t zero = (uint8_t)ring_zero(block);
    for (int32_t i = 0; i < n; i += 4, bytes += 16) bytes[0] = zero, bytes[4] = zero, bytes[8] = zero, bytes[12] = zero;
}

CM_SMALL void npgru_network_reset(npgru *c)
{
    const npgru_conv *conv = &npgru_model.conv;
    fill(c->window, NPGRU_WINDOW_WORDS, 0x00010001u * (uint32_t)conv->in_zero);
    for (int32_t b = 0; b < NPGRU_RINGS; b++) fill(ring_of(c, b), ring_words(b), 0x01010101u * (uint32_t)ring_zero(b));
    for (int32_t i = 0; i < NPGRU_UNITS; i++) {
        c->h[i] = 0, c->sum[i] = 0;
        NPGRU_BARRIER();
    }
    c->n_window = conv->pad_rows;
    c->n_conv = c->n_steps = 0;
    c->end = INT32_MAX;
#if NPGRU_WITH_CONTINUOUS
    c->oldest = 0;
#endif
}

/* The mean over time, the dense layers, the probabilities. */
CM_SMALL static void score(npgru *c)
{
    int8_t x[NPGRU_TAIL], y[NPGRU_TAIL];
    (void)npgru_quantize_s32(&npgru_model.mean, NPGRU_UNITS, c->sum, x);
    for (int32_t i = 0; i < NPGRU_DENSE_LAYERS; i++) {
        const npgru_dense *p = &npgru_model.dense[i];
        (void)npgru_dense_s8(&p->exact, x, p->w, p->bias, y);
        for (int32_t n = 0; n < p->exact.out_features; n++) {
            x[n] = y[n];
            NPGRU_BARRIER();
        }
    }
    if (c->n_new == 2) c->results[0] = c->results[1], c->n_new = 1;         /* nobody asked for it */
    npgru_result *result = &c->results[c->n_new++];
    for (int32_t k = 0; k < NPGRU_CLASSES; k++) result->logits[k] = x[k];
    (void)npgru_softmax_s8(&npgru_model.softmax, 1, NPGRU_CLASSES, x, result->probabilities);
}

/* The state goes into the sum over time; NPGRU_CONTINUOUS takes the one of NPGRU_STEPS before out of it. */
static void add_state(npgru *c)
{
    for (int32_t i = 0; i < NPGRU_UNITS; i++) c->sum[i] += c->h[i];
#if NPGRU_WITH_CONTINUOUS
    if (c->mode == NPGRU_CONTINUOUS) {
        npgru_state *oldest = c->history + c->oldest * NPGRU_UNITS;
        for (int32_t i = 0; i < NPGRU_UNITS; i++) {
            if (c->n_steps == NPGRU_STEPS) c->sum[i] -= oldest[i];
            oldest[i] = c->h[i];
        }
        c->oldest = c->oldest + 1 < NPGRU_STEPS ? c->oldest + 1 : 0;
    }
#endif
    if (c->n_steps < NPGRU_STEPS) c->n_steps++;
}

/* pooled -> the GRU's steps of those of the two rows that are there. */
static void recur(npgru *c, int32_t rows)
{
    const npgru_gru *p = &npgru_model.gru;
    const npgru_half *pooled = (const npgru_half *)c->pooled;
#if NPGRU_FAST_GRU
    int16_t *gx = (int16_t *)c->work, *scratch = gx + 2 * NPGRU_GRU_ROWS;
    npgru_gru_input_fast(p, pooled, gx);
#endif
    for (int32_t row = 0; row < 2; row++) {
        if (!(rows >> row & 1)) continue;
#if NPGRU_FAST_GRU
        npgru_gru_step_fast(p, gx + row * NPGRU_GRU_ROWS, scratch, c->h);
#else
        npgru_gru_plain(p, pooled, row, c->work, c->h);
#endif
        add_state(c);
        if (c->mode == NPGRU_CONTINUOUS && c->end == INT32_MAX && c->n_steps == NPGRU_STEPS) score(c);
    }
}

#if NPGRU_BLOCKS > 0
/* One block on the new pair of its ring: a group of columns through both layers, then the next. */
static void block(npgru *c, int32_t b, int32_t turn, int32_t rows)
{
    const npgru_depthwise *depthwise = &npgru_model.depthwise[b];
    const npgru_pointwise *pointwise = &npgru_model.pointwise[b];
    npgru_half *pairs = (npgru_half *)c->work, *pooled = (npgru_half *)c->pooled;
    for (int32_t first = 0; first < depthwise->columns; first += NPGRU_GROUP) {
        const int32_t left = depthwise->columns - first, n = left < NPGRU_GROUP ? left : NPGRU_GROUP;
        BY_FORM(DEPTHWISE, depthwise, npgru_depthwise, (depthwise, ring_of(c, b), turn, first, n, pairs));
#if NPGRU_BLOCKS > 1
        if (b + 1 < NPGRU_BLOCKS) {
            BY_FORM(POINTWISE, pointwise, npgru_pointwise,
                    (pointwise, pairs, rows, turn, first, n, (uint8_t *)ring_of(c, b + 1)));
            continue;
        }
#endif
        BY_FORM(POOL, pointwise, npgru_pool, (pointwise, pairs, rows, first, n, pooled));
    }
}
#endif

/* Rows 2 k and 2 k + 1 of the convolution are in the first ring. */
static void step(npgru *c, int32_t k)
{
    const int32_t turn = k & 1;
    int32_t rows = 0;
    for (int32_t b = 0; b <= NPGRU_BLOCKS; b++) {                       /* rows first and first + 1 leave block b */
        const int32_t first = 2 * k - b;
        rows = (first >= 0 && first < c->end ? 1 : 0) | (first + 1 >= 0 && first + 1 < c->end ? 2 : 0);
#if NPGRU_BLOCKS > 0
        if (b > 0 && rows) block(c, b - 1, turn, rows);
#endif
        if (b < NPGRU_BLOCKS && (first == c->end || first + 1 == c->end))
            fill_row(c, b, NPGRU_NEW_ROWS(turn) + (first != c->end));   /* the zeros below the last row */
    }
#if NPGRU_BLOCKS == 0
    npgru_pool_ring(&npgru_model.pointwise[0], (const uint8_t *)c->rings, turn, (npgru_half *)c->pooled);
#endif
    if (rows) recur(c, rows);
}

/* The window is full: a row of the convolution, and room for the next rows of features. */
static void convolve(npgru *c)
{
    const npgru_conv *p = &npgru_model.conv;
    npgru_half *window = (npgru_half *)c->window;
    const int32_t k = c->n_conv >> 1, kept = p->kernel_rows - p->stride_rows;
    BY_FORM(CONV, p, npgru_conv, (p, window, c->work, (uint8_t *)ring_of(c, 0), NPGRU_NEW_ROWS(k & 1) + (c->n_conv & 1)));
    move(c->window, c->window + p->stride_rows * p->window_columns / 2, kept * p->window_columns / 2);
    c->n_window = kept;
    if (c->n_conv & 1) step(c, k);
    c->n_conv++;
    if (c->end == INT32_MAX && c->n_conv >= 1 << 30) c->n_conv -= 1 << 29;          /* a stream of years; the turn stays */
}

npgru_half *npgru_network_row(npgru *c)
{
    const npgru_conv *p = &npgru_model.conv;
    return c->n_window < 0 ? 0 : (npgru_half *)c->window + c->n_window * p->window_columns + p->pad_columns;
}

void npgru_network_push(npgru *c)
{
    if (++c->n_window == npgru_model.conv.kernel_rows) convolve(c);
}

/* A row of the convolution is there if one of its stride_rows rows of features is: SAME padding. */
CM_SMALL npgru_status npgru_network_end(npgru *c)
{
    const npgru_conv *p = &npgru_model.conv;
    const int32_t n_left = c->n_window - p->pad_rows;
    c->end = c->n_conv + (n_left > 0 ? (n_left + p->stride_rows - 1) / p->stride_rows : 0);
    while (c->n_conv < c->end) {
        npgru_half *row = npgru_network_row(c);
        if (row) fill_halves(row, p->in_columns, p->in_zero);
        npgru_network_push(c);
    }
    for (int32_t k = c->n_conv >> 1; 2 * k - NPGRU_BLOCKS < c->end; k++) step(c, k);
    if (c->n_steps < NPGRU_STEPS) return NPGRU_NOT_READY;
    score(c);
    return NPGRU_OK;
}
