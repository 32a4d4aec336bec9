"""Quantisation-aware training in C against the NumPy layers: equal codes from equal inputs, straight-through gradients."""
import numpy as np
import pytest
from test_kernels_train import FORMS, NETWORKS, SameDraws, worst
from tolerances import C_GRU_GRADIENT_REL_ERROR, C_LAYER_REL_ERROR, C_QUANTISED_REL_ERROR, INT16_CODES

from npgru import checkpoint, compress, kernels, loss, model
from npgru.backend import Backend, NumpyNetwork
from npgru.front_end import FrontEnd
from npgru.model import INPUT_CODES, Layer
from npgru.optimiser import AdamConfig, adam_init

pytestmark = pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")
if kernels.AVAILABLE:
    from npgru.kernels_train import Network

CODES, MOVING = "codes", {"momentum": 0.9}
ON_GRID = {"kernel": "kernel", "codes": INPUT_CODES}


def behind(kernel, N, clamp="relu6"):
    """A kernel on the grid of its input, and what is behind it: bias, ReLU6, codes."""
    bias = [] if kernel.kind == "dense" else [Layer("bias", "bias", {"b": (N,)}, ON_GRID)]
    return [Layer("scale", "input", settings={"factor": 0.5}), Layer("fake_quant", INPUT_CODES), kernel, *bias,
            *([Layer(clamp, "clamp")] if clamp else []), Layer("fake_quant", CODES, settings=MOVING | ON_GRID)]


def both(layers, x, weights, stats, form, dy_seed=5, threads=2):
    """y, gradients with dx, and statistics of NumPy in float32 and of C, after a step in training."""
    found = []
    for network in NumpyNetwork(layers), Network(layers, x.shape[1:], len(x), threads, form):
        y, caches, after = network.forward(weights, stats, x, SameDraws(3))
        dy = np.random.default_rng(dy_seed).standard_normal(y.shape).astype(np.float32)
        gradients, dx = (network.backward(dy, caches, with_dx=True) if isinstance(network, Network)
                         else network.backward(dy, caches))
        found.append((np.array(y), {**{name: np.array(g) for name, g in gradients.items()}, "dx": dx}, after))
    return found


def start_of(layers, rng):
    """Weights, and ranges that a batch moves and exceeds."""
    shapes = {f"{layer.name}/{key}": shape for layer in layers for key, shape in layer.shapes.items()}
    weights = {name: (0.7 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    stats = {f"{layer.name}/{key}": np.float32(value) for layer in layers if layer.kind == "fake_quant"
             for key, value in (("low", -0.8), ("high", 1.1))}
    return weights, stats


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 1, 1), (33, 7, 19)])
def test_equal_inputs_give_equal_codes_and_ranges(rng, shape, form):
    """The input's range stays, another one moves with the batch; what is outside passes no gradient."""
    layers = [Layer("scale", "input", settings={"factor": 1.0}), Layer("fake_quant", INPUT_CODES),
              Layer("maxpool", "pool", settings={"size": 1}), Layer("relu", "relu"), Layer("fake_quant", CODES, settings=MOVING)]
    x = rng.standard_normal(shape).astype(np.float32)
    x.flat[::3] = np.float32(1.9 / 255) * (rng.integers(-120, 120, x.flat[::3].shape) + np.float32(0.5))         # halves
    weights, stats = start_of(layers, rng)
    (y, gradients, after), (found_y, found_gradients, found_after) = both(layers, x, weights, stats, form)
    assert np.array_equal(found_y, y.reshape(found_y.shape)) and np.array_equal(found_gradients["dx"], gradients["dx"])
    assert list(found_after) == list(after) and all(found_after[name] == after[name] for name in after)
    assert after[f"{INPUT_CODES}/high"] == np.float32(1.1) and after[f"{CODES}/high"] != np.float32(1.1)
    if shape == (3, 5, 4):
        assert 0 < np.count_nonzero(gradients["dx"]) < x.size


