/* The kernels of a whole integer network in NEON, for 64-bit Arm: four 32-bit lanes. */
#include "int8_network.h"

#if defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>

#define KERNEL static
#define INLINE static inline __attribute__((always_inline))
#define LANES 4

typedef int32x4_t vec;
typedef struct { int16x4_t first, second; } pairs;

INLINE vec all(int32_t x) { return vdupq_n_s32(x); }
INLINE vec load(const int32_t *x) { return vld1q_s32(x); }
INLINE vec add(vec a, vec b) { return vaddq_s32(a, b); }
INLINE vec sub(vec a, vec b) { return vsubq_s32(a, b); }
INLINE vec mul(vec a, vec b) { return vmulq_s32(a, b); }
INLINE vec and(vec a, vec b) { return vandq_s32(a, b); }
INLINE vec magnitude(vec a) { return vabsq_s32(a); }
INLINE vec smaller(vec a, vec b) { return vminq_s32(a, b); }
INLINE vec larger(vec a, vec b) { return vmaxq_s32(a, b); }
INLINE vec left(vec a, vec n) { return vshlq_s32(a, n); }
INLINE vec right(vec a, vec n) { return vshlq_s32(a, vnegq_s32(n)); }
INLINE vec one_more_if_above(vec y, vec a, vec b) { return vsubq_s32(y, vreinterpretq_s32_u32(vcgtq_s32(a, b))); }
INLINE vec if_above(vec a, vec b, vec yes, vec no) { return vbslq_s32(vcgtq_s32(a, b), yes, no); }

INLINE vec load_codes(const int16_t *x) { return vmovl_s16(vld1_s16(x)); }
INLINE void store_codes(int16_t *y, vec a) { vst1_s16(y, vqmovn_s32(a)); }

INLINE pairs load_pairs(const int16_t *w)
{
    const int16x4x2_t both = vld2_s16(w);
    const pairs p = { both.val[0], both.val[1] };
    return p;
}

INLINE pairs all_pairs(const int16_t *x) { const pairs p = { vdup_n_s16(x[0]), vdup_n_s16(x[1]) }; return p; }
INLINE pairs zip(const int16_t *a, const int16_t *b) { const pairs p = { vld1_s16(a), vld1_s16(b) }; return p; }
INLINE vec dot(vec acc, pairs a, pairs b) { return vmlal_s16(vmlal_s16(acc, a.first, b.first), a.second, b.second); }

INLINE vec lookup(const int32_t *table, vec i)
{
    const int32_t found[4] = { table[vgetq_lane_s32(i, 0)], table[vgetq_lane_s32(i, 1)], table[vgetq_lane_s32(i, 2)],
                               table[vgetq_lane_s32(i, 3)] };
    return vld1q_s32(found);
}

INLINE vec lookup_two(const uint16_t *table, vec i)      /* table[i] + 2^16 table[i + 1] */
{
    int32_t at[4], found[4];
    vst1q_s32(at, i);
    for (int k = 0; k < 4; k++) found[k] = (int32_t)(table[at[k]] | (uint32_t)table[at[k] + 1] << 16);
    return vld1q_s32(found);
}

/* floor((a q + 2^30) / 2^31), q >= 0: SQRDMULH, whose halves go up. */
INLINE vec srdhm(vec a, vec q) { return vqrdmulhq_s32(a, q); }

/* Low 32 bits of (a r + 2^(n - 1)) >> n, n in 1..46. */
INLINE vec wide_shift(vec a, vec r, vec n)
{
    const int64x2_t low = vmull_s32(vget_low_s32(a), vget_low_s32(r)), high = vmull_high_s32(a, r);
    const int64x2_t n_low = vmovl_s32(vget_low_s32(n)), n_high = vmovl_high_s32(n);
    return vcombine_s32(vmovn_s64(vrshlq_s64(low, vnegq_s64(n_low))), vmovn_s64(vrshlq_s64(high, vnegq_s64(n_high))));
}

#include "kernels/output.h"
#include "kernels/matrix.h"
#include "kernels/depthwise2d.h"
#include "kernels/gru.h"
#include "kernels/form.h"

const npgru_form_int8 npgru_int8_neon = NPGRU_FORM_INT8;

#else

const npgru_form_int8 npgru_int8_neon;                   /* never used: npgru_int8_runs is 0 */

#endif
