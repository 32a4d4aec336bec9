/* The stages of log_mel_pairs.c on a Cortex-M0+, whose compiler has too few registers for them. */
#include "log_mel_rows.h"

#if CM_THUMB1
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* r8: c, r3: s, of the twiddle at r11, which moves on. */
#define TWIDDLE "mov r4, r11\n\tmovs r5, #0\n\tldrsh r6, [r4, r5]\n\tmov r8, r6\n\tmovs r5, #2\n\tldrsh r3, [r4, r5]\n\t" \
                "adds r4, r4, #4\n\tmov r11, r4\n\t"
/* r6, r7: p of the row at m. */
#define PRODUCT(m) "ldr r4, " m "\n\tsxth r5, r4\n\tasrs r4, r4, #16\n\t" \
                   "mov r6, r8\n\tmuls r6, r5, r6\n\tmuls r5, r3, r5\n\tmov r7, r8\n\tmuls r7, r4, r7\n\tmuls r4, r3, r4\n\t" \
                   "adds r6, r6, r4\n\tsubs r7, r7, r5\n\t"
/* r5, r4: 32767 of the row at r0 and what rounds it; r2: 32767, r9: 32768. */
#define ADDENDS "ldr r4, [r0]\n\tsxth r5, r4\n\tasrs r4, r4, #16\n\tmuls r5, r2, r5\n\tadds r5, r5, r2\n\t" \
              "muls r4, r2, r4\n\tadd r4, r9\n\t"
#define SUMS(part, p) "adds " part ", " part ", " p "\n\tlsls " p ", " p ", #1\n\tsubs " p ", " part ", " p "\n\t"
#define TIES(free) "lsls " free ", r4, #16\n\tbeq 3f\n\tlsls " free ", r7, #16\n\tbeq 3f\n\t"
#define BEGIN ".syntax unified\n\tpush {r4-r7, lr}\n\t" \
              "mov r4, r8\n\tmov r5, r9\n\tmov r6, r10\n\tmov r7, r11\n\tpush {r4-r7}\n\t" \
              "mov r11, r2\n\tmovs r2, #1\n\tlsls r2, r2, #15\n\tmov r9, r2\n\tsubs r2, r2, #1\n\t"
#define END "movs r0, #0\n\tb 4f\n3:\n\tmovs r0, #1\n4:\n\t" \
            "pop {r4-r7}\n\tmov r8, r4\n\tmov r9, r5\n\tmov r10, r6\n\tmov r11, r7\n\tpop {r4-r7, pc}"

CM_NAKED int npgru_log_mel_stage(uint32_t *z, int32_t n_bytes, const int16_t *w, int32_t n_blocks)
{
    __asm__ volatile(
        BEGIN "mov r12, r1\n\tmov lr, r3\n"
        "1:\n\t" TWIDDLE "mov r1, r0\n\tadd r1, r12\n\tmov r10, r1\n"
        "0:\n\t" PRODUCT("[r1]") ADDENDS SUMS("r5", "r6")
        "lsrs r5, r5, #16\n\tstrh r5, [r0]\n\tlsrs r6, r6, #16\n\tstrh r6, [r1]\n\t"
        SUMS("r4", "r7") TIES("r5")
        "lsrs r4, r4, #16\n\tstrh r4, [r0, #2]\n\tlsrs r7, r7, #16\n\tstrh r7, [r1, #2]\n\t"
        "adds r0, r0, #4\n\tadds r1, r1, #4\n\tcmp r0, r10\n\tbne 0b\n\t"
        "mov r0, r1\n\tmov r4, lr\n\tsubs r4, r4, #1\n\tmov lr, r4\n\tbne 1b\n\t" END);
}

CM_NAKED int npgru_log_mel_last_stage(uint32_t *z, uint32_t *mirror, const int16_t *w, const uint32_t *end)
{
    __asm__ volatile(
        BEGIN "mov r12, r3\n\tlsls r4, r2, #1\n\tadds r4, r4, #2\n\tmov r10, r4\n"
        "0:\n\t" TWIDDLE PRODUCT("[r0, #4]") ADDENDS SUMS("r5", "r6") SUMS("r4", "r7") TIES("r3")
        "asrs r5, r5, #17\n\tmuls r5, r5, r5\n\tasrs r4, r4, #17\n\tmuls r4, r4, r4\n\tadds r5, r5, r4\n\tstr r5, [r0]\n\t"
        "add r7, r10\n\tasrs r7, r7, #17\n\tmuls r7, r7, r7\n\tasrs r6, r6, #17\n\tmuls r6, r6, r6\n\tadds r6, r6, r7\n\t"
        "subs r1, r1, #8\n\tstr r6, [r1]\n\tadds r0, r0, #8\n\tcmp r0, r12\n\tbne 0b\n\t" END);
}

#else
typedef int npgru_log_mel_m0_is_for_another_core;
#endif
