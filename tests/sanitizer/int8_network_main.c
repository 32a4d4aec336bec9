/* Run by tests/test_kernels_int8_host.py under -fsanitize=address,undefined: whole integer networks of random operators, legal
   or not, with arrays of exactly the stated sizes, in every form that this processor runs. All forms give the same codes. */
#include "draw.h"
#include "host/npgru_host.h"
#include <stdio.h>

#define MAX_OPERATORS 8
#define N_CLIPS 2

typedef union {
    npgru_features features;
    npgru_conv2d_params conv;
    npgru_max_pool_params pool;
    npgru_gru_params gru;
    npgru_rescale mean;
    npgru_dense_params dense;
    npgru_softmax softmax;
} any_params;

/* A network as it grows, and the shape of what its last operator writes. */
static any_params params[MAX_OPERATORS];
static npgru_int8_operator operators[MAX_OPERATORS];
static size_t n_codes[MAX_OPERATORS];                     /* bytes a clip */
static void *arrays[4 * MAX_OPERATORS];
static int32_t n_operators, n_arrays, T, M, C, clip_T, clip_M;

static void *kept(void *array) { return arrays[n_arrays++] = array; }

/* Arrays come before channels: those of the last drawn are all operators' multipliers and shifts. */
static void append(int32_t kind, int32_t t, int32_t m, int32_t c, size_t bytes_a_code)
{
    operators[n_operators].kind = kind;
    operators[n_operators].params = &params[n_operators];
    T = t, M = m, C = c;
    n_codes[n_operators++] = bytes_a_code * (size_t)(t * m * c);
}

/* Windows over what there is, most of them legal; n = 0: as many channels as before. */
static npgru_window windows(int32_t n, int32_t padded, uint32_t rare)
{
    npgru_window s = { .batch = 1, .in_t = T, .in_m = M, .in_channels = C, .out_channels = n ? n : C };
    s.kernel_t = between(1, padded ? 5 : T), s.kernel_m = between(1, padded ? 5 : M);
    s.stride_t = between(1, 3), s.stride_m = between(1, 3);
    if (padded) s.pad_t = between(0, s.kernel_t - 1), s.pad_m = between(0, s.kernel_m - 1);
    s.out_t = between(1, padded ? (T - 1 + s.pad_t) / s.stride_t + 1 : (T - s.kernel_t) / s.stride_t + 1);
    s.out_m = between(1, padded ? (M - 1 + s.pad_m) / s.stride_m + 1 : (M - s.kernel_m) / s.stride_m + 1);
    if (draw() % rare == 0) {
        const int32_t bad[] = { 0, -1, 32768, INT32_MIN, INT32_MAX };
        int32_t *all[] = { &s.batch, &s.in_t, &s.in_m, &s.in_channels, &s.out_t, &s.out_m, &s.out_channels, &s.kernel_t,
                           &s.kernel_m, &s.stride_t, &s.stride_m, &s.pad_t, &s.pad_m };
        const uint32_t k = draw() % 13;
        *all[k] = bad[k < 11 ? draw() % 5 : 1 + draw() % 4];            /* padding may be 0 */
    }
    return s;
}

static void add_convolution(uint32_t rare, int depthwise)
{
    const npgru_window s = windows(depthwise ? 0 : between(1, 40), 1, rare);
    npgru_window good = s;
    if (good.out_t < 1 || good.out_m < 1 || good.out_t > 99 || good.out_m > 99) good.out_t = good.out_m = 1;
    const int32_t n = s.out_channels >= 1 && s.out_channels <= 40 ? s.out_channels : C;
    const int small = s.kernel_t >= 1 && s.kernel_t <= 5 && s.kernel_m >= 1 && s.kernel_m <= 5;
    const size_t n_taps = (size_t)(small ? s.kernel_t * s.kernel_m : 1);
    npgru_int8_operator *op = &operators[n_operators];
    op->w = kept(filled(n_taps * (size_t)C * (size_t)(depthwise ? 1 : n)));
    op->bias = draw() % 4 ? bias32 : NULL;
    params[n_operators].conv = (npgru_conv2d_params){ s, channels(rare, 8) };
    append(depthwise ? NPGRU_INT8_DEPTHWISE2D : NPGRU_INT8_CONV2D, good.out_t, good.out_m, n, 1);
}

static void add_pool(uint32_t rare)
{
    const npgru_window s = windows(0, 0, rare);
    const int good = s.out_t >= 1 && s.out_t <= T && s.out_m >= 1 && s.out_m <= M;
    params[n_operators].pool = (npgru_max_pool_params){ s, field(-128, 0, rare), field(0, 127, rare) };
    append(NPGRU_INT8_MAX_POOL, good ? s.out_t : 1, good ? s.out_m : 1, C, 1);
}

static void add_gru(uint32_t rare)
{
    const int32_t bits = draw() % 2 ? 8 : 16, D = M * C, H = between(1, MAX_N / 3);
    npgru_int8_operator *op = &operators[n_operators];
    op->w = kept(filled((size_t)(3 * H * D))), op->u = kept(filled((size_t)(3 * H * H)));
    const void *bias = bits == 8 ? (const void *)bias32 : bias64;
    op->bias = draw() % 4 ? bias : NULL, op->h_bias = draw() % 4 ? bias : NULL;
    const npgru_channels c = channels(rare, bits);
    if (draw() % 2) for (int i = 0; i < MAX_N; i++) bias64[i] >>= 20;    /* now and then sums of 32 bits will do */
    params[n_operators].gru = (npgru_gru_params){
        draw() % rare ? D : -D, draw() % rare ? H : 20000, c, c, sum(rare, bits), curve(rare), curve(rare),
        draw() % rare ? kept(filled(256)) : NULL, draw() % rare ? kept(filled(256)) : NULL, product(rare, bits),
        sum(rare, bits), sum(rare, bits), product(rare, bits), sum(rare, bits) };
    append(bits == 8 ? NPGRU_INT8_GRU_S8 : NPGRU_INT8_GRU_S16, T, 1, H, (size_t)bits / 8);
}

