/* The DSP instructions of Cortex-M4, M7, M33 and M55 under one name each: the core's own where it has them,
   the same bits in C elsewhere; then TensorFlow Lite's requantisation (npgru/fixed_point.py).
   Two 16-bit halves travel in a uint32_t: low half first. "Wraps" means modulo 2^32.
   Conversions of an out-of-range value to a signed type keep its low bits, and signed right shifts floor: C99 leaves
   both to the compiler, every one we know does so, and both are checked here. */
#ifndef NPGRU_CORTEX_M_H
#define NPGRU_CORTEX_M_H

#include <stdint.h>

/* Built-ins and assembly are those of GCC and Clang; any other compiler takes the C. */
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__GNUC__)
#define CM_HAS_DSP 1
#else
#define CM_HAS_DSP 0
#endif
#if CM_HAS_DSP && defined(__ARM_FEATURE_MVE)
#define CM_HAS_HELIUM 1
#include <arm_mve.h>
#else
#define CM_HAS_HELIUM 0
#endif

/* Cortex-M0+: eight registers for most instructions, and no product longer than 32 bits. */
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1 && defined(__GNUC__)
#define CM_THUMB1 1
#else
#define CM_THUMB1 0
#endif

/* A function whose loops fill the registers: kept apart from its callers, and without GCC's scheduling before it allocates
   registers, which costs up to a third of the instructions where there are two-in-one products; nor shall it compute again,
   from the number of turns, what a loop leaves in a register, or move loads apart that are one LDRD. */
#if CM_HAS_DSP && !defined(__clang__)
#define CM_HOT __attribute__((noinline, optimize("O3", "no-schedule-insns", "no-tree-scev-cprop", "no-tree-ter")))
#elif defined(__ARM_ARCH) && defined(__GNUC__) && !defined(__clang__)
#define CM_HOT __attribute__((noinline, optimize("O3")))
#else
#define CM_HOT
#endif

/* The same for loops of Helium vectors. */
#if defined(__clang__)
#define CM_HELIUM __attribute__((noinline))
#else
#define CM_HELIUM __attribute__((noinline, optimize("O2", "no-schedule-insns")))
#endif

/* All in assembly, which finds its arguments in r0..r3: C around it could be no part of it for every compiler. */
#define CM_NAKED __attribute__((naked, noinline))

/* A function that runs once a clip: small rather than fast. */
#if defined(__ARM_ARCH) && defined(__GNUC__) && !defined(__clang__)
#define CM_SMALL __attribute__((optimize("Os")))
#else
#define CM_SMALL
#endif

/* One instruction, or a few: part of its caller at -Og too, where a call of each would take four times as long. */
#if defined(__GNUC__) && defined(__OPTIMIZE__)
#define CM_INLINE static inline __attribute__((always_inline))
#else
#define CM_INLINE static inline
#endif

typedef char cm_right_shift_must_floor[(-3 >> 1) == -2 ? 1 : -1];
typedef char cm_conversion_must_wrap[(int32_t)0x80000000u < 0 && (int16_t)0x18000 < 0 ? 1 : -1];

/* What is behind the pointer is loaded again, rather than kept when there is no register for it. */
#if defined(__GNUC__)
#define CM_OPAQUE(pointer) __asm__("" : "+r"(pointer))
#else
#define CM_OPAQUE(pointer) (void)0
#endif

CM_INLINE int32_t cm_low(uint32_t pair) { return (int16_t)pair; }
CM_INLINE int32_t cm_high(uint32_t pair) { return (int16_t)(pair >> 16); }

CM_INLINE int32_t cm_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

CM_INLINE int32_t cm_add_wrapping(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

CM_INLINE int32_t cm_saturated(int64_t x)
{
    return x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : (int32_t)x;
}

#if CM_HAS_DSP
#include <arm_acle.h>

CM_INLINE uint32_t cm_pair(int32_t low, int32_t high)
{
    uint32_t y;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(y) : "r"(low), "r"(high));
    return y;
}

CM_INLINE uint32_t cm_sxtb16(uint32_t x) { return (uint32_t)__sxtb16((int8x4_t)x); }
CM_INLINE uint32_t cm_uxtb16(uint32_t x)               /* the intrinsic's argument is signed for Clang, unsigned for GCC */
{
    uint32_t y;
    __asm__("uxtb16 %0, %1" : "=r"(y) : "r"(x));
    return y;
}

