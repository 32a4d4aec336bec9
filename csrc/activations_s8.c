/* LOGISTIC, TANH (int8, int16) and SOFTMAX (int8): npgru/int8_nonlinear.py. */
#include "checks.h"
#include "cortex_m.h"

/* T of sigmoid_table(): 65536 sigmoid(i / 24), rounded as TensorFlow Lite has it. */
const uint16_t npgru_sigmoid_table[256] = {
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432, 42064, 42688,
    43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409,
    51865, 52311, 52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433,
    57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110,
    61279, 61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186,
    63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308,
    64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900,
    64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208,
    65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367,
    65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433, 65438, 65442, 65445, 65449,
    65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491,
    65493, 65495, 65497, 65498, 65500, 65501, 65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513,
    65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530,
    65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533, 65533, 65533,
    65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
};

npgru_status npgru_lookup_s8(const int8_t *table, int32_t size, const int8_t *x, int8_t *y)
{
    if (size < 0) return NPGRU_BAD_SHAPE;
    if (!table) return NPGRU_BAD_RANGE;
    for (int32_t i = 0; i < size; i++) y[i] = table[x[i] + 128];
    return NPGRU_OK;
}

static npgru_status check_curve(const npgru_curve *p, int32_t size)
{
    if (size < 0) return NPGRU_BAD_SHAPE;
    if (!npgru_within(p->shift, 0, 31)) return NPGRU_BAD_RANGE;
    return npgru_within(p->multiplier, 0, p->shift > 0 ? 32767 : 65535) ? NPGRU_OK : NPGRU_BAD_RANGE;
}

/* d = x multiplier / 2^shift, halves up: |x multiplier| < 2^31, or at most 2^30 with a half of at most 2^30. */
static int32_t grid(const npgru_curve *p, int16_t x)
{
    const int32_t half = (int32_t)((1u << p->shift) >> 1);
    return (x * p->multiplier + half) >> p->shift;
}

/* T at a / 2^bits, in 2^-(16 + bits); a >= 0, a >> bits <= 254. */
static int32_t interpolated(int32_t a, int32_t bits)
{
    const uint16_t *T = npgru_sigmoid_table + (a >> bits);
    return (T[0] << bits) + (a & ((1 << bits) - 1)) * (T[1] - T[0]);
}

npgru_status npgru_logistic_s16(const npgru_curve *p, int32_t size, const int16_t *x, int16_t *y)
{
    const npgru_status status = check_curve(p, size);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) {
        const int32_t d = grid(p, x[i]), a = d < 0 ? -d : d;
        const int32_t r = a >> 9 >= 255 ? 0x7FFF << 10 : interpolated(a, 9);
        y[i] = (int16_t)((d >= 0 ? r + 512 : (1 << 25) - r + 511) >> 10);
    }
    return status;
}

npgru_status npgru_tanh_s16(const npgru_curve *p, int32_t size, const int16_t *x, int16_t *y)
{
    const npgru_status status = check_curve(p, size);
    for (int32_t i = 0; status == NPGRU_OK && i < size; i++) {
        const int32_t d = grid(p, x[i]), a = d < 0 ? -d : d;
        const int32_t r = a >> 8 >= 255 ? 0xFFFF << 8 : interpolated(a, 8);
        y[i] = (int16_t)((d >= 0 ? r - (1 << 23) + 128 : (1 << 23) - r + 127) >> 8);
    }
    return status;
}

/* exp(u) in Q0.31, u in [-31 2^26, 0] in Q5.26. */
CM_SMALL static int32_t exp_on_negative_values(int32_t u)
{
    static const int32_t steps[7] = { 1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242 };
    const int32_t C = 1895147668, third = 715827883;                     /* exp(-1/8), 1/3 */
    if (u == 0) return INT32_MAX;
    const int32_t w = (u & 0xFFFFFF) - (1 << 24), R = w - u;             /* w in [-1/4, 0), R a multiple of 1/4 */
    const int32_t x = w * 32 + (1 << 28);                                /* Q0.31, |x| <= 1/8 */
    const int32_t x2 = cm_srdhm(x, x), x3 = cm_srdhm(x2, x), x4 = cm_srdhm(x2, x2);
    const int32_t t = cm_rdp(cm_srdhm(cm_rdp(x4, 2) + x3, third) + x2, 1);
    int32_t e = C + cm_srdhm(C, x + t);
    for (int32_t k = 0; k < 7; k++)
        if (R & (1 << (24 + k))) e = cm_srdhm(e, steps[k]);
    return e;
}

/* 1 / (1 + a) in Q0.31, a in [0, 1) in Q0.31: Newton-Raphson in Q2.29. */
CM_SMALL static int32_t one_over_one_plus(int32_t a)
{
    const int32_t d = (int32_t)(((int64_t)a + 0x80000000LL) >> 1);       /* (1 + a) / 2 */
    int32_t x = 1515870810 + cm_srdhm(d, -1010580540);                   /* 48/17 - 32/17 d */
    for (int32_t k = 0; k < 3; k++)
        x = cm_add_wrapping(x, cm_saturated((int64_t)cm_srdhm(x, (1 << 29) - cm_srdhm(d, x)) * 4));
    return cm_saturated((int64_t)x * 2);
}

static int32_t exp_of_difference(const npgru_softmax *p, int32_t d)      /* diff_min <= d <= 0 */
{
    return exp_on_negative_values(cm_srdhm(cm_shift_left(d, p->shift), p->multiplier));
}

/* One row: x, y (K,). */
CM_SMALL static void softmax_row(const npgru_softmax *p, int32_t K, const int8_t *x, int8_t *y)
{
    int32_t largest = x[0], sum = 0, h = 0;                              /* sum <= K 2^19 < 2^28: h >= 4 */
    for (int32_t k = 1; k < K; k++) largest = x[k] > largest ? x[k] : largest;
    for (int32_t k = 0; k < K; k++)
        if (x[k] - largest >= p->diff_min) sum += cm_rdp(exp_of_difference(p, x[k] - largest), 12);
    while (((uint32_t)sum << h) < 0x80000000u) h++;                      /* sum >= 2^19 */
    const int32_t r = one_over_one_plus((int32_t)(((uint32_t)sum << h) - 0x80000000u));
    for (int32_t k = 0; k < K; k++) {
        const int32_t d = x[k] - largest;
        const int32_t code = d < p->diff_min ? 0 : cm_rdp(cm_srdhm(r, exp_of_difference(p, d)), 35 - h);
        y[k] = (int8_t)(code < 255 ? code - 128 : 127);
    }
}

CM_SMALL npgru_status npgru_softmax_s8(const npgru_softmax *p, int32_t rows, int32_t K, const int8_t *x, int8_t *y)
{
    if (rows < 1 || !npgru_within(K, 1, 511) || (int64_t)rows * K > INT32_MAX) return NPGRU_BAD_SHAPE;
    if (!npgru_good_multiplier(p->multiplier, p->shift, 31) || p->shift < 0 || p->diff_min > 0) return NPGRU_BAD_RANGE;
    if (-(int64_t)p->diff_min * ((int64_t)1 << p->shift) > (int64_t)31 << 26) return NPGRU_BAD_RANGE;
    for (int32_t i = 0; i < rows; i++) softmax_row(p, K, x + i * K, y + i * K);
    return NPGRU_OK;
}
