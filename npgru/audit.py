"""Every claim that the package makes about its numbers, checked before the reader's eyes: the rows of a table.

    claims          of the package: gradients, features, C against NumPy, integers against the runtimes
    claims_of_model     of one .tflite file: its own integers, on random clips and on the user's

A claim has a witness, someone who computes the same on another way; the worst difference must not exceed its limit. A
witness that is not installed is a row that says so.
"""
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from . import audit_layers, audit_network, audit_operators, checkpoint, compress, features, fixed_point, int8, kernels, model
from .bench_int8 import features_like_real_ones
from .export_tflite import check
from .front_end import FrontEnd
from .int8 import IntegerModel
from .model import NetworkConfig
from .tally import Tally
from .witnesses import RUNTIMES, why_absent

N_CASES = 60
# Differences that are allowed; tests/tolerances.py has the reasons of those that tests share.
GRADIENT_REL_ERROR, NETWORK_GRADIENT_REL_ERROR, C_LAYER_REL_ERROR = 1e-7, 1e-6, 1e-5
FLOAT_LOG_MEL_UNITS, LOGIT_STEPS = 52, 2
MICRO_TABLE_CODES = 1           # LOGISTIC and TANH on int8 in tflite-micro, whose exponential is another
OTHER_KERNELS_CODES = 7         # of a probability, kernels that round otherwise


@dataclass(frozen=True)
class Claim:
    """check: the work, None where the witness is absent; limit: the largest difference allowed, in unit."""
    text: str
    witness: str
    check: Callable[[], Tally] | None
    limit: float = 0
    absent: str = ""


@dataclass(frozen=True)
class Row:
    """One claim after its check; verdict "holds", "FAILS: ..." or why there was none."""
    claim: str
    witness: str
    cases: int
    worst: float | None
    verdict: str

    @property
    def failed(self) -> bool:
        return self.verdict.startswith("FAILS")


def checked(claim: Claim) -> Row:
    """Do the work. What goes wrong inside is a claim that fails, not an end of the audit."""
    if claim.check is None:
        return Row(claim.text, claim.witness, 0, None, claim.absent)
    try:
        tally = claim.check()
    except (ValueError, TypeError, AssertionError, RuntimeError, ArithmeticError, LookupError) as error:
        return Row(claim.text, claim.witness, 0, None, f"FAILS: {type(error).__name__}: {' '.join(str(error).split())}")
    holds = tally.cases > 0 and tally.worst <= claim.limit
    verdict = "holds" if holds else f"FAILS: at most {claim.limit:g} allowed; {tally.place or 'nothing was compared'}"
    return Row(claim.text, claim.witness, tally.cases, tally.worst, verdict)