#define CM_EXTEND_ROTATED(name, instruction, bits)                                      \
    CM_INLINE uint32_t name(uint32_t x)                                                 \
    {                                                                                   \
        uint32_t y;                                                                     \
        __asm__(instruction " %0, %1, ror #" #bits : "=r"(y) : "r"(x));                 \
        return y;                                                                       \
    }
CM_INLINE int32_t cm_smuad(uint32_t a, uint32_t b) { return __smuad((int16x2_t)a, (int16x2_t)b); }
CM_INLINE int32_t cm_smlad(uint32_t a, uint32_t b, int32_t c) { return __smlad((int16x2_t)a, (int16x2_t)b, c); }
CM_INLINE int32_t cm_smlabb(uint32_t a, uint32_t b, int32_t c) { return __smlabb((int32_t)a, (int32_t)b, c); }
CM_INLINE int32_t cm_smlabt(uint32_t a, uint32_t b, int32_t c) { return __smlabt((int32_t)a, (int32_t)b, c); }
CM_INLINE int32_t cm_smlatb(uint32_t a, uint32_t b, int32_t c) { return __smlatb((int32_t)a, (int32_t)b, c); }
CM_INLINE int32_t cm_smlatt(uint32_t a, uint32_t b, int32_t c) { return __smlatt((int32_t)a, (int32_t)b, c); }
CM_INLINE int32_t cm_smusdx(uint32_t a, uint32_t b) { return __smusdx((int16x2_t)a, (int16x2_t)b); }
CM_INLINE int32_t cm_smlsdx(uint32_t a, uint32_t b, int32_t c) { return __smlsdx((int16x2_t)a, (int16x2_t)b, c); }
CM_INLINE uint32_t cm_sadd16(uint32_t a, uint32_t b) { return (uint32_t)__sadd16((int16x2_t)a, (int16x2_t)b); }
CM_INLINE uint32_t cm_ssub16(uint32_t a, uint32_t b) { return (uint32_t)__ssub16((int16x2_t)a, (int16x2_t)b); }
CM_INLINE int32_t cm_qadd(int32_t a, int32_t b) { return __qadd(a, b); }
CM_INLINE int32_t cm_qsub(int32_t a, int32_t b) { return __qsub(a, b); }

CM_INLINE int32_t cm_smmul(int32_t a, int32_t b)
{
    int32_t y;
    __asm__("smmul %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
    return y;
}

CM_INLINE int32_t cm_smmulr(int32_t a, int32_t b)
{
    int32_t y;
    __asm__("smmulr %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
    return y;
}

CM_INLINE uint32_t cm_abs16(uint32_t x)
{
    uint32_t y;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %0, %2" : "=&r"(y) : "r"(0), "r"(x));
    return y;
}

CM_INLINE uint32_t cm_halves(uint32_t low, uint32_t high)
{
    uint32_t y;
    __asm__("pkhbt %0, %1, %2" : "=r"(y) : "r"(low), "r"(high));
    return y;
}

CM_INLINE uint32_t cm_high_pair(uint32_t low, uint32_t high)
{
    uint32_t y;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(y) : "r"(high), "r"(low));
    return y;
}

#else

CM_INLINE uint32_t cm_pair(int32_t low, int32_t high)                      /* PKHBT: the low halves of both */
{
    return ((uint32_t)low & 0xFFFFu) | ((uint32_t)high << 16);
}

CM_INLINE uint32_t cm_sxtb16(uint32_t x)                       /* bytes 0 and 2, signed, as a pair */
{
    return cm_pair((int8_t)x, (int8_t)(x >> 16));
}

CM_INLINE uint32_t cm_uxtb16(uint32_t x) { return x & 0x00FF00FFu; }       /* bytes 0 and 2, unsigned */

#define CM_EXTEND_ROTATED(name, instruction, bits)                                      \
    CM_INLINE uint32_t name(uint32_t x)                                                 \
    {                                                                                   \
        x = x >> bits | x << (32 - bits);                                               \
        return (instruction)[0] == 's' ? cm_sxtb16(x) : cm_uxtb16(x);                   \
    }

CM_INLINE int32_t cm_smlabb(uint32_t a, uint32_t b, int32_t c)             /* c + low low; wraps */
{
    return cm_add_wrapping(c, cm_low(a) * cm_low(b));
}

CM_INLINE int32_t cm_smlabt(uint32_t a, uint32_t b, int32_t c)             /* c + low high; wraps */
{
    return cm_add_wrapping(c, cm_low(a) * cm_high(b));
}

CM_INLINE int32_t cm_smlatb(uint32_t a, uint32_t b, int32_t c)             /* c + high low; wraps */
{
    return cm_add_wrapping(c, cm_high(a) * cm_low(b));
}

CM_INLINE int32_t cm_smlatt(uint32_t a, uint32_t b, int32_t c)             /* c + high high; wraps */
{
    return cm_add_wrapping(c, cm_high(a) * cm_high(b));
}

CM_INLINE int32_t cm_smlad(uint32_t a, uint32_t b, int32_t c)              /* c + low low + high high; wraps */
{
    return cm_smlatt(a, b, cm_smlabb(a, b, c));
}

CM_INLINE int32_t cm_smuad(uint32_t a, uint32_t b) { return cm_smlad(a, b, 0); }

CM_INLINE int32_t cm_smlsdx(uint32_t a, uint32_t b, int32_t c)             /* c + low high - high low; wraps */
{
    return cm_add_wrapping(c, (int32_t)((uint32_t)(cm_low(a) * cm_high(b)) - (uint32_t)(cm_high(a) * cm_low(b))));
}

CM_INLINE int32_t cm_smusdx(uint32_t a, uint32_t b) { return cm_smlsdx(a, b, 0); }

CM_INLINE uint32_t cm_sadd16(uint32_t a, uint32_t b)                       /* both halves; each wraps */
{
    return cm_pair(cm_low(a) + cm_low(b), cm_high(a) + cm_high(b));
}

CM_INLINE uint32_t cm_ssub16(uint32_t a, uint32_t b)
{
    return cm_pair(cm_low(a) - cm_low(b), cm_high(a) - cm_high(b));
}

CM_INLINE uint32_t cm_abs16(uint32_t x)                                    /* of both halves; -32768 stays */
{
    return cm_pair(cm_low(x) < 0 ? -cm_low(x) : cm_low(x), cm_high(x) < 0 ? -cm_high(x) : cm_high(x));
}

CM_INLINE uint32_t cm_halves(uint32_t low, uint32_t high)                  /* PKHBT: low half of low, high half of high */
{
    return (low & 0xFFFFu) | (high & 0xFFFF0000u);
}

CM_INLINE uint32_t cm_high_pair(uint32_t low, uint32_t high)               /* PKHTB: the high halves of both */
{
    return low >> 16 | (high & 0xFFFF0000u);
}

CM_INLINE int32_t cm_qadd(int32_t a, int32_t b) { return cm_saturated((int64_t)a + b); }
CM_INLINE int32_t cm_qsub(int32_t a, int32_t b) { return cm_saturated((int64_t)a - b); }
CM_INLINE int32_t cm_smmul(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b) >> 32); }     /* floors */

