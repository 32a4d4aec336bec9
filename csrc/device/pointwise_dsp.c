/* Pointwise layers in assembly, for cores with a floating-point unit: 11 instructions for 16 products. pointwise_dsp.h has
   the sums, kernels_dsp.c the same in C. */
#include "dsp.h"
#include "pointwise_dsp.h"

#if NPGRU_ASSEMBLY_POINTWISE && NPGRU_BLOCKS > 0 && !NPGRU_HELIUM_BLOCKS

#define BEGIN_COLUMNS                                                       \
    "push {r0, r4-r11, lr}\n\t"                                             \
    "vpush {s16-s31}\n\t"                                                   \
    "ldr r12, [sp, #104]\n\t"                                               \
    "vmov s29, s30, r1, r12\n\t"                                            \
    "vmov s28, r2\n\t"                                                      \
    "vmov s31, r3\n\t"                                                      \
    "mov lr, r1\n"                                                          \
    "1:\n\t"
#define END_COLUMNS                                                         \
    "vmov lr, r1, s29, s30\n\t"                                             \
    "ldr r0, [sp, #64]\n\t"                                                 \
    "cmp lr, r1\n\t"                                                        \
    "bne 1b\n\t"                                                            \
    "vpop {s16-s31}\n\t"                                                    \
    "pop {r0, r4-r11, pc}\n"
#define SECOND_CHANNEL                                                      \
    "sub r9, r9, r5\n\t"                                                    \
    "sub r10, r10, r6\n\t"                                                  \
    "sub r11, r11, r7\n\t"                                                  \
    "sub r12, r12, r8\n\t"

#if NPGRU_FAST_POINTWISE && NPGRU_BLOCKS > 1
/* One instruction for each of four registers. */
#define FOUR(instruction, a, b, c, d)                                       \
    ".irp k," #a "," #b "," #c "," #d "\n\t" instruction "\n\t.endr\n\t"
#define STORE_4(a, b, c, d)                                                 \
    "strb " #a ", [r1]\n\t"                                                 \
    "strb " #b ", [r1, #4]\n\t"                                             \
    "strb " #c ", [r1, #8]\n\t"                                             \
    "strb " #d ", [r1, #12]\n\t"                                            \
    "add r1, r1, r2\n\t"

NPGRU_NAKED void npgru_pointwise_columns(NPGRU_UNUSED const npgru_word *in, NPGRU_UNUSED const uint32_t *s,
                                         NPGRU_UNUSED uint8_t *y, NPGRU_UNUSED int32_t next,
                                         NPGRU_UNUSED const uint32_t *s_end, NPGRU_UNUSED const npgru_word *in_end)
{
    __asm__(BEGIN_COLUMNS
            SUMS(NPGRU_UNROLL_POINTWISE, NPGRU_TURNS_POINTWISE)
            "vmov r3, r4, s25, s26\n\t"
            "vmov lr, r1, s27, s28\n\t"
            "vmov r2, s31\n\t"
            SECOND_CHANNEL
            FOUR("add \\k, r3, \\k, lsl #8", r5, r6, r7, r8)
            FOUR("smmul \\k, \\k, r4", r5, r6, r7, r8)
            FOUR("usat \\k, #8, \\k, asr #" CM_TEXT(NPGRU_SHIFT_POINTWISE), r5, r6, r7, r8)
            STORE_4(r5, r6, r7, r8)
            FOUR("smmul \\k, \\k, lr", r9, r10, r11, r12)
            FOUR("usat \\k, #8, \\k, asr #" CM_TEXT(NPGRU_SHIFT_POINTWISE), r9, r10, r11, r12)
            STORE_4(r9, r10, r11, r12)
            "vmov s28, r1\n\t"
            END_COLUMNS);
}
#endif

#if NPGRU_FAST_POOL
#define LARGER(a, b) "cmp " #a ", " #b "\n\tit lt\n\tmovlt " #a ", " #b "\n\t"

NPGRU_NAKED void npgru_pool_columns(NPGRU_UNUSED const npgru_word *in, NPGRU_UNUSED const uint32_t *s,
                                    NPGRU_UNUSED npgru_word *y, NPGRU_UNUSED int32_t nothing,
                                    NPGRU_UNUSED const uint32_t *s_end, NPGRU_UNUSED const npgru_word *in_end)
{
    __asm__(BEGIN_COLUMNS
            SUMS(NPGRU_UNROLL_POOL, NPGRU_TURNS_POOL)
            "vmov r3, r4, s25, s26\n\t"
            "vmov r1, r2, s27, s28\n\t"
            SECOND_CHANNEL
            LARGER(r5, r6) LARGER(r7, r8) LARGER(r5, r7)
            LARGER(r9, r10) LARGER(r11, r12) LARGER(r9, r11)
            "add r5, r3, r5, lsl #8\n\t"
            "smmul r5, r5, r4\n\t"
            "smmul r9, r9, r1\n\t"
            "usat r5, #8, r5, asr #" CM_TEXT(NPGRU_SHIFT_POOL) "\n\t"
            "usat r9, #8, r9, asr #" CM_TEXT(NPGRU_SHIFT_POOL) "\n\t"
            "orr r5, r5, r9, lsl #16\n\t"
            "str r5, [r2], #8\n\t"
            "vmov s28, r2\n\t"
            END_COLUMNS);
}
#endif
#endif
