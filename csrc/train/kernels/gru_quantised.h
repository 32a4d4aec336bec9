/* The GRU on the grids of its integers; npgru/layers/gru_quantised.py, whose equation numbers these are. What it saves is
   what gru_backward needs, at the rounded values. */

#define UNIT (1.0f / 32768)
#define HALF (1.0f / 16384)

/* [x]: int16 codes of this scale, as real numbers. */
KERNEL inline float to_grid(float x, float scale)
{
    return clamp(round_half_away(x / scale), -32768, 32767) * scale;
}

/* The largest magnitude of x (n,) and of `met`. */
KERNEL float largest(int32_t n, const float *x, float met)
{
    for (int32_t i = 0; i < n; i++) met = fabsf(x[i]) > met ? fabsf(x[i]) : met;
    return met;
}

/* (2)-(4) of one clip and step. gates (4H,): gx comes in, z | r | n | gh_n goes out; gh (3H,), p | q (3H,) of (2) and (3) go
   out in gh's place; h and y (H,). scales: of gx, gh, gates and candidate. */
KERNEL void gates_quantised(int32_t H, const float scales[4], float *restrict gh, const float *restrict h,
                            float *restrict gates, float *restrict y)
{
    const float s_gh = scales[1], s_gates = scales[2], s_candidate = scales[3];
    float *restrict r = gates + H, *restrict n = gates + 2 * H, *restrict gh_n = gates + 3 * H;
    for (int32_t i = 0; i < 2 * H; i++) {
        gh[i] += gates[i];                                                                                  /* (2) */
        gates[i] = to_grid(sigmoid(to_grid(gh[i], s_gates)), UNIT);
    }
    for (int32_t i = 0; i < H; i++) {
        gh_n[i] = gh[2 * H + i];
        gh[2 * H + i] = n[i] + to_grid(r[i] * gh_n[i], s_gh);                                               /* (3) */
        n[i] = to_grid(hyperbolic_tangent(to_grid(gh[2 * H + i], s_candidate)), UNIT);
        y[i] = to_grid(n[i] + to_grid(gates[i] * to_grid(h[i] - n[i], HALF), HALF), UNIT);                  /* (4) */
    }
}

/* y (n, T, H); saved (n, T, 4H); scratch: gh (n, 3H), zeros (H,). ranges (4,) set the scales, met (4,) grows with what comes. */
KERNEL void gru_quantised_forward(const npgru_view *v, float *y)
{
    const gru_view g = view_gru(v);
    const int32_t H = g.H, T = g.T;
    float *gh = v->scratch, *zeros_h = gh + g.n * 3 * H, *met = v->met, scales[4];
    for (int k = 0; k < 4; k++) scales[k] = (float)((double)v->ranges[k] / 32767);
    memset(zeros_h, 0, sizeof(float) * (size_t)H);
    product((product_size){ g.n * T, g.D, 3 * H }, (matrix){ v->x, g.D, 1 }, (matrix){ g.w, 3 * H, 1 },
            (matrix){ g.b, 0, 1 }, v->saved, 4 * H);
    for (int32_t row = 0; row < g.n * T; row++) {
        float *gx = v->saved + (ptrdiff_t)row * 4 * H;
        met[0] = largest(3 * H, gx, met[0]);
        for (int32_t i = 0; i < 3 * H; i++) gx[i] = to_grid(gx[i], scales[0]);                              /* (1) */
    }
    for (int32_t t = 0; t < T; t++) {
        const matrix h = t ? (matrix){ y + (t - 1) * H, (ptrdiff_t)T * H, 1 } : (matrix){ zeros_h, 0, 1 };
        product((product_size){ g.n, H, 3 * H }, h, (matrix){ g.u, 3 * H, 1 }, (matrix){ g.c, 0, 1 }, gh, 3 * H);
        met[1] = largest(g.n * 3 * H, gh, met[1]);
        for (int32_t i = 0; i < g.n * 3 * H; i++) gh[i] = to_grid(gh[i], scales[1]);                        /* (1) */
        for (int32_t i = 0; i < g.n; i++) {
            float *gh_i = gh + i * 3 * H;
            gates_quantised(H, scales, gh_i, h.at + i * h.row, v->saved + (ptrdiff_t)(i * T + t) * 4 * H,
                            y + (ptrdiff_t)(i * T + t) * H);
            met[2] = largest(2 * H, gh_i, met[2]);
            met[3] = largest(H, gh_i + 2 * H, met[3]);
        }
    }
}
