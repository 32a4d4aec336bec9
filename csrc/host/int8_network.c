/* A whole integer network on the host: its operators checked, its tensors laid out, its memory taken. int8_run.c runs it. */
#include "int8_network.h"
#include <stdlib.h>

#define MAX_WORKSPACE ((uint64_t)1 << 30)                 /* int16 */

static npgru_tensor tensor(int32_t T, int32_t M, int32_t C)
{
    const npgru_tensor t = { .T = T, .M = M, .C = C, .pitch = npgru_padded(C) };
    return t;
}

static int32_t padding_after(int32_t in, int32_t out, int32_t kernel, int32_t stride, int32_t before)
{
    const int32_t after = (out - 1) * stride + kernel - before - in;
    return after > 0 ? after : 0;
}

/* Windows s over x, which gets their padding -> y, which gets their shape. */
static npgru_status lay_windows(const npgru_window *s, npgru_tensor *x, npgru_tensor *y)
{
    if (s->batch != 1 || s->in_t != x->T || s->in_m != x->M || s->in_channels != x->C) return NPGRU_BAD_SHAPE;
    x->before_t = s->pad_t;
    x->before_m = s->pad_m;
    x->after_t = padding_after(s->in_t, s->out_t, s->kernel_t, s->stride_t, s->pad_t);
    x->after_m = padding_after(s->in_m, s->out_m, s->kernel_m, s->stride_m, s->pad_m);
    *y = tensor(s->out_t, s->out_m, s->out_channels);
    return NPGRU_OK;
}

static npgru_status lay_pool(const npgru_max_pool_params *p, npgru_tensor *x, npgru_tensor *y)
{
    const npgru_status status = npgru_check_max_pool(p);
    if (status != NPGRU_OK || lay_windows(&p->window, x, y) != NPGRU_OK) return status != NPGRU_OK ? status : NPGRU_BAD_SHAPE;
    return x->before_t || x->before_m || x->after_t || x->after_m ? NPGRU_BAD_SHAPE : NPGRU_OK;
}

static npgru_status lay_dense(const npgru_dense_params *p, const void *bias, const npgru_tensor *x, npgru_tensor *y)
{
    if (p->batch != 1 || p->in_features != (int64_t)x->T * x->M * x->C) return NPGRU_BAD_SHAPE;
    *y = tensor(1, 1, p->out_features);
    return npgru_check_dense(p, 8, bias);
}

/* The state of a gru is int16, its records those of a step; an element-wise kernel of no elements only checks. */
static npgru_status lay_gru(const npgru_gru_params *p, const npgru_int8_operator *op, const npgru_tensor *x, npgru_tensor *y)
{
    const int wide = op->kind == NPGRU_INT8_GRU_S16;
    if (npgru_gru_s16_scratch_bytes(p) == 0 || p->in_features != (int64_t)x->M * x->C) return NPGRU_BAD_SHAPE;
    const int32_t H = p->units;
    const npgru_dense_params input = { 1, p->in_features, 3 * H, p->input }, state = { 1, H, 3 * H, p->state };
    npgru_status s = npgru_check_dense(&input, wide ? 16 : 8, op->bias);
    if (s == NPGRU_OK) s = npgru_check_dense(&state, wide ? 16 : 8, op->h_bias);
    const npgru_sum *sums[4] = { &p->gates, &p->candidate, &p->difference, &p->update };
    for (int i = 0; i < 4 && s == NPGRU_OK; i++)
        s = wide ? npgru_add_s16(sums[i], 0, NULL, NULL, NULL) : npgru_add_s8(sums[i], 0, NULL, NULL, NULL);
    const npgru_product *products[2] = { &p->reset, &p->blend };
    for (int i = 0; i < 2 && s == NPGRU_OK; i++)
        s = wide ? npgru_mul_s16(products[i], 0, NULL, NULL, NULL) : npgru_mul_s8(products[i], 0, NULL, NULL, NULL);
    if (s == NPGRU_OK)
        s = wide ? npgru_logistic_s16(&p->sigmoid, 0, NULL, NULL) : npgru_lookup_s8(p->sigmoid_table, 0, NULL, NULL);
    if (s == NPGRU_OK) s = wide ? npgru_tanh_s16(&p->tanh, 0, NULL, NULL) : npgru_lookup_s8(p->tanh_table, 0, NULL, NULL);
    *y = tensor(x->T, 1, H);
    y->before_t = 1;                                      /* the state of zeros */
    return s;
}

