/* Run by tests/test_kernels_int8.py under -fsanitize=address,undefined: every integer kernel on random numbers in its
   struct, legal or not, with arrays of exactly the stated sizes. A refused call must leave its output alone.
   Fields are drawn near their limits, so that good structs and bad ones of every kind occur. */
#include "draw.h"
#include <stdio.h>

#define GUARD 0x5A
static int n_failed = 0, n_accepted = 0, n_refused = 0;

static void *guarded(size_t n_bytes)
{
    void *a = malloc(n_bytes ? n_bytes : 1);
    memset(a, GUARD, n_bytes);
    return a;
}

/* Count a call; a refused one has not touched y. Frees y. */
static void judge(const char *name, npgru_status status, uint8_t *y, size_t n_bytes)
{
    if (status == NPGRU_OK) n_accepted++;
    else {
        n_refused++;
        for (size_t i = 0; i < n_bytes; i++)
            if (y[i] != GUARD) {
                printf("failed: %s wrote although it refused\n", name);
                n_failed++;
                break;
            }
    }
    free(y);
}

static npgru_window window(uint32_t rare)
{
    npgru_window s = { field(1, 2, rare), field(1, 6, rare), field(1, 6, rare), field(1, 5, rare), field(1, 6, rare),
                       field(1, 6, rare), field(1, 5, rare), field(1, 3, rare), field(1, 3, rare), field(1, 3, rare),
                       field(1, 3, rare), field(0, 1, rare), field(0, 1, rare) };
    return s;
}

/* A size that fits this test's buffers or must be refused, being above `limit` or below 1. What is legal and large is left out. */
static int in_reach(int32_t n, int32_t limit) { return n <= 6 || n > limit; }
static int32_t small(int32_t n) { return n >= 1 && n <= 6 ? n : 1; }       /* the size of such a buffer */

static int window_in_reach(const npgru_window *s)
{
    const int32_t sizes[] = { s->batch, s->in_t, s->in_m, s->in_channels, s->out_t, s->out_m, s->out_channels,
                              s->kernel_t, s->kernel_m };
    for (int i = 0; i < 9; i++)
        if (!in_reach(sizes[i], 32767)) return 0;
    return 1;
}

static void convolutions(uint32_t rare)
{
    npgru_conv2d_params p = { window(rare), channels(rare, 8) };
    const npgru_window *s = &p.window;
    const int depthwise = draw() % 2;
    if (!window_in_reach(s)) return;
    if (depthwise && draw() % 4) p.window.out_channels = s->in_channels;
    const size_t n_x = (size_t)(small(s->batch) * small(s->in_t) * small(s->in_m) * small(s->in_channels));
    const size_t n_taps = (size_t)(small(s->kernel_t) * small(s->kernel_m) * small(s->in_channels));
    const size_t n_w = n_taps * (size_t)(depthwise ? 1 : small(s->out_channels));
    const size_t n_y = (size_t)(small(s->batch) * small(s->out_t) * small(s->out_m) * small(s->out_channels));
    int8_t *x = filled(n_x), *w = filled(n_w), *y = guarded(n_y);
    const int32_t *bias = draw() % 4 ? bias32 : NULL;
    judge("conv", (depthwise ? npgru_depthwise2d_s8 : npgru_conv2d_s8)(&p, x, w, bias, y), (uint8_t *)y, n_y);
    free(x), free(w);
    npgru_max_pool_params pool = { p.window, field(-128, 0, rare), field(0, 127, rare) };
    if (draw() % 4) pool.window.out_channels = s->in_channels;
    const size_t n_pool = (size_t)(small(s->batch) * small(s->out_t) * small(s->out_m) * small(pool.window.out_channels));
    x = filled(n_x), y = guarded(n_pool);
    judge("max_pool", npgru_max_pool_s8(&pool, x, y), (uint8_t *)y, n_pool);
    free(x);
}

static void dense(uint32_t rare)
{
    const int32_t bits = draw() % 2 ? 8 : 16;
    const npgru_dense_params p = { field(1, 3, rare), field(1, 6, rare), field(1, 5, rare), channels(rare, bits) };
    if (p.batch > 6 || p.out_features > 6 || !in_reach(p.in_features, 32000)) return;
    const size_t width = (size_t)bits / 8, n_x = width * (size_t)(small(p.batch) * small(p.in_features));
    const size_t n_y = width * (size_t)(small(p.batch) * small(p.out_features));
    void *x = filled(n_x), *y = guarded(n_y);
    int8_t *w = filled((size_t)(small(p.in_features) * small(p.out_features)));
    const npgru_status status = bits == 8 ? npgru_dense_s8(&p, x, w, draw() % 4 ? bias32 : NULL, y)
                                          : npgru_dense_s16(&p, x, w, draw() % 4 ? bias64 : NULL, y);
    judge("dense", status, y, n_y);
    free(x), free(w);
}

