/* The product in plain C: a row of c at a time. */
KERNEL void product(product_size n, matrix a, matrix b, matrix start, float *c, ptrdiff_t c_row)
{
    for (int32_t i = 0; i < n.rows; i++, c += c_row) {
        for (int32_t j = 0; j < n.columns; j++) c[j] = start.at ? start.at[i * start.row + j] : 0;
        for (int32_t k = 0; k < n.depth; k++) {
            const float a_ik = a.at[i * a.row + k * a.column];
            const float *restrict b_k = b.at + k * b.row;
            float *restrict c_i = c;
            for (int32_t j = 0; j < n.columns; j++) c_i[j] = multiply_add(a_ik, b_k[j], c_i[j]);
        }
    }
}
