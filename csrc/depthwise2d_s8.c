/* DEPTHWISE_CONV_2D, int8, one output per channel: npgru/int8_reference.py, depthwise2d_s8. */
#include "checks.h"
#include "cortex_m.h"

/* sum over the window at (t, m) of (x - x_zero_point) w in one channel; what lies outside x adds 0.
   x, w: at the channel, C codes from one pixel or tap to the next. t, m: may be negative. */
static int32_t window_sum(const npgru_window *s, int32_t x_zero_point, const int8_t *x, const int8_t *w, int32_t t, int32_t m)
{
    const int32_t C = s->in_channels;
    int32_t acc = 0;
    for (int32_t i = 0; i < s->kernel_t; i++) {
        if (t + i < 0 || t + i >= s->in_t) continue;
        for (int32_t j = 0; j < s->kernel_m; j++) {
            if (m + j < 0 || m + j >= s->in_m) continue;
            acc += (x[((t + i) * s->in_m + m + j) * C] - x_zero_point) * w[(i * s->kernel_m + j) * C];
        }
    }
    return acc;
}

npgru_status npgru_depthwise2d_s8(const npgru_conv2d_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                                  int8_t *y)
{
    const npgru_window *s = &p->window;
    const npgru_channels *c = &p->channels;
    const npgru_status status = npgru_check_depthwise2d(p, bias);
    if (status != NPGRU_OK) return status;
    const int32_t x_size = s->in_t * s->in_m * s->in_channels;

    for (int32_t b = 0; b < s->batch; b++)
        for (int32_t t = 0; t < s->out_t; t++)
            for (int32_t m = 0; m < s->out_m; m++)
                for (int32_t n = 0; n < s->out_channels; n++) {
                    const int32_t acc = window_sum(s, c->x_zero_point, x + b * x_size + n, w + n,
                                                   t * s->stride_t - s->pad_t, m * s->stride_m - s->pad_m);
                    const int32_t code = cm_mbq(acc + (bias ? bias[n] : 0), c->multiplier[n], c->shift[n]);
                    *y++ = (int8_t)cm_clamp(cm_qadd(code, c->y_zero_point), c->y_min, c->y_max);
                }
    return NPGRU_OK;
}
