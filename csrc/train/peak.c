/* The roof of one core: fused multiply-adds on registers alone, as wide as it has them. */
#include "npgru_train.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#define SUMS 12                          /* independent of each other: two units with a latency of 4 need 8; all are registers */

static __attribute__((target("avx512f"))) float sum_avx512(int32_t rounds, float a, float b)
{
    __m512 s[SUMS];
    for (int i = 0; i < SUMS; i++) s[i] = _mm512_set1_ps((float)i);
    for (int32_t round = 0; round < rounds; round++)
        for (int i = 0; i < SUMS; i++) s[i] = _mm512_fmadd_ps(s[i], _mm512_set1_ps(a), _mm512_set1_ps(b));
    for (int i = 1; i < SUMS; i++) s[0] = _mm512_add_ps(s[0], s[i]);
    return _mm512_cvtss_f32(s[0]);
}

static __attribute__((target("avx2,fma"))) float sum_avx2(int32_t rounds, float a, float b)
{
    __m256 s[SUMS];
    for (int i = 0; i < SUMS; i++) s[i] = _mm256_set1_ps((float)i);
    for (int32_t round = 0; round < rounds; round++)
        for (int i = 0; i < SUMS; i++) s[i] = _mm256_fmadd_ps(s[i], _mm256_set1_ps(a), _mm256_set1_ps(b));
    for (int i = 1; i < SUMS; i++) s[0] = _mm256_add_ps(s[0], s[i]);
    return _mm256_cvtss_f32(s[0]);
}

double npgru_train_peak(int32_t rounds, float *sum)
{
    const int wide = __builtin_cpu_supports("avx512f");
    if (!wide && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return 0;
    *sum = wide ? sum_avx512(rounds, 0.999f, 0.001f) : sum_avx2(rounds, 0.999f, 0.001f);
    return 2.0 * SUMS * (wide ? 16 : 8) * (double)rounds;
}

#else

double npgru_train_peak(int32_t rounds, float *sum)
{
    (void)rounds, (void)sum;
    return 0;
}

#endif
