/* Which form of the kernels this compiler's core takes. -DNPGRU_FORM=1 runs the DSP form anywhere: cortex_m.h has its
   instructions in C. */
#ifndef NPGRU_FORM_H
#define NPGRU_FORM_H

#define NPGRU_PLAIN 0
#define NPGRU_DSP 1         /* Cortex-M4, M7, M33 */
#define NPGRU_ROWS 2        /* Cortex-M0+, M3: two rows in a word */
#define NPGRU_HELIUM 3      /* Cortex-M55: vectors; layers they do not fit are of the DSP form */

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "npgru: words hold bytes and halfwords in little-endian order; this compiler's machine is of another"
#endif

#ifndef NPGRU_FORM
#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__) && (defined(__OPTIMIZE__) || !defined(__clang__))
#define NPGRU_FORM NPGRU_HELIUM     /* at -O0 Clang does not know the constants of its assembly */
#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#define NPGRU_FORM NPGRU_DSP
#elif defined(__ARM_ARCH_ISA_THUMB) && defined(__GNUC__)
#define NPGRU_FORM NPGRU_ROWS
#else
#define NPGRU_FORM NPGRU_PLAIN
#endif
#endif

#endif
