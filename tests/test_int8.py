"""int8.py: the fake-quantised network predicts the integers that are frozen from it; zeros stay zeros."""
import numpy as np
import pytest
from npgru.gradcheck import worst_gradient_error
from tolerances import FOLDED_REL_ERROR, LOGIT_STEPS, NETWORK_GRADIENT_REL_ERROR

from npgru import checkpoint, compress, dataset, int8, kernels, loss, model
from npgru.compress import QuantisationConfig
from npgru.features import FrontEnd
from npgru.layers import fake_quant
from npgru.model import NetworkConfig

SIZES = [NetworkConfig(conv_filters=5, block_filters=(7, 6), gru_units=3, dense_units=4), NetworkConfig(block_filters=()),
         NetworkConfig(conv_filters=1, block_filters=(1,), gru_units=1, dense_units=1), model.student()]


def trained(config, x, rng):
    """A network with random weights whose batch-norm has seen clips x (N, T, M)."""
    layers = model.build(config, x.shape[2])
    params, stats = model.init(layers, rng)
    params = {name: array + np.float32(0.1) * rng.standard_normal(array.shape, dtype=np.float32)
              for name, array in params.items()}
    for _ in range(3):
        stats = model.forward(layers, params, stats, x.astype(np.float32), rng)[2]
    return checkpoint.Model(layers, params, stats, FrontEnd.paper(), ("Negatives", "Wren"), 2.0)


def quantised(float_model, x):
    """The same on its grids, calibrated on x."""
    layers, params, stats = compress.quantisable(float_model, x, QuantisationConfig())
    return checkpoint.Model(layers, params, stats, float_model.front_end, float_model.classes, 2.0)


def clips(rng, n):
    """Features with some shape in them, uint16 (n, 84, 32)."""
    return (rng.integers(200, 500, (n, 84, 32)) + 200 * (rng.random((n, 84, 1)) < 0.3)).astype(np.uint16)


def test_every_int8_tensor_is_predicted_to_the_code(rng):
    """In float64, where no sum is rounded, all codes before the GRU are the same integers."""
    fake, x = quantised(trained(SIZES[0], clips(rng, 16), rng), clips(rng, 32)), clips(rng, 8)
    integers, stats = int8.freeze(fake), dict(fake.stats)
    codes, values = int8.run(integers, x), x[..., None].astype(np.float64)
    params = {name: array.astype(np.float64) for name, array in fake.params.items()}
    for layer in fake.layers[:[layer.kind for layer in fake.layers].index("gru_quantised")]:
        values, _ = model.apply_layer(layer, params, stats, values)
        name = layer.name.removesuffix("_codes").removesuffix("_relu6")
        if layer.kind == "fake_quant":
            step = next(op.y.scale for op in integers.operators if op.name == name)
            unit = fake.layers[0].settings["factor"] if name == "input" else 1          # the integers' is the features' own
            assert np.abs(int8.real(integers, codes, name) * unit - values).max() < 1e-3 * step * unit, name


def worst_steps(fake, x, state_bits=16):
    """Largest difference of the fake-quantised and the integer logits, in steps of the output's scale."""
    integers = int8.freeze(fake, state_bits)
    expected = model.predict(fake.layers, fake.params, fake.stats, x)
    return np.abs(int8.logits(integers, x) - expected).max() / integers.operators[-2].y.scale


@pytest.mark.parametrize("config", SIZES)
def test_folding_batchnorm_changes_nothing(config, rng):
    float_model = trained(config, clips(rng, 16), rng)
    x = clips(rng, 8).astype(np.float32)
    layers, params = compress.fold_batchnorm(float_model.layers, float_model.params, float_model.stats)
    expected = model.forward(float_model.layers, float_model.params, float_model.stats, x)[0]
    found = model.forward(layers, params, {}, x)[0]
    assert np.abs(found - expected).max() < FOLDED_REL_ERROR * np.abs(expected).max()
    assert {layer.kind for layer in layers} & {"batchnorm", "bias"} == {"bias"}


@pytest.mark.parametrize("config", SIZES)
def test_fake_quantised_network_predicts_the_integers(config, rng):
    fake = quantised(trained(config, clips(rng, 16), rng), clips(rng, 32))
    assert worst_steps(fake, clips(rng, 24)) <= LOGIT_STEPS
    assert worst_steps(fake, np.zeros((1, 84, 32), np.uint16)) <= LOGIT_STEPS
    assert worst_steps(fake, np.full((1, 84, 32), 65535, np.uint16)) <= LOGIT_STEPS


