/* Weights, multipliers and offsets of an integer network in the order in which the kernels read them. */
#include "int8_network.h"

/* Room for n numbers of `size` bytes, NULL as long as it is only counted. */
static void *take(npgru_arena *arena, int64_t n, size_t size)
{
    void *place = arena->base ? arena->base + arena->used : NULL;
    arena->used += ((uint64_t)n * size + 63) / 64 * 64;
    return place;
}

/* Columns of gate g begin at a multiple of NPGRU_PAD; a layer without gates has all in one. */
static int32_t column(int32_t n, int32_t width)
{
    return n / width * npgru_padded(width) + n % width;
}

/* c, N channels in groups of `width`, -> o, where what belongs to no channel gives 0. */
static void pack_outputs(npgru_arena *arena, npgru_outputs *o, const npgru_channels *c, int32_t N, int32_t width, int32_t add)
{
    const int32_t N_pad = column(N - width, width) + npgru_padded(width);
    int32_t **arrays[4] = { &o->bias, &o->multiplier, &o->left, &o->right };
    for (int i = 0; i < 4; i++) {
        int32_t *array = *arrays[i] = take(arena, N_pad, sizeof(int32_t));
        for (int32_t n = 0; array && n < N_pad; n++) array[n] = i == 3;            /* a shift by 1 is good for both roundings */
    }
    o->low = c->y_min - c->y_zero_point;
    o->high = c->y_max - c->y_zero_point;
    o->add = add;
    for (int32_t n = 0; o->bias && n < N; n++) {
        const int32_t k = column(n, width), q = c->multiplier[n], shift = c->shift[n];
        o->multiplier[k] = !o->wide ? q : q < 0x7FFF0000 ? (q + (1 << 15)) >> 16 : 0x7FFF;
        o->left[k] = !o->wide && shift > 0 ? shift : 0;
        o->right[k] = o->wide ? 15 - shift : shift > 0 ? 0 : -shift;
    }
}

/* w (N, n_segments, length) int8 -> p->w. */
static void pack_matrix(npgru_arena *arena, npgru_matrix *p, const int8_t *w, int32_t N, int32_t width, int32_t length)
{
    p->N_pad = column(N - width, width) + npgru_padded(width);
    p->n_pairs = (length + 1) / 2;
    const int64_t n_w = (int64_t)p->n_segments * p->n_pairs * p->N_pad * 2;
    p->w = take(arena, n_w, sizeof(int16_t));
    if (!p->w) return;
    for (int64_t i = 0; i < n_w; i++) p->w[i] = 0;
    for (int32_t n = 0; n < N; n++)
        for (int32_t s = 0; s < p->n_segments; s++)
            for (int32_t k = 0; k < length; k++, w++)
                p->w[(((ptrdiff_t)s * p->n_pairs + k / 2) * p->N_pad + column(n, width)) * 2 + k % 2] = *w;
}

/* Where the windows (k_t, k_m) of x have their pixels or, where channels follow each other without gaps, their rows. */
static int32_t pack_segments(npgru_arena *arena, npgru_matrix *p, const npgru_tensor *x, int32_t k_t, int32_t k_m)
{
    const int32_t step = x->pitch == x->C ? k_m : 1;
    p->n_segments = k_t * (k_m / step);
    p->segments = take(arena, p->n_segments, sizeof(ptrdiff_t));
    for (int32_t s = 0; p->segments && s < p->n_segments; s++)
        p->segments[s] = s / (k_m / step) * (ptrdiff_t)x->row + s % (k_m / step) * (ptrdiff_t)x->pitch;
    return step * x->C;
}

static void set_bias(npgru_matrix *p, const int32_t *bias, int32_t N)
{
    for (int32_t n = 0; p->out.bias && bias && n < N; n++) p->out.bias[n] = bias[n];
}

static void pack_depthwise(npgru_arena *arena, npgru_depthwise *p, const npgru_step *step, const npgru_conv2d_params *conv)
{
    const int32_t C = conv->window.in_channels, k_m = conv->window.kernel_m, n_taps = conv->window.kernel_t * k_m;
    const int32_t *bias = step->op->bias;
    p->out.wide = 0;
    pack_outputs(arena, &p->out, &conv->channels, C, C, conv->channels.y_zero_point - step->y.zero);
    for (int32_t c = 0; p->out.bias && bias && c < C; c++) p->out.bias[c] = bias[c];
    p->N_pad = npgru_padded(C);
    p->n_pairs = (n_taps + 1) / 2;
    p->taps = take(arena, 2 * (int64_t)p->n_pairs, sizeof(ptrdiff_t));
    p->w = take(arena, 2 * (int64_t)p->n_pairs * p->N_pad, sizeof(int16_t));
    if (!p->w) return;
    for (int64_t i = 0; i < 2 * (int64_t)p->n_pairs * p->N_pad; i++) p->w[i] = 0;
    for (int32_t k = 0; k < 2 * p->n_pairs; k++) {
        const int32_t tap = k < n_taps ? k : n_taps - 1;                 /* an odd one is paired with one of weight 0 */
        p->taps[k] = tap / k_m * (ptrdiff_t)step->x.row + tap % k_m * (ptrdiff_t)step->x.pitch;
        for (int32_t c = 0; k < n_taps && c < C; c++)
            p->w[((ptrdiff_t)(k / 2) * p->N_pad + c) * 2 + k % 2] = step->op->w[(ptrdiff_t)k * C + c];
    }
}

