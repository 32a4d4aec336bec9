/* The depthwise layers for the DSP instructions: output stage and stream as in pointwise_dsp.c. Columns slide through
   registers, and a column of the ring is taken apart once for the 6 outputs that see it. */
#include "dsp.h"

#if (NPGRU_FORM == NPGRU_DSP || NPGRU_FORM == NPGRU_HELIUM) && NPGRU_FAST_DEPTHWISE && !NPGRU_HELIUM_BLOCKS
#if NPGRU_ASSEMBLY && NPGRU_GROUP == 8 && NPGRU_PAIRS <= 84                 /* STRH reaches 4095 bytes */
/* r0 ring, r1 pairs, r2 rows (0, 2) of a column, r3 rows (1, 3), (r4, r5) and (r6, r7) the two outputs of two columns in turn,
   r8 (w_00, w_20), r9 (w_01, w_21), r10 (w_02, w_22), r11 (w_10, w_11), r12 w_12, lr Q.
   Stack: 0, 4 the bias twice; 8 stream; 12 step; 56 end of the stream; 60 flags. */
/* Flags: N, Z and C of the program status register. */
#define HAS_LEFT 0x80000000u
#define ONLY_4 0x40000000u
#define HAS_RIGHT 0x20000000u

/* A column is the left neighbour of the next output, the middle of this one, the right neighbour of the last. */
#define COLUMNS(even, odd)                                                  \
    ".macro load\n\t"                                                       \
    "ldr r3, [r0], #4\n\t"                                                  \
    "uxtb16 r2, r3" even "\n\t"                                             \
    "uxtb16 r3, r3, ror #" odd "\n\t"                                       \
    ".endm\n\t"                                                             \
    ".macro left a, b\n\t"                                                  \
    "ldrd \\a, \\b, [sp]\n\t"                                               \
    "smlad \\a, r2, r8, \\a\n\t"                                            \
    "smlad \\b, r3, r8, \\b\n\t"                                            \
    "smlabb \\a, r3, r11, \\a\n\t"                                          \
    "smlatb \\b, r2, r11, \\b\n\t"                                          \
    ".endm\n\t"                                                             \
    ".macro middle a, b\n\t"                                                \
    "smlad \\a, r2, r9, \\a\n\t"                                            \
    "smlad \\b, r3, r9, \\b\n\t"                                            \
    "smlabt \\a, r3, r11, \\a\n\t"                                          \
    "smlatt \\b, r2, r11, \\b\n\t"                                          \
    ".endm\n\t"                                                             \
    ".macro right a, b\n\t"                                                 \
    "smlad \\a, r2, r10, \\a\n\t"                                           \
    "smlad \\b, r3, r10, \\b\n\t"                                           \
    "smlabb \\a, r3, r12, \\a\n\t"                                          \
    "smlatb \\b, r2, r12, \\b\n\t"                                          \
    ".endm\n\t"                                                             \
    ".macro store a, b, at\n\t"                                             \
    "smmul \\a, \\a, lr\n\t"                                                \
    "smmul \\b, \\b, lr\n\t"                                                \
    "usat \\a, #8, \\a, asr #" CM_TEXT(NPGRU_SHIFT_DEPTHWISE) "\n\t"        \
    "usat \\b, #8, \\b, asr #" CM_TEXT(NPGRU_SHIFT_DEPTHWISE) "\n\t"        \
    "strh \\a, [r1, #(\\at)]\n\t"                                           \
    "strh \\b, [r1, #(\\at + 32 * " CM_TEXT(NPGRU_PAIRS) ")]\n\t"           \
    ".endm\n\t"                                                             \
    ".macro column a, b, c, d, at\n\t"                                      \
    "load\n\t"                                                              \
    "right \\a, \\b\n\t"                                                    \
    "store \\a, \\b, \\at\n\t"                                              \
    "middle \\c, \\d\n\t"                                                   \
    ".endm\n\t"                                                             \
    ".macro next_column a, b, c, d, at\n\t"                                 \
    "column \\a, \\b, \\c, \\d, \\at\n\t"                                   \
    "left \\a, \\b\n\t"                                                     \
    ".endm\n\t"
#define NO_COLUMNS ".irp name,load,left,middle,right,store,column,next_column\n\t.purgem \\name\n\t.endr\n"
#define SECOND_4 "16*" CM_TEXT(NPGRU_PAIRS)