static npgru_status lay_mean(const npgru_rescale *p, const npgru_tensor *x, npgru_tensor *y)
{
    if (x->M != 1 || x->T > 65535) return NPGRU_BAD_SHAPE;
    *y = tensor(1, 1, x->C);
    return p->x_zero_point != 0 ? NPGRU_BAD_RANGE : npgru_check_rescale(p);
}

static npgru_status lay_softmax(const npgru_softmax *p, const npgru_tensor *x, npgru_tensor *y)
{
    int8_t code = 0;
    if (x->T != 1 || x->M != 1 || x->C > 511) return NPGRU_BAD_SHAPE;
    *y = tensor(1, 1, x->C);
    return npgru_softmax_s8(p, 1, 1, &code, &code);
}

/* Checks an operator that reads x; y: the shape of what it writes. */
static npgru_status lay_operator(const npgru_int8_operator *op, npgru_tensor *x, npgru_tensor *y)
{
    const void *p = op->params;
    npgru_status status = NPGRU_OK;
    switch (op->kind) {
    case NPGRU_INT8_CONV2D: status = npgru_check_conv2d(p, op->bias); break;
    case NPGRU_INT8_DEPTHWISE2D: status = npgru_check_depthwise2d(p, op->bias); break;
    case NPGRU_INT8_MAX_POOL: return lay_pool(p, x, y);
    case NPGRU_INT8_GRU_S16: case NPGRU_INT8_GRU_S8: return lay_gru(p, op, x, y);
    case NPGRU_INT8_MEAN_TIME: return lay_mean(p, x, y);
    case NPGRU_INT8_DENSE: return lay_dense(p, op->bias, x, y);
    case NPGRU_INT8_SOFTMAX: return lay_softmax(p, x, y);
    default: return NPGRU_BAD_RANGE;
    }
    return status == NPGRU_OK ? lay_windows(p, x, y) : status;         /* the window is the first field of both structs */
}

/* What an operator subtracts from the codes that it reads; `after` if that is a matter of who reads its own codes. */
static int32_t zero_of_reader(const npgru_int8_operator *op, int32_t after)
{
    switch (op->kind) {
    case NPGRU_INT8_CONV2D: case NPGRU_INT8_DEPTHWISE2D:
        return ((const npgru_conv2d_params *)op->params)->channels.x_zero_point;
    case NPGRU_INT8_DENSE: return ((const npgru_dense_params *)op->params)->channels.x_zero_point;
    case NPGRU_INT8_GRU_S16: case NPGRU_INT8_GRU_S8: return ((const npgru_gru_params *)op->params)->input.x_zero_point;
    case NPGRU_INT8_MAX_POOL: return after;
    default: return 0;
    }
}

/* Shapes, padding and zeros of all tensors, into steps; the first operator makes codes of the features. */
static npgru_status lay_tensors(const npgru_int8_operator *operators, npgru_int8_network *net)
{
    npgru_step *steps = net->steps;
    const int32_t n = net->n_steps;
    const npgru_features *f = operators[0].params;
    if (operators[0].kind != NPGRU_INT8_FEATURES) return NPGRU_BAD_RANGE;
    if (!npgru_within(net->T, 1, 32767) || !npgru_within(net->M, 1, 32767)) return NPGRU_BAD_SHAPE;
    npgru_status status = npgru_quantize_features(f, 0, NULL, NULL);
    steps[0].y = tensor(net->T, net->M, 1);
    steps[0].y.pitch = 1;
    for (int32_t k = 1; k < n && status == NPGRU_OK; k++) status = lay_operator(&operators[k], &steps[k - 1].y, &steps[k].y);
    for (int32_t k = n - 1; k > 0 && status == NPGRU_OK; k--)
        steps[k - 1].y.zero = zero_of_reader(&operators[k], steps[k].y.zero);
    return status;
}

