/* A whole integer network on the host: its operators one after another, clip by clip. */
#include "int8_network.h"
#include <string.h>

/* Rows of pixels: x in steps of the windows' strides, y pixel by pixel. */
static npgru_view view_of(const npgru_tensor *x, const npgru_tensor *y, int32_t stride_t, int32_t stride_m, int16_t *workspace)
{
    const npgru_view v = { workspace + x->place, workspace + y->place, stride_t * (ptrdiff_t)x->row,
                           stride_m * (ptrdiff_t)x->pitch, (ptrdiff_t)y->row, (ptrdiff_t)y->pitch, y->T, y->M };
    return v;
}

static npgru_view windows_of(const npgru_step *step, const npgru_window *s, int16_t *workspace)
{
    npgru_view v = view_of(&step->x, &step->y, s->stride_t, s->stride_m, workspace);
    v.x -= s->pad_t * (ptrdiff_t)step->x.row + s->pad_m * (ptrdiff_t)step->x.pitch;
    return v;
}

/* Codes of a tensor, without its gaps, as int8 or int16. */
static void unpack(const npgru_tensor *t, const int16_t *workspace, int32_t bits, void *codes)
{
    int8_t *narrow = codes;
    int16_t *wide = codes;
    for (int32_t i = 0; i < t->T; i++)
        for (int32_t m = 0; m < t->M; m++) {
            const int16_t *stored = workspace + t->place + (size_t)i * t->row + (size_t)m * (size_t)t->pitch;
            if (bits == 16) for (int32_t c = 0; c < t->C; c++) *wide++ = (int16_t)(stored[c] + t->zero);
            else for (int32_t c = 0; c < t->C; c++) *narrow++ = (int8_t)(stored[c] + t->zero);
        }
}

/* The device's own steps, where its 64-bit sums are needed. */
static void gru_by_device(const npgru_step *step, int16_t *workspace, int16_t *scratch)
{
    const npgru_gru_params *p = step->packed.gru.p;
    int16_t *h = workspace + step->y.place;
    int8_t *x = (int8_t *)(scratch + p->in_features + 6 * p->units);
    for (int32_t i = 0; i < p->units; i++) h[i] = 0;
    for (int32_t t = 0; t < step->y.T; t++, h += step->y.pitch) {
        npgru_tensor row = step->x;
        row.T = 1;
        row.place += (size_t)t * row.row;
        unpack(&row, workspace, 8, x);
        if (t > 0) memcpy(h, h - step->y.pitch, (size_t)p->units * sizeof *h);
        (void)npgru_gru_step_s16(p, x, step->op->w, step->op->u, step->op->bias, step->op->h_bias, scratch, h);
    }
}

static void run_gru(const npgru_int8_network *net, const npgru_step *step, int16_t *workspace)
{
    int16_t *gx = workspace + net->scratch, *gh = gx + (ptrdiff_t)step->y.T * 3 * step->packed.gru.H_pad;
    if (step->by_device) {
        gru_by_device(step, workspace, gx);
        return;
    }
    const npgru_view rows = { workspace + step->x.place, gx, 0, (ptrdiff_t)step->x.row, 0, 3 * step->y.pitch, 1, step->y.T };
    net->form->matrix(&step->packed.gru.input, &rows);
    net->form->gru(&step->packed.gru, step->y.T, gx, gh, workspace + step->y.place - step->y.pitch);
}

static void run_softmax(const npgru_step *step, int16_t *workspace)
{
    int8_t codes[511];
    unpack(&step->x, workspace, 8, codes);
    (void)npgru_softmax_s8(step->op->params, 1, step->x.C, codes, codes);
    for (int32_t k = 0; k < step->x.C; k++) workspace[step->y.place + (size_t)k] = codes[k];
}

static void run_step(const npgru_int8_network *net, const npgru_step *step, const uint16_t *f, int16_t *workspace)
{
    const npgru_tensor *x = &step->x, *y = &step->y;
    npgru_view view = view_of(x, y, 1, 1, workspace);
    const npgru_window *window = step->op->params;                     /* the first field of its struct, where there is one */
    const npgru_max_pool_params *pool = step->op->params;
    switch (step->op->kind) {
    case NPGRU_INT8_FEATURES:
        for (int32_t t = 0; t < y->T; t++)
            net->form->features(step->op->params, y->zero, y->M, f + (ptrdiff_t)t * y->M, view.y + t * view.y_row);
        break;
    case NPGRU_INT8_CONV2D:
        view = windows_of(step, window, workspace);
        net->form->matrix(&step->packed.matrix, &view);
        break;
    case NPGRU_INT8_DEPTHWISE2D:
        view = windows_of(step, window, workspace);
        net->form->depthwise(&step->packed.depthwise, &view);
        break;
    case NPGRU_INT8_MAX_POOL:
        view = windows_of(step, window, workspace);
        net->form->max_pool(window, pool->y_min - y->zero, pool->y_max - y->zero, x->pitch, &view);
        break;
    case NPGRU_INT8_GRU_S16: case NPGRU_INT8_GRU_S8: run_gru(net, step, workspace); break;
    case NPGRU_INT8_MEAN_TIME: net->form->mean_time(step->op->params, step->add, x->T, x->pitch, view.x, view.y); break;
    case NPGRU_INT8_DENSE: net->form->matrix(&step->packed.matrix, &view); break;
    default: run_softmax(step, workspace);
    }
}

/* The padding around tensors is 0, once for all clips of a call. */
static void clear_padding(const npgru_int8_network *net, int16_t *workspace)
{
    for (int32_t k = 0; k < net->n_steps; k++) {
        const npgru_tensor *y = &net->steps[k].y;
        if (!(y->before_t || y->after_t || y->before_m || y->after_m)) continue;
        const size_t n = ((size_t)y->before_t + (size_t)y->T + (size_t)y->after_t) * y->row;
        const size_t before = (size_t)y->before_t * y->row + (size_t)(y->before_m * y->pitch);
        memset(workspace + y->place - before, 0, n * sizeof *workspace);
    }
}

npgru_status npgru_int8_run(const npgru_int8_network *net, int32_t n_clips, const uint16_t *features, void *workspace,
                            void *const *codes)
{
    if (n_clips < 0) return NPGRU_BAD_SHAPE;
    clear_padding(net, workspace);
    for (int32_t i = 0; i < n_clips; i++)
        for (int32_t k = 0; k < net->n_steps; k++) {
            const npgru_step *step = &net->steps[k];
            const int32_t bits = step->op->kind == NPGRU_INT8_GRU_S16 ? 16 : 8;
            const size_t n_bytes = (size_t)step->y.T * (size_t)step->y.M * (size_t)step->y.C * (size_t)(bits / 8);
            run_step(net, step, features + (size_t)i * (size_t)net->T * (size_t)net->M, workspace);
            if (codes[k]) unpack(&step->y, workspace, bits, (uint8_t *)codes[k] + (size_t)i * n_bytes);
        }
    return NPGRU_OK;
}