/* All channels of 8 columns, or of 4, which take the way of the last 4. x: of the left neighbour if there is one; step: bytes
   from behind a channel's last word to the next one's first. */
#define CHANNELS                                                            \
    "push {r4-r11, lr}\n\t"                                                 \
    "sub sp, sp, #20\n\t"                                                   \
    "strd r2, r3, [sp, #8]\n\t"                                             \
    "ldr r5, [sp, #60]\n\t"                                                 \
    "msr APSR_nzcvq, r5\n\t"                                                \
    "it eq\n\t"                                                             \
    "subeq r1, r1, #(" SECOND_4 ")\n"                                       \
    "1:\n\t"                                                                \
    "ldmia r2!, {r7-r12, lr}\n\t"                                           \
    "str r2, [sp, #8]\n\t"                                                  \
    "strd r7, r7, [sp]\n\t"                                                 \
    "msr APSR_nzcvq, r5\n\t"                                                \
    "ldrd r4, r5, [sp]\n\t"                                                 \
    "bpl 2f\n\t"                                                            \
    "load\n\t"                                                              \
    "left r4, r5\n"                                                         \
    "2:\n\t"                                                                \
    "load\n\t"                                                              \
    "middle r4, r5\n\t"                                                     \
    "left r6, r7\n\t"                                                       \
    "beq 3f\n\t"                                                            \
    "next_column r4, r5, r6, r7, 0\n\t"                                     \
    "next_column r6, r7, r4, r5, 4\n\t"                                     \
    "next_column r4, r5, r6, r7, 8\n\t"                                     \
    "next_column r6, r7, r4, r5, 12\n"                                      \
    "3:\n\t"                                                                \
    "next_column r4, r5, r6, r7, " SECOND_4 "\n\t"                          \
    "next_column r6, r7, r4, r5, " SECOND_4 "+4\n\t"                        \
    "column r4, r5, r6, r7, " SECOND_4 "+8\n\t"                             \
    "bcc 4f\n\t"                                                            \
    "load\n\t"                                                              \
    "right r6, r7\n"                                                        \
    "4:\n\t"                                                                \
    "store r6, r7, " SECOND_4 "+12\n\t"                                     \
    "tst r1, #2\n\t"                                                        \
    "ite eq\n\t"                                                            \
    "addeq r1, r1, #2\n\t"                                                  \
    "addne r1, r1, #14\n\t"                                                 \
    "ldrd r2, r3, [sp, #8]\n\t"                                             \
    "ldrd r4, r5, [sp, #56]\n\t"                                            \
    "add r0, r0, r3\n\t"                                                    \
    "cmp r2, r4\n\t"                                                        \
    "bne 1b\n\t"                                                            \
    "add sp, sp, #20\n\t"                                                   \
    "pop {r4-r11, pc}\n"

CM_NAKED static void channels_turn_0(const npgru_word *x, npgru_half *y, const uint32_t *s, int32_t step,
                                     const uint32_t *s_end, uint32_t flags)
{
    __asm__(COLUMNS("", "8") CHANNELS NO_COLUMNS);
}

CM_NAKED static void channels_turn_1(const npgru_word *x, npgru_half *y, const uint32_t *s, int32_t step,
                                     const uint32_t *s_end, uint32_t flags)
{
    __asm__(COLUMNS(", ror #16", "24") CHANNELS NO_COLUMNS);
}

void npgru_depthwise_fast(const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first, int32_t n,
                          npgru_half *pairs)
{
    const int32_t has_left = first > 0, has_right = first + n < p->columns;
    const npgru_word *x = (const npgru_word *)ring + first - has_left;
    const int32_t step = 4 * (p->ring_columns - has_left - n - has_right);
    const uint32_t flags = (has_left ? HAS_LEFT : 0) | (n == 4 ? ONLY_4 : 0) | (has_right ? HAS_RIGHT : 0);
    (turn ? channels_turn_1 : channels_turn_0)(x, pairs, p->fast, step, p->fast + 7 * p->channels, flags);
}

#else
CM_USAT8_OF_SHIFTED(depthwise_saturated, NPGRU_SHIFT_DEPTHWISE)
static inline npgru_half depthwise_u(int32_t a, uint32_t q) { return (npgru_half)depthwise_saturated(cm_smmul(a, (int32_t)q)); }

