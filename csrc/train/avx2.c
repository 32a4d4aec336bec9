/* The kernels compiled for AVX2 and FMA; chosen at run time. */
#include "form.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define KERNEL __attribute__((target("avx2,fma"))) static
#define VECTOR KERNEL inline __attribute__((always_inline))
#define VECTOR_HEADER "vector_avx2.h"

static int32_t is_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

KERNEL inline float multiply_add(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

#include "kernels/all.h"

const npgru_form npgru_form_avx2 = NPGRU_FORM;

#else
const npgru_form npgru_form_avx2 = { 0 };                  /* is_here NULL: not for this processor or compiler */
#endif
