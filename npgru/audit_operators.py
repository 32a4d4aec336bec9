"""Random and extreme cases of every integer operator: for the specification, for C, and as a model of one operator.

A case is drawn from a Generator: shapes down to 1, zero points at both ends, codes that saturate, scales whose ratio
reaches from an output of zeros to one of clamped codes.
"""
from dataclasses import dataclass, field

import numpy as np

from . import int8, int8_gru, int8_nonlinear, kernels_int8
from .int8_params import (LIMITS, Quantisation, channels, curve, features, mean_of, product_of, rescale, softmax_of, sum_of)
from .int8_reference import geometry
from .layers.fake_quant import WEIGHT_MAX
from .tally import Tally
from .tflite_writer import Graph, write_tflite
from .witnesses import RUNTIMES, Session

KINDS = ["uniform", "uniform", "uniform", "lowest", "highest", "ends", "near zero point"]


@dataclass(frozen=True)
class Case:
    """operator: its name in int8_reference and kernels_int8; model: bytes of a .tflite file, None where there is no such
    operator; fed: its inputs."""
    operator: str
    arguments: tuple
    model: bytes | None = None
    fed: tuple = ()
    settings: dict = field(default_factory=dict)


def codes(rng, shape, kind, bits=8, zero_point=0):
    """Codes of an activation, int8, int16 or int32.   kind: of KINDS"""
    low, high = LIMITS[bits] if bits != 32 else (-2**31, 2**31 - 1)
    dtype = np.dtype(f"int{bits}")
    if kind == "near zero point":
        return np.clip(zero_point + rng.integers(-3, 4, shape), low, high).astype(dtype)
    if kind == "ends":
        return rng.choice(np.array([low, high, zero_point], dtype), shape)
    uniform = rng.integers(low, high, shape, dtype=dtype, endpoint=True)
    return {"uniform": uniform, "lowest": np.full(shape, low, dtype), "highest": np.full(shape, high, dtype)}[kind]


def weights(rng, shape, kind):
    """int8 weights, symmetric: −127..127."""
    if kind in ("lowest", "highest", "ends"):
        ends = {"lowest": [-WEIGHT_MAX], "highest": [WEIGHT_MAX], "ends": [-WEIGHT_MAX, WEIGHT_MAX]}[kind]
        return rng.choice(np.int8(ends), shape)
    return rng.integers(-WEIGHT_MAX, WEIGHT_MAX + 1, shape, dtype=np.int8)


def single(code, version, inputs, constants, output, **options) -> bytes:
    """A model of one operator.

    inputs     [(shape, dtype, Quantisation)] fed at run time
    constants  [array, or (array, scale, axis), or None: left out], after the inputs
    output     (shape, dtype, Quantisation)
    """
    graph = Graph()
    fed = tuple(graph.tensor(shape, dtype, q.scale, q.zero_point) for shape, dtype, q in inputs)
    fixed = []
    for constant in constants:
        if constant is not None:
            array, scale, axis = constant if isinstance(constant, tuple) else (constant, None, 0)
            fixed.append(graph.constant(array, scale, axis=axis))
    shape, dtype, q = output
    y = graph.tensor(shape, dtype, q.scale, q.zero_point)
    graph.operator(code, version, [*fed, *fixed], [y], **options)
    graph.inputs, graph.outputs = fed, (y,)
    return write_tflite([graph])


def quantisation(rng, bits=8, log2_scale=None) -> Quantisation:
    """A float32 scale, now and then a power of two; an int8 zero point, often at an end."""
    log2 = rng.uniform(-12, 4) if log2_scale is None else log2_scale
    zero_point = int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])) if bits == 8 else 0
    return Quantisation(np.float32(2.0**(np.floor(log2) if rng.random() < 0.2 else log2)), zero_point)


def beside(rng, q: Quantisation, low, high, bits=8) -> Quantisation:
    """A quantisation whose scale is 2^low to 2^high times that of q."""
    return quantisation(rng, bits, np.log2(q.scale) + rng.uniform(low, high))


def of(rng, shape, q, bits=8):
    return codes(rng, shape, rng.choice(KINDS), bits, q.zero_point)