static void elementwise(uint32_t rare)
{
    const int32_t bits = draw() % 2 ? 8 : 16, size = draw() % rare ? between(0, 9) : -between(1, 9);
    const size_t n = (size_t)(size > 0 ? size : 0), n_bytes = n * (size_t)bits / 8;
    const npgru_sum s = sum(rare, bits);
    const npgru_product m = product(rare, bits);
    const npgru_curve c = curve(rare);
    void *a = filled(n_bytes), *b = filled(n_bytes), *y = guarded(n_bytes);
    judge("add", bits == 8 ? npgru_add_s8(&s, size, a, b, y) : npgru_add_s16(&s, size, a, b, y), y, n_bytes);
    y = guarded(n_bytes);
    judge("sub", bits == 8 ? npgru_sub_s8(&s, size, a, b, y) : npgru_sub_s16(&s, size, a, b, y), y, n_bytes);
    y = guarded(n_bytes);
    judge("mul", bits == 8 ? npgru_mul_s8(&m, size, a, b, y) : npgru_mul_s16(&m, size, a, b, y), y, n_bytes);
    if (bits == 16) {
        y = guarded(n_bytes);
        judge("logistic", npgru_logistic_s16(&c, size, a, y), y, n_bytes);
        y = guarded(n_bytes);
        judge("tanh", npgru_tanh_s16(&c, size, a, y), y, n_bytes);
    } else {
        int8_t *table = filled(256);
        y = guarded(n_bytes);
        judge("lookup", npgru_lookup_s8(draw() % rare ? table : NULL, size, a, y), y, n_bytes);
        free(table);
    }
    free(a), free(b);
}

static void rescaling(uint32_t rare)
{
    const npgru_rescale p = { field(-128, 127, rare), field(-128, 127, rare), field(1 << 30, INT32_MAX, rare),
                              field(-31, 31, rare), field(-128, 0, rare), field(0, 127, rare) };
    npgru_rescale symmetric = p, wide = p;
    symmetric.x_zero_point = draw() % rare ? 0 : 3, wide.x_zero_point = wide.y_zero_point = symmetric.x_zero_point;
    const npgru_features f = { draw() % rare ? (uint64_t)draw() << 8 : ~(uint64_t)0, field(0, 50, rare),
                               field(-128, 127, rare) };
    const int32_t size = draw() % rare ? between(0, 9) : -1, n = draw() % rare ? between(1, 5) : any32() | 1 << 20;
    void *x = filled(4 * 9), *y = guarded(9);
    judge("quantize_s8", npgru_quantize_s8(&p, size, x, y), y, 9), y = guarded(9);
    judge("quantize_s16", npgru_quantize_s16(&p, size, x, y), y, 9), y = guarded(9);
    judge("quantize_s32", npgru_quantize_s32(&symmetric, size, x, y), y, 9), y = guarded(9);
    judge("quantize_features", npgru_quantize_features(&f, size, x, y), y, 9), y = guarded(8);
    free(x), x = filled(2 * 2 * 5 * 4);
    judge("mean_s8", npgru_mean_s8(&p, draw() % rare ? 2 : -2, n, 4, x, y), y, 8), y = guarded(16);
    judge("mean_s16", npgru_mean_s16(&wide, 2, n, draw() % rare ? 4 : -4, x, y), y, 16);
    free(x);
    const npgru_softmax s = { field(1 << 30, INT32_MAX, rare), field(0, 31, rare), field(-255, 0, rare) };
    const int32_t K = draw() % rare ? between(1, 511) : any32() | 1 << 20;
    const size_t n_y = K > 511 || K < 1 ? 1 : 2 * (size_t)K;
    x = filled(n_y), y = guarded(n_y);
    judge("softmax", npgru_softmax_s8(&s, draw() % rare ? 2 : 0, K, x, y), y, n_y);
    free(x);
}

static void gru(uint32_t rare)
{
    const int32_t bits = draw() % 2 ? 8 : 16, D = field(1, 5, rare), H = field(1, 4, rare), d = small(D), h = small(H);
    int8_t *sigmoid = filled(256), *tanh = filled(256);
    const npgru_channels c = channels(4 * rare, bits);
    const npgru_gru_params p = { D, H, c, c, sum(8 * rare, bits), curve(8 * rare), curve(8 * rare),
                                 draw() % (8 * rare) ? sigmoid : NULL, draw() % (8 * rare) ? tanh : NULL, product(8 * rare, bits),
                                 sum(8 * rare, bits), sum(8 * rare, bits), product(8 * rare, bits), sum(8 * rare, bits) };
    const size_t n_scratch = bits == 8 ? npgru_gru_s8_scratch_bytes(&p) : npgru_gru_s16_scratch_bytes(&p);
    const size_t n_h = (size_t)(h * bits / 8);
    int8_t *x = filled((size_t)d), *w = filled((size_t)(3 * h * d)), *u = filled((size_t)(3 * h * h));
    void *scratch = malloc(n_scratch < 1000 ? n_scratch + 1 : 1), *y = guarded(n_h);
    if (d == D && h == H && n_scratch == 0) n_failed++;
    if ((d == D && h == H) || n_scratch == 0)
        judge("gru", bits == 8 ? npgru_gru_step_s8(&p, x, w, u, bias32, bias32, scratch, y)
                               : npgru_gru_step_s16(&p, x, w, u, bias64, bias64, scratch, y), y, n_h);
    else free(y);
    free(sigmoid), free(tanh), free(x), free(w), free(u), free(scratch);
}

int main(void)
{
    for (int i = 0; i < 20000; i++) {
        const uint32_t rare = i % 2 ? 200 : 12;
        dense(rare), elementwise(rare), gru(rare);
        if (i % 4 == 0) convolutions(i % 8 ? 400 : 30), rescaling(rare);
    }
    if (n_accepted < 1000 || n_refused < 1000) n_failed++;
    printf("%d accepted, %d refused, %d failed\n", n_accepted, n_refused, n_failed);
    return n_failed != 0;
}
