/* FULLY_CONNECTED, int8 and int16 x int8: npgru/int8_reference.py, dense_s8 and dense_s16, profile "tflm". */
#include "checks.h"
#include "cortex_m.h"

CM_SMALL npgru_status npgru_dense_s8(const npgru_dense_params *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                                     int8_t *y)
{
    const int32_t B = p->batch, D = p->in_features, N = p->out_features;
    const npgru_channels *c = &p->channels;
    const npgru_status status = npgru_check_dense(p, 8, bias);
    if (status != NPGRU_OK) return status;

    for (int32_t b = 0; b < B; b++) {
        for (int32_t n = 0; n < N; n++) {
            int32_t acc = bias ? bias[n] : 0;
            for (int32_t d = 0; d < D; d++)
                acc += (x[b * D + d] - c->x_zero_point) * w[n * D + d];
            const int32_t code = cm_qadd(cm_mbq(acc, c->multiplier[n], c->shift[n]), c->y_zero_point);
            y[b * N + n] = (int8_t)cm_clamp(code, c->y_min, c->y_max);
        }
    }
    return NPGRU_OK;
}

npgru_status npgru_dense_s16(const npgru_dense_params *p, const int16_t *x, const int8_t *w, const int64_t *bias, int16_t *y)
{
    const int32_t B = p->batch, D = p->in_features, N = p->out_features;
    const npgru_channels *c = &p->channels;
    const npgru_status status = npgru_check_dense(p, 16, bias);
    if (status != NPGRU_OK) return status;

    for (int32_t b = 0; b < B; b++) {
        for (int32_t n = 0; n < N; n++) {
            int64_t acc = bias ? bias[n] : 0;                            /* D 2^22 + 2^46 < 2^47 */
            for (int32_t d = 0; d < D; d++)
                acc += x[b * D + d] * w[n * D + d];
            y[b * N + n] = (int16_t)cm_clamp(cm_mbq64(acc, c->multiplier[n], c->shift[n]), c->y_min, c->y_max);
        }
    }
    return NPGRU_OK;
}
