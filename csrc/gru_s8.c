/* One GRU step, composed of the primitive operators whose borders are its rounding points: npgru/int8_gru.py.
   h is written last: a refused struct leaves it alone. Rows of gx and gh: z | r | n, H each. */
#include "checks.h"

static int good_sizes(const npgru_gru_params *p)
{
    return npgru_within(p->in_features, 1, NPGRU_MAX_TERMS) && npgru_within(p->units, 1, NPGRU_MAX_TERMS / 3);
}

size_t npgru_gru_s16_scratch_bytes(const npgru_gru_params *p)
{
    return good_sizes(p) ? sizeof(int16_t) * ((size_t)p->in_features + 6 * (size_t)p->units) : 0;
}

size_t npgru_gru_s8_scratch_bytes(const npgru_gru_params *p)
{
    return good_sizes(p) ? 6 * (size_t)p->units : 0;
}

npgru_status npgru_gru_step_s16(const npgru_gru_params *p, const int8_t *x, const int8_t *w, const int8_t *u,
                                const int64_t *x_bias, const int64_t *h_bias, void *scratch, int16_t *h)
{
    if (!good_sizes(p)) return NPGRU_BAD_SHAPE;
    const int32_t D = p->in_features, H = p->units;
    const npgru_dense_params input = { 1, D, 3 * H, p->input }, state = { 1, H, 3 * H, p->state };
    int16_t *gx = scratch, *gh = gx + 3 * H, *x_cast = gh + 3 * H;
    int16_t *z = gx, *r = gx + H, *n = gx + 2 * H, *gh_n = gh + 2 * H, *blend = gh;
    npgru_status s;

    for (int32_t d = 0; d < D; d++) x_cast[d] = x[d];                                            /* CAST */
    if ((s = npgru_dense_s16(&input, x_cast, w, x_bias, gx)) != NPGRU_OK) return s;
    if ((s = npgru_dense_s16(&state, h, u, h_bias, gh)) != NPGRU_OK) return s;
    if ((s = npgru_add_s16(&p->gates, 2 * H, gx, gh, gx)) != NPGRU_OK) return s;
    if ((s = npgru_logistic_s16(&p->sigmoid, 2 * H, gx, gx)) != NPGRU_OK) return s;              /* z, r */
    if ((s = npgru_mul_s16(&p->reset, H, r, gh_n, gh_n)) != NPGRU_OK) return s;
    if ((s = npgru_add_s16(&p->candidate, H, n, gh_n, n)) != NPGRU_OK) return s;
    if ((s = npgru_tanh_s16(&p->tanh, H, n, n)) != NPGRU_OK) return s;                           /* n */
    if ((s = npgru_sub_s16(&p->difference, H, h, n, blend)) != NPGRU_OK) return s;
    if ((s = npgru_mul_s16(&p->blend, H, z, blend, blend)) != NPGRU_OK) return s;
    return npgru_add_s16(&p->update, H, n, blend, h);
}

npgru_status npgru_gru_step_s8(const npgru_gru_params *p, const int8_t *x, const int8_t *w, const int8_t *u,
                               const int32_t *x_bias, const int32_t *h_bias, void *scratch, int8_t *h)
{
    if (!good_sizes(p)) return NPGRU_BAD_SHAPE;
    const int32_t D = p->in_features, H = p->units;
    const npgru_dense_params input = { 1, D, 3 * H, p->input }, state = { 1, H, 3 * H, p->state };
    int8_t *gx = scratch, *gh = gx + 3 * H;
    int8_t *z = gx, *r = gx + H, *n = gx + 2 * H, *gh_n = gh + 2 * H, *blend = gh;
    npgru_status s;

    if ((s = npgru_dense_s8(&input, x, w, x_bias, gx)) != NPGRU_OK) return s;
    if ((s = npgru_dense_s8(&state, h, u, h_bias, gh)) != NPGRU_OK) return s;
    if ((s = npgru_add_s8(&p->gates, 2 * H, gx, gh, gx)) != NPGRU_OK) return s;
    if ((s = npgru_lookup_s8(p->sigmoid_table, 2 * H, gx, gx)) != NPGRU_OK) return s;            /* z, r */
    if ((s = npgru_mul_s8(&p->reset, H, r, gh_n, gh_n)) != NPGRU_OK) return s;
    if ((s = npgru_add_s8(&p->candidate, H, n, gh_n, n)) != NPGRU_OK) return s;
    if ((s = npgru_lookup_s8(p->tanh_table, H, n, n)) != NPGRU_OK) return s;                     /* n */
    if ((s = npgru_sub_s8(&p->difference, H, h, n, blend)) != NPGRU_OK) return s;
    if ((s = npgru_mul_s8(&p->blend, H, z, blend, blend)) != NPGRU_OK) return s;
    return npgru_add_s8(&p->update, H, n, blend, h);
}
