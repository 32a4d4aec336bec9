/* Compiled by tests/test_kernels.py: the root inside csrc/log_mel.c on an array, so that Python can compare. */
#include "log_mel.c"

void probe_rounded_root(const uint64_t *m, int32_t n, uint32_t *y);
void probe_rounded_root(const uint64_t *m, int32_t n, uint32_t *y)
{
    for (int32_t i = 0; i < n; i++) y[i] = rounded_root(m[i]);
}
