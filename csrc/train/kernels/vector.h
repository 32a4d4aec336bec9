/* Parts of a vector, of any instruction set: full is a constant once these are inlined. */
VECTOR vector load_some(const int full, const float *p, lanes which)
{
    return full ? load(p) : load_lanes(p, which);
}

VECTOR void store_some(const int full, float *p, lanes which, vector v)
{
    if (full) store(p, v);
    else store_lanes(p, which, v);
}
