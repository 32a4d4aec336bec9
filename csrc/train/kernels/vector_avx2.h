/* Eight floats in AVX2; what the kernels need of an instruction set. */
#define LANES 8
#define TILE_ROWS 6                      /* 6 x 16 sums in 12 of 16 registers: 12 FMAs for 8 loads */
#define TILE_VECTORS 2
#define NORM_VECTORS 2

typedef __m256 vector;
typedef __m256i lanes;                   /* which lanes of a vector exist */

VECTOR lanes first_lanes(int32_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

VECTOR vector zeros(void)                                   { return _mm256_setzero_ps(); }
VECTOR vector splat(const float *p)                         { return _mm256_broadcast_ss(p); }
VECTOR vector load(const float *p)                          { return _mm256_loadu_ps(p); }
VECTOR vector load_lanes(const float *p, lanes which)       { return _mm256_maskload_ps(p, which); }
VECTOR void store(float *p, vector v)                       { _mm256_storeu_ps(p, v); }
VECTOR void store_lanes(float *p, lanes which, vector v)    { _mm256_maskstore_ps(p, which, v); }
VECTOR vector fused(vector a, vector b, vector c)           { return _mm256_fmadd_ps(a, b, c); }

VECTOR vector clamp_lanes(vector x, vector low, vector high)                   /* NaN stays NaN */
{
    return _mm256_min_ps(high, _mm256_max_ps(low, x));
}

/* d where x is inside, else 0. */
VECTOR vector if_inside(vector x, vector low, vector high, vector d)
{
    return _mm256_and_ps(d, _mm256_and_ps(_mm256_cmp_ps(x, low, _CMP_GT_OQ), _mm256_cmp_ps(x, high, _CMP_LT_OQ)));
}
