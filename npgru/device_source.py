"""A Network of device_layout.py -> the text of npgru_model.h and npgru_model.c."""
import zlib
from dataclasses import fields, is_dataclass
from functools import partial
from textwrap import fill

import numpy as np

from . import device_rows
from .device_fast import exact_channels, fast_arrays
from .device_helium import helium_arrays, helium_macros, helium_work_words
from .device_layout import GROUP, Network, clip_shape, up_to_multiple
from .front_end import tables
from .int8 import IntegerModel, real
from .int8_params import mean_of_sum
from .model import target_score

C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t", "uint16": "uint16_t",
           "uint32": "uint32_t"}
FORMS = {"DSP": partial(fast_arrays, form="DSP"), "ROWS": device_rows.rows_arrays, "HELIUM": helium_arrays,
         "PLAIN": partial(fast_arrays, form="PLAIN")}
EVEN = "the target is as likely as not"
TABLES = ("window", "twiddles", "segments", "weights", "unweights", "log_table")


def literal(value: int) -> str:
    """A C constant of any width."""
    value = int(value)
    suffix = "LL" if not -2**31 < value < 2**31 else ""
    return "(-0x7FFFFFFF - 1)" if value == -2**31 else f"{value}{suffix}"


def array(name: str, values) -> str:
    """A numpy array -> its definition in C, all dimensions in one."""
    values = np.asarray(values)
    numbers = [f"0x{value:08x}u" if values.dtype == np.uint32 else literal(value) for value in values.ravel().tolist()]
    body = fill(", ".join(numbers), 124, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    return f"static const {C_TYPES[values.dtype.name]} {name}[{values.size}] = {{\n{body}\n}};\n"


def struct(record=None, **more) -> str:
    """A record of int8_params, and further fields -> the initialiser of its C struct; what is text stays as it is."""
    values = {field.name: getattr(record, field.name) for field in fields(record)} if record else {}
    texts = [f".{name} = {value if isinstance(value, str) else struct(value) if is_dataclass(value) else literal(value)}"
             for name, value in {**values, **more}.items()]
    return f"{{ {', '.join(texts)} }}"


def channels(prefix: str, p) -> str:
    """npgru_channels, its arrays named prefix_multiplier and prefix_shift."""
    return struct(x_zero_point=p.x_zero_point, y_zero_point=p.y_zero_point, y_min=p.y_min, y_max=p.y_max,
                  multiplier=f"{prefix}_multiplier", shift=f"{prefix}_shift")


class Layers:
    """The arrays of one form, and the initialisers of its layers."""

    def __init__(self):
        self.arrays = {}

    def named(self, name: str, values) -> str:
        self.arrays[name] = np.ascontiguousarray(values)
        return name

    def stage(self, layer, exact) -> str:
        s, name = layer.stage, layer.name
        return struct(zero=s.zero, low=s.low, high=s.high, bias=self.named(f"{name}_bias", s.bias[exact].astype(np.int32)),
                      multiplier=self.named(f"{name}_multiplier", s.multiplier[exact].astype(np.int32)),
                      shift=self.named(f"{name}_shift", s.shift[exact].astype(np.int8)))

    def convolution(self, layer, fast, exact, **sizes) -> str:
        """The initialiser of npgru_conv, npgru_depthwise or npgru_pointwise.   exact: its channels of the exact form"""
        values = dict(sizes, channels=layer.channels, columns=layer.columns, ring_columns=layer.ring_columns,
                      n_exact=len(exact))
        if 0 < len(exact) < layer.channels:
            values |= {"exact": self.named(f"{layer.name}_exact", exact.astype(np.int16))}
        if len(exact):
            values |= {"w": self.named(f"{layer.name}_w", layer.w[exact]), "stage": self.stage(layer, exact)}
        return struct(**values, fast="0" if fast is None else self.named(f"{layer.name}_stream", fast))

    def gru(self, op, fast) -> str:
        sizes = {"in_features": op.arrays["w"].shape[1], "units": op.arrays["u"].shape[1]}
        if fast is not None:
            return struct(**sizes, fast_w=self.named("gru_w_stream", fast[0]), fast_u=self.named("gru_u_stream", fast[1]))
        p, state8 = op.record, op.settings["bits"] == 8
        for key in ("input", "state"):
            self.named(f"gru_{key}_multiplier", getattr(p, key).multiplier)
            self.named(f"gru_{key}_shift", getattr(p, key).shift)
        curves = {"sigmoid": p.sigmoid, "tanh": p.tanh}
        if state8:
            curves = {f"{name}_table": self.named(f"gru_{name}", table) for name, table in curves.items()}
        exact = struct(**sizes, input=channels("gru_input", p.input), state=channels("gru_state", p.state), gates=p.gates,
                       **curves, reset=p.reset, candidate=p.candidate, difference=p.difference, blend=p.blend, update=p.update)
        names = {key: self.named(f"gru_{key}", op.arrays[key]) for key in ("w", "u")}
        return struct(**sizes, exact=exact, **names, x_bias=self.named("gru_x_bias", op.arrays["bx"]),
                      h_bias=self.named("gru_h_bias", op.arrays["bh"]))

    def dense(self, op) -> str:
        N, D = op.arrays["w"].shape
        self.named(f"{op.name}_multiplier", op.record.multiplier)
        self.named(f"{op.name}_shift", op.record.shift)
        exact = struct(batch=1, in_features=D, out_features=N, channels=channels(op.name, op.record))
        return struct(exact=exact, w=self.named(f"{op.name}_w", op.arrays["w"]),
                      bias=self.named(f"{op.name}_bias", op.arrays["bias"]))

    def checksum(self) -> int:
        """CRC-32 of all arrays, little-endian."""
        crc = 0
        for values in self.arrays.values():
            crc = zlib.crc32(values.astype(values.dtype.newbyteorder("<")).tobytes(), crc)
        return crc


def body(network: Network, fast: dict, exact: dict) -> tuple[str, dict]:
    """npgru_model and its arrays in one form -> its text; and its arrays.

    fast    {layer's name: its stream, or None}          exact       {layer's name: its channels of the exact form}
    """
    layers = Layers()
    mean = mean_of_sum(network.mean.settings["x"], network.mean.y, network.n_steps)
    depthwise, pointwise = [], []
    for k, (first, second) in enumerate(network.blocks):
        depthwise.append(layers.convolution(first, fast[first.name], exact[first.name], in_zero=first.in_zero))
        pool = network.pool if k == len(network.blocks) - 1 else 0
        pointwise.append(layers.convolution(second, fast[second.name], exact[second.name], in_channels=second.w.shape[1],
                                            pair_words=network.pair_words(k), pool=pool))
    if not network.blocks:                                                        # only its sizes are read
        depthwise, pointwise = ["{ 0 }"], [struct(channels=network.conv.channels, columns=network.conv.columns,
                                                  ring_columns=network.conv.ring_columns, pool=network.pool)]
    members = {
        "conv": layers.convolution(network.conv, fast[network.conv.name], exact[network.conv.name],
                                   in_zero=network.conv.in_zero, **network.conv.sizes),
        "depthwise": listed(depthwise), "pointwise": listed(pointwise), "gru": layers.gru(network.gru, fast["gru"]),
        "mean": struct(mean), "dense": listed(layers.dense(op) for op in network.dense),
        "softmax": struct(network.softmax.record)}
    spans = ",\n".join(f"    {{ {name}, sizeof {name} }}" for name in layers.arrays)
    values = ",\n".join(f"    .{name} = {text}" for name, text in members.items())
    text = "\n".join([array(name, values) for name, values in layers.arrays.items()])
    text += f"\nstatic const npgru_span arrays[] = {{\n{spans}\n}};\n\nconst npgru_model_data npgru_model = {{\n"
    text += f"    .magic = NPGRU_MODEL_MAGIC, .check = 0x{layers.checksum():08x}u,\n"
    text += f"    .arrays = arrays, .n_arrays = {len(layers.arrays)},\n"
    return f"{text}{values}\n}};\n", layers.arrays


def listed(texts) -> str:
    return "{\n        " + ",\n        ".join(texts) + "\n    }"


def front_end_source(front_end) -> str:
    constants = tables(front_end)
    values = struct(window_len=front_end.window_len, window_stride=front_end.window_stride,
                    window_bits=front_end.window_scaling_bits, n_channels=front_end.mel_n_channels,
                    post_bits=front_end.mel_post_scaling_bits, pad_tail=front_end.pad_tail,
                    **{name: f"front_end_{name}" for name in TABLES})
    arrays = "\n".join(array(f"front_end_{name}", getattr(constants, name)) for name in TABLES)
    return f"#if NPGRU_FRONT_END\n{arrays}\nconst npgru_log_mel_params npgru_front_end = {values};\n#endif\n"


def rings_source(network: Network) -> str:
    starts = np.cumsum([0, *network.rings]).astype(np.int32)
    return f"const int32_t npgru_ring_start[NPGRU_RINGS + 1] = {{ {', '.join(map(str, starts))} }};\n"


def form_macros(network: Network, form: str, streams: dict, exact: dict, shifts: dict) -> str:
    """Which kernels a form needs: NPGRU_FAST_<kind>, NPGRU_PLAIN_<kind>; and what its fast ones have as constants."""
    names = {kind: [layer.name for layer in layers] for kind, layers in network.by_kind.items()} | {"GRU": ["gru"]}
    lines = []
    for kind in names:
        chosen = [streams[name] is not None for name in names[kind]]
        no_block, any_exact = kind == "POOL" and not chosen, any(len(exact.get(name, ())) for name in names[kind])
        lines += [f"#define NPGRU_FAST_{kind} {int(any(chosen))}",
                  f"#define NPGRU_PLAIN_{kind} {int(not all(chosen) or any_exact or no_block)}"]
    lines += [f"#define NPGRU_SHIFT_{kind} {shift}" for kind, shift in shifts.items()]
    lines.append(f"#define NPGRU_POOLED_WORDS {pooled_words(network, form)}")
    helium = helium_macros(network)
    if form != "HELIUM":
        helium = dict.fromkeys(helium, 0) | {"GROUP": GROUP}
    lines += [f"#define NPGRU_{name} {value}" for name, value in helium.items()]
    if streams["gru"] is not None:
        lines += [f"#define NPGRU_GRU_{field.name.upper()} {struct(getattr(network.gru.record, field.name))}"
                  for field in fields(network.gru.record) if field.name not in ("input", "state")]
    return "\n".join(lines)


def pooled_words(network: Network, form: str) -> int:
    """Two rows of the GRU's input, a byte or a halfword a value."""
    D = network.gru.arrays["w"].shape[1]
    return up_to_multiple(D, 8) // 2 if form == "ROWS" and device_rows.are_fast(network) else up_to_multiple(D, 16)


def feature_quantiser(record, most: int) -> dict[str, int | str]:
    """The macros of q = (f multiplier + half) >> shift, at most `most`, for f up to the first that gives `most`.

    In 32 bits, with a shorter multiplier, if all f give the same q; else in record's 64 bits.
    """
    f = np.arange(2**16)
    q = np.minimum((f * record.multiplier + (1 << record.shift >> 1)) >> record.shift, most)
    last = int(np.searchsorted(q, most))                    # beyond it f is taken for it
    last = min(max(last, 1), 2**16 - 1)
    multiplier, shift, suffix = record.multiplier, record.shift, "ULL"
    less = max(0, (last * multiplier + (1 << shift >> 1)).bit_length() - 32, shift - 31)
    short, rest = (multiplier + (1 << less >> 1)) >> less, shift - less
    if rest >= 0 and last * short + (1 << rest >> 1) < 2**32 and np.array_equal(
            np.minimum((f[:last + 1] * short + (1 << rest >> 1)) >> rest, most), q[:last + 1]):
        multiplier, shift, suffix = short, rest, "u"
    return {"FEATURES_LAST": last, "FEATURES_MULTIPLIER": f"{multiplier}{suffix}",
            "FEATURES_HALF": f"{1 << shift >> 1}{suffix}", "FEATURES_SHIFT": shift}


def sizes(integers: IntegerModel, network: Network) -> dict[str, str]:
    """The macros of npgru_model.h that no form changes."""
    fe, gru = integers.front_end, network.gru
    _, T, M, _ = clip_shape(integers)
    D, H, bits = gru.arrays["w"].shape[1], gru.arrays["u"].shape[1], gru.settings["bits"]
    scratch = 2 * (D + 6 * H) if bits == 16 else 6 * H
    rows = up_to_multiple(3 * H, 4)
    gru_words = max(-(-(scratch + D) // 4), (3 * rows + up_to_multiple(H, 4)) // 2)          # the exact form's, the fast one's
    pairs = max([network.pair_words(k) // 4 for k in range(len(network.blocks))], default=0)
    work = max([gru_words, 2 * GROUP * pairs, *device_rows.work_words(network), *helium_work_words(network)])
    features, logits = integers.operators[0], network.dense[-1].y
    slack = network.conv.ring_columns - network.conv.columns + 1        # columns that the fast kernel computes for nothing
    window = slack + network.conv.sizes["window_columns"] * network.inputs("CONV", network.conv) // 2
    values = {
        "SAMPLE_RATE_HZ": fe.sample_rate_hz, "CLIP_SAMPLES": round(integers.clip_s * fe.sample_rate_hz),
        "WINDOW_SAMPLES": fe.window_len, "WINDOW_STRIDE": fe.window_stride, "PAD_TAIL": int(fe.pad_tail),
        "HOP_SAMPLES": fe.window_stride * network.conv.sizes["stride_rows"], "FRAMES": T, "MELS": M,
        **feature_quantiser(features.record, 127 - features.y.zero_point), "FEATURES_ZERO": features.y.zero_point + 128,
        "BLOCKS": len(network.blocks), "RINGS": len(network.rings),
        "PAIRS": pairs, "CONV_ROW_WORDS": network.conv.sizes["window_columns"] // 2, "STEPS": network.n_steps,
        "UNITS": H, "STATE_BITS": bits,
        "DENSE_LAYERS": len(network.dense), "CLASSES": len(network.dense[-1].arrays["bias"]),
        "TAIL": max([H, *(len(op.arrays["bias"]) for op in network.dense)]), "WINDOW_WORDS": window,
        "RING_WORDS": sum(network.rings), "GRU_ROWS": rows,
        "NETWORK_WORK_WORDS": work, "WORK_WORDS": max(work, fe.window_len), "LOG_MEL": "npgru_log_mel_frame_pairs",
        "GRU_STEP": f"npgru_gru_step_s{bits}", "GRU_SCRATCH_BYTES": scratch}
    values |= {f"UNROLL_{kind}": unroll for kind, unroll in network.unroll.items()}
    values |= {f"TURNS_{kind}": network.turns(kind) for kind in network.unroll}
    known = {f"NPGRU_{name}": str(value) for name, value in values.items()}
    return known | {"NPGRU_LOGIT_SCALE": f"{float(logits.scale):.9g}f", "NPGRU_LOGIT_ZERO_POINT": str(logits.zero_point)}


def lowest_difference(integers: IntegerModel, threshold: float) -> int:
    """Of the target's int8 logit and the other: the difference from which on a clip's score is at least threshold, or 256.

    The score of `npgru detect` depends on nothing else and never falls with it: softmax of scale x (q - zero_point), whose
    differences are exact in float64. So the device decides as it does, in integers.
    """
    d = np.arange(-255, 256)
    codes = np.stack([-128 + np.maximum(-d, 0), -128 + np.maximum(d, 0)], axis=1)
    last = integers.operators[-2].name
    reached = target_score(real(integers, {last: codes}, last)) >= threshold
    return int(d[np.argmax(reached)]) if reached.any() else 256


def decision(integers: IntegerModel, threshold: float, origin: str) -> list[str]:
    """The lines of NPGRU_THRESHOLD; origin: where it comes from."""
    odds = np.exp(float(integers.operators[-2].y.scale))
    return [f"/* A score of at least {threshold:.6f} is a detection: {origin}. It is this difference of the logits, target - other;",
            f"   1 more asks for {odds:.3f} times the odds. Define it otherwise for another threshold. */", "#ifndef NPGRU_THRESHOLD",
            f"#define NPGRU_THRESHOLD {lowest_difference(integers, threshold)}", "#endif"]


def model_files(integers: IntegerModel, network: Network, about: str, threshold: float = 0.5, origin: str = EVEN) -> dict[str, str]:
    """{"npgru_model.h": text, "npgru_model.c": text}.

    about                a sentence on the network, for their heads
    threshold, origin    the score from which on a clip is a detection, and in words where that comes from
    """
    macros = sizes(integers, network)
    magic = zlib.crc32(repr(macros).encode())
    header = [f"/* Sizes of the network, written by npgru export.\n   {about} */", "#ifndef NPGRU_MODEL_H",
              "#define NPGRU_MODEL_H", "",
              '#include "form.h"', "", f"#define NPGRU_MODEL_MAGIC 0x{magic:08x}u"]
    header += [f"#define {name} {value}" for name, value in macros.items()]
    header += ["", *decision(integers, threshold, origin)]
    source = [f"/* The network's numbers, in the order of the kernels; written by npgru export.\n   {about} */",
              '#include "npgru.h"', "",
              rings_source(network), front_end_source(integers.front_end)]
    for k, (form, arrays) in enumerate(FORMS.items()):
        condition = "#else" if form == "PLAIN" else f"#{'el' if k else ''}if NPGRU_FORM == NPGRU_{form}"
        streams, shifts = arrays(network)
        exact = exact_channels(network, form, streams)
        header += ["", condition, form_macros(network, form, streams, exact, shifts)]
        source += [condition, "", body(network, streams, exact)[0]]
    return {"npgru_model.h": "\n".join([*header, "#endif", "", "#endif", ""]),
            "npgru_model.c": "\n".join([*source, "#endif", ""])}
