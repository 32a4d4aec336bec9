/* The kernels in plain C. */
#include "form.h"
#include <math.h>
#include <string.h>

#ifdef _MSC_VER
#define restrict __restrict
#endif
#define KERNEL static

static int32_t is_here(void)
{
    return 1;
}

KERNEL inline float multiply_add(float a, float b, float c)
{
    return a * b + c;
}

#include "kernels/arithmetic.h"
#include "kernels/product.h"
#include "kernels/product_plain.h"
#include "kernels/batchnorm.h"
#include "kernels/conv2d.h"
#include "kernels/depthwise2d_plain.h"
#include "kernels/depthwise2d.h"
#include "kernels/pool.h"
#include "kernels/fake_quant.h"
#include "kernels/gru.h"
#include "kernels/gru_quantised.h"
#include "kernels/layers.h"

const npgru_form npgru_form_plain = NPGRU_FORM;
