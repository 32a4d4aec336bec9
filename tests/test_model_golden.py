"""model.py and loss.py, the whole network at once, against PyTorch: golden/model.npz, see make_golden_model.py."""
from pathlib import Path

import numpy as np
import pytest

from goldencheck import worst_difference
from npgru import loss, model
from npgru.layers.gru import from_pytorch
from tolerances import MODEL_FLOAT32_REL_ERROR, MODEL_FLOAT64_REL_ERROR

GOLDEN = np.load(Path(__file__).parent / "golden" / "model.npz", allow_pickle=False)
CONFIG = model.NetworkConfig(input_scale=1.0, conv_filters=6, block_filters=(8, 8), gru_units=5, dense_units=7,
                             dropout=0.0, batchnorm_eps=float(GOLDEN["eps"]), batchnorm_momentum=0.0)
TOLERANCES = [(np.float32, MODEL_FLOAT32_REL_ERROR), (np.float64, MODEL_FLOAT64_REL_ERROR)]


def under(prefix, dtype) -> dict:
    """The stored arrays below a prefix, without it; the GRU's from torch's names and gate order to ours."""
    arrays = {key.removeprefix(prefix): GOLDEN[key].astype(dtype) for key in GOLDEN.files if key.startswith(prefix)}
    theirs = [arrays.pop(f"gru/{name}", None) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]
    if theirs[0] is not None:
        arrays |= zip(("gru/w", "gru/u", "gru/b", "gru/c"), from_pytorch(*theirs))
    return arrays


def run(dtype, rng=None):
    """Our logits, caches and statistics on the golden input; rng given: training."""
    layers = model.build(CONFIG, n_mels=GOLDEN["x"].shape[2])
    _, stats = model.init(layers, np.random.default_rng(7), dtype)
    stats |= under("stats/", dtype)
    return model.forward(layers, under("params/", dtype), stats, GOLDEN["x"].astype(dtype), rng)


@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
def test_logits_loss_and_every_gradient_equal_pytorch(rng, dtype, tolerance):
    logits, caches, _ = run(dtype, rng)
    value, dlogits = loss.cross_entropy(logits, GOLDEN["y"], GOLDEN["class_weights"])
    gradients, dx = model.backward(dlogits, caches)
    theirs = {key: GOLDEN[key].astype(np.float64) for key in ("logits", "loss", "dx_first")}
    ours = {"logits": logits, "loss": np.array(value), "dx_first": dx[0]}
    assert worst_difference(ours, theirs) < tolerance
    assert worst_difference(gradients, under("gradients/", np.float64)) < tolerance


@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
def test_statistics_of_every_batchnorm_equal_pytorch(rng, dtype, tolerance):
    """Momentum 0 keeps nothing of the old statistics: what is left is the batch's mean and biased variance."""
    _, _, stats = run(dtype, rng)
    batch = under("batch/", np.float64)
    assert worst_difference({key: stats[key] for key in batch}, batch) < tolerance


@pytest.mark.parametrize("dtype, tolerance", TOLERANCES)
def test_inference_logits_equal_pytorch(dtype, tolerance):
    logits, _, _ = run(dtype)
    assert worst_difference({"logits": logits}, {"logits": GOLDEN["inference_logits"].astype(np.float64)}) < tolerance