CM_INLINE int32_t cm_smmulr(int32_t a, int32_t b)                          /* nearest, halves up */
{
    return (int32_t)(((int64_t)a * b + 0x80000000LL) >> 32);
}

#endif

/* x[0] and x[1] as a pair, at any even address: one load where the core can. */
CM_INLINE uint32_t cm_load_pair(const int16_t *x)
{
#if defined(__GNUC__) && defined(__ARM_FEATURE_UNALIGNED) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint32_t y;
    __builtin_memcpy(&y, x, sizeof y);
    return y;
#else
    return cm_pair(x[0], x[1]);
#endif
}

/* y[0] = x[0], y[1] = x[1], both at any even address. */
CM_INLINE void cm_copy_pair(int16_t *y, const int16_t *x)
{
#if defined(__GNUC__) && defined(__ARM_FEATURE_UNALIGNED)
    __builtin_memcpy(y, x, 2 * sizeof *y);
#else
    y[0] = x[0], y[1] = x[1];
#endif
}

CM_INLINE int32_t cm_clz(uint32_t x)                                       /* leading zeros; 32 for 0 */
{
#if defined(__GNUC__)
    return x == 0 ? 32 : __builtin_clz(x);
#else
    int32_t n = 32;
    for (; x != 0; x >>= 1) n--;
    return n;
#endif
}

