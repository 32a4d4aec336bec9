"""A whole integer network in one call of C: every form equals int8.run, integer for integer, in every tensor."""
import os
import shutil
import subprocess
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from test_int8 import SIZES, clips, quantised, trained
from test_kernels_int8 import CSRC, WARNINGS

from npgru import int8, kernels
from npgru.int8_params import LIMITS, Channels
from npgru.kernels_int8_host import HostNetwork, running_forms
from npgru.model import NetworkConfig

pytestmark = pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")


def assert_equal(expected, found):
    assert expected.keys() == found.keys()
    for name, codes in expected.items():
        assert codes.dtype == found[name].dtype and np.array_equal(codes, found[name]), name


def random_network(rng, bits):
    """A frozen network of odd sizes, and clips for it (5, T, M)."""
    size = partial(rng.integers, endpoint=True)
    T, M, stride_m = int(size(1, 90)), int(size(4, 32)), int(size(1, 3))
    config = NetworkConfig(
        conv_filters=int(size(1, 40)), conv_kernel=size(1, 10, 2).tolist(), conv_stride=(int(size(1, 6)), stride_m),
        block_filters=size(1, 40, size(0, 3)).tolist(), pool_size=int(size(1, -(-M // stride_m))),
        gru_units=int(size(1, 20)), dense_units=int(size(1, 20)))
    x = np.resize(clips(rng, 8), (8, T, M))
    try:
        integers = int8.freeze(quantised(trained(config, x, rng), x), bits)
    except ValueError:                              # a layer whose outputs are all 0 cannot be frozen: draw another
        return random_network(rng, bits)
    x[0], x[1, ::2] = rng.integers(0, 65536, (T, M)), 65535
    return integers, x[:5]


@pytest.mark.parametrize("form", running_forms())
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("config", SIZES)
def test_every_tensor_of_whole_networks(config, bits, form, rng):
    integers = int8.freeze(quantised(trained(config, clips(rng, 16), rng), clips(rng, 32)), bits)
    x = clips(rng, 5)
    x[0], x[1, ::2] = 0, 65535
    expected = int8.run(integers, x, "numpy")
    assert_equal(expected, HostNetwork(integers.operators, form).codes(x, list(expected)))


@pytest.mark.parametrize("form", running_forms())
@pytest.mark.parametrize("seed", range(15))
def test_networks_of_random_sizes(seed, form):
    integers, x = random_network(np.random.default_rng(seed), 16 if seed % 3 else 8)
    expected = int8.run(integers, x, "c")
    assert_equal(expected, HostNetwork(integers.operators, form).codes(x, list(expected)))


def extreme_channels(p, rng, bits):
    """A record whose every number is anywhere in its range, often at an end."""
    n, (low, high) = len(p.multiplier), LIMITS[bits]
    zeros = [int(z) if bits == 8 else 0 for z in rng.choice([low, high, 0, -1, 5], 2)]
    y_min, y_max = sorted(int(y) for y in rng.choice([low, low, 0, 17, high, high], 2))
    multiplier = rng.choice([0, 1, 2**30, 2**31 - 1, 0x7FFF0000, *rng.integers(2**30, 2**31, 20)], n).astype(np.int32)
    centre = rng.choice([-12, -12, -12, 0, 10])
    shift = np.clip(centre + rng.integers(-4, 5, n), -31, 31 if bits == 8 else 14).astype(np.int32)
    return Channels(*zeros, y_min, y_max, multiplier, shift, p.real)


def extreme_elementwise(p, rng, bits):
    """The same of ADD, SUB or MUL."""
    changes = {"y_min": int(rng.integers(LIMITS[bits][0], 0)), "y_max": int(rng.integers(0, LIMITS[bits][1] + 1))}
    for name in (field.name for field in fields(p)):
        if name.endswith("zero_point"):
            changes[name] = int(rng.choice([*LIMITS[8], 0])) if bits == 8 else 0
        elif name.endswith("multiplier"):
            changes[name] = int(rng.choice([2**30, 2**31 - 1, int(rng.integers(2**30, 2**31))]))
        elif name == "shift":
            changes[name] = int(rng.choice([-31, -20, -14, -14, -8, 0, 31]))
        elif name.endswith("shift") and name != "left_shift":
            changes[name] = int(rng.choice([-1, -1, -2, -7, -31]))
    return replace(p, **changes)


def extreme(op, rng):
    """The operator with numbers at the ends of what C accepts: biases, multipliers, shifts, zero points and clamps."""
    arrays = dict(op.arrays)
    if op.kind in ("conv2d", "depthwise2d", "dense"):
        arrays["bias"] = rng.choice([-2**30, 2**30, 0, *rng.integers(-2**22, 2**22, 20)], len(arrays["bias"])).astype(np.int32)
        return replace(op, record=extreme_channels(op.record, rng, 8), arrays=arrays)
    if op.kind != "gru":
        return op
    bits, n = op.settings["bits"], len(arrays["bx"])
    largest = 46 if bits == 16 and rng.random() < 0.5 else 24       # beyond int32 the device's 64-bit kernel steps in
    for name in ("bx", "bh"):
        arrays[name] = rng.choice([-2**largest, 2**largest, *rng.integers(-2**20, 2**20, 20)], n).astype(arrays[name].dtype)
    records = {name: extreme_channels(getattr(op.record, name), rng, bits) for name in ("input", "state")}
    for name in ("gates", "reset", "candidate", "difference", "blend", "update"):
        if rng.random() < 0.5:
            records[name] = extreme_elementwise(getattr(op.record, name), rng, bits)
    return replace(op, record=replace(op.record, **records), arrays=arrays)


@pytest.mark.parametrize("form", running_forms())
@pytest.mark.parametrize("seed", range(16))
def test_numbers_at_their_ends(seed, form):
    rng = np.random.default_rng(seed)
    integers, x = random_network(rng, 16 if seed % 3 else 8)
    operators = [extreme(op, rng) for op in integers.operators]
    expected = int8.run(replace(integers, operators=operators), x, "numpy")
    assert_equal(expected, HostNetwork(operators, form).codes(x, list(expected)))


def student(rng):
    return int8.freeze(quantised(trained(SIZES[3], clips(rng, 16), rng), clips(rng, 32)))


def test_threads_never_change_a_result_and_no_clip_is_a_batch_too(rng):
    integers, x = student(rng), clips(rng, 37)
    expected = int8.codes(integers, x)
    assert list(expected) == ["classes", "probabilities"]
    assert_equal(expected, int8.codes(integers, x, threads=3))
    assert_equal(expected, int8.codes(integers, x, backend="numpy"))
    for backend in ("c", "numpy"):
        assert_equal({name: codes[:0] for name, codes in expected.items()}, int8.codes(integers, x[:0], backend=backend))
    assert np.array_equal(int8.logits(integers, x), int8.real(integers, expected, "classes"))


def test_refusals(rng):
    integers = student(rng)
    with pytest.raises(ValueError, match="no operator is named 'gates'"):
        int8.codes(integers, clips(rng, 1), ["gates"])
    with pytest.raises(ValueError, match=r"features is int64 \(1, 84, 32\); accepted: uint16"):
        int8.codes(integers, clips(rng, 1).astype(int))
    with pytest.raises(ValueError, match="form='sse'; accepted on this processor: plain"):
        HostNetwork(integers.operators, "sse")
    conv = integers.operators[1]
    bad = replace(conv, record=replace(conv.record, y_min=5, y_max=4))
    with pytest.raises(ValueError, match="npgru_int8_create refused its arguments: a parameter out of range"):
        HostNetwork([integers.operators[0], bad]).codes(clips(rng, 1), ["conv"])


SOURCES = sorted([*CSRC.glob("*_s8.c"), *(CSRC / "host").glob("*.c"), CSRC / "log_mel.c"])
MAIN = Path(__file__).parent / "sanitizer" / "int8_network_main.c"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")
def test_networks_are_clean_under_sanitizers(tmp_path):
    """Random operators, legal or not, arrays of exactly their sizes: a status, no crash, and the same codes in every form."""
    build = subprocess.run(["gcc", *WARNINGS, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{CSRC}",
                            MAIN, *SOURCES, "-o", tmp_path / "main"], capture_output=True, text=True)
    if "cannot find -l" in build.stderr or "cannot find lib" in build.stderr:
        pytest.skip(f"this gcc has no sanitizers: {build.stderr.splitlines()[0]}")
    assert build.returncode == 0, build.stderr
    run = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_form_for_arm_gives_the_same_codes_on_an_emulated_one(tmp_path):
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64-static")
    if not (compiler and emulator):
        message = "needs aarch64-linux-gnu-gcc and qemu-aarch64-static"
        pytest.fail(message + "; CI must have them") if os.environ.get("CI") == "true" else pytest.skip(message)
    subprocess.run([compiler, *WARNINGS, "-O1", "-static", f"-I{CSRC}", MAIN, *SOURCES, "-o", tmp_path / "main"], check=True)
    run = subprocess.run([emulator, tmp_path / "main"], capture_output=True, text=True)
    assert run.returncode == 0 and "NEON" in run.stdout, run.stdout + run.stderr
