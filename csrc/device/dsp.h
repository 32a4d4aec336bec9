/* The inner loops of the DSP form that are written in assembly, because no compiler keeps what they need in registers. They
   are of GCC and Clang on Cortex-M; elsewhere, and where a macro is 0, the same is C, beside it. */
#ifndef NPGRU_DSP_H
#define NPGRU_DSP_H

#include "cortex_m.h"
#include "layers.h"

/* In a buffer of pairs: words of 4 columns, and of a row. */
#define NPGRU_COLUMNS_WORDS (4 * NPGRU_PAIRS)
#define NPGRU_ROW_WORDS (NPGRU_GROUP / 4 * NPGRU_COLUMNS_WORDS)

#if CM_HAS_DSP && defined(__thumb2__) && __ARM_ARCH_PROFILE == 'M'
#define NPGRU_ASSEMBLY 1
#else
#define NPGRU_ASSEMBLY 0
#endif

/* The floating-point unit's 32 registers hold weights, as bits. -DNPGRU_FPU=0: for threads that must not use it. */
#ifndef NPGRU_FPU
#define NPGRU_FPU 1
#endif
#if NPGRU_ASSEMBLY && NPGRU_FPU && defined(__ARM_FP)
#define NPGRU_ASSEMBLY_POINTWISE 1
#else
#define NPGRU_ASSEMBLY_POINTWISE 0
#endif

/* The functions in assembly, CM_NAKED, save what they must, keep the stack a multiple of 8 bytes, and have nothing below sp:
   interrupts may come at any time. For C their arguments are unused. */
#if NPGRU_ASSEMBLY
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif

#endif
