/* All kernels of a form, in the order in which they need each other; multiply_add comes before. vector_<instruction set>.h
   says what a vector is, and how large the product's register tile. */
#include "arithmetic.h"
#include VECTOR_HEADER
#include "vector.h"
#include "product.h"
#include "batchnorm.h"
#include "conv2d.h"
#include "depthwise2d.h"
#include "pool.h"
#include "fake_quant.h"
#include "gru.h"
#include "gru_quantised.h"
#include "layers.h"