def test_it_predicts_them_on_all_real_validation_clips(shared_data, rng, tmp_path):
    corpus = dataset.discover(shared_data / "great_tit", split=("train", "validation"))
    x, kept, _ = dataset.load_features(corpus.clips, FrontEnd.paper(), threads=2)
    split = np.array([clip.split for clip in kept])
    learned = x[split == "train"][rng.permutation((split == "train").sum())]
    fake = quantised(trained(model.student(), learned[:128], rng), learned[:256])
    assert worst_steps(fake, x[split == "validation"]) <= LOGIT_STEPS


@pytest.mark.parametrize("bits, dtype", [(16, np.int16), (8, np.int8)])
def test_every_tensor_can_be_seen_and_has_the_type_of_its_codes(bits, dtype, rng):
    fake = quantised(trained(SIZES[0], clips(rng, 16), rng), clips(rng, 32))
    codes = int8.run(int8.freeze(fake, bits), clips(rng, 3))
    assert codes["gru"].shape == (3, 17, 3) and codes["gru"].dtype == dtype
    assert {name for name, array in codes.items() if array.dtype != np.int8} == ({"gru"} if bits == 16 else set())
    assert codes["conv"].shape == (3, 17, 16, 5) and codes["probabilities"].shape == (3, 2)
    total = (codes["probabilities"].astype(int) + 128).sum(axis=1)
    assert (np.abs(total - 256) <= 1).all()


@pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")
@pytest.mark.parametrize("config", SIZES)
@pytest.mark.parametrize("bits", [8, 16])
def test_c_and_numpy_give_the_same_integers_everywhere(config, bits, rng):
    integers = int8.freeze(quantised(trained(config, clips(rng, 16), rng), clips(rng, 32)), bits)
    x = clips(rng, 3)
    x[0], x[1, ::2] = 0, 65535
    expected, found = (int8.run(integers, x, backend) for backend in ("numpy", "c"))
    for name, codes in expected.items():
        assert codes.dtype == found[name].dtype and np.array_equal(codes, found[name]), name


def test_pruned_weights_are_zero_in_the_integers(rng):
    float_model = trained(model.student(), clips(rng, 16), rng)
    masks = compress.weight_masks(float_model.layers, float_model.params, 0.35, compress.PruningConfig())
    compress.apply_masks(float_model.params, masks)
    integers = int8.freeze(quantised(float_model, clips(rng, 16)))
    for op in integers.operators:
        if f"{op.name}/w" in masks:
            assert (op.arrays["w"] == 0).sum() >= round(0.35 * op.arrays["w"].size), op.name


def test_whole_fake_quantised_network_gradients_without_the_rounding(rng, monkeypatch):
    """Straight through every rounding: with the rounding taken out, the differentiator finds the same gradients."""
    x = clips(rng, 34).astype(np.float64)
    fake = quantised(trained(SIZES[0], x[:16], rng), x[:32])
    monkeypatch.setattr(fake_quant, "round_half_away", lambda x: x)
    monkeypatch.setattr(fake_quant, "fake_quant_weights", lambda w: w)
    monkeypatch.setattr("npgru.layers.gru_quantised.round_half_away", lambda x: x)
    names, y = list(fake.params), np.array([0, 1])
    stats = {name: np.asarray(value, np.float64) for name, value in fake.stats.items()}
    layers = [layer for layer in fake.layers if layer.kind != "dropout"]

    def forward(x, *weights):
        logits, caches, _ = model.forward(layers, dict(zip(names, weights)), stats, x)
        value, dlogits = loss.cross_entropy(logits, y, np.ones(2))
        return np.array([value]), (dlogits, caches)

    def backward(dy, cache):
        gradients, dx = model.backward(dy[0] * cache[0], cache[1])
        return dx, *(gradients[name] for name in names)

    args = [x[32:], *(array.astype(np.float64) for array in fake.params.values())]
    assert worst_gradient_error(forward, backward, args, rng) < NETWORK_GRADIENT_REL_ERROR


def test_refusals(rng):
    float_model = trained(SIZES[0], clips(rng, 4), rng)
    with pytest.raises(ValueError, match="not quantised; train it with"):
        int8.freeze(float_model)
    with pytest.raises(ValueError, match="state_bits=4"):
        int8.freeze(quantised(float_model, clips(rng, 4)), 4)


@pytest.mark.parametrize("option", [{"calibration_clips": 0}, {"range_momentum": 1.0}, {"gru_headroom": 0.5}])
def test_config_refuses(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        QuantisationConfig(**option)
