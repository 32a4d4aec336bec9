"""The one comparison with another framework's numbers: golden/layers.npz, see golden/make_golden_layers.py.

    error = max |ours − theirs| / max(max |theirs|, 1e-2)      of one array: y, or one gradient
"""
from pathlib import Path

import numpy as np

from npgru.gradcheck import FLOOR, Worst

FOLDER = Path(__file__).parent / "golden"
LAYERS = np.load(FOLDER / "layers.npz", allow_pickle=False)


def golden_cases(layer) -> list[str]:
    """The stored cases of a layer, as "layer/case"."""
    return sorted({key.rsplit("/", 1)[0] for key in LAYERS.files if key.startswith(layer + "/")})


def golden(case, dtype) -> dict:
    """The arrays of one case as `dtype`; what is an integer (stride, size) comes back as int or tuple of ints."""
    arrays = {key.rsplit("/", 1)[1]: LAYERS[key] for key in LAYERS.files if key.startswith(case + "/")}
    return {name: array.astype(dtype) if array.dtype.kind == "f" else
            tuple(array.tolist()) if array.ndim else int(array) for name, array in arrays.items()}


def worst_difference(ours, theirs) -> Worst:
    """The worst error over the arrays of two dicts with the same keys."""
    assert ours.keys() == theirs.keys()
    worst = Worst(0.0, "nowhere")
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, f"{name} is {ours[name].shape}, expected {expected.shape}"
        difference = np.abs(ours[name].astype(np.float64) - expected)
        error = difference.max() / max(np.abs(expected).max(), FLOOR)
        if not error <= worst:                                                                     # also if it is NaN
            place = np.unravel_index(difference.argmax(), expected.shape)
            worst = Worst(error, f"{name}{[int(n) for n in place]}: ours {ours[name][place]:.9g}, "
                                 f"theirs {expected[place]:.9g}")
    return worst


def worst_golden_error(case, forward, backward, names, dtype, settings=()) -> Worst:
    """Run a layer on a case's arrays `names` (forward's order) and compare y and the gradients "d<name>"."""
    arrays = golden(case, dtype)
    y, cache = forward(*(arrays[name] for name in names), **{name: arrays[name] for name in settings})
    ours = {"y": y} | dict(zip([f"d{name}" for name in names], backward(arrays["dy"], cache), strict=True))
    return worst_difference(ours, {name: golden(case, np.float64)[name] for name in ours})
