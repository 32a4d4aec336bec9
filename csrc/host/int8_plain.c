/* The kernels of a whole integer network in portable C: eight lanes that a compiler may hold in vector registers. */
#include "int8_network.h"
#include "cortex_m.h"
#include <string.h>

#define KERNEL static
#define INLINE static inline
#define LANES 8
#define EACH for (int i = 0; i < LANES; i++)

typedef struct { int32_t at[LANES]; } vec;
typedef struct { int16_t at[LANES][2]; } pairs;

INLINE vec all(int32_t x) { vec y; EACH y.at[i] = x; return y; }
INLINE vec load(const int32_t *x) { vec y; memcpy(&y, x, sizeof y); return y; }
INLINE vec add(vec a, vec b) { EACH a.at[i] = cm_add_wrapping(a.at[i], b.at[i]); return a; }
INLINE vec sub(vec a, vec b) { EACH a.at[i] = (int32_t)((uint32_t)a.at[i] - (uint32_t)b.at[i]); return a; }
INLINE vec mul(vec a, vec b) { EACH a.at[i] *= b.at[i]; return a; }
INLINE vec and(vec a, vec b) { EACH a.at[i] &= b.at[i]; return a; }
INLINE vec magnitude(vec a) { EACH a.at[i] = a.at[i] < 0 ? -a.at[i] : a.at[i]; return a; }
INLINE vec smaller(vec a, vec b) { EACH a.at[i] = a.at[i] < b.at[i] ? a.at[i] : b.at[i]; return a; }
INLINE vec larger(vec a, vec b) { EACH a.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i]; return a; }
INLINE vec left(vec a, vec n) { EACH a.at[i] = cm_shift_left(a.at[i], n.at[i]); return a; }
INLINE vec right(vec a, vec n) { EACH a.at[i] >>= n.at[i]; return a; }
INLINE vec if_above(vec a, vec b, vec yes, vec no) { EACH a.at[i] = a.at[i] > b.at[i] ? yes.at[i] : no.at[i]; return a; }
INLINE vec one_more_if_above(vec y, vec a, vec b) { EACH y.at[i] += a.at[i] > b.at[i]; return y; }

INLINE vec load_codes(const int16_t *x) { vec y; EACH y.at[i] = x[i]; return y; }
INLINE void store_codes(int16_t *y, vec a) { EACH y[i] = (int16_t)a.at[i]; }
INLINE pairs load_pairs(const int16_t *w) { pairs y; memcpy(&y, w, sizeof y); return y; }
INLINE pairs all_pairs(const int16_t *x) { pairs y; EACH y.at[i][0] = x[0], y.at[i][1] = x[1]; return y; }
INLINE pairs zip(const int16_t *a, const int16_t *b) { pairs y; EACH y.at[i][0] = a[i], y.at[i][1] = b[i]; return y; }
INLINE vec dot(vec acc, pairs a, pairs b) { EACH acc.at[i] += a.at[i][0] * b.at[i][0] + a.at[i][1] * b.at[i][1]; return acc; }
INLINE vec lookup(const int32_t *table, vec a) { EACH a.at[i] = table[a.at[i]]; return a; }

INLINE vec lookup_two(const uint16_t *table, vec a)      /* table[i] + 2^16 table[i + 1] */
{
    EACH a.at[i] = (int32_t)(table[a.at[i]] | (uint32_t)table[a.at[i] + 1] << 16);
    return a;
}

INLINE vec srdhm(vec a, vec q) { EACH a.at[i] = (int32_t)(((int64_t)a.at[i] * q.at[i] + (1 << 30)) >> 31); return a; }

INLINE vec wide_shift(vec a, vec r, vec n)
{
    EACH a.at[i] = (int32_t)(((int64_t)a.at[i] * r.at[i] + ((int64_t)1 << (n.at[i] - 1))) >> n.at[i]);
    return a;
}

#include "kernels/output.h"
#include "kernels/matrix.h"
#include "kernels/depthwise2d.h"
#include "kernels/gru.h"
#include "kernels/form.h"

const npgru_form_int8 npgru_int8_plain = NPGRU_FORM_INT8;
