/* Roundings, as in csrc/cortex_m.h, in every lane. */

/* MBQ by multiplier 2^(left - right - 31): double rounding. */
typedef struct { vec multiplier, left, right, mask; } scale;

INLINE scale scale_of(vec multiplier, vec shift_left, vec shift_right)
{
    const scale s = { multiplier, shift_left, shift_right, sub(left(all(1), shift_right), all(1)) };
    return s;
}

INLINE scale one_scale(int32_t multiplier, int32_t shift)
{
    return scale_of(all(multiplier), all(shift > 0 ? shift : 0), all(shift > 0 ? 0 : -shift));
}

/* RDP without a sum that could overflow: one more than the floor if the remainder is above half, or is half and x >= 0. */
INLINE vec mbq(vec a, scale s)
{
    const vec x = srdhm(left(a, s.left), s.multiplier);
    const vec half = sub(right(s.mask, all(1)), right(x, all(31)));
    return one_more_if_above(right(x, s.right), and(x, s.mask), half);
}

INLINE vec clamped(vec a, int32_t low, int32_t high)
{
    return smaller(larger(a, all(low)), all(high));
}

INLINE void store_output(const npgru_outputs *o, vec code, int16_t *y)
{
    store_codes(y, add(clamped(code, o->low, o->high), all(o->add)));
}
