/* c = start + a b, the product that all layers are made of: tiles of up to TILE_ROWS rows and TILE_VECTORS vectors of sums that
   stay in registers. */

/* An array that is only read: element (i, j) is at[i row + j column]. */
typedef struct { const float *at; ptrdiff_t row, column; } matrix;

/* c (rows, columns) = start (rows, columns) + a (rows, depth) b (depth, columns).
   b and start have column 1; start.at NULL: zeros; start.row 0: one row for all; start may be c itself. A row of c
   begins every c_row floats. */
typedef struct { int32_t rows, depth, columns; } product_size;
#define ZEROS ((matrix){ NULL, 0, 1 })

/* ROWS and VECTORS are constants once this is inlined; the array has a fixed size, or it would not stay in registers.
   which: lanes of the last vector that exist; full: all of them. */
VECTOR void tile(const int ROWS, const int VECTORS, const int full, int32_t depth, lanes which, matrix a, matrix b,
                 matrix start, float *c, ptrdiff_t c_row)
{
    vector sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = start.at ? load_some(full || v + 1 < VECTORS, start.at + i * start.row + LANES * v, which) : zeros();
    for (int32_t k = 0; k < depth; k++, a.at += a.column, b.at += b.row) {
        vector b_k[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) b_k[v] = load_some(full || v + 1 < VECTORS, b.at + LANES * v, which);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            const vector a_ik = splat(a.at + i * a.row);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) sum[i][v] = fused(a_ik, b_k[v], sum[i][v]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            store_some(full || v + 1 < VECTORS, c + i * c_row + LANES * v, which, sum[i][v]);
}

VECTOR void tile_of(const int ROWS, const int VECTORS, int32_t columns, int32_t depth, matrix a, matrix b, matrix start,
                    float *c, ptrdiff_t c_row)
{
    const lanes which = first_lanes(columns - (VECTORS - 1) * LANES);
    if (columns == VECTORS * LANES) tile(ROWS, VECTORS, 1, depth, which, a, b, start, c, c_row);
    else tile(ROWS, VECTORS, 0, depth, which, a, b, start, c, c_row);
}

/* ROWS rows: the columns in as few tiles as there must be, of about the same width. */
VECTOR void product_rows(const int ROWS, product_size n, matrix a, matrix b, matrix start, float *c, ptrdiff_t c_row)
{
    const int32_t n_vectors = (n.columns + LANES - 1) / LANES;
    int32_t n_tiles = (n_vectors + TILE_VECTORS - 1) / TILE_VECTORS;
    for (int32_t left = n_vectors, j = 0, width; n_tiles > 0; n_tiles--, j += width * LANES, left -= width) {
        const matrix b_j = { b.at + j, b.row, 1 }, start_j = { start.at ? start.at + j : NULL, start.row, 1 };
        width = (left + n_tiles - 1) / n_tiles;
        const int32_t columns = n.columns - j < width * LANES ? n.columns - j : width * LANES;
        if (TILE_VECTORS > 3 && width == 4) tile_of(ROWS, TILE_VECTORS > 3 ? 4 : 1, columns, n.depth, a, b_j, start_j, c + j, c_row);
        else if (TILE_VECTORS > 2 && width == 3) tile_of(ROWS, TILE_VECTORS > 2 ? 3 : 1, columns, n.depth, a, b_j, start_j, c + j, c_row);
        else if (width == 2) tile_of(ROWS, 2, columns, n.depth, a, b_j, start_j, c + j, c_row);
        else tile_of(ROWS, 1, columns, n.depth, a, b_j, start_j, c + j, c_row);
    }
}

KERNEL void product(product_size n, matrix a, matrix b, matrix start, float *c, ptrdiff_t c_row)
{
    int32_t i = 0, step;
    for (; i < n.rows; i += step, a.at += step * a.row, c += step * c_row, start.at += start.at ? step * start.row : 0) {
        const int32_t left = n.rows - i;
        step = left >= TILE_ROWS ? TILE_ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (step == TILE_ROWS) product_rows(TILE_ROWS, n, a, b, start, c, c_row);
        else if (step == 4) product_rows(4, n, a, b, start, c, c_row);
        else if (step == 2) product_rows(2, n, a, b, start, c, c_row);
        else product_rows(1, n, a, b, start, c, c_row);
    }
}
