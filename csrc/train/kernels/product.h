/* c = start + a b, the product that all layers are made of; each form has its own: product_plain.h, product_avx2.h. */

/* An array that is only read: element (i, j) is at[i row + j column]. */
typedef struct { const float *at; ptrdiff_t row, column; } matrix;

/* c (rows, columns) = start (rows, columns) + a (rows, depth) b (depth, columns).
   b and start have column 1; start.at NULL: zeros; start.row 0: one row for all; start may be c itself. A row of c
   begins every c_row floats. */
typedef struct { int32_t rows, depth, columns; } product_size;
#define ZEROS ((matrix){ NULL, 0, 1 })