def convolution(rng, depthwise: bool) -> Case:
    size, kernel, stride = (tuple(rng.integers(1, n, 2).tolist()) for n in (10, 5, 4))
    B, C, N = rng.integers(1, 3), rng.integers(1, 7), rng.integers(1, 7)
    N, x, y = C if depthwise else N, quantisation(rng), quantisation(rng)
    filling = 2.0**rng.uniform(-6, 6) * float(y.scale) / float(x.scale) / (64 * np.sqrt(np.prod(kernel) * (1 if depthwise else C)))
    w_scale = (filling * 2.0**rng.uniform(-3, 3, N)).astype(np.float32)
    x_q, w = of(rng, (B, *size, C), x), weights(rng, kernel + (C,) if depthwise else (N, *kernel, C), rng.choice(KINDS))
    bias, activation = rng.integers(-2**20, 2**20, N).astype(np.int32), str(rng.choice(["none", "relu", "relu6"]))
    (T, _, _), (M, _, _) = geometry(x_q.shape, kernel, stride, "same")
    constants = [(w[None], w_scale, 3) if depthwise else (w, w_scale, 0), (bias, x.scale * w_scale, 0)]
    code, special = ("DEPTHWISE_CONV_2D", {"depth_multiplier": 1}) if depthwise else ("CONV_2D", {})
    model = single(code, 3, [(x_q.shape, "int8", x)], constants, ((B, T, M, N), "int8", y), padding="same",
                   stride_t=stride[0], stride_m=stride[1], activation=activation, **special)
    return Case("depthwise2d_s8" if depthwise else "conv2d_s8", (x_q, w, bias, channels(x, w_scale, y, activation)), model,
                (x_q,), {"stride": stride})


def dense(rng, bits: int) -> Case:
    B, D, N = rng.integers(1, 5), rng.integers(1, 71), rng.integers(2, 10)
    x, y = quantisation(rng, bits), quantisation(rng, bits)
    filling = 2.0**(rng.uniform(-6, 6) - (bits - 8)) * float(y.scale) / float(x.scale) / (64 * np.sqrt(D))
    w_scale = (filling * 2.0**rng.uniform(-3, 3, N)).astype(np.float32)
    x_q, w = of(rng, (B, D), x, bits), weights(rng, (N, D), rng.choice(KINDS))
    bias = rng.integers(-2**20, 2**20, N).astype(np.int32 if bits == 8 else np.int64)
    model = single("FULLY_CONNECTED", 5, [((B, D), f"int{bits}", x)], [(w, w_scale, 0), (bias, x.scale * w_scale, 0)],
                   ((B, N), f"int{bits}", y), activation="none")
    return Case(f"dense_s{bits}", (x_q, w, bias, channels(x, w_scale, y, bits=bits)), model, (x_q,))


def sum_or_difference(rng, bits: int, code: str) -> Case:
    n, x1 = rng.integers(1, 300), quantisation(rng, bits)
    x2, y = beside(rng, x1, -6, 6, bits), beside(rng, x1, -3, 8, bits)
    a, b = of(rng, (1, n), x1, bits), of(rng, (1, n), x2, bits)
    model = single(code, 2, [(a.shape, f"int{bits}", q) for q in (x1, x2)], [], (a.shape, f"int{bits}", y), activation="none",
                   pot_scale_int16=False)
    return Case(code.lower(), (a, b, sum_of(x1, x2, y, bits=bits)), model, (a, b))


def product(rng, bits: int) -> Case:
    """The second scale is a power of two, as in a GRU: then all runtimes divide alike (tests/conformance/test_multipliers.py)."""
    n, x1, x2 = rng.integers(1, 300), quantisation(rng, bits), Quantisation(np.float32(2.0**rng.integers(-15, 3)))
    y = Quantisation(np.float32(float(x1.scale) * float(x2.scale) * 2.0**(bits + rng.integers(-4, 5))))
    a, b = of(rng, (1, n), x1, bits), of(rng, (1, n), x2, bits)
    model = single("MUL", 2, [(a.shape, f"int{bits}", q) for q in (x1, x2)], [], (a.shape, f"int{bits}", y), activation="none")
    return Case("mul", (a, b, product_of(x1, x2, y, bits=bits)), model, (a, b))