static void add_rest(uint32_t rare)
{
    params[n_operators].mean = (npgru_rescale){ field(0, 0, rare), field(-128, 127, rare), field(1 << 30, INT32_MAX, rare),
                                                field(-31, 31, rare), field(-128, 0, rare), field(0, 127, rare) };
    append(NPGRU_INT8_MEAN_TIME, 1, 1, C, 1);
    const int32_t N = between(1, 40);
    operators[n_operators].w = kept(filled((size_t)(N * C)));
    operators[n_operators].bias = bias32;
    params[n_operators].dense = (npgru_dense_params){ draw() % rare ? 1 : any32(), C, draw() % rare ? N : -N,
                                                      channels(rare, 8) };
    append(NPGRU_INT8_DENSE, 1, 1, N, 1);
    params[n_operators].softmax = (npgru_softmax){ field(1 << 30, INT32_MAX, rare), between(0, 20), field(-255, 0, rare) };
    append(NPGRU_INT8_SOFTMAX, 1, 1, N, 1);
}

static void draw_network(uint32_t rare)
{
    memset(operators, 0, sizeof operators);
    n_operators = n_arrays = 0;
    params[0].features = (npgru_features){ draw() % rare ? (uint64_t)draw() << between(0, 10) : ~(uint64_t)0,
                                           field(0, 50, rare), field(-128, 127, rare) };
    append(NPGRU_INT8_FEATURES, between(1, 12), between(1, 9), 1, 1);
    clip_T = T, clip_M = M;
    const int32_t n_before = between(0, 3);
    for (int32_t i = 0; i < n_before; i++) {
        const uint32_t kind = draw() % 3;
        if (kind == 2) add_pool(rare);
        else add_convolution(rare, kind == 1);
    }
    add_gru(rare);
    add_rest(rare);
    const int32_t bad_kinds[] = { -1, 9, INT32_MAX, INT32_MIN };
    if (draw() % rare == 0) operators[draw() % (uint32_t)n_operators].kind = bad_kinds[draw() % 4];
}

/* A form's codes of every operator, in arrays of their own; 0 if the network is refused. */
static int codes_of(int32_t form, int32_t frames, int32_t bands, const uint16_t *f, void **codes)
{
    npgru_status status;
    npgru_int8_network *net = npgru_int8_create(operators, n_operators, frames, bands, form, &status);
    if (!net) return 0;
    void *workspace = filled(npgru_int8_workspace_bytes(net));
    for (int32_t k = 0; k < n_operators; k++) codes[k] = malloc(N_CLIPS * n_codes[k]);
    const int good = npgru_int8_run(net, N_CLIPS, f, workspace, codes) == NPGRU_OK;
    const int refuses = npgru_int8_run(net, -1, f, workspace, codes) == NPGRU_BAD_SHAPE;
    npgru_int8_destroy(net);
    free(workspace);
    return good && refuses;
}

int main(void)
{
    int n_accepted = 0, n_refused = 0, n_failed = 0;
    const int32_t bad_sizes[] = { 0, -1, 32768, INT32_MIN, INT32_MAX };
    for (int i = 0; i < 8000; i++) {
        const uint32_t rare = i % 2 ? 60 : 2000;
        draw_network(rare);
        const int bad_clip = draw() % rare == 0;
        uint16_t *f = filled(N_CLIPS * sizeof(uint16_t) * (size_t)(clip_T * clip_M));
        void *expected[MAX_OPERATORS] = { NULL }, *found[MAX_OPERATORS] = { NULL };
        const int32_t frames = bad_clip ? bad_sizes[draw() % 5] : clip_T;
        const int accepted = codes_of(NPGRU_PLAIN, frames, clip_M, f, expected);
        n_accepted += accepted, n_refused += !accepted, n_failed += accepted && bad_clip;
        for (int32_t form = NPGRU_PLAIN + 1; form <= NPGRU_AVX512; form++) {
            if (!npgru_int8_runs(form)) continue;
            if (codes_of(form, frames, clip_M, f, found) != accepted) n_failed++;
            for (int32_t k = 0; accepted && k < n_operators; k++) {
                if (memcmp(expected[k], found[k], N_CLIPS * n_codes[k])) {
                    printf("failed: form %d, operator %d\n", form, k);
                    n_failed++;
                }
                free(found[k]);
            }
        }
        for (int32_t k = 0; k < MAX_OPERATORS; k++) free(expected[k]);
        for (int32_t k = 0; k < n_arrays; k++) free(arrays[k]);
        free(f);
    }
    if (n_accepted < 1000 || n_refused < 300) n_failed++;
    const char *const names[] = { "plain C", "NEON", "AVX2", "AVX-512" };
    for (int32_t form = NPGRU_PLAIN; form <= NPGRU_AVX512; form++)
        if (npgru_int8_runs(form)) printf("%s, ", names[form]);
    printf("%d accepted, %d refused, %d failed\n", n_accepted, n_refused, n_failed);
    return n_failed != 0;
}