/* Places of all tensors in the workspace, and behind them the scratch of a gru. */
static npgru_status lay_workspace(npgru_int8_network *net)
{
    uint64_t used = 0, scratch = 0;
    for (int32_t k = 0; k < net->n_steps; k++) {
        npgru_tensor *y = &net->steps[k].y;
        const uint64_t row = ((uint64_t)y->before_m + (uint64_t)y->M + (uint64_t)y->after_m) * (uint64_t)y->pitch;
        const uint64_t rows = (uint64_t)y->before_t + (uint64_t)y->T + (uint64_t)y->after_t;
        y->row = (size_t)row;                             /* below 2^36, rows below 2^17 */
        y->place = (size_t)(used + (uint64_t)y->before_t * row + (uint64_t)(y->before_m * y->pitch));
        used += rows * row + 2 * NPGRU_PAD;               /* a vector may be read, one with weights 0, from the last pixel on */
        if (used > MAX_WORKSPACE) return NPGRU_BAD_SHAPE;
        if (k > 0) net->steps[k].x = net->steps[k - 1].y;
        const npgru_gru_params *gru = net->steps[k].op->params;
        if (net->steps[k].op->kind != NPGRU_INT8_GRU_S16 && net->steps[k].op->kind != NPGRU_INT8_GRU_S8) continue;
        const uint64_t by_kernel = 3 * (uint64_t)y->pitch * ((uint64_t)y->T + 1);
        const uint64_t by_device = 2 * (uint64_t)gru->in_features + 6 * (uint64_t)gru->units;
        if (scratch < by_kernel) scratch = by_kernel;
        if (scratch < by_device) scratch = by_device;
    }
    net->scratch = (size_t)used;
    net->n_workspace = (size_t)(used + scratch);
    return used + scratch <= MAX_WORKSPACE ? NPGRU_OK : NPGRU_BAD_SHAPE;
}

static const npgru_form_int8 *form_of(int32_t form)
{
    const npgru_form_int8 *forms[] = { &npgru_int8_plain, &npgru_int8_neon, &npgru_int8_avx2, &npgru_int8_avx512 };
    return forms[form];
}

int32_t npgru_int8_runs(int32_t form)
{
    if (!npgru_within(form, NPGRU_PLAIN, NPGRU_AVX512) || !form_of(form)->matrix) return 0;      /* not of this compiler */
    return form == NPGRU_AVX2 ? npgru_has_avx2() : form == NPGRU_AVX512 ? npgru_has_avx512() : 1;
}

/* Twice: to count the bytes, and to fill them. */
static uint64_t pack_all(npgru_int8_network *net, uint8_t *base)
{
    npgru_arena arena = { base, 0 };
    for (int32_t k = 1; k < net->n_steps; k++) npgru_pack(&arena, &net->steps[k]);
    return arena.used;
}

npgru_int8_network *npgru_int8_create(const npgru_int8_operator *operators, int32_t n_operators, int32_t T, int32_t M,
                                      int32_t form, npgru_status *status)
{
    *status = NPGRU_BAD_SHAPE;
    if (!npgru_within(n_operators, 1, 1000)) return NULL;
    *status = NPGRU_BAD_RANGE;
    if (!npgru_int8_runs(form)) return NULL;
    *status = NPGRU_OK;
    npgru_int8_network *net = calloc(1, sizeof *net);
    if (!net) return NULL;
    net->form = form_of(form), net->T = T, net->M = M, net->n_steps = n_operators;
    net->steps = calloc((size_t)n_operators, sizeof *net->steps);
    if (net->steps) {
        for (int32_t k = 0; k < n_operators; k++) net->steps[k].op = &operators[k];
        *status = lay_tensors(operators, net);
        if (*status == NPGRU_OK) *status = lay_workspace(net);
        if (*status == NPGRU_OK) {
            net->n_packed = pack_all(net, NULL);
            net->packed = net->n_packed < SIZE_MAX ? malloc((size_t)net->n_packed + 1) : NULL;
            if (net->packed) {
                (void)pack_all(net, net->packed);
                return net;
            }
        }
    }
    npgru_int8_destroy(net);
    return NULL;
}

void npgru_int8_destroy(npgru_int8_network *net)
{
    if (!net) return;
    free(net->packed);
    free(net->steps);
    free(net);
}

size_t npgru_int8_bytes(const npgru_int8_network *net)
{
    return (size_t)net->n_packed + (size_t)net->n_steps * sizeof *net->steps + sizeof *net;
}

size_t npgru_int8_workspace_bytes(const npgru_int8_network *net)
{
    return net->n_workspace * sizeof(int16_t);
}