KERNELS = [(Layer("conv2d", "kernel", {"w": (1, 1, 1, 7)}, {"stride": (2, 1), **ON_GRID}), 7),
           (Layer("pointwise", "kernel", {"w": (1, 19)}, ON_GRID), 19), (Layer("pointwise", "kernel", {"w": (1, 1)}, ON_GRID), 1)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kernel, N", KERNELS, ids=lambda value: getattr(value, "kind", str(value)))
def test_a_kernel_of_one_product_gives_equal_codes(rng, kernel, N, form):
    """No sum, so nothing rounds otherwise: weights, bias, first rounding and codes are equal to the last bit."""
    layers = behind(kernel, N)
    x = rng.standard_normal((9, 8, 6)).astype(np.float32)
    weights, stats = start_of(layers, rng)
    weights["kernel/w"].flat[-1] = 0                                                 # a channel without weights
    (y, gradients, after), (found_y, found, found_after) = both(layers, x, weights, stats, form)
    assert np.array_equal(found_y, y.reshape(found_y.shape)) and found_after == after
    for name, gradient in gradients.items():
        assert worst(found[name], gradient) < C_LAYER_REL_ERROR, name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kernel, shape, N", [
    (Layer("conv2d", "kernel", {"w": (3, 5, 1, 11)}, {"stride": (2, 3), **ON_GRID}), (3, 9, 20), 11),
    (Layer("depthwise2d", "kernel", {"w": (3, 3, 1)}, ON_GRID), (11, 6, 5), 1)], ids=["conv2d", "depthwise2d"])
def test_sums_give_codes_that_are_equal_but_for_a_rounding(rng, kernel, shape, N, form):
    layers = behind(kernel, N)
    weights, stats = start_of(layers, rng)
    (y, gradients, after), (found_y, found, found_after) = both(layers, rng.standard_normal(shape).astype(np.float32), weights,
                                                                stats, form)
    step = (after[f"{CODES}/high"] - min(after[f"{CODES}/low"], 0)) / 255
    differences = np.abs(found_y - y.reshape(found_y.shape))
    assert differences.max() < 1.01 * step and (differences > 0).mean() < 0.01
    for name in after:
        assert worst(np.asarray(found_after[name]), np.asarray(after[name])) < C_LAYER_REL_ERROR, name
    for name, gradient in gradients.items():
        assert worst(found[name], gradient) < C_LAYER_REL_ERROR, name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("B, T, D, H", [(4, 17, 48, 16), (1, 1, 1, 1), (9, 3, 5, 7), (35, 2, 3, 11)])
def test_the_gru_on_grids_equals_numpy(rng, B, T, D, H, form):
    """int16 steps are so small that a rounding of float32 decides some of them; its ranges grow with what they meet."""
    shapes = {"w": (D, 3 * H), "u": (H, 3 * H), "b": (3 * H,), "c": (3 * H,)}
    layers = [Layer("scale", "input", settings={"factor": 1.0}), Layer("fake_quant", INPUT_CODES),
              Layer("stack", "stack"), Layer("gru_quantised", "gru", shapes, {"kernel": "gru", "codes": INPUT_CODES})]
    weights, stats = start_of(layers, rng)
    weights = {name: w / np.float32(np.sqrt(D)) for name, w in weights.items()}
    x = rng.standard_normal((B, T, D)).astype(np.float32)
    stats["gru/ranges"] = np.array([2, 1, 3, 0.01], np.float32)                          # the last clips nearly all of them
    (y, gradients, after), (found_y, found, found_after) = both(layers, x, weights, stats, form)
    y = y.reshape(found_y.shape)
    assert np.abs(found_y - y).max() < INT16_CODES / 32768 and (found_y != y).mean() < 0.01
    assert worst(found_after["gru/ranges"], after["gru/ranges"]) < C_LAYER_REL_ERROR and after["gru/ranges"][3] > 0.01
    for name, gradient in gradients.items():
        assert worst(found[name], gradient) < C_GRU_GRADIENT_REL_ERROR, name


