/* The GRU of one clip, npgru/int8_gru.py (1)-(4), and what stands around it. All tensors of a step are int16 in memory. */

typedef struct { vec x1_zero, x2_zero, left_shift; scale x1, x2, y; int32_t low, high, y_zero; } sum_scales;

INLINE sum_scales scales_of_sum(const npgru_sum *p)
{
    const sum_scales s = { all(p->x1_zero_point), all(p->x2_zero_point), all(p->left_shift),
                           one_scale(p->x1_multiplier, p->x1_shift), one_scale(p->x2_multiplier, p->x2_shift),
                           one_scale(p->y_multiplier, p->y_shift),
                           p->y_min - p->y_zero_point, p->y_max - p->y_zero_point, p->y_zero_point };
    return s;
}

/* ADD (sign 1) and SUB (sign -1). */
INLINE vec sum(const sum_scales *s, vec x1, vec x2, int32_t sign)
{
    const vec a1 = mbq(left(sub(x1, s->x1_zero), s->left_shift), s->x1);
    const vec a2 = mbq(left(sub(x2, s->x2_zero), s->left_shift), s->x2);
    const vec code = mbq(sign > 0 ? add(a1, a2) : sub(a1, a2), s->y);
    return add(clamped(code, s->low, s->high), all(s->y_zero));
}

typedef struct { vec x1_zero, x2_zero; scale y; int32_t low, high, y_zero; } product_scales;

INLINE product_scales scales_of_product(const npgru_product *p)
{
    const product_scales s = { all(p->x1_zero_point), all(p->x2_zero_point), one_scale(p->multiplier, p->shift),
                               p->y_min - p->y_zero_point, p->y_max - p->y_zero_point, p->y_zero_point };
    return s;
}

INLINE vec product(const product_scales *s, vec x1, vec x2)
{
    const vec code = mbq(mul(sub(x1, s->x1_zero), sub(x2, s->x2_zero)), s->y);
    return add(clamped(code, s->low, s->high), all(s->y_zero));
}

/* LOGISTIC and TANH, int16: csrc/activations_s8.c. Place in the table of |d| / 2^bits, interpolated, `end` behind it. */
INLINE vec on_grid(const npgru_curve *p, vec x)
{
    const int32_t half = (int32_t)((1u << p->shift) >> 1);
    return right(add(mul(x, all(p->multiplier)), all(half)), all(p->shift));
}

INLINE vec interpolated(vec d, int32_t bits, int32_t end)
{
    const vec a = magnitude(d), u = right(a, all(bits)), T = lookup_two(npgru_sigmoid_table, smaller(u, all(254)));
    const vec first = and(T, all(0xffff)), slope = sub(and(right(T, all(16)), all(0xffff)), first);
    const vec inside = add(left(first, all(bits)), mul(and(a, all((1 << bits) - 1)), slope));
    return if_above(u, all(254), all(end), inside);
}

INLINE vec logistic(const npgru_curve *p, vec x)
{
    const vec d = on_grid(p, x), r = interpolated(d, 9, 0x7FFF << 10);
    return right(if_above(all(0), d, sub(all((1 << 25) + 511), r), add(r, all(512))), all(10));
}

INLINE vec tanh_of(const npgru_curve *p, vec x)
{
    const vec d = on_grid(p, x), r = interpolated(d, 8, 0xFFFF << 8);
    return right(if_above(all(0), d, sub(all((1 << 23) + 127), r), add(r, all(128 - (1 << 23)))), all(8));
}

typedef struct { sum_scales gates, candidate, difference, update; product_scales reset, blend; } cell;

/* (2)-(4) for the units from i on. gx, gh: z | r | n, H_pad each. */
INLINE vec unit_step(const npgru_gru *g, const cell *s, int32_t i, const int16_t *gx, const int16_t *gh, const int16_t *h)
{
    const int32_t H = g->H_pad;
    const npgru_gru_params *p = g->p;
    const vec z_sum = sum(&s->gates, load_codes(gx + i), load_codes(gh + i), 1);
    const vec r_sum = sum(&s->gates, load_codes(gx + H + i), load_codes(gh + H + i), 1);
    const vec z = g->bits == 16 ? logistic(&p->sigmoid, z_sum) : lookup(g->sigmoid, add(z_sum, all(128)));             /* (2) */
    const vec r = g->bits == 16 ? logistic(&p->sigmoid, r_sum) : lookup(g->sigmoid, add(r_sum, all(128)));
    const vec reset = product(&s->reset, r, load_codes(gh + 2 * H + i));
    const vec n_sum = sum(&s->candidate, load_codes(gx + 2 * H + i), reset, 1);
    const vec n = g->bits == 16 ? tanh_of(&p->tanh, n_sum) : lookup(g->tanh, add(n_sum, all(128)));                    /* (3) */
    const vec blend = product(&s->blend, z, sum(&s->difference, load_codes(h + i), n, -1));
    return sum(&s->update, n, blend, 1);                                                                              /* (4) */
}

KERNEL void gru(const npgru_gru *g, int32_t T, const int16_t *gx, int16_t *gh, int16_t *h)
{
    const int32_t H = g->H_pad;
    const npgru_gru_params *p = g->p;
    const cell s = { scales_of_sum(&p->gates), scales_of_sum(&p->candidate), scales_of_sum(&p->difference),
                     scales_of_sum(&p->update), scales_of_product(&p->reset), scales_of_product(&p->blend) };
    for (int32_t i = 0; i < H; i++) h[i] = 0;
    for (int32_t t = 0; t < T; t++, gx += 3 * H, h += H) {
        const npgru_view one = { h, gh, 0, 0, 0, 0, 1, 1 };
        matrix(&g->state, &one);
        for (int32_t i = 0; i < H; i += LANES) store_codes(h + H + i, unit_step(g, &s, i, gx, gh, h));
    }
}

/* The sum of T rows of n codes, then QUANTIZE: (T, n) -> (n,). */
KERNEL void mean_time(const npgru_rescale *p, int32_t add_to_code, int32_t T, int32_t n, const int16_t *x, int16_t *y)
{
    const scale to_y = one_scale(p->multiplier, p->shift);
    for (int32_t i = 0; i < n; i += LANES) {
        vec total = all(0);
        for (int32_t t = 0; t < T; t++) total = add(total, load_codes(x + (ptrdiff_t)t * n + i));
        const vec code = clamped(mbq(total, to_y), p->y_min - p->y_zero_point, p->y_max - p->y_zero_point);
        store_codes(y + i, add(code, all(add_to_code)));
    }
}