/* Whether bias + sum of w x, |x| <= x_max, stays inside int32 for each of N rows of n weights; bias: int64. */
static int stays_in_int32(const int64_t *bias, const int8_t *w, int32_t N, int32_t n, int64_t x_max)
{
    for (int32_t i = 0; i < N; i++) {
        int64_t sum = bias ? (bias[i] < 0 ? -bias[i] : bias[i]) : 0;
        for (int32_t k = 0; k < n; k++, w++) sum += x_max * (*w < 0 ? -*w : *w);
        if (sum > INT32_MAX) return 0;
    }
    return 1;
}

/* Biases of the gates, int64 or int32; of the state less its zero point: (h - z) u = h u - z sum u. */
static void set_gate_bias(npgru_matrix *p, const npgru_gru *g, const void *bias, const int8_t *w, int32_t zero)
{
    const int32_t H = g->p->units;
    for (int32_t n = 0; p->out.bias && n < 3 * H; n++) {
        int64_t sum = !bias ? 0 : g->bits == 16 ? ((const int64_t *)bias)[n] : ((const int32_t *)bias)[n];
        for (int32_t k = 0; zero && k < H; k++) sum -= (int64_t)zero * w[(ptrdiff_t)n * H + k];
        p->out.bias[column(n, H)] = (int32_t)sum;
    }
}

static int32_t *pack_table(npgru_arena *arena, const int8_t *table)
{
    int32_t *wide = take(arena, 256, sizeof(int32_t));
    for (int i = 0; wide && i < 256; i++) wide[i] = table[i];
    return wide;
}

static void pack_gru(npgru_arena *arena, npgru_step *step, const npgru_gru_params *params)
{
    npgru_gru *g = &step->packed.gru;
    const int32_t H = params->units;
    const npgru_tensor h = { .T = 1, .M = 1, .C = H, .pitch = npgru_padded(H), .row = (size_t)npgru_padded(H) };
    g->p = params;
    g->H_pad = npgru_padded(H);
    g->bits = step->op->kind == NPGRU_INT8_GRU_S16 ? 16 : 8;
    step->by_device = g->bits == 16 && !(stays_in_int32(step->op->bias, step->op->w, 3 * H, params->in_features, 128)
                                         && stays_in_int32(step->op->h_bias, step->op->u, 3 * H, H, 32768));
    if (step->by_device) return;
    g->input.out.wide = g->state.out.wide = g->bits == 16;
    pack_outputs(arena, &g->input.out, &params->input, 3 * H, H, params->input.y_zero_point);
    pack_outputs(arena, &g->state.out, &params->state, 3 * H, H, params->state.y_zero_point);
    set_gate_bias(&g->input, g, step->op->bias, step->op->w, 0);
    set_gate_bias(&g->state, g, step->op->h_bias, step->op->u, params->state.x_zero_point);
    pack_matrix(arena, &g->input, step->op->w, 3 * H, H, pack_segments(arena, &g->input, &step->x, 1, step->x.M));
    pack_matrix(arena, &g->state, step->op->u, 3 * H, H, pack_segments(arena, &g->state, &h, 1, 1));
    if (g->bits == 8) g->sigmoid = pack_table(arena, params->sigmoid_table), g->tanh = pack_table(arena, params->tanh_table);
}

/* A convolution whose windows are (k_t, k_m), or a dense layer whose window is all of x. */
static void pack_layer(npgru_arena *arena, npgru_step *step, const npgru_channels *c, int32_t N, int32_t k_t, int32_t k_m)
{
    npgru_matrix *p = &step->packed.matrix;
    p->out.wide = 0;
    pack_outputs(arena, &p->out, c, N, N, c->y_zero_point - step->y.zero);
    set_bias(p, step->op->bias, N);
    pack_matrix(arena, p, step->op->w, N, N, pack_segments(arena, p, &step->x, k_t, k_m));
}

void npgru_pack(npgru_arena *arena, npgru_step *step)
{
    const void *params = step->op->params;
    const npgru_conv2d_params *conv = params;
    const npgru_dense_params *dense = params;
    if (step->op->kind == NPGRU_INT8_CONV2D)
        pack_layer(arena, step, &conv->channels, conv->window.out_channels, conv->window.kernel_t, conv->window.kernel_m);
    else if (step->op->kind == NPGRU_INT8_DENSE)
        pack_layer(arena, step, &dense->channels, dense->out_features, step->x.T, step->x.M);
    else if (step->op->kind == NPGRU_INT8_DEPTHWISE2D)
        pack_depthwise(arena, &step->packed.depthwise, step, conv);
    else if (step->op->kind == NPGRU_INT8_GRU_S16 || step->op->kind == NPGRU_INT8_GRU_S8)
        pack_gru(arena, step, params);
    else if (step->op->kind == NPGRU_INT8_MEAN_TIME)
        step->add = ((const npgru_rescale *)params)->y_zero_point - step->y.zero;
}
