/* What the forms share that needs no vector type, and the table of a form. */

/* n features -> stored codes. A multiplier below 2^32, which is the rule, takes products of 32 bits. */
KERNEL void features(const npgru_features *p, int32_t zero, int32_t n, const uint16_t *f, int16_t *y)
{
    const uint64_t half = ((uint64_t)1 << p->shift) >> 1;
    const int32_t to_stored = p->y_zero_point - zero, most = 127 - p->y_zero_point < 255 ? 127 - p->y_zero_point : 255;
    const uint32_t narrow = (uint32_t)p->multiplier;
    if (p->multiplier == narrow)
        for (int32_t i = 0; i < n; i++) {
            const uint64_t q = ((uint64_t)f[i] * narrow + half) >> p->shift;
            y[i] = (int16_t)((q < (uint64_t)most ? (int32_t)q : most) + to_stored);
        }
    else
        for (int32_t i = 0; i < n; i++) {
            const uint64_t q = (f[i] * p->multiplier + half) >> p->shift;
            y[i] = (int16_t)((q < (uint64_t)most ? (int32_t)q : most) + to_stored);
        }
}

#define NPGRU_FORM_INT8 { features, matrix, depthwise, max_pool, gru, mean_time }
