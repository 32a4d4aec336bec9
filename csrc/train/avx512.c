/* The kernels compiled for AVX-512; chosen at run time. */
#include "form.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#ifdef __clang__
#define KERNEL __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))) static
#else                                                     /* the compiler alone would stay with half vectors */
#define KERNEL __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,prefer-vector-width=512"))) static
#endif
#define VECTOR KERNEL inline __attribute__((always_inline))
#define VECTOR_HEADER "vector_avx512.h"

static int32_t is_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
           && __builtin_cpu_supports("avx512bw");
}

KERNEL inline float multiply_add(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

#include "kernels/all.h"

const npgru_form npgru_form_avx512 = NPGRU_FORM;

#else
const npgru_form npgru_form_avx512 = { 0 };                  /* is_here NULL: not for this processor or compiler */
#endif
