/* The kernels compiled for NEON, which every 64-bit Arm processor has; chosen at run time. */
#include "form.h"

#if defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#define KERNEL static
#define VECTOR KERNEL inline __attribute__((always_inline))
#define VECTOR_HEADER "vector_neon.h"

static int32_t is_here(void)
{
    return 1;
}

KERNEL inline float multiply_add(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

#include "kernels/all.h"

const npgru_form npgru_form_neon = NPGRU_FORM;

#else
const npgru_form npgru_form_neon = { 0 };                  /* is_here NULL: not for this processor or compiler */
#endif