static inline uint32_t cm_rbit(uint32_t x)                                     /* the 32 bits in reverse order */
{
#if defined(__GNUC__) && defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB >= 2
    __asm__("rbit %0, %1" : "=r"(x) : "r"(x));
    return x;
#else
    x = (x & 0x55555555u) << 1 | (x >> 1 & 0x55555555u);
    x = (x & 0x33333333u) << 2 | (x >> 2 & 0x33333333u);
    x = (x & 0x0F0F0F0Fu) << 4 | (x >> 4 & 0x0F0F0F0Fu);
    x = (x & 0x00FF00FFu) << 8 | (x >> 8 & 0x00FF00FFu);
    return x << 16 | x >> 16;
#endif
}

CM_EXTEND_ROTATED(cm_sxtb16_8, "sxtb16", 8)             /* bytes 1 and 3 */
CM_EXTEND_ROTATED(cm_uxtb16_8, "uxtb16", 8)
CM_EXTEND_ROTATED(cm_uxtb16_16, "uxtb16", 16)           /* bytes 2 and 0 */
CM_EXTEND_ROTATED(cm_uxtb16_24, "uxtb16", 24)           /* bytes 3 and 1 */

/* SSAT to 1..32 bits, USAT to 0..31: macros, because the instruction holds the number of bits. */
#if defined(__GNUC__) && defined(__ARM_FEATURE_SAT) && __ARM_FEATURE_SAT        /* the built-ins: GCC's __ssat fails -Wsign-conversion */
#define CM_SSAT(x, bits) ((int32_t)__builtin_arm_ssat((x), (bits)))
#define CM_USAT(x, bits) ((int32_t)__builtin_arm_usat((x), (bits)))
#else
#define CM_SSAT(x, bits) cm_clamp((x), (int32_t)(-0x7FFFFFFF - 1) >> (32 - (bits)), (int32_t)0x7FFFFFFF >> (32 - (bits)))
#define CM_USAT(x, bits) cm_clamp((x), 0, (int32_t)((1u << (bits)) - 1u))
#endif

/* name(x) = USAT(x >> right, 8), in one instruction. right: a constant, or a macro of one. */
#define CM_TEXT_OF(x) #x
#define CM_TEXT(x) CM_TEXT_OF(x)
#if CM_HAS_DSP
#define CM_USAT8_OF_SHIFTED(name, right)                                                \
    CM_INLINE int32_t name(int32_t x)                                                   \
    {                                                                                   \
        int32_t y;                                                                      \
        __asm__("usat %0, #8, %1, asr #" CM_TEXT(right) : "=r"(y) : "r"(x));            \
        return y;                                                                       \
    }
#else
#define CM_USAT8_OF_SHIFTED(name, right) CM_INLINE int32_t name(int32_t x) { return CM_USAT(x >> (right), 8); }
#endif

CM_INLINE int32_t cm_shift_left(int32_t x, int32_t n) { return (int32_t)((uint32_t)x << n); }      /* 0..31; wraps */

/* SRDHM: a b / 2^31, halves up, (-2^31)^2 saturated. Source: gemmlowp fixedpoint.h, whose two cases are one floor. */
static inline int32_t cm_srdhm(int32_t a, int32_t b)
{
    if (a == b && a == INT32_MIN) return INT32_MAX;
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* RDP: x / 2^e, halves away from zero; e in 0..31. The floor, and 1 more if what it leaves out is above a half, or is
   a half of a positive x. */
static inline int32_t cm_rdp(int32_t x, int32_t e)
{
    const uint32_t mask = (1u << e) - 1u, half = (mask >> 1) + (x < 0);
    return (x >> e) + (((uint32_t)x & mask) > half);
}

/* MBQ: x q 2^(shift - 31), double rounding; q >= 0, shift in -31..31. */
static inline int32_t cm_mbq(int32_t x, int32_t q, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    return cm_rdp(cm_srdhm(cm_shift_left(x, left), q), left - shift);
}

/* MBQ64: 64-bit x with the upper half of q, low 32 bits; |x| < 2^48, q >= 0, shift in -31..14. */
static inline int32_t cm_mbq64(int64_t x, int32_t q, int32_t shift)
{
    const int32_t r = q < 0x7FFF0000 ? (q + (1 << 15)) >> 16 : 0x7FFF;
    return (int32_t)((x * r + ((int64_t)1 << (14 - shift))) >> (15 - shift));
}

#endif
