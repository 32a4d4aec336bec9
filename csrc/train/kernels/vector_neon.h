/* Four floats in NEON; what the kernels need of an instruction set. */
#define LANES 4
#define TILE_ROWS 6                      /* 6 x 16 sums in 24 of 32 registers: 24 FMAs for 10 loads */
#define TILE_VECTORS 4
#define NORM_VECTORS 4

typedef float32x4_t vector;
typedef int32_t lanes;                   /* how many lanes of a vector exist */

VECTOR lanes first_lanes(int32_t n)                         { return n; }
VECTOR vector zeros(void)                                   { return vdupq_n_f32(0); }
VECTOR vector splat(const float *p)                         { return vld1q_dup_f32(p); }
VECTOR vector load(const float *p)                          { return vld1q_f32(p); }
VECTOR void store(float *p, vector v)                       { vst1q_f32(p, v); }
VECTOR vector fused(vector a, vector b, vector c)           { return vfmaq_f32(c, a, b); }

VECTOR vector load_lanes(const float *p, lanes n)
{
    float numbers[LANES] = { 0 };
    memcpy(numbers, p, sizeof(float) * (size_t)n);
    return load(numbers);
}

VECTOR void store_lanes(float *p, lanes n, vector v)
{
    float numbers[LANES];
    store(numbers, v);
    memcpy(p, numbers, sizeof(float) * (size_t)n);
}

VECTOR vector clamp_lanes(vector x, vector low, vector high)                   /* NaN stays NaN */
{
    return vminq_f32(high, vmaxq_f32(low, x));
}

/* d where x is inside, else 0. */
VECTOR vector if_inside(vector x, vector low, vector high, vector d)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(d), vandq_u32(vcgtq_f32(x, low), vcltq_f32(x, high))));
}
