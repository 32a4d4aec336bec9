/* The kernels of plain.c compiled for AVX2 and FMA, with a product of their own; chosen at run time. */
#include "form.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define KERNEL AVX2 static

KERNEL inline float multiply_add(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

#include "kernels/arithmetic.h"
#include "kernels/product.h"
#include "kernels/product_avx2.h"
#include "kernels/batchnorm.h"
#include "kernels/conv2d.h"
#include "kernels/depthwise2d_avx2.h"
#include "kernels/depthwise2d.h"
#include "kernels/pool.h"
#include "kernels/gru.h"
#include "kernels/layers.h"

const npgru_form npgru_form_avx2 = NPGRU_FORM;

int32_t npgru_train_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else

const npgru_form npgru_form_avx2;                         /* never used: npgru_train_has_avx2 is 0 */

int32_t npgru_train_has_avx2(void)
{
    return 0;
}

#endif
