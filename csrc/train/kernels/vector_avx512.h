/* Sixteen floats in AVX-512; what the kernels need of an instruction set. */
#define LANES 16
#define TILE_ROWS 8                      /* 8 x 48 sums in 24 of 32 registers: 24 FMAs for 11 loads */
#define TILE_VECTORS 3
#define NORM_VECTORS 4

typedef __m512 vector;
typedef __mmask16 lanes;                 /* which lanes of a vector exist */

VECTOR lanes first_lanes(int32_t n)                         { return (lanes)(n < LANES ? (1u << n) - 1 : 0xffffu); }
VECTOR vector zeros(void)                                   { return _mm512_setzero_ps(); }
VECTOR vector splat(const float *p)                         { return _mm512_set1_ps(*p); }
VECTOR vector load(const float *p)                          { return _mm512_loadu_ps(p); }
VECTOR vector load_lanes(const float *p, lanes which)       { return _mm512_maskz_loadu_ps(which, p); }
VECTOR void store(float *p, vector v)                       { _mm512_storeu_ps(p, v); }
VECTOR void store_lanes(float *p, lanes which, vector v)    { _mm512_mask_storeu_ps(p, which, v); }
VECTOR vector fused(vector a, vector b, vector c)           { return _mm512_fmadd_ps(a, b, c); }

VECTOR vector clamp_lanes(vector x, vector low, vector high)                   /* NaN stays NaN */
{
    return _mm512_min_ps(high, _mm512_max_ps(low, x));
}

/* d where x is inside, else 0. */
VECTOR vector if_inside(vector x, vector low, vector high, vector d)
{
    return _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(x, low, _CMP_GT_OQ), x, high, _CMP_LT_OQ), d);
}