def average(rng, bits: int) -> Case:
    B, n, C, x = rng.integers(1, 3), int(rng.choice([1, 17, rng.integers(1, 600)])), rng.integers(1, 9), quantisation(rng, bits)
    y = beside(rng, x, -4, 4, bits)
    x_q = of(rng, (B, n, C), x, bits)
    model = single("MEAN", 2, [(x_q.shape, f"int{bits}", x)], [np.array(1, np.int32)], ((B, C), f"int{bits}", y))
    return Case("mean", (x_q, mean_of(x, y, n, bits)), model, (x_q,))


def pool(rng) -> Case:
    size, C, x = rng.integers(4, 12, 2), rng.integers(1, 6), quantisation(rng)
    kernel, x_q = tuple(rng.integers(1, 5, 2).tolist()), of(rng, (1, *size, C), x)
    (T, _, _), (M, _, _) = geometry(x_q.shape, kernel, kernel, "valid")
    model = single("MAX_POOL_2D", 2, [(x_q.shape, "int8", x)], [], ((1, T, M, C), "int8", x), padding="valid", stride_t=kernel[0],
                   stride_m=kernel[1], kernel_t=kernel[0], kernel_m=kernel[1], activation="none")
    return Case("max_pool_s8", (x_q, kernel), model, (x_q,))


def rescaling(rng, bits: int) -> Case:
    n, x = rng.integers(1, 300), quantisation(rng, bits)
    y = beside(rng, x, -4 + 0.5 * (bits == 32), 4 + 10 * (bits == 32))
    x_q = of(rng, (1, n), x, bits)
    x_q = x_q >> x_q.dtype.type(rng.integers(0, 31) if bits == 32 else 0)
    model = single("QUANTIZE", 1, [(x_q.shape, f"int{bits}", x)], [], (x_q.shape, "int8", y))
    return Case("quantize", (x_q, rescale(x, y)), model, (x_q,))


def features_to_codes(x: Quantisation) -> Case:
    """Every value that a feature can have."""
    return Case("quantize_features", (np.arange(65536).astype(np.uint16), features(*x)))


def feature_codes(rng) -> Quantisation:
    """A scale that the network's input may have; one in two with the 16 significant bits that training gives it."""
    scale = np.float32(2.0**rng.uniform(-9, 16))
    mantissa, exponent = np.frexp(np.float64(scale))
    rounded = np.float32(np.ldexp(np.ceil(mantissa * 2**16), exponent - 16))
    return Quantisation(rounded if rng.random() < 0.5 else scale, int(rng.integers(-128, 128)))


def curve_s16(rng, code: str) -> Case:
    """Every code; scales next to the powers of two that the runtimes treat apart, too."""
    x = Quantisation(np.float32(2.0**(rng.choice([-12, -11]) + rng.uniform(-2e-3, 2e-3) if rng.random() < 0.3 else
                                      rng.uniform(-16, 2.4))))
    x_q = np.arange(-32768, 32768).astype(np.int16)[None]
    model = single(code, 2, [(x_q.shape, "int16", x)], [], (x_q.shape, "int16", int8_nonlinear.CURVE_S16))
    return Case(f"{code.lower()}_s16", (x_q, curve(x, code)), model, (x_q,))


def table_s8(rng, code: str) -> Case:
    """Every code. Scales up to 1: beyond, TFLite Micro's exponential is another."""
    x, x_q = quantisation(rng, 8, rng.uniform(-14, 0)), np.arange(-128, 128).astype(np.int8)[None]
    y, table = {"LOGISTIC": (int8_nonlinear.LOGISTIC_S8, int8_nonlinear.logistic_table_s8),
                "TANH": (int8_nonlinear.TANH_S8, int8_nonlinear.tanh_table_s8)}[code]
    model = single(code, 2, [(x_q.shape, "int8", x)], [], (x_q.shape, "int8", y))
    return Case("lookup_s8", (x_q, table(x)), model, (x_q,))


