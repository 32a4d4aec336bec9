"""A whole network in a runtime, or in C: every tensor that is computed, in every form of its file, against int8.run.

The tensors inside the GRU are seen in the unrolled form, all of whose tensors are made outputs: a runtime would else
compute in place. The specification of the same tensors is int8_gru's formulas, applied to the known states.
"""
import numpy as np

from . import int8, int8_reference
from .export_tflite import clip_graphs, tflite_bytes
from .int8 import IntegerModel
from .int8_nonlinear import logistic_s16, lookup_s8, tanh_s16
from .tally import Tally
from .tflite_writer import write_tflite
from .witnesses import Session

SEEN_AS_PARTS = {"scaled_total", "gru/x", "gru/gx", "gru/gx_zr", "gru/gx_n"}       # tensors that other tensors hold


def check_clip_form(integers: IntegerModel, codes: dict, runtime: str, gru: str, **options) -> Tally:
    """Probabilities of every clip.   codes: of int8.run; options: of tflite_bytes"""
    return check_file(tflite_bytes(integers, gru, **options), codes, runtime)


def check_file(content: bytes, codes: dict, runtime: str, resolver: str = "reference") -> Tally:
    """The same of a file with a loop or its unrolled form."""
    tally, session = Tally(), Session(runtime, content, resolver)
    for k, (expected, x) in enumerate(zip(codes["probabilities"], codes["input"])):
        tally.compare(session.run(x[None])[0], expected[None], f"probabilities of clip {k}")
    return tally


def check_step_form(integers: IntegerModel, codes: dict, runtime: str, **options) -> Tally:
    """T' steps from zeros: every state, every sum of states, and at the end the clip's probabilities."""
    tally, session = Tally(), Session(runtime, tflite_bytes(integers, "step", **options))
    for k, (x, states, expected) in enumerate(zip(codes["stack"], codes["gru"], codes["probabilities"])):
        h, total = np.zeros_like(states[:1]), np.zeros((1, states.shape[1]), np.int32)
        for t, (x_t, h_t, sum_t) in enumerate(zip(x, states, states.cumsum(axis=0, dtype=np.int32))):
            h, total, probabilities = session.run(x_t[None], h, total)
            tally.compare(h, h_t[None], f"state {t} of clip {k}")
            tally.compare(total, sum_t[None], f"sum of states {t} of clip {k}")
        tally.compare(probabilities, expected[None], f"probabilities of clip {k}")
    return tally


def inside_gru(integers: IntegerModel, codes: dict, profile: str) -> dict:
    """Every tensor inside the GRU of clip 0: {name: (T', width)}, int8_gru's (1)-(4) applied to its known states."""
    op = next(op for op in integers.operators if op.kind == "gru")
    p, (w, u, bx, bh) = op.record, (op.arrays[key] for key in ("w", "u", "bx", "bh"))
    dense, sigmoid, tanh = ((int8_reference.dense_s16, logistic_s16, tanh_s16) if op.settings["bits"] == 16 else
                            (int8_reference.dense_s8, lookup_s8, lookup_s8))
    x, h_new, H = codes["stack"][0], codes["gru"][0], u.shape[1]
    h = np.concatenate([np.zeros_like(h_new[:1]), h_new[:-1]])
    gx, gh = dense(x.astype(h.dtype), w, bx, p.input, profile=profile), dense(h, u, bh, p.state, profile=profile)
    found = {"gx_zr": gx[:, :2*H], "gx_n": gx[:, 2*H:], "gh": gh, "gh_zr": gh[:, :2*H], "gh_n": gh[:, 2*H:], "h": h_new}
    found["gates"] = int8_reference.add(found["gx_zr"], found["gh_zr"], p.gates)
    found["zr"] = sigmoid(found["gates"], p.sigmoid)
    found["z"], found["r"] = found["zr"][:, :H], found["zr"][:, H:]
    found["reset"] = int8_reference.mul(found["r"], found["gh_n"], p.reset)
    found["candidate"] = int8_reference.add(found["gx_n"], found["reset"], p.candidate)
    found["n"] = tanh(found["candidate"], p.tanh)
    found["difference"] = int8_reference.sub(h, found["n"], p.difference)
    found["blend"] = int8_reference.mul(found["z"], found["difference"], p.blend)
    found["h_int32"], found["total"] = h_new.astype(np.int32), h_new.cumsum(axis=0, dtype=np.int32)
    return found


def all_tensors(integers: IntegerModel, codes: dict, profile: str) -> dict:
    """Every tensor of clip 0 by its name in the unrolled form; `codes` of int8.run under the same profile."""
    expected = {name: array[0] for name, array in codes.items() if name not in ("input", "gru")}
    for name, array in inside_gru(integers, codes, profile).items():
        expected |= {f"gru/{t}/{name}": row for t, row in enumerate(array)}
    return expected


def run_unrolled(integers: IntegerModel, x_codes, runtime: str, resolver: str = "reference") -> dict:
    """The runtime's {name: codes} of every tensor that the unrolled form computes.   x_codes (1, T, M, 1)"""
    main, = clip_graphs(integers, "unrolled", minimal=False)
    main.outputs = tuple(y for operator in main.operators for y in operator.outputs)
    found = Session(runtime, write_tflite([main]), resolver).run(x_codes)
    return {main.tensors[index].name: array for index, array in zip(main.outputs, found)}


def check_all_tensors(integers: IntegerModel, codes: dict, runtime: str, profile: str) -> Tally:
    """The unrolled form of clip 0, every tensor. raises ValueError if there is one that nothing is known of"""
    tally, expected = Tally(), all_tensors(integers, codes, profile)
    found = run_unrolled(integers, codes["input"][:1], runtime)
    if unknown := found.keys() - expected.keys() - SEEN_AS_PARTS:
        raise ValueError(f"tensors {sorted(unknown)} are in the file, but not in the specification")
    for name, array in expected.items():
        tally.compare(found[name].ravel(), array.ravel(), name)
    return tally
