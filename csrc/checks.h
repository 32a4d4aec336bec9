/* What every integer kernel refuses: the bounds stated in npgru_int8.h, one function per struct. */
#ifndef NPGRU_CHECKS_H
#define NPGRU_CHECKS_H

#include "npgru_int8.h"

#define NPGRU_MAX_TERMS 32000                   /* of one sum of products */
#define NPGRU_MAX_BIAS_S16 ((int64_t)1 << 46)

extern const uint16_t npgru_sigmoid_table[256]; /* activations_s8.c */

static inline int npgru_within(int32_t x, int32_t low, int32_t high) { return low <= x && x <= high; }

/* A clamp inside int8 or int16. */
static inline int npgru_good_clamp(int32_t y_min, int32_t y_max, int32_t bits)
{
    const int32_t limit = 1 << (bits - 1);
    return -limit <= y_min && y_min <= y_max && y_max < limit;
}

/* int8 zero points; int16 tensors have 0. */
static inline int npgru_good_zero_point(int32_t zero_point, int32_t bits)
{
    return bits == 8 ? npgru_within(zero_point, -128, 127) : zero_point == 0;
}

static inline int npgru_good_multiplier(int32_t multiplier, int32_t shift, int32_t max_shift)
{
    return multiplier >= 0 && npgru_within(shift, -31, max_shift);
}

/* One axis: in, out, kernel, stride, padding in front. */
static inline int npgru_good_axis(int32_t in, int32_t out, int32_t kernel, int32_t stride, int32_t pad)
{
    if (!npgru_within(in, 1, 32767) || !npgru_within(out, 1, 32767) || !npgru_within(kernel, 1, 32767)) return 0;
    if (!npgru_within(stride, 1, 32767) || !npgru_within(pad, 0, kernel - 1)) return 0;
    return (out - 1) * stride - pad < in;       /* below 2^30: the last window begins before the end */
}

static inline int npgru_good_window(const npgru_window *s)
{
    if (!npgru_within(s->batch, 1, 32767) || !npgru_within(s->in_channels, 1, 32767)) return 0;
    if (!npgru_within(s->out_channels, 1, 32767)) return 0;
    if (!npgru_good_axis(s->in_t, s->out_t, s->kernel_t, s->stride_t, s->pad_t)) return 0;
    if (!npgru_good_axis(s->in_m, s->out_m, s->kernel_m, s->stride_m, s->pad_m)) return 0;
    const int64_t x_size = (int64_t)s->batch * s->in_t * s->in_m * s->in_channels;     /* below 2^60 */
    const int64_t y_size = (int64_t)s->batch * s->out_t * s->out_m * s->out_channels;
    return x_size <= INT32_MAX && y_size <= INT32_MAX;
}

static inline npgru_status npgru_check_channels(const npgru_channels *c, int32_t n_channels, int32_t bits)
{
    if (!npgru_good_zero_point(c->x_zero_point, bits) || !npgru_good_zero_point(c->y_zero_point, bits)) return NPGRU_BAD_RANGE;
    if (!npgru_good_clamp(c->y_min, c->y_max, bits) || !c->multiplier || !c->shift) return NPGRU_BAD_RANGE;
    for (int32_t n = 0; n < n_channels; n++)
        if (!npgru_good_multiplier(c->multiplier[n], c->shift[n], bits == 8 ? 31 : 14)) return NPGRU_BAD_RANGE;
    return NPGRU_OK;
}

/* |bias| <= 2^30; with NPGRU_MAX_TERMS products of 255 * 128 the accumulator stays below 2^31. */
static inline npgru_status npgru_check_bias(const int32_t *bias, int32_t n_channels)
{
    for (int32_t n = 0; bias && n < n_channels; n++)
        if (!npgru_within(bias[n], -(1 << 30), 1 << 30)) return NPGRU_BAD_RANGE;
    return NPGRU_OK;
}

static inline npgru_status npgru_check_conv2d(const npgru_conv2d_params *p, const int32_t *bias)
{
    const npgru_window *s = &p->window;
    if (!npgru_good_window(s)) return NPGRU_BAD_SHAPE;
    const int64_t n_terms = (int64_t)s->kernel_t * s->kernel_m * s->in_channels;
    if (n_terms > NPGRU_MAX_TERMS) return NPGRU_BAD_SHAPE;               /* so w has below 2^31 elements */
    const npgru_status status = npgru_check_channels(&p->channels, s->out_channels, 8);
    return status != NPGRU_OK ? status : npgru_check_bias(bias, s->out_channels);
}

static inline npgru_status npgru_check_depthwise2d(const npgru_conv2d_params *p, const int32_t *bias)
{
    const npgru_window *s = &p->window;
    if (!npgru_good_window(s) || s->out_channels != s->in_channels) return NPGRU_BAD_SHAPE;
    const int64_t w_size = (int64_t)s->kernel_t * s->kernel_m * s->in_channels;
    if ((int64_t)s->kernel_t * s->kernel_m > NPGRU_MAX_TERMS || w_size > INT32_MAX) return NPGRU_BAD_SHAPE;
    const npgru_status status = npgru_check_channels(&p->channels, s->out_channels, 8);
    return status != NPGRU_OK ? status : npgru_check_bias(bias, s->out_channels);
}

static inline npgru_status npgru_check_max_pool(const npgru_max_pool_params *p)
{
    if (!npgru_good_window(&p->window) || p->window.out_channels != p->window.in_channels) return NPGRU_BAD_SHAPE;
    return npgru_good_clamp(p->y_min, p->y_max, 8) ? NPGRU_OK : NPGRU_BAD_RANGE;
}

/* bias: int32 with 8 bits, int64 with 16, or NULL. */
static inline npgru_status npgru_check_dense(const npgru_dense_params *p, int32_t bits, const void *bias)
{
    const int32_t B = p->batch, D = p->in_features, N = p->out_features;
    if (B < 1 || D < 1 || D > NPGRU_MAX_TERMS || N < 1) return NPGRU_BAD_SHAPE;
    if ((int64_t)B * D > INT32_MAX || (int64_t)N * D > INT32_MAX || (int64_t)B * N > INT32_MAX) return NPGRU_BAD_SHAPE;
    const npgru_status status = npgru_check_channels(&p->channels, N, bits);
    if (status != NPGRU_OK || bits == 8) return status != NPGRU_OK ? status : npgru_check_bias(bias, N);
    const int64_t *bias_s16 = bias;
    for (int32_t n = 0; bias_s16 && n < N; n++)
        if (bias_s16[n] < -NPGRU_MAX_BIAS_S16 || bias_s16[n] > NPGRU_MAX_BIAS_S16) return NPGRU_BAD_RANGE;
    return NPGRU_OK;
}

static inline npgru_status npgru_check_rescale(const npgru_rescale *p)
{
    if (!npgru_good_zero_point(p->x_zero_point, 8) || !npgru_good_zero_point(p->y_zero_point, 8)) return NPGRU_BAD_RANGE;
    if (!npgru_good_clamp(p->y_min, p->y_max, 8)) return NPGRU_BAD_RANGE;
    return npgru_good_multiplier(p->multiplier, p->shift, 31) ? NPGRU_OK : NPGRU_BAD_RANGE;
}

#endif