def softmax(rng) -> Case:
    x, rows, K = quantisation(rng, 8, rng.uniform(-20, 8)), rng.integers(1, 5), int(rng.choice([1, 2, rng.integers(1, 512)]))
    x_q = of(rng, (rows, K), x)
    model = single("SOFTMAX", 2, [(x_q.shape, "int8", x)], [], (x_q.shape, "int8", int8_nonlinear.SOFTMAX_S8), beta=1.0)
    return Case("softmax_s8", (x_q, softmax_of(x)), model, (x_q,))


def gru_step(rng, bits: int) -> Case:
    B, D, H = rng.integers(1, 4), rng.integers(1, 41), rng.integers(1, 18)
    x, log2 = quantisation(rng, 8, rng.uniform(-8, 0)), (-7, -3) if bits == 8 else (-15, -10)
    gates = [Quantisation(np.float32(2.0**rng.uniform(*log2))) for _ in range(4)]
    q = int8_gru.quantisation_s16(*(g.scale for g in gates)) if bits == 16 else int8_gru.GruQuantisation(
        *gates[:3], gates[1], gates[3], *map(Quantisation, (1 / 64, 1 / 64, 1 / 128)))
    w_scale, u_scale = (np.float32(2.0**rng.uniform(-10, -5, 3 * H)) for _ in range(2))
    w, u = weights(rng, (3 * H, D), "uniform"), weights(rng, (3 * H, H), "uniform")
    bx, bh = rng.integers(-3000, 3000, (2, 3 * H)).astype(np.int64 if bits == 16 else np.int32)
    arguments = of(rng, (B, D), x), of(rng, (B, H), q.h, bits), w, u, bx, bh, int8_gru.gru_of(x, w_scale, u_scale, q, bits)
    return Case(f"gru_step_s{bits}", arguments)


OPERATORS = {
    "CONV_2D int8": lambda rng: convolution(rng, False), "DEPTHWISE_CONV_2D int8": lambda rng: convolution(rng, True),
    "MAX_POOL_2D int8": pool, "features to int8": lambda rng: features_to_codes(feature_codes(rng)), "SOFTMAX int8": softmax,
    **{f"FULLY_CONNECTED int{bits}": lambda rng, bits=bits: dense(rng, bits) for bits in (8, 16)},
    **{f"{code} int{bits}": lambda rng, bits=bits, code=code: sum_or_difference(rng, bits, code)
       for code in ("ADD", "SUB") for bits in (8, 16)},
    **{f"MUL int{bits}": lambda rng, bits=bits: product(rng, bits) for bits in (8, 16)},
    **{f"MEAN int{bits}": lambda rng, bits=bits: average(rng, bits) for bits in (8, 16)},
    **{f"QUANTIZE int{bits}": lambda rng, bits=bits: rescaling(rng, bits) for bits in (8, 16, 32)},
    **{f"{code} int16": lambda rng, code=code: curve_s16(rng, code) for code in ("LOGISTIC", "TANH")},
    **{f"{code} int8": lambda rng, code=code: table_s8(rng, code) for code in ("LOGISTIC", "TANH")},
    **{f"GRU step int{bits}": lambda rng, bits=bits: gru_step(rng, bits) for bits in (8, 16)}}
IN_RUNTIMES = [name for name in OPERATORS if not name.startswith(("features", "GRU"))]


def specified(case: Case, profile: str = "tflm"):
    """What the specification says."""
    operators = vars(int8_nonlinear) | vars(int8.operators_of("numpy", profile))
    return operators[case.operator](*case.arguments, **case.settings)


def check_c(name: str, n_cases: int, seed: int) -> Tally:
    """C against the specification."""
    rng, tally = np.random.default_rng(seed), Tally()
    for k in range(n_cases):
        case = OPERATORS[name](rng)
        tally.compare(getattr(kernels_int8, case.operator)(*case.arguments, **case.settings), specified(case), f"case {k}")
    return tally


def check_runtime(name: str, n_cases: int, seed: int, runtime: str) -> Tally:
    """A runtime's reference kernels against the specification under its profile."""
    rng, tally = np.random.default_rng(seed), Tally()
    for k in range(n_cases):
        case = OPERATORS[name](rng)
        found, = Session(runtime, case.model).run(*case.fed)
        tally.compare(found, specified(case, RUNTIMES[runtime].profile), f"case {k}")
    return tally
