"""The compiled network against the NumPy layers in float64: every layer, whole networks, any number of threads."""
from dataclasses import replace

import numpy as np
import pytest
from tolerances import C_ADAM_REL_ERROR, C_LAYER_REL_ERROR, C_NETWORK_REL_ERROR

from npgru import kernels, loss, model
from npgru.model import Layer, NetworkConfig
from npgru.optimiser import AdamConfig, adam_init, adam_step

if kernels.AVAILABLE:
    from npgru import kernels_train
    from npgru.audit_layers import clip_shape, in_float64
    from npgru.kernels_train import Network
    FORMS = kernels_train.available_forms()
else:
    FORMS = ["plain"]
    pytestmark = pytest.mark.skip(reason="kernels not built")

ODD = NetworkConfig(conv_filters=5, conv_kernel=(3, 5), conv_stride=(2, 3), block_filters=(11, 17), pool_size=3,
                    gru_units=7, dense_units=3, dropout=0.3)
SMALLEST = NetworkConfig(conv_filters=1, conv_kernel=(1, 1), conv_stride=(1, 1), block_filters=(1,), pool_size=1,
                         gru_units=1, dense_units=1, dropout=0.0)
NETWORKS = {"teacher": (model.teacher(), 84, 32, 2), "student": (model.student(), 83, 32, 3), "odd": (ODD, 9, 20, 11),
            "no_blocks": (NetworkConfig(conv_filters=6, block_filters=(), gru_units=4), 7, 40, 4),
            "smallest": (SMALLEST, 1, 1, 2), "one_frame": (ODD, 1, 12, 9)}          # config, T, M, B


