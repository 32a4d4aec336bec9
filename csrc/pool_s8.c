/* MAX_POOL_2D and MEAN: npgru/int8_reference.py, max_pool_s8 and mean. */
#include "checks.h"
#include "cortex_m.h"

/* The largest code of the window at (t, m) in one channel; x: at the channel. t, m: may be negative. */
static int32_t window_max(const npgru_window *s, const int8_t *x, int32_t t, int32_t m)
{
    int32_t largest = -128;
    for (int32_t i = 0; i < s->kernel_t; i++) {
        if (t + i < 0 || t + i >= s->in_t) continue;
        for (int32_t j = 0; j < s->kernel_m; j++) {
            if (m + j < 0 || m + j >= s->in_m) continue;
            const int32_t code = x[((t + i) * s->in_m + m + j) * s->in_channels];
            if (code > largest) largest = code;
        }
    }
    return largest;
}

npgru_status npgru_max_pool_s8(const npgru_max_pool_params *p, const int8_t *x, int8_t *y)
{
    const npgru_window *s = &p->window;
    const npgru_status status = npgru_check_max_pool(p);
    if (status != NPGRU_OK) return status;
    const int32_t C = s->in_channels, x_size = s->in_t * s->in_m * C;
    for (int32_t b = 0; b < s->batch; b++)
        for (int32_t t = 0; t < s->out_t; t++)
            for (int32_t m = 0; m < s->out_m; m++)
                for (int32_t c = 0; c < C; c++) {
                    const int32_t code = window_max(s, x + b * x_size + c, t * s->stride_t - s->pad_t,
                                                    m * s->stride_m - s->pad_m);
                    *y++ = (int8_t)cm_clamp(code, p->y_min, p->y_max);
                }
    return NPGRU_OK;
}

static npgru_status check_mean(const npgru_rescale *p, int32_t batch, int32_t n, int32_t channels, int32_t bits)
{
    if (batch < 1 || !npgru_within(n, 1, 65535) || channels < 1) return NPGRU_BAD_SHAPE;
    if ((int64_t)batch * channels > INT32_MAX / n) return NPGRU_BAD_SHAPE;
    if (!npgru_good_zero_point(p->x_zero_point, bits) || !npgru_good_zero_point(p->y_zero_point, bits)) return NPGRU_BAD_RANGE;
    if (!npgru_good_clamp(p->y_min, p->y_max, bits)) return NPGRU_BAD_RANGE;
    return npgru_good_multiplier(p->multiplier, p->shift, 31) ? NPGRU_OK : NPGRU_BAD_RANGE;
}

/* sum: of n codes without their zero points; n 2^15 < 2^31. */
static int32_t mean_code(const npgru_rescale *p, int32_t sum)
{
    return cm_clamp(cm_qadd(cm_mbq(sum, p->multiplier, p->shift), p->y_zero_point), p->y_min, p->y_max);
}

npgru_status npgru_mean_s8(const npgru_rescale *p, int32_t batch, int32_t n, int32_t channels, const int8_t *x, int8_t *y)
{
    const npgru_status status = check_mean(p, batch, n, channels, 8);
    if (status != NPGRU_OK) return status;
    for (int32_t b = 0; b < batch; b++)
        for (int32_t c = 0; c < channels; c++) {
            int32_t sum = -n * p->x_zero_point;
            for (int32_t i = 0; i < n; i++) sum += x[(b * n + i) * channels + c];
            *y++ = (int8_t)mean_code(p, sum);
        }
    return NPGRU_OK;
}

npgru_status npgru_mean_s16(const npgru_rescale *p, int32_t batch, int32_t n, int32_t channels, const int16_t *x, int16_t *y)
{
    const npgru_status status = check_mean(p, batch, n, channels, 16);
    if (status != NPGRU_OK) return status;
    for (int32_t b = 0; b < batch; b++)
        for (int32_t c = 0; c < channels; c++) {
            int32_t sum = 0;
            for (int32_t i = 0; i < n; i++) sum += x[(b * n + i) * channels + c];
            *y++ = (int16_t)mean_code(p, sum);
        }
    return NPGRU_OK;
}
