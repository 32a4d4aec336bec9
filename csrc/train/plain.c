/* The kernels in plain C. */
#include "form.h"
#include <math.h>
#include <string.h>

#ifdef _MSC_VER
#define restrict __restrict
#define VECTOR static __forceinline
#else
#define VECTOR static inline __attribute__((always_inline))
#endif
#define KERNEL static
#define VECTOR_HEADER "vector_plain.h"

static int32_t is_here(void)
{
    return 1;
}

KERNEL inline float multiply_add(float a, float b, float c)
{
    return a * b + c;
}

#include "kernels/all.h"

const npgru_form npgru_form_plain = NPGRU_FORM;
