/* Sums of the pointwise layers in assembly, for every number of inputs. */
#ifndef NPGRU_POINTWISE_DSP_H
#define NPGRU_POINTWISE_DSP_H

/* r0 inputs, r1-r4 two channels of 4 columns, lr weights, r5-r8 a of the 4 columns, r9-r12 b, b - a the
   second channel's. The stream of two channels ends in s27, its weights in s24: the bias of b, the weights, d of
   the first, Q of both. s28 y, s29 stream, s30 its end, s31 next. */

/* Registers of the bias, the first and the other weights, for each number of weights a turn. */
#define BIAS_4 "20"
#define BIAS_6 "18"
#define BIAS_8 "16"
#define BIAS_12 "12"
#define BIAS_16 "8"
#define BIAS_24 "0"
#define FIRST_4 "21"
#define FIRST_6 "19"
#define FIRST_8 "17"
#define FIRST_12 "13"
#define FIRST_16 "9"
#define FIRST_24 "1"
#define REST_4 "22,23,24"
#define REST_6 "20,21," REST_4
#define REST_8 "18,19," REST_6
#define REST_12 "14,15,16,17," REST_8
#define REST_16 "10,11,12,13," REST_12
#define REST_24 "2,3,4,5,6,7,8,9," REST_16

#define PRODUCTS(registers)                                                 \
    ".irp k," registers "\n\t"                                              \
    "ldmia r0!, {r1-r4}\n\t"                                                \
    "vmov lr, s\\k\n\t"                                                     \
    "smlad r9, r1, lr, r9\n\t"                                              \
    "smlad r10, r2, lr, r10\n\t"                                            \
    "smlad r11, r3, lr, r11\n\t"                                            \
    "smlad r12, r4, lr, r12\n\t"                                            \
    "sxtb16 lr, lr\n\t"                                                     \
    "smlad r5, r1, lr, r5\n\t"                                              \
    "smlad r6, r2, lr, r6\n\t"                                              \
    "smlad r7, r3, lr, r7\n\t"                                              \
    "smlad r8, r4, lr, r8\n\t"                                              \
    ".endr\n\t"

/* Sums of two channels. SUMS_1: all inputs in one turn; the first products set the sums. SUMS_0: any number of turns. */
#define SUMS_1(unroll)                                                      \
    "vldmia lr!, {s" BIAS_##unroll "-s27}\n\t"                              \
    "vmov s29, lr\n\t"                                                      \
    "ldmia r0!, {r1-r4}\n\t"                                                \
    "vmov lr, s" FIRST_##unroll "\n\t"                                      \
    "vmov r12, s" BIAS_##unroll "\n\t"                                      \
    "smlad r9, r1, lr, r12\n\t"                                             \
    "smlad r10, r2, lr, r12\n\t"                                            \
    "smlad r11, r3, lr, r12\n\t"                                            \
    "smlad r12, r4, lr, r12\n\t"                                            \
    "sxtb16 lr, lr\n\t"                                                     \
    "smuad r5, r1, lr\n\t"                                                  \
    "smuad r6, r2, lr\n\t"                                                  \
    "smuad r7, r3, lr\n\t"                                                  \
    "smuad r8, r4, lr\n\t"                                                  \
    PRODUCTS(REST_##unroll)
#define SUMS_0(unroll)                                                      \
    "vldmia lr!, {s0}\n\t"                                                  \
    "vmov r12, s0\n\t"                                                      \
    "mov r5, #0\n\t"                                                        \
    "mov r6, r5\n\t"                                                        \
    "mov r7, r5\n\t"                                                        \
    "mov r8, r5\n\t"                                                        \
    "mov r9, r12\n\t"                                                       \
    "mov r10, r12\n\t"                                                      \
    "mov r11, r12\n"                                                        \
    "2:\n\t"                                                                \
    "vldmia lr!, {s" FIRST_##unroll "-s24}\n\t"                             \
    "vmov s29, lr\n\t"                                                      \
    PRODUCTS(FIRST_##unroll "," REST_##unroll)                              \
    "vmov lr, s29\n\t"                                                      \
    "ldr r1, [sp, #108]\n\t"                                                \
    "cmp r0, r1\n\t"                                                        \
    "blo 2b\n\t"                                                            \
    "vldmia lr!, {s25-s27}\n\t"                                             \
    "vmov s29, lr\n\t"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define SUMS(unroll, turns) PASTE(SUMS_, turns)(unroll)

#endif
