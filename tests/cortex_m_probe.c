/* Compiled by tests/test_cortex_m.py: every function of csrc/cortex_m.h on arrays, so that Python can compare.
   a, b, c: operands as raw 32 bits; x: the 64-bit operand of cm_mbq64; y: results, sign- or zero-extended. */
#include "cortex_m.h"

typedef struct { const uint32_t *a, *b, *c; const int64_t *x; int64_t *y; int32_t n; } arrays;

#define PROBE(name, expression) \
    void probe_##name(const arrays *p); \
    void probe_##name(const arrays *p) \
    { \
        for (int32_t i = 0; i < p->n; i++) { \
            const uint32_t a = p->a[i], b = p->b[i]; \
            const int32_t sa = (int32_t)a, sb = (int32_t)b, c = (int32_t)p->c[i]; \
            const int64_t x = p->x[i]; \
            (void)a, (void)b, (void)sa, (void)sb, (void)c, (void)x; \
            p->y[i] = (expression); \
        } \
    }

PROBE(low, cm_low(a))
PROBE(high, cm_high(a))
PROBE(pair, cm_pair(sa, sb))
PROBE(sxtb16, cm_sxtb16(a))
PROBE(uxtb16, cm_uxtb16(a))
PROBE(smuad, cm_smuad(a, b))
PROBE(smlad, cm_smlad(a, b, c))
PROBE(smlabb, cm_smlabb(a, b, c))
PROBE(smlabt, cm_smlabt(a, b, c))
PROBE(smlatb, cm_smlatb(a, b, c))
PROBE(smlatt, cm_smlatt(a, b, c))
PROBE(smlsdx, cm_smlsdx(a, b, c))
PROBE(smusdx, cm_smusdx(a, b))
PROBE(sadd16, cm_sadd16(a, b))
PROBE(ssub16, cm_ssub16(a, b))
PROBE(abs16, cm_abs16(a))
PROBE(halves, cm_halves(a, b))
PROBE(high_pair, cm_high_pair(a, b))
PROBE(clz, cm_clz(a))
PROBE(rbit, cm_rbit(a))
PROBE(qadd, cm_qadd(sa, sb))
PROBE(qsub, cm_qsub(sa, sb))
PROBE(smmul, cm_smmul(sa, sb))
PROBE(smmulr, cm_smmulr(sa, sb))
PROBE(ssat1, CM_SSAT(sa, 1))
PROBE(ssat8, CM_SSAT(sa, 8))
PROBE(ssat16, CM_SSAT(sa, 16))
PROBE(ssat31, CM_SSAT(sa, 31))
PROBE(ssat32, CM_SSAT(sa, 32))
PROBE(usat0, CM_USAT(sa, 0))
PROBE(usat8, CM_USAT(sa, 8))
PROBE(usat16, CM_USAT(sa, 16))
PROBE(usat31, CM_USAT(sa, 31))
PROBE(add_wrapping, cm_add_wrapping(sa, sb))
PROBE(saturated, cm_saturated(x))
PROBE(clamp, cm_clamp(sa, sb < c ? sb : c, sb < c ? c : sb))
PROBE(shift_left, cm_shift_left(sa, sb & 31))
PROBE(srdhm, cm_srdhm(sa, sb))
PROBE(rdp, cm_rdp(sa, sb & 31))
PROBE(mbq, cm_mbq(sa, sb & 0x7FFFFFFF, c % 32))
PROBE(mbq64, cm_mbq64(x, sb & 0x7FFFFFFF, (c & 31) - 17))
