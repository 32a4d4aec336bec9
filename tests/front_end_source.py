"""Front ends -> C, for the programs that tests compile."""
from npgru.front_end import tables

TABLES = ("window", "twiddles", "segments", "weights", "unweights", "log_table")


def table_source(front_ends) -> str:
    """The tables of some front ends, and their structs in an array `goods`."""
    arrays, structs = [], []
    for i, fe in enumerate(front_ends):
        for name in TABLES:
            values = ", ".join(map(str, getattr(tables(fe), name).ravel()))
            arrays.append(f"static const int16_t {name}_{i}[] = {{ {values} }};")
        numbers = [fe.window_len, fe.window_stride, fe.window_scaling_bits, fe.mel_n_channels,
                   fe.mel_post_scaling_bits, int(fe.pad_tail)] + [f"{name}_{i}" for name in TABLES]
        structs.append(f"    {{ {', '.join(map(str, numbers))} }},")
    return "\n".join([*arrays, "static const npgru_log_mel_params goods[] = {", *structs, "};", ""])