/* A column of the ring: even = rows (0, 2), odd = rows (1, 3). The output's first row sees rows 0, 1, 2, its second 1, 2, 3. */
#define LOAD                                                            \
    do {                                                                \
        const uint32_t word = *x++;                                     \
        even = turn ? cm_uxtb16_16(word) : cm_uxtb16(word);             \
        odd = turn ? cm_uxtb16_24(word) : cm_uxtb16_8(word);            \
    } while (0)
/* It is the left neighbour of the next output, the middle of this one, the right neighbour of the last. Both outputs of a
   weight one after the other: what has no register is then loaded once for both. */
#define LEFT(a, b)                                                                          \
    do {                                                                                    \
        a = cm_smlad(even, w_left, bias), b = cm_smlad(odd, w_left, bias);                  \
        a = cm_smlabb(odd, w1, a), b = cm_smlatb(even, w1, b);                              \
    } while (0)
#define MIDDLE(a, b)                                                                        \
    do {                                                                                    \
        a = cm_smlad(even, w_middle, a), b = cm_smlad(odd, w_middle, b);                    \
        a = cm_smlabt(odd, w1, a), b = cm_smlatt(even, w1, b);                              \
    } while (0)
#define RIGHT(a, b)                                                                         \
    do {                                                                                    \
        a = cm_smlad(even, w_right, a), b = cm_smlad(odd, w_right, b);                      \
        a = cm_smlabb(odd, w1_right, a), b = cm_smlatb(even, w1_right, b);                  \
    } while (0)
#define STORE(a, b, m) y[2 * (m)] = depthwise_u(a, q), y[2 * (m) + 2 * NPGRU_ROW_WORDS] = depthwise_u(b, q)

/* One channel, columns first..first + n - 1; n a multiple of 4, turn a constant where this is called. */
static inline void depthwise_channel(const npgru_word *x, int32_t turn, const uint32_t *s, int32_t has_left, int32_t n_groups,
                                     int32_t has_right, npgru_half *y)
{
    const int32_t bias = (int32_t)s[0];
    const uint32_t w_left = s[1], w_middle = s[2], w_right = s[3], w1 = s[4], w1_right = s[5], q = s[6];
    uint32_t even, odd;
    int32_t a0 = bias, b0 = bias, a1, b1;
    if (has_left) {
        LOAD;
        LEFT(a0, b0);
    }
    LOAD;
    MIDDLE(a0, b0);
    LEFT(a1, b1);
    for (;;) {
        LOAD;
        RIGHT(a0, b0);
        STORE(a0, b0, 0);
        MIDDLE(a1, b1);
        LEFT(a0, b0);
        LOAD;
        RIGHT(a1, b1);
        STORE(a1, b1, 1);
        MIDDLE(a0, b0);
        LEFT(a1, b1);
        LOAD;
        RIGHT(a0, b0);
        STORE(a0, b0, 2);
        MIDDLE(a1, b1);
        if (--n_groups == 0) break;
        LEFT(a0, b0);
        LOAD;
        RIGHT(a1, b1);
        STORE(a1, b1, 3);
        MIDDLE(a0, b0);
        LEFT(a1, b1);
        y += 2 * NPGRU_COLUMNS_WORDS;
    }
    if (has_right) {
        LOAD;
        RIGHT(a1, b1);
    }
    STORE(a1, b1, 3);
}

#define ALL_CHANNELS(turn)                                                                                     \
    for (; s < end; s += 7, x += ring_columns, y += next, next = 8 - next)                                  \
        depthwise_channel(x, turn, s, first > 0, n_groups, has_right, y)

CM_HOT void npgru_depthwise_fast(const npgru_depthwise *p, const uint32_t *ring, int32_t turn, int32_t first,
                                 int32_t n, npgru_half *pairs)
{
    const int32_t ring_columns = p->ring_columns, n_groups = n >> 2, has_right = first + n < p->columns;
    const npgru_word *x = (const npgru_word *)ring + first - (first > 0);
    const uint32_t *s = p->fast, *end = s + 7 * p->channels;
    npgru_half *y = pairs;
    int32_t next = 1;                           /* two channels in a word, 4 words for every two */
    if (turn) ALL_CHANNELS(1);
    else ALL_CHANNELS(0);
}
#endif
#endif
