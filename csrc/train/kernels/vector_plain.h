/* Four floats, if the compiler has vectors of its own, else one; what the kernels need of an instruction set. */
#if defined(__GNUC__)
#define LANES 4
typedef float vector __attribute__((vector_size(16)));
#else
#define LANES 1
typedef float vector;
#endif
#define TILE_ROWS 4                      /* 4 x 8 sums in 8 of 16 registers */
#define TILE_VECTORS 2
#define NORM_VECTORS 2

typedef int32_t lanes;                   /* how many lanes of a vector exist */

VECTOR lanes first_lanes(int32_t n)                         { return n < LANES ? n : LANES; }
VECTOR vector fused(vector a, vector b, vector c)           { return a * b + c; }

VECTOR vector load_lanes(const float *p, lanes n)
{
    float numbers[LANES] = { 0 };
    vector v;
    memcpy(numbers, p, sizeof(float) * (size_t)n);
    memcpy(&v, numbers, sizeof v);
    return v;
}

VECTOR void store_lanes(float *p, lanes n, vector v)
{
    memcpy(p, &v, sizeof(float) * (size_t)n);
}

VECTOR vector load(const float *p)
{
    vector v;
    memcpy(&v, p, sizeof v);
    return v;
}

VECTOR void store(float *p, vector v)
{
    memcpy(p, &v, sizeof v);
}

VECTOR vector splat(const float *p)
{
    float numbers[LANES];
    for (int i = 0; i < LANES; i++) numbers[i] = *p;
    return load(numbers);
}

VECTOR vector zeros(void)
{
    const float zero = 0;
    return splat(&zero);
}

VECTOR vector clamp_lanes(vector x, vector low, vector high)
{
    float a[LANES], b[LANES], c[LANES];
    store(a, x), store(b, low), store(c, high);
    for (int i = 0; i < LANES; i++) a[i] = clamp(a[i], b[i], c[i]);
    return load(a);
}

VECTOR vector if_inside(vector x, vector low, vector high, vector d)
{
    float a[LANES], b[LANES], c[LANES], kept[LANES];
    store(a, x), store(b, low), store(c, high), store(kept, d);
    for (int i = 0; i < LANES; i++) kept[i] = inside(a[i], b[i], c[i]) ? kept[i] : 0;
    return load(kept);
}