def quantised(name, rng, B=11):
    """A network of tests/test_kernels_train.py on the grids of its integers, and clips."""
    config, T, M, _ = NETWORKS[name]
    layers, x = model.build(config, M), rng.integers(200, 800, (B, T, M)).astype(np.uint16)
    params, stats = model.init(layers, rng)
    params = {key: (p + 0.05 * rng.standard_normal(p.shape)).astype(np.float32) for key, p in params.items()}
    stats = model.forward(layers, params, stats, x.astype(np.float32), rng)[2]
    trained = checkpoint.Model(layers, params, stats, FrontEnd.paper(), ("no", "yes"), 2.0)
    return *compress.quantisable(trained, x, compress.QuantisationConfig()), x


def gradients_of(network, params, stats, x):
    """As a step has them, {"layer/weight": gradient}."""
    logits, caches, _ = network.forward(params, stats, x, SameDraws(3))
    _, dlogits = loss.cross_entropy(logits, np.arange(len(x)) % 2, np.ones(2, logits.dtype))
    return {name: np.array(g) for name, g in network.backward(dlogits, caches)[0].items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["student", "odd", "no_blocks", "smallest", "one_frame"])
def test_whole_networks_equal_numpy(rng, name, form):
    """Codes next to a half fall either way by a rounding of float32: logits may differ by a step, gradients by what follows."""
    layers, params, stats, x = quantised(name, rng)
    network, numpy = Network(layers, x.shape[1:], len(x) + 2, 2, form), NumpyNetwork(layers)
    steps = np.float32(stats["classes_codes/high"] - min(stats["classes_codes/low"], 0)) / 255
    assert np.abs(network.predict(params, stats, x) - numpy.predict(params, stats, x)).max() < 1.01 * steps
    x = x.astype(np.float32)
    expected, found = gradients_of(numpy, params, stats, x), gradients_of(network, params, stats, x)
    assert found.keys() == params.keys()
    for key, gradient in expected.items():
        assert np.linalg.norm(found[key] - gradient) <= C_QUANTISED_REL_ERROR * max(np.linalg.norm(gradient), 1e-2), key


def trained(network, params, stats, x, n_steps=4):
    """The bytes that some steps of Adam leave."""
    params, m, v = (network.own(arrays) for arrays in (params, *adam_init(params)))
    rng = np.random.default_rng(2)
    for step in range(1, n_steps + 1):
        batch = x[:len(x) - 3 * (step % 2)]
        logits, caches, stats = network.forward(params, stats, batch, rng)
        network.adam_step(params, network.backward(logits, caches)[0], m, v, step, AdamConfig())
    return [params.flat.tobytes(), *(np.asarray(array).tobytes() for array in stats.values()),
            network.predict(params, stats, x).tobytes()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["student", "odd"])
def test_any_number_of_threads_gives_the_same_bytes(rng, name, form):
    layers, params, stats, x = quantised(name, rng)
    x = x.astype(np.float32)
    expected = trained(Network(layers, x.shape[1:], len(x), 1, form), params, stats, x)
    for threads in (2, 3, 16):
        assert trained(Network(layers, x.shape[1:], len(x), threads, form), params, stats, x) == expected


def test_the_recipe_trains_it_in_c(rng):
    layers, _, _, x = quantised("odd", rng)
    assert isinstance(Backend("c").network(layers, x.shape[1:], 4), Network)


def test_what_c_would_do_otherwise_runs_in_numpy():
    """A bias that no codes follow, codes of another layer than the last, a kernel that is not the last one."""
    kernel = Layer("pointwise", "kernel", {"w": (1, 3)}, ON_GRID)
    good, others = behind(kernel, 3), {"kernel": "kernel", "codes": "others"}
    assert isinstance(Backend("c").network(good, (4, 5), 2), Network)
    for bad in (good[:-1], [*good[:2], Layer("pointwise", "kernel", {"w": (1, 3)}, others), *good[3:]],
                [*good[:-1], Layer("fake_quant", CODES, settings=MOVING | {"kernel": "another", "codes": INPUT_CODES})],
                [Layer("fake_quant", INPUT_CODES), *good[2:]], [*good[:2], good[2], *good[4:]]):
        assert isinstance(Backend("c").network(bad, (4, 5), 2), NumpyNetwork)
