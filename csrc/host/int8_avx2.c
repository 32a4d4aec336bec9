/* The kernels of a whole integer network in AVX2: eight 32-bit lanes. */
#include "int8_network.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#define KERNEL __attribute__((target("avx2"))) static
#define INLINE KERNEL inline __attribute__((always_inline))
#define LANES 8

typedef __m256i vec;                     /* int32 */
typedef __m256i pairs;                   /* two int16 a lane */

INLINE vec all(int32_t x) { return _mm256_set1_epi32(x); }
INLINE vec load(const int32_t *x) { return _mm256_loadu_si256((const __m256i *)(const void *)x); }
INLINE vec add(vec a, vec b) { return _mm256_add_epi32(a, b); }
INLINE vec sub(vec a, vec b) { return _mm256_sub_epi32(a, b); }
INLINE vec mul(vec a, vec b) { return _mm256_mullo_epi32(a, b); }
INLINE vec and(vec a, vec b) { return _mm256_and_si256(a, b); }
INLINE vec magnitude(vec a) { return _mm256_abs_epi32(a); }
INLINE vec smaller(vec a, vec b) { return _mm256_min_epi32(a, b); }
INLINE vec larger(vec a, vec b) { return _mm256_max_epi32(a, b); }
INLINE vec left(vec a, vec n) { return _mm256_sllv_epi32(a, n); }
INLINE vec right(vec a, vec n) { return _mm256_srav_epi32(a, n); }
INLINE vec one_more_if_above(vec y, vec a, vec b) { return _mm256_sub_epi32(y, _mm256_cmpgt_epi32(a, b)); }
INLINE vec if_above(vec a, vec b, vec yes, vec no) { return _mm256_blendv_epi8(no, yes, _mm256_cmpgt_epi32(a, b)); }

INLINE vec load_codes(const int16_t *x) { return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)x)); }

INLINE void store_codes(int16_t *y, vec a)               /* saturates */
{
    const __m128i lo = _mm256_castsi256_si128(a), hi = _mm256_extracti128_si256(a, 1);
    _mm_storeu_si128((__m128i *)(void *)y, _mm_packs_epi32(lo, hi));
}

INLINE pairs load_pairs(const int16_t *w) { return _mm256_loadu_si256((const __m256i *)(const void *)w); }

INLINE pairs all_pairs(const int16_t *x)                 /* (x[0], x[1]) in every lane */
{
    int32_t both;
    __builtin_memcpy(&both, x, sizeof both);
    return _mm256_set1_epi32(both);
}

INLINE pairs zip(const int16_t *a, const int16_t *b)     /* (a[i], b[i]) in lane i */
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a), y = _mm_loadu_si128((const __m128i *)(const void *)b);
    return _mm256_set_m128i(_mm_unpackhi_epi16(x, y), _mm_unpacklo_epi16(x, y));
}

INLINE vec dot(vec acc, pairs a, pairs b) { return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)); }

INLINE vec lookup(const int32_t *table, vec i) { return _mm256_i32gather_epi32(table, i, 4); }
INLINE vec lookup_two(const uint16_t *table, vec i)      /* table[i] + 2^16 table[i + 1] */
{
    return _mm256_i32gather_epi32((const int *)(const void *)table, i, 2);
}

/* floor((a q + 2^30) / 2^31), q >= 0: the even lanes of a product in one register, the odd ones in another. */
INLINE vec srdhm(vec a, vec q)
{
    const __m256i half = _mm256_set1_epi64x(1 << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(a, q), half);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(q, 32)), half);
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xaa);
}

/* Low 32 bits of (a r + 2^(n - 1)) >> n in four lanes, r <= 2^15, n in 1..46. a r + 2^(n - 1) is above -2^47: 2^47 more
   makes the logical shift an arithmetic one. */
INLINE __m256i wide_quarter(__m128i a, __m128i r, __m128i n)
{
    const __m256i shift = _mm256_cvtepi32_epi64(n), one = _mm256_set1_epi64x(1), above = _mm256_slli_epi64(one, 47);
    const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(shift, one));
    const __m256i product = _mm256_mul_epi32(_mm256_cvtepi32_epi64(a), _mm256_cvtepi32_epi64(r));
    const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(product, half), above);
    return _mm256_sub_epi64(_mm256_srlv_epi64(sum, shift), _mm256_srlv_epi64(above, shift));
}

INLINE vec wide_shift(vec a, vec r, vec n)
{
    const __m256i lo = wide_quarter(_mm256_castsi256_si128(a), _mm256_castsi256_si128(r), _mm256_castsi256_si128(n));
    const __m256i hi = wide_quarter(_mm256_extracti128_si256(a, 1), _mm256_extracti128_si256(r, 1),
                                    _mm256_extracti128_si256(n, 1));
    const __m256i low_words = _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(lo), _mm256_castsi256_ps(hi), 0x88));
    return _mm256_permute4x64_epi64(low_words, 0xd8);
}

#include "kernels/output.h"
#include "kernels/matrix.h"
#include "kernels/depthwise2d.h"
#include "kernels/gru.h"
#include "kernels/form.h"

const npgru_form_int8 npgru_int8_avx2 = NPGRU_FORM_INT8;

#else

const npgru_form_int8 npgru_int8_avx2;                   /* never used: npgru_int8_runs is 0 */

#endif