def claims(n_cases: int = N_CASES, seed: int = 0) -> Iterator[Claim]:
    """All of the package.   n_cases: of an operator, a layer a few; seed: of what is drawn"""
    few, differences = max(2, n_cases // 8), "central differences"
    for name in audit_layers.GRADIENTS:
        yield Claim(f"gradient of {name}", differences, partial(audit_layers.check_gradients, name, few, seed), GRADIENT_REL_ERROR)
    yield Claim("gradient of a whole network", differences, partial(audit_layers.check_network_gradients, 1, seed),
                NETWORK_GRADIENT_REL_ERROR)
    yield Claim("multipliers and roundings of integers", "Python's integers", partial(check_primitives, 50 * n_cases, seed))
    yield Claim("features to int8, all 65 536 values", "exact fractions", partial(check_feature_codes, n_cases, seed))
    yield in_c("features of sound", check_features, n_cases, seed)
    yield Claim("features in integers, units of 1/64", "the same in floats", partial(check_float_features, n_cases, seed),
                FLOAT_LOG_MEL_UNITS)
    for name in audit_operators.OPERATORS:
        yield in_c(name, partial(audit_operators.check_c, name), n_cases, seed)
    for name in audit_layers.C_LAYERS:
        yield in_c(f"training of {name}, float32", partial(audit_layers.check_c_layer, name), few, seed, "NumPy in float64",
                   C_LAYER_REL_ERROR)
    yield Claim("steps of the logits: fake-quantised", "the integers", partial(check_fake_quantised, few, seed), LOGIT_STEPS)
    for bits in (8, 16):
        yield in_c(f"a whole network, int{bits} state, every tensor", partial(check_networks_in_c, bits), few, seed)
    for runtime in RUNTIMES:
        yield from claims_of_runtime(runtime, n_cases, seed)


def in_c(text, check, n_cases, seed, witness="NumPy specification", limit=0.0) -> Claim:
    """A claim about C."""
    work = partial(check, n_cases, seed) if kernels.AVAILABLE else None
    return Claim(f"C: {text}", witness, work, limit, f"not built: {kernels.MISSING}")


def claims_of_runtime(runtime: str, n_cases: int, seed: int) -> Iterator[Claim]:
    """Operators and whole networks in one of the witnesses."""
    if absent := why_absent(runtime):
        yield Claim("integer operators and whole networks", runtime, None, absent=absent)
        return
    for name in audit_operators.IN_RUNTIMES:
        limit = MICRO_TABLE_CODES if runtime == "tflite-micro" and name in ("LOGISTIC int8", "TANH int8") else 0
        yield Claim(name, runtime, partial(audit_operators.check_runtime, name, n_cases, seed, runtime), limit)
    for bits in (8, 16):
        yield Claim(f"a whole network, int{bits} state, every tensor", runtime,
                    partial(check_networks_in_runtime, bits, max(2, n_cases // 8), seed, runtime))


def random_integers(rng, n):
    """n int32 values, corners among them."""
    corners = np.array([0, 1, -1, 2**30, -2**30, 2**31 - 1, -2**31, 2**31 - 2**15, 32767, -32768])
    return np.where(rng.random(n) < 0.2, rng.choice(corners, n), rng.integers(-2**31, 2**31, n) >> rng.integers(0, 31, n))


def away_from_zero(x: Fraction) -> int:
    """The nearest whole number, halves away from zero."""
    return int(abs(x) + Fraction(1, 2)) * (1 if x >= 0 else -1)


def check_primitives(n_cases: int, seed: int) -> Tally:
    """fixed_point.py against its formulas in whole numbers of any size."""
    rng, tally = np.random.default_rng(seed), Tally()
    x, y, q = random_integers(rng, n_cases), random_integers(rng, n_cases), rng.integers(2**30, 2**31, n_cases)
    d, e, shift, shift64 = 2.0**rng.uniform(-30, 30, n_cases), *(rng.integers(low, high, n_cases) for low, high in
                                                                ((0, 32), (-31, 32), (-31, 15)))
    found = {"srdhm": fixed_point.srdhm(x, y), "rdp": fixed_point.rdp(x, e), "mbq": fixed_point.mbq(x, q, shift),
             "mbq64": fixed_point.mbq64(x, q, shift64), "quantize_multiplier": fixed_point.quantize_multiplier(d)[0]}
    shift_of_d = fixed_point.quantize_multiplier(d)[1]
    for k in range(n_cases):
        a, b, q_k, s = int(x[k]), int(y[k]), int(q[k]), int(shift[k])
        product = a * b + (2**30 if a * b >= 0 else 1 - 2**30)
        wrapped = (a * 2**max(s, 0) + 2**31) % 2**32 - 2**31
        upper = min((q_k + 2**15) >> 16, 2**15 - 1)
        exact = {"srdhm": min(abs(product) // 2**31 * (1 if product >= 0 else -1), 2**31 - 1),
                 "rdp": away_from_zero(Fraction(a, 2**int(e[k]))),
                 "mbq": away_from_zero(Fraction((wrapped * q_k + 2**30) // 2**31, 2**max(-s, 0))),
                 "mbq64": (a * upper + 2**(14 - int(shift64[k]))) // 2**(15 - int(shift64[k])),
                 "quantize_multiplier": away_from_zero(Fraction(float(d[k])) * Fraction(2)**(31 - int(shift_of_d[k])))}
        for name, value in exact.items():
            tally.note(abs(int(found[name][k]) - value), f"{name} of {a}, {b}, {q_k}, {s}")
    return tally


def check_feature_codes(n_cases: int, seed: int) -> Tally:
    """min(127, min(floor(f / scale + 1/2), 255) + zero point), in whole numbers, of every f."""
    rng, tally, f = np.random.default_rng(seed), Tally(), np.arange(65536)
    for _ in range(n_cases):
        x = audit_operators.feature_codes(rng)
        case = audit_operators.features_to_codes(x)
        N, D = float(x.scale).as_integer_ratio()
        whole = np.minimum((2 * f * D + N) // (2 * N), 255)                             # 2 f D < 2^63: scale >= 2^-10
        tally.compare(audit_operators.specified(case), np.minimum(whole + x.zero_point, 127).astype(np.int8), f"scale {x.scale!r}")
    return tally


def sounds(rng, n_samples: int):
    """One clip after another, int16: silence, full scale, an impulse, steps, and noise of every loudness."""
    t = np.arange(n_samples)
    yield from (np.zeros(n_samples, np.int16), np.full(n_samples, -32768, np.int16), np.where(t % 2, 32767, -32768).astype(np.int16),
                np.where(t == n_samples // 2, 32767, 0).astype(np.int16), np.where(t // 97 % 2, 32767, -32768).astype(np.int16))
    while True:
        loudness, song = 2.0**rng.uniform(0, 15), np.sin(2 * np.pi * rng.uniform(50, 7900) * t / 16000)
        yield np.clip(loudness * (rng.random() * rng.standard_normal(n_samples) + song), -32768, 32767).astype(np.int16)


def check_features(n_cases: int, seed: int) -> Tally:
    """C against NumPy, both front ends."""
    tally = Tally()
    for front_end in (FrontEnd.paper(), FrontEnd.baseline()):
        for k, samples in zip(range(n_cases), sounds(np.random.default_rng(seed), 32000)):
            found, expected = (features.log_mel(samples, front_end, backend) for backend in ("c", "numpy"))
            tally.compare(found, expected, f"sound {k}")
    return tally


def check_float_features(n_cases: int, seed: int) -> Tally:
    """The fixed point against floats, where a band is not near silence: few-bit roots are coarse there."""
    tally, front_end = Tally(), FrontEnd.paper()
    for k, samples in zip(range(n_cases), sounds(np.random.default_rng(seed), 32000)):
        expected = features.float_log_mel(samples, front_end).astype(np.float64)
        loud = expected > 64 * np.log(64)
        if loud.any():
            tally.note(np.abs(features.log_mel(samples, front_end) - expected)[loud].max(), f"sound {k}")
    return tally


def fake_network(rng):
    """A fake-quantised network of random sizes and weights, and clips for it; of those that export accepts."""
    while True:
        config = NetworkConfig(conv_filters=int(rng.integers(1, 10)), block_filters=rng.integers(1, 10, rng.integers(0, 4)).tolist(),
                               gru_units=int(rng.integers(1, 10)), dense_units=int(rng.integers(2, 10)))
        x, layers = features_like_real_ones(32, (84, 32), rng), model.build(config, 32)
        params, stats = model.init(layers, rng)
        for _ in range(3):
            stats = model.forward(layers, params, stats, x.astype(np.float32), rng)[2]
        about = FrontEnd.paper(), ("Negatives", "Target"), 2.0
        trained = checkpoint.Model(layers, params, stats, *about)
        fake = checkpoint.Model(*compress.quantisable(trained, x, compress.QuantisationConfig()), *about)
        try:
            check(int8.freeze(fake, 8))
            return fake, with_extremes(x[:3])
        except ValueError:                                  # a layer that is all zeros: nothing to compare
            continue


def with_extremes(x):
    """Clips, and the darkest and the loudest that there can be."""
    return np.concatenate([x, np.zeros_like(x[:1]), np.full_like(x[:1], 65535)])


def check_fake_quantised(n_cases: int, seed: int) -> Tally:
    """Logits that training sees against those of the integers, in steps of their scale."""
    rng, tally = np.random.default_rng(seed), Tally()
    for k in range(n_cases):
        fake, x = fake_network(rng)
        integers = int8.freeze(fake)
        steps = np.abs(int8.logits(integers, x) - model.predict(fake.layers, fake.params, fake.stats, x))
        tally.note(steps.max() / integers.operators[-2].y.scale, f"network {k}")
    return tally


def check_networks_in_c(bits: int, n_cases: int, seed: int) -> Tally:
    rng, tally = np.random.default_rng(seed), Tally()
    for _ in range(n_cases):
        fake, x = fake_network(rng)
        tally.add(compared_in_c(int8.freeze(fake, bits), x))
    return tally


def compared_in_c(integers: IntegerModel, x) -> Tally:
    """Every tensor: operator by operator, and the network in one call."""
    tally, expected = Tally(), int8.run(integers, x, "numpy")
    by_operator, at_once = int8.run(integers, x, "c"), int8.codes(integers, x, list(expected), "c")
    for name, codes in expected.items():
        tally.compare(by_operator[name], codes, name)
        tally.compare(at_once[name], codes, f"{name}, in one call")
    return tally


def check_networks_in_runtime(bits: int, n_cases: int, seed: int, runtime: str) -> Tally:
    rng, tally = np.random.default_rng(seed), Tally()
    for _ in range(n_cases):
        fake, x = fake_network(rng)
        tally.add(compared_in_runtime(int8.freeze(fake, bits), x, runtime))
    return tally


def compared_in_runtime(integers: IntegerModel, x, runtime: str) -> Tally:
    """Every tensor of clip 0, probabilities of all in both forms, and the form of one step."""
    profile, tally = RUNTIMES[runtime].profile, Tally()
    codes = int8.run(integers, x, "numpy" if profile != "tflm" else None, profile)
    tally.add(audit_network.check_all_tensors(integers, codes, runtime, profile))
    for gru in ("while", "unrolled"):
        tally.add(audit_network.check_clip_form(integers, codes, runtime, gru))
    tally.add(audit_network.check_step_form(integers, {name: array[:1] for name, array in codes.items()}, runtime))
    return tally


def claims_of_model(content: bytes, integers: IntegerModel, clips: dict[str, np.ndarray]) -> Iterator[Claim]:
    """Of a .tflite file and the network in it.   clips: {what they are: features (N, T, M) uint16}"""
    for what, x in clips.items():
        if kernels.AVAILABLE:
            yield Claim(f"C: every tensor, {what}", "NumPy specification", partial(compared_in_c, integers, x))
    for runtime in RUNTIMES:
        absent = why_absent(runtime)
        if absent:
            yield Claim("the file's integers", runtime, None, absent=absent)
            continue
        for what, x in clips.items():
            yield Claim(f"the file's integers, {what}", runtime, partial(compared_file, content, integers, x, runtime))
            yield Claim(f"every tensor and form, {what}", runtime, partial(compared_in_runtime, integers, x[:8], runtime))
            for resolver in RUNTIMES[runtime].resolvers[1:]:
                yield Claim(f"the file's integers, {what}, {resolver} kernels", runtime,
                            partial(compared_file, content, integers, x, runtime, resolver), OTHER_KERNELS_CODES)


def compared_file(content: bytes, integers: IntegerModel, x, runtime: str, resolver: str = "reference") -> Tally:
    """The outputs of the file itself."""
    profile = RUNTIMES[runtime].profile
    codes = int8.run(integers, x, "numpy" if profile != "tflm" else None, profile)
    return audit_network.check_file(content, codes, runtime, resolver)
