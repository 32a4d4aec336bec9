/* The kernels of a whole integer network in AVX-512 with VNNI: sixteen 32-bit lanes. */
#include "int8_network.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))) static
#define INLINE KERNEL inline __attribute__((always_inline))
#define LANES 16

typedef __m512i vec;                     /* int32 */
typedef __m512i pairs;                   /* two int16 a lane */

INLINE vec all(int32_t x) { return _mm512_set1_epi32(x); }
INLINE vec load(const int32_t *x) { return _mm512_loadu_si512(x); }
INLINE vec add(vec a, vec b) { return _mm512_add_epi32(a, b); }
INLINE vec sub(vec a, vec b) { return _mm512_sub_epi32(a, b); }
INLINE vec mul(vec a, vec b) { return _mm512_mullo_epi32(a, b); }
INLINE vec and(vec a, vec b) { return _mm512_and_si512(a, b); }
INLINE vec magnitude(vec a) { return _mm512_abs_epi32(a); }
INLINE vec smaller(vec a, vec b) { return _mm512_min_epi32(a, b); }
INLINE vec larger(vec a, vec b) { return _mm512_max_epi32(a, b); }
INLINE vec left(vec a, vec n) { return _mm512_sllv_epi32(a, n); }
INLINE vec right(vec a, vec n) { return _mm512_srav_epi32(a, n); }
INLINE vec one_more_if_above(vec y, vec a, vec b)
{
    return _mm512_mask_sub_epi32(y, _mm512_cmpgt_epi32_mask(a, b), y, all(-1));
}

INLINE vec if_above(vec a, vec b, vec yes, vec no) { return _mm512_mask_blend_epi32(_mm512_cmpgt_epi32_mask(a, b), no, yes); }

INLINE __m256i sixteen(const int16_t *x) { return _mm256_loadu_si256((const __m256i *)(const void *)x); }
INLINE vec load_codes(const int16_t *x) { return _mm512_cvtepi16_epi32(sixteen(x)); }
INLINE void store_codes(int16_t *y, vec a) { _mm256_storeu_si256((__m256i *)(void *)y, _mm512_cvtepi32_epi16(a)); }
INLINE pairs load_pairs(const int16_t *w) { return _mm512_loadu_si512(w); }

INLINE pairs all_pairs(const int16_t *x)                 /* (x[0], x[1]) in every lane */
{
    int32_t both;
    __builtin_memcpy(&both, x, sizeof both);
    return _mm512_set1_epi32(both);
}

INLINE pairs zip(const int16_t *a, const int16_t *b)     /* (a[i], b[i]) in lane i */
{
    const __m512i low = _mm512_cvtepu16_epi32(sixteen(a)), high = _mm512_cvtepu16_epi32(sixteen(b));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

INLINE vec dot(vec acc, pairs a, pairs b) { return _mm512_dpwssd_epi32(acc, a, b); }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"       /* without optimisation this intrinsic is a macro that fails it */
INLINE vec lookup(const int32_t *table, vec i) { return _mm512_i32gather_epi32(i, table, 4); }
INLINE vec lookup_two(const uint16_t *table, vec i) { return _mm512_i32gather_epi32(i, table, 2); }
#pragma GCC diagnostic pop

/* floor((a q + 2^30) / 2^31), q >= 0: the even lanes of a product in one register, the odd ones in another. */
INLINE vec srdhm(vec a, vec q)
{
    const __m512i half = _mm512_set1_epi64(1 << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(a, q), half);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(q, 32)), half);
    return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1));
}

/* Low 32 bits of (a r + 2^(n - 1)) >> n in eight lanes, n in 1..46. */
INLINE __m256i wide_half(__m256i a, __m256i r, __m256i n)
{
    const __m512i shift = _mm512_cvtepi32_epi64(n), one = _mm512_set1_epi64(1);
    const __m512i product = _mm512_mul_epi32(_mm512_cvtepi32_epi64(a), _mm512_cvtepi32_epi64(r));
    const __m512i sum = _mm512_add_epi64(product, _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one)));
    return _mm512_cvtepi64_epi32(_mm512_srav_epi64(sum, shift));
}

INLINE vec wide_shift(vec a, vec r, vec n)
{
    const __m256i low = wide_half(_mm512_castsi512_si256(a), _mm512_castsi512_si256(r), _mm512_castsi512_si256(n));
    const __m256i high = wide_half(_mm512_extracti64x4_epi64(a, 1), _mm512_extracti64x4_epi64(r, 1),
                                   _mm512_extracti64x4_epi64(n, 1));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

#include "kernels/output.h"
#include "kernels/matrix.h"
#include "kernels/depthwise2d.h"
#include "kernels/gru.h"
#include "kernels/form.h"

const npgru_form_int8 npgru_int8_avx512 = NPGRU_FORM_INT8;

int32_t npgru_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
}

#else

const npgru_form_int8 npgru_int8_avx512;                 /* never used: npgru_has_avx512 is 0 */

int32_t npgru_has_avx512(void)
{
    return 0;
}

#endif
