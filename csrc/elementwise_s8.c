/* ADD, SUB, MUL, QUANTIZE, the features to int8: npgru/int8_reference.py. Each loop is written once per type. */
#include "checks.h"
#include "cortex_m.h"

/* An input of a sum: its scale is at most half the common one. */
static int good_term(int32_t zero_point, int32_t multiplier, int32_t shift, int32_t bits)
{
    const int at_most_half = shift < 0 || multiplier <= 1 << 30;
    return npgru_good_zero_point(zero_point, bits) && npgru_good_multiplier(multiplier, shift, 0) && at_most_half;
}

static npgru_status check_sum(const npgru_sum *p, int32_t size, int32_t bits)
{
    if (size < 0) return NPGRU_BAD_SHAPE;
    if (p->left_shift != (bits == 8 ? 20 : 15) || !npgru_good_clamp(p->y_min, p->y_max, bits)) return NPGRU_BAD_RANGE;
    if (!good_term(p->x1_zero_point, p->x1_multiplier, p->x1_shift, bits)) return NPGRU_BAD_RANGE;
    if (!good_term(p->x2_zero_point, p->x2_multiplier, p->x2_shift, bits)) return NPGRU_BAD_RANGE;
    if (!npgru_good_zero_point(p->y_zero_point, bits)) return NPGRU_BAD_RANGE;
    return npgru_good_multiplier(p->y_multiplier, p->y_shift, 0) ? NPGRU_OK : NPGRU_BAD_RANGE;
}

/* One code of ADD (sign 1) or SUB (sign -1). (x - z) 2^left_shift: int8 below 2^28, int16 at most 2^30. */
static int32_t sum_code(const npgru_sum *p, int32_t x1, int32_t x2, int32_t sign)
{
    const int32_t a1 = cm_mbq((x1 - p->x1_zero_point) * (1 << p->left_shift), p->x1_multiplier, p->x1_shift);
    const int32_t a2 = cm_mbq((x2 - p->x2_zero_point) * (1 << p->left_shift), p->x2_multiplier, p->x2_shift);
    const int32_t code = cm_mbq(a1 + sign * a2, p->y_multiplier, p->y_shift) + p->y_zero_point;
    return cm_clamp(code, p->y_min, p->y_max);
}

npgru_status npgru_add_s8(const npgru_sum *p, int32_t size, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    const npgru_status status = check_sum(p, size, 8);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = (int8_t)sum_code(p, x1[i], x2[i], 1);
    return status;
}

npgru_status npgru_sub_s8(const npgru_sum *p, int32_t size, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    const npgru_status status = check_sum(p, size, 8);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = (int8_t)sum_code(p, x1[i], x2[i], -1);
    return status;
}

npgru_status npgru_add_s16(const npgru_sum *p, int32_t size, const int16_t *x1, const int16_t *x2, int16_t *y)
{
    const npgru_status status = check_sum(p, size, 16);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = (int16_t)sum_code(p, x1[i], x2[i], 1);
    return status;
}

npgru_status npgru_sub_s16(const npgru_sum *p, int32_t size, const int16_t *x1, const int16_t *x2, int16_t *y)
{
    const npgru_status status = check_sum(p, size, 16);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = (int16_t)sum_code(p, x1[i], x2[i], -1);
    return status;
}

static npgru_status check_product(const npgru_product *p, int32_t size, int32_t bits)
{
    if (size < 0) return NPGRU_BAD_SHAPE;
    if (!npgru_good_zero_point(p->x1_zero_point, bits) || !npgru_good_zero_point(p->x2_zero_point, bits)) return NPGRU_BAD_RANGE;
    if (!npgru_good_zero_point(p->y_zero_point, bits) || !npgru_good_clamp(p->y_min, p->y_max, bits)) return NPGRU_BAD_RANGE;
    return npgru_good_multiplier(p->multiplier, p->shift, 31) ? NPGRU_OK : NPGRU_BAD_RANGE;
}

static int32_t product_code(const npgru_product *p, int32_t x1, int32_t x2)
{
    const int32_t acc = (x1 - p->x1_zero_point) * (x2 - p->x2_zero_point);           /* at most 2^30 */
    return cm_clamp(cm_qadd(cm_mbq(acc, p->multiplier, p->shift), p->y_zero_point), p->y_min, p->y_max);
}

npgru_status npgru_mul_s8(const npgru_product *p, int32_t size, const int8_t *x1, const int8_t *x2, int8_t *y)
{
    const npgru_status status = check_product(p, size, 8);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = (int8_t)product_code(p, x1[i], x2[i]);
    return status;
}

npgru_status npgru_mul_s16(const npgru_product *p, int32_t size, const int16_t *x1, const int16_t *x2, int16_t *y)
{
    const npgru_status status = check_product(p, size, 16);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = (int16_t)product_code(p, x1[i], x2[i]);
    return status;
}

static npgru_status check_rescale(const npgru_rescale *p, int32_t size)
{
    return size < 0 ? NPGRU_BAD_SHAPE : npgru_check_rescale(p);
}

static int8_t rescaled_code(const npgru_rescale *p, int32_t x)
{
    const int32_t code = cm_qadd(cm_mbq(x, p->multiplier, p->shift), p->y_zero_point);
    return (int8_t)cm_clamp(code, p->y_min, p->y_max);
}

npgru_status npgru_quantize_s8(const npgru_rescale *p, int32_t size, const int8_t *x, int8_t *y)
{
    const npgru_status status = check_rescale(p, size);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = rescaled_code(p, x[i] - p->x_zero_point);
    return status;
}

npgru_status npgru_quantize_s16(const npgru_rescale *p, int32_t size, const int16_t *x, int8_t *y)
{
    const npgru_status status = check_rescale(p, size);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = rescaled_code(p, x[i] - p->x_zero_point);
    return status;
}

npgru_status npgru_quantize_s32(const npgru_rescale *p, int32_t size, const int32_t *x, int8_t *y)
{
    const npgru_status status = check_rescale(p, size);
    if (status == NPGRU_OK && p->x_zero_point != 0) return NPGRU_BAD_RANGE;
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) y[i] = rescaled_code(p, x[i]);
    return status;
}

npgru_status npgru_quantize_features(const npgru_features *p, int32_t size, const uint16_t *f, int8_t *y)
{
    if (size < 0) return NPGRU_BAD_SHAPE;
    if (p->multiplier > (uint64_t)1 << 34 || !npgru_within(p->shift, 0, 50)) return NPGRU_BAD_RANGE;
    if (!npgru_good_zero_point(p->y_zero_point, 8)) return NPGRU_BAD_RANGE;
    const uint64_t half = ((uint64_t)1 << p->shift) >> 1;
    for (int32_t i = 0; i < size; i++) {
        const uint64_t q = (f[i] * p->multiplier + half) >> p->shift;
        const int32_t code = (int32_t)(q < 255 ? q : 255) + p->y_zero_point;
        y[i] = (int8_t)(code < 127 ? code : 127);
    }
    return NPGRU_OK;
}
