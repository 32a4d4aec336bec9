/* Small pieces that the compiler turns into vector instructions inside the loops of the other files. */

KERNEL inline float clamp(float x, float low, float high)         /* NaN stays NaN */
{
    const float above = low > x ? low : x;
    return high < above ? high : above;
}

KERNEL inline int inside(float x, float low, float high)
{
    return (x > low) & (x < high);
}

/* e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2: Taylor's series to r^7, the next term is 5e-9.
   x in [-87, 88]; ln 2 in two parts, so that n ln 2 is exact (Cody and Waite 1980). */
KERNEL inline float exponential(float x)
{
    const float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;            /* 1.5 2^23: the fraction rounds away */
    const float r = multiply_add(n, 2.12194440e-4f, multiply_add(n, -0.693359375f, x));
    float p = 1.0f / 5040;
    p = multiply_add(p, r, 1.0f / 720);
    p = multiply_add(p, r, 1.0f / 120);
    p = multiply_add(p, r, 1.0f / 24);
    p = multiply_add(p, r, 1.0f / 6);
    p = multiply_add(p, r, 0.5f);
    p = multiply_add(p, r, 1.0f);
    p = multiply_add(p, r, 1.0f);
    const uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;                 /* 2^n as a float */
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

KERNEL inline float sigmoid(float x)
{
    return 1.0f / (1.0f + exponential(clamp(-x, -87, 87)));
}

/* 1 - 2 / (e^2x + 1): its error is absolute, 1e-7. */
KERNEL inline float hyperbolic_tangent(float x)
{
    return 1.0f - 2.0f / (exponential(clamp(2 * x, -87, 87)) + 1.0f);
}

KERNEL void transpose(int32_t rows, int32_t columns, const float *x, float *y)
{
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < columns; c++) y[(ptrdiff_t)c * rows + r] = x[(ptrdiff_t)r * columns + c];
}

/* y (n,) += sum over the rows of x (rows, n). */
KERNEL void add_rows(int32_t rows, int32_t n, const float *restrict x, float *restrict y)
{
    for (int32_t r = 0; r < rows; r++)
        for (int32_t i = 0; i < n; i++) y[i] += x[(ptrdiff_t)r * n + i];
}

/* sum (n,) = shards[0] + shards[1] + ..., one after another; a shard begins every `stride` floats. */
KERNEL void sum_shards(int32_t n_shards, int32_t stride, int32_t n, const float *restrict shards, float *restrict sum)
{
    for (int32_t i = 0; i < n; i++) sum[i] = shards[i];
    for (int32_t s = 1; s < n_shards; s++)
        for (int32_t i = 0; i < n; i++) sum[i] += shards[(ptrdiff_t)s * stride + i];
}

/* npgru/optimiser.py, (1), (2), (4). */
KERNEL void adam(const npgru_adam *adam, int32_t n, const float *restrict gradients, float *restrict m, float *restrict v,
                 float *restrict params)
{
    const float eta = adam->eta, share1 = adam->share1, share2 = adam->share2, epsilon = adam->epsilon;
    for (int32_t i = 0; i < n; i++) {
        const float g = gradients[i];
        m[i] = multiply_add(share1, g - m[i], m[i]);                                            /* (1) */
        v[i] = multiply_add(share2, g * g - v[i], v[i]);                                        /* (2) */
        params[i] -= eta * m[i] / (sqrtf(v[i]) + epsilon);                                      /* (4) */
    }
}
