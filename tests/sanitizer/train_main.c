/* Run by tests/test_kernels_train_sanitizers.py under sanitizers: steps of networks in buffers of exactly the stated size, on
   several threads, the same bytes on each; and bad layer lists. networks.h: layer lists in an array `networks`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "train/npgru_train.h"

typedef struct { const npgru_train_layer *layers; int32_t n_layers; } network;

#include "networks.h"

#define N_STEPS 3

static int n_failed = 0;

static void expect(int ok, const char *what)
{
    if (ok) return;
    printf("failed: %s\n", what);
    n_failed++;
}

/* n floats in [-1, 1), in memory of exactly that size. */
static float *numbers(size_t n)
{
    static uint32_t state = 7;
    float *x = malloc(sizeof(float) * n);
    for (size_t i = 0; i < n; i++) {
        state = 1664525u * state + 1013904223u;
        x[i] = (float)(state >> 8) / 8388608.0f - 1;
    }
    return x;
}

static float *copy(const float *x, size_t n)
{
    float *y = malloc(sizeof(float) * n);
    memcpy(y, x, sizeof(float) * n);
    return y;
}

typedef struct { size_t x, y, params, stats, dropout; } sizes;              /* floats; of x, y, dropout a clip's */

static sizes sizes_of(const network *net)
{
    const npgru_train_layer *first = &net->layers[0], *last = &net->layers[net->n_layers - 1];
    sizes s = { (size_t)(first->T * first->M * first->C), (size_t)(last->T_out * last->M_out * last->N), 0, 0, 0 };
    for (int32_t i = 0; i < net->n_layers; i++) {
        const npgru_train_layer *l = &net->layers[i];
        const int32_t D = l->M * l->C, H = l->N;
        const int32_t counts[] = { 0, l->k_t * l->k_m * l->C * l->N, 9 * l->C, l->C * l->N, 2 * l->C, 0, 0,
                                   (D + H + 2) * 3 * H, 0, 0, (l->C + 1) * l->N, l->quantised ? l->C : 0 };
        const size_t end = (size_t)(l->weights + counts[l->kind]);
        if (end > s.params) s.params = end;
        if (l->kind == NPGRU_BATCHNORM) s.stats = (size_t)(l->stats + 2 * l->C);
        if (l->kind == NPGRU_QUANTISE) s.stats = (size_t)(l->stats + 2);
        if (l->kind == NPGRU_GRU && l->quantised) s.stats = (size_t)(l->stats + 4);
        if (l->kind == NPGRU_DROPOUT) s.dropout = (size_t)(l->T * D);
    }
    return s;
}

/* Some steps with Adam and a prediction; the weights at the end, to be freed. */
static float *run(const network *net, const float *start, int32_t B, int32_t threads, int32_t form)
{
    const sizes s = sizes_of(net);
    const size_t n = (size_t)B;
    const npgru_adam adam = { 0.01f, 0.1f, 0.001f, 1e-7f };
    npgru_train *c = npgru_train_create(net->layers, net->n_layers, B, threads, form);
    float *params = copy(start, s.params), *m = calloc(s.params + 1, 4), *v = calloc(s.params + 1, 4);
    float *gradients = malloc(sizeof(float) * s.params), *stats = calloc(s.stats, sizeof(float));
    float *x = copy(start, 0), *y = malloc(sizeof(float) * n * s.y), *dx = malloc(sizeof(float) * n * s.x);
    float *dropout = calloc(n * s.dropout + 1, sizeof(float));
    free(x);
    x = calloc(n * s.x, sizeof(float));
    for (size_t i = 0; i < n * s.x; i++) x[i] = (float)((i * 7919) % 101) / 50 - 1;
    expect(c != NULL && npgru_train_bytes(c) > 0, "a network is made");
    for (int32_t step = 0; step < N_STEPS; step++) {
        const int32_t B_now = step == 1 ? (B + 1) / 2 : B;
        expect(npgru_train_forward(c, B_now, 1, x, params, dropout, stats, y) == NPGRU_OK, "forward");
        expect(npgru_train_backward(c, y, gradients, step ? dx : NULL) == NPGRU_OK, "backward");
        npgru_train_adam(c, &adam, (int32_t)s.params, gradients, m, v, params);
    }
    expect(npgru_train_forward(c, B, 0, x, params, NULL, stats, y) == NPGRU_OK, "inference");
    expect(npgru_train_backward(c, y, gradients, NULL) == NPGRU_BAD_RANGE, "no backward after inference");
    expect(npgru_train_forward(c, B + 1, 1, x, params, NULL, stats, y) == NPGRU_BAD_SHAPE, "too large a batch");
    expect(npgru_train_forward(c, 0, 1, x, params, NULL, stats, y) == NPGRU_BAD_SHAPE, "an empty batch");
    npgru_train_destroy(c);
    free(m), free(v), free(gradients), free(stats), free(x), free(y), free(dx), free(dropout);
    return params;
}