class SameDraws:
    """A generator whose numbers are those of float32, in any dtype: dropout is then the same in float64 and in C."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def random(self, shape, dtype):
        return self.rng.random(shape, dtype=np.float32).astype(dtype)


def worst(found, expected):
    """Largest difference of two arrays, relative to the largest expected number."""
    assert found.size == expected.size
    return np.abs(np.ravel(found) - np.ravel(expected)).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-2)


def reference(layers, params, x, dy):
    """The layers in float64 -> y, dx, {"layer/weight": gradient}."""
    return in_float64([replace(layer, settings={**layer.settings, "rng": SameDraws(3)}) if layer.kind == "dropout" else layer
                       for layer in layers], params, x, dy)


def gru_shapes(D, H):
    return {"w": (D, 3 * H), "u": (H, 3 * H), "b": (3 * H,), "c": (3 * H,)}


def norm_and(kind, C):
    norm = Layer("batchnorm", "norm", {"gamma": (C,), "beta": (C,)}, {"eps": 1e-3, "momentum": 0.99})
    return [Layer("depthwise2d", "conv", {"w": (3, 3, C)}), norm, *([Layer(kind, "clamp")] if kind else [])]


CASES = [(shape, [Layer("conv2d", "conv", {"w": (*kernel, shape[3], N)}, {"stride": stride})])
         for shape, kernel, stride, N in [
             ((2, 84, 32, 1), (10, 4), (5, 2), 32), ((3, 7, 9, 2), (3, 5), (2, 3), 11), ((1, 1, 1, 1), (1, 1), (1, 1), 1),
             ((2, 3, 4, 3), (5, 6), (1, 1), 17), ((1, 5, 6, 1), (2, 2), (4, 5), 24)]]
CASES += [(shape, [Layer("depthwise2d", "conv", {"w": (3, 3, shape[3])})]) for shape in [
             (3, 17, 16, 64), (2, 5, 4, 11), (1, 1, 1, 1), (2, 1, 7, 3), (2, 6, 1, 24), (9, 2, 2, 8), (1, 3, 3, 33)]]
CASES += [(shape, [Layer("pointwise", "conv", {"w": (shape[3], N)})]) for shape, N in [
             ((3, 17, 16, 32), 64), ((2, 5, 3, 7), 23), ((1, 1, 1, 1), 1), ((9, 2, 1, 9), 15)]]
CASES += [(shape, norm_and(kind, shape[3])) for kind in ("relu6", "relu", None) for shape in [
             (3, 17, 16, 64), (2, 5, 4, 11), (9, 2, 3, 1), (1, 3, 4, 131)]]
CASES += [(shape, [Layer("maxpool", "pool", settings={"size": size})]) for shape, size in [
             ((2, 17, 16, 64), 4), ((3, 5, 7, 3), 3), ((1, 1, 1, 1), 1), ((2, 2, 9, 17), 9)]]
CASES += [(shape, [Layer("gru", "gru", gru_shapes(shape[2], H))]) for shape, H in [
             ((4, 17, 256), 32), ((32, 17, 12), 16), ((1, 1, 1), 1), ((9, 3, 5), 7), ((70, 2, 3), 11)]]
CASES += [((5, 3, 4, 2), [Layer("scale", "input", settings={"factor": 0.25})]),
          ((5, 3, 4), [Layer("dropout", "dropout", settings={"rate": 0.4})]), ((9, 7, 5), [Layer("mean_time", "mean")]),
          ((5, 3, 4, 2), [Layer("relu6", "clamp")]), ((5, 11), [Layer("relu", "clamp")])]
CASES += [(shape, [Layer("dense", "dense", {"w": (shape[1], N), "b": (N,)})]) for shape, N in [
             ((32, 32), 2), ((5, 7), 19), ((1, 1), 1)]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape, layers", CASES, ids=lambda value: str(value) if type(value) is tuple else
                         "+".join(f"{layer.kind}{list(layer.shapes.values())[:1]}" for layer in value))
def test_layers_equal_numpy(rng, shape, layers, form):
    """Outputs, dx and the gradients of all weights, in batches of one clip and of many."""
    B, clip = shape[0], clip_shape(shape)
    network = Network(layers, clip, B, threads=2, form=form)
    params = {name: (0.3 * rng.standard_normal(s)).astype(np.float32) for name, s in network.shapes.items()}
    stats = {f"norm/{key}": np.ones(s, np.float32) for key, s in (("mean", clip[2]), ("var", clip[2]), ("count", ()))}
    x = (2 * rng.standard_normal(shape)).astype(np.float32)
    y, caches, _ = network.forward(params, stats, x.reshape(B, *clip), SameDraws(3))
    dy = rng.standard_normal(y.shape).astype(np.float32)
    gradients, dx = network.backward(dy, caches, with_dx=True)
    expected_y, expected_dx, expected = reference(layers, params, x, dy)
    assert worst(y, expected_y) < C_LAYER_REL_ERROR and worst(dx, expected_dx) < C_LAYER_REL_ERROR
    for name, gradient in expected.items():
        assert worst(gradients[name], gradient) < C_LAYER_REL_ERROR, name


def nearest_kink(layers, params, stats, x):
    """How near an activation comes to where a ReLU or ReLU6 bends, or in a pool to the largest one: rounding moves nearer ones
    across. Where two are equal to the last bit, both clamped, every form takes the first."""
    caches = model.forward(layers, params, stats, x, SameDraws(3))[1]
    gaps = [np.abs(np.stack([before, before - 6])).min() for layer, _, before in caches if layer.kind in ("relu", "relu6")]
    for groups in (cache[0] for layer, _, cache in caches if layer.kind == "maxpool" and layer.settings["size"] > 1):
        below = groups.max(axis=3, keepdims=True) - groups
        gaps.append(5 * below[below > 0].min())                                # one rounding less, and of many more pairs
    return min(gaps)


def start(name, seed_range=200):
    """Weights, statistics and a batch, float64, in which no activation is near a kink."""
    config, T, M, B = NETWORKS[name]
    layers = model.build(config, M)
    for seed in range(seed_range):
        rng = np.random.default_rng(seed)
        params, stats = model.init(layers, rng, np.float32)
        params = {key: (p + 0.05 * rng.standard_normal(p.shape)).astype(np.float32).astype(np.float64)
                  for key, p in params.items()}
        stats = {key: s.astype(np.float64) for key, s in stats.items()}
        x = rng.integers(200, 800, (B, T, M)).astype(np.float64)
        if nearest_kink(layers, params, stats, x) > 2e-5:
            return layers, params, stats, x
    raise AssertionError("no seed without an activation near a kink")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_equal_numpy_in_float64(name, form):
    """Logits, running statistics, dx and all gradients; the memory is for more clips than come."""
    layers, params, stats, x = start(name)
    y = np.arange(len(x)) % 2
    logits, caches, stats_after = model.forward(layers, params, stats, x, SameDraws(3))
    _, dlogits = loss.cross_entropy(logits, y, np.array([1.5, 3.0]))
    gradients, dx = model.backward(dlogits, caches)
    network = Network(layers, x.shape[1:], len(x) + 3, threads=2, form=form)
    found, caches, found_stats = network.forward(params, stats, x, SameDraws(3))
    found_gradients, found_dx = network.backward(dlogits, caches, with_dx=True)
    assert worst(found, logits) < C_NETWORK_REL_ERROR and worst(found_dx, dx) < C_NETWORK_REL_ERROR
    assert list(found_stats) == list(stats_after) and list(found_gradients) == list(params)
    for pair in (found_stats, stats_after), (found_gradients, gradients):
        for key in pair[1]:
            assert worst(pair[0][key], pair[1][key]) < C_NETWORK_REL_ERROR, key


def steps(layers, batches, threads, form):
    """Some steps of Adam, and the bytes of all that they leave."""
    network = Network(layers, batches[0].shape[1:], max(map(len, batches)), threads, form)
    params, stats = model.init(layers, np.random.default_rng(1))
    params, m, v = (network.own(arrays) for arrays in (params, *adam_init(params)))
    rng, seen = np.random.default_rng(2), []
    for step, x in enumerate(batches, start=1):
        logits, caches, stats = network.forward(params, stats, x, rng)
        _, dlogits = loss.cross_entropy(logits, np.arange(len(x)) % 2, np.ones(2, np.float32))
        gradients, dx = network.backward(dlogits, caches, with_dx=True)
        seen += [logits.tobytes(), gradients.flat.tobytes(), dx.tobytes()]
        network.adam_step(params, gradients, m, v, step, AdamConfig())
    arrays = [params.flat, m.flat, v.flat, *stats.values(), network.predict(params, stats, batches[0])]
    return seen + [array.tobytes() for array in arrays]


@pytest.mark.parametrize("threads", [1, 2])
def test_measuring_accounts_for_the_time_and_changes_no_byte(rng, threads):
    config, T, M, _ = NETWORKS["student"]
    layers = model.build(config, M)
    network = Network(layers, (T, M), 9, threads)
    params, stats = model.init(layers, rng)
    x, dlogits = rng.integers(200, 800, (9, T, M)).astype(np.float32), np.full((9, 2), 0.1, np.float32)
    seconds, found = np.zeros((threads, len(network.names) + 2, 2)), []
    for destination in (None, seconds, None):
        network.measure(destination)
        logits, caches, _ = network.forward(params, stats, x, SameDraws(3))
        found.append(logits.tobytes() + network.backward(dlogits, caches)[0].flat.tobytes())
        assert seconds.any() == (len(found) > 1)
        before = seconds.copy() if len(found) == 2 else seconds
    assert len(set(found)) == 1 and np.array_equal(before, seconds)
    *by_layer, _, whole = seconds.sum(axis=0)
    by_layer = dict(zip(network.names, by_layer, strict=True))
    assert all(np.all(by_layer[name] > 0) for name in ("conv", "conv_bn", "block2_pointwise", "gru", "dense"))
    assert 0 < seconds[:, :-1].sum() <= threads * whole.sum() and "conv_relu6" not in by_layer


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name, sizes", [("student", [32, 32, 5]), ("odd", [11, 1, 7, 8, 9, 70, 2])])
def test_any_number_of_threads_gives_the_same_bytes(rng, name, sizes, form):
    config, T, M, _ = NETWORKS[name]
    layers = model.build(config, M)
    batches = [rng.integers(200, 800, (n, T, M)).astype(np.float32) for n in sizes]
    expected = steps(layers, batches, 1, form)
    for threads in (2, 3, 16, 2):
        assert steps(layers, batches, threads, form) == expected


@pytest.mark.parametrize("form", FORMS)
def test_adam_equals_numpy(rng, form):
    layers = model.build(ODD, 20)
    network = Network(layers, (9, 20), 1, threads=2, form=form)
    params, _ = model.init(layers, rng)
    ours, m, v = (network.own(arrays) for arrays in (params, *adam_init(params)))
    exact = {name: p.astype(np.float64) for name, p in params.items()}
    moments, config = adam_init(exact), AdamConfig(learning_rate=0.01)
    for step in range(1, 6):
        gradients = network.own({name: rng.standard_normal(p.shape) for name, p in params.items()})
        network.adam_step(ours, gradients, m, v, step, config, 0.7)
        adam_step(exact, {name: g.astype(np.float64) for name, g in gradients.items()}, *moments, step, config, 0.7)
    for found, expected in ((ours, exact), (m, moments[0]), (v, moments[1])):
        assert max(worst(found[name], expected[name]) for name in exact) < C_ADAM_REL_ERROR


@pytest.mark.parametrize("form", FORMS)
def test_predict_equals_numpy(rng, form):
    layers = model.build(model.student(), 32)
    params, stats = model.init(layers, rng)
    x = rng.integers(0, 800, (21, 84, 32)).astype(np.uint16)
    stats = model.forward(layers, params, stats, x.astype(np.float32), rng)[2]
    network = Network(layers, (84, 32), 8, form=form)
    expected = model.predict(layers, {name: p.astype(np.float64) for name, p in params.items()}, stats, x)
    assert worst(network.predict(params, stats, x), expected) < C_LAYER_REL_ERROR
    assert network.predict(params, stats, x[:0]).shape == (0, 2)


@pytest.mark.parametrize("form", FORMS)
def test_a_nan_reaches_the_logits_so_that_the_loop_sees_it(rng, form):
    layers = model.build(ODD, 20)
    network, (params, stats) = Network(layers, (9, 20), 3, form=form), model.init(layers, rng)
    logits, _, _ = network.forward(params, stats, np.full((3, 9, 20), np.nan), rng)
    assert np.isnan(logits).all()


def test_owned_arrays_are_views_of_one_and_stay_what_they_are(rng):
    layers = model.build(ODD, 20)
    network = Network(layers, (9, 20), 1)
    params, _ = model.init(layers, rng)
    owned = network.own(params)
    assert network.own(owned) is owned and list(owned) == list(params)
    assert all(np.array_equal(owned[name], p) and np.shares_memory(owned[name], owned.flat) for name, p in params.items())
    assert not any(np.shares_memory(p, owned.flat) for p in params.values())


def test_it_refuses_what_it_does_not_know(rng):
    with pytest.raises(ValueError, match="kind 'lstm'.*use the NumPy back end"):
        Network([Layer("lstm", "x")], (3, 4), 1)
    with pytest.raises(ValueError, match="kind 'batchnorm'"):
        Network(norm_and(None, 3)[1:], (3, 3), 1)
    with pytest.raises(ValueError, match="3 x 3"):
        Network([Layer("depthwise2d", "x", {"w": (5, 5, 1)})], (9, 9), 1)
    with pytest.raises(ValueError, match="2 dropout layers"):
        Network([Layer("dropout", name, settings={"rate": 0.1}) for name in "ab"], (3, 4), 1)
    layers = model.build(ODD, 20)
    network, (params, stats) = Network(layers, (9, 20), 4), model.init(layers, rng)
    for x in (np.zeros((5, 9, 20)), np.zeros((0, 9, 20)), np.zeros((4, 9, 19))):
        with pytest.raises(ValueError, match="1 to 4 clips of"):
            network.forward(params, stats, x)
    _, first, _ = network.forward(params, stats, np.zeros((2, 9, 20)), rng)
    _, second, _ = network.forward(params, stats, np.zeros((2, 9, 20)))
    with pytest.raises(ValueError, match="its own forward"):
        network.backward(np.zeros((2, 2)), first)
    with pytest.raises(ValueError, match="forward in training"):
        network.backward(np.zeros((2, 2)), second)
