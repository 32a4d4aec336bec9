/* All kernels of a form with vectors, in the order in which they need each other; vector_<instruction set>.h comes before. */
KERNEL inline float multiply_add(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

#include "arithmetic.h"
#include "product.h"
#include "vector.h"
#include "product_vector.h"
#include "batchnorm.h"
#include "conv2d.h"
#include "depthwise2d_vector.h"
#include "depthwise2d.h"
#include "pool.h"
#include "fake_quant.h"
#include "gru.h"
#include "gru_quantised.h"
#include "layers.h"