static void compare_threads(const network *net, int32_t form)
{
    const sizes s = sizes_of(net);
    const int32_t batches[] = { 1, 3, 11 };
    float *start = numbers(s.params);
    for (int i = 0; i < 3; i++) {
        float *one = run(net, start, batches[i], 1, form), *many = run(net, start, batches[i], 3 + i, form);
        expect(memcmp(one, many, sizeof(float) * s.params) == 0, "the same bytes on any number of threads");
        free(one), free(many);
    }
    free(start);
}

static void expect_refused(npgru_train_layer bad, const npgru_train_layer *next, const char *what)
{
    const npgru_train_layer layers[] = { bad, next ? *next : bad };
    expect(npgru_train_create(layers, next ? 2 : 1, 2, 1, 0) == NULL, what);
}

static void bad_lists(void)
{
    const npgru_train_layer good = { .kind = NPGRU_POINTWISE, .T = 2, .M = 3, .C = 4, .T_out = 2, .M_out = 3, .N = 5 };
    npgru_train_layer bad = good;
    expect(npgru_train_create(&good, 0, 2, 1, 0) == NULL && npgru_train_create(&good, 1, 0, 1, 0) == NULL, "nothing");
    expect(npgru_train_create(&good, 1, 2, 0, 0) == NULL && npgru_train_create(&good, 1, 2, -1, 0) == NULL, "no thread");
    expect_refused(good, &good, "5 channels into 4");
    bad.C = 0, expect_refused(bad, NULL, "no channels");
    bad = good, bad.kind = 99, expect_refused(bad, NULL, "an unknown kind");
    bad = good, bad.kind = NPGRU_BATCHNORM, expect_refused(bad, NULL, "a batch-norm of nothing");
    bad = good, bad.kind = NPGRU_CONV2D, expect_refused(bad, NULL, "no stride");
    bad = good, bad.kind = NPGRU_MAXPOOL, expect_refused(bad, NULL, "no pool size");
    bad = good, bad.quantised = 1, expect_refused(bad, NULL, "a kernel on a grid without codes");
    bad = good, bad.kind = NPGRU_QUANTISE, bad.N = 4, bad.bits = 24, expect_refused(good, &bad, "codes of other channels");
    bad.C = bad.N = 5, bad.bits = 25, expect_refused(good, &bad, "25 bits");
    bad.bits = 24, bad.quantised = 1, expect_refused(good, &bad, "a bias behind no kernel on a grid");
    bad = good, bad.weights = -1, expect_refused(bad, NULL, "weights ahead of params");
    npgru_train_destroy(NULL);
}

int main(void)
{
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
        for (int32_t form = 0; form < NPGRU_TRAIN_FORMS; form++)
            if (npgru_train_has(form)) compare_threads(&networks[i], form);
    bad_lists();
    return n_failed != 0;
}
