"""What training rests on: every hand-written gradient against central differences, and the training kernels in C against
the NumPy layers in float64."""
import numpy as np

from . import kernels_train, loss, model
from .gradcheck import worst_gradient_error
from .layers import (activations, batchnorm, bias, conv2d, dense, depthwise2d, dropout, gru, gru_quantised, pool)
from .model import PAIRS, Layer, NetworkConfig
from .tally import Tally

FLOOR = 1e-2                # a difference is relative to the largest number of its array, or to this
SMALL = NetworkConfig(input_scale=1.0, conv_filters=3, conv_kernel=(3, 2), conv_stride=(2, 2), block_filters=(5, 4), pool_size=2,
                      gru_units=3, dense_units=4, dropout=0.2)


def away_from_kinks(rng, shape):
    """Numbers in −3..9, none within 0.1 of 0 or 6, where ReLU and ReLU6 have no derivative."""
    x = rng.uniform(-3, 9, shape)
    for kink in (0, 6):
        near = np.abs(x - kink) < 0.1
        x[near] += 0.2 * np.where(x[near] < kink, -1, 1)
    return x


def normals(rng, *shapes):
    return [0.7 * rng.standard_normal(shape) for shape in shapes]


def size(rng, high=5):
    return int(rng.integers(1, high + 1))


def gru_arguments(rng, with_state):
    """x, w, u, b, c and, asked for, the first state."""
    (B, T, D, _), H = clip(rng), size(rng)
    return normals(rng, (B, T, D), (D, 3 * H), (H, 3 * H), (3 * H,), (3 * H,), *[(B, H)][:with_state]), {}


def gru_from_state(x, w, u, b, c, h0):
    return gru.gru_forward(x, w, u, b, c, h0)


def clip(rng, C=None):
    """The shape of an x (B, T, M, C), each size down to 1."""
    return size(rng, 2), size(rng, 7), size(rng), C or size(rng, 4)


def seeded_dropout(x):
    return dropout.dropout_forward(x, 0.3, np.random.default_rng(3))


def unrounded_gru(x, w, u, b, c):
    return gru_quantised.gru_quantised_forward(x, w, u, b, c, np.array([8.0, 4.0, 8.0, 6.0]), lambda x, scale: x)


def convolution(rng):
    shape = clip(rng)
    return normals(rng, shape, (size(rng, 4), size(rng, 3), shape[3], size(rng))), {"stride": (size(rng, 3), size(rng, 3))}


def with_weights(rng, shape, *weights):
    return normals(rng, shape, *weights), {}


def normalisation(rng, n_statistics):
    shape = clip(rng)
    x, *rest = [1 + 2 * rng.standard_normal(shape), *rng.standard_normal((2 + n_statistics, shape[3]))]
    if n_statistics:
        rest[-1] = 0.5 + rng.random(shape[3])                       # a variance
    return [x, *rest], {}


def separate(rng):
    """Numbers of which no two are near: a maximum has a derivative."""
    shape = (*clip(rng)[:2], 2 * size(rng), size(rng, 3))
    return [0.01 * rng.permutation(int(np.prod(shape))).reshape(shape) - 1], {"size": 2}


# name -> forward, backward, and what draws (arrays, settings)
GRADIENTS = {
    "conv2d": (conv2d.conv2d_forward, conv2d.conv2d_backward, convolution),
    "pointwise": (conv2d.pointwise_forward, conv2d.pointwise_backward, lambda rng: with_weights(rng, clip(rng, 3), (3, size(rng)))),
    "depthwise2d": (depthwise2d.depthwise2d_forward, depthwise2d.depthwise2d_backward,
                    lambda rng: with_weights(rng, clip(rng, 3), (3, 3, 3))),
    "batchnorm, training": (batchnorm.batchnorm_forward, batchnorm.batchnorm_backward, lambda rng: normalisation(rng, 0)),
    "batchnorm, inference": (batchnorm.batchnorm_infer_forward, batchnorm.batchnorm_infer_backward,
                             lambda rng: normalisation(rng, 2)),
    "relu": (activations.relu_forward, activations.relu_backward, lambda rng: ([away_from_kinks(rng, clip(rng))], {})),
    "relu6": (activations.relu6_forward, activations.relu6_backward, lambda rng: ([away_from_kinks(rng, clip(rng))], {})),
    "maxpool": (pool.maxpool_forward, pool.maxpool_backward, separate),
    "stack": (pool.stack_forward, pool.stack_backward, lambda rng: with_weights(rng, clip(rng))),
    "gru": (gru_from_state, gru.gru_backward, lambda rng: gru_arguments(rng, True)),
    "gru, on grids but unrounded": (unrounded_gru, gru_quantised.gru_quantised_backward,
                                    lambda rng: gru_arguments(rng, False)),
    "dropout": (seeded_dropout, dropout.dropout_backward, lambda rng: with_weights(rng, clip(rng)[:3])),
    "mean_time": (pool.mean_time_forward, pool.mean_time_backward, lambda rng: with_weights(rng, clip(rng)[:3])),
    "dense": (dense.dense_forward, dense.dense_backward, lambda rng: with_weights(rng, (size(rng), 3), (3, 4), (4,))),
    "bias": (bias.bias_forward, bias.bias_backward, lambda rng: with_weights(rng, clip(rng, 3), (3,))),
    "scale": (activations.scale_forward, activations.scale_backward, lambda rng: (normals(rng, clip(rng)), {"factor": 0.25}))}


def check_gradients(name: str, n_cases: int, seed: int) -> Tally:
    """One layer, random sizes; the difference is gradcheck's (4)."""
    rng, tally = np.random.default_rng(seed), Tally()
    forward, backward, draw = GRADIENTS[name]
    for _ in range(n_cases):
        args, settings = draw(rng)
        worst = worst_gradient_error(forward, backward, args, rng, **settings)
        tally.note(float(worst), f"{worst.place} of shapes {[arg.shape for arg in args]}")
    return tally


def check_network_gradients(n_cases: int, seed: int) -> Tally:
    """A whole small network under the loss: features and every weight."""
    rng, tally, layers = np.random.default_rng(seed), Tally(), model.build(SMALL, 8)
    y, class_weights = np.array([0, 1, 1]), np.array([1.5, 3.0])
    for _ in range(n_cases):
        params, stats = model.init(layers, rng, np.float64)
        names = list(params)

        def forward(x, *weights):
            logits, caches, _ = model.forward(layers, dict(zip(names, weights)), stats, x, np.random.default_rng(0))
            value, dlogits = loss.cross_entropy(logits, y, class_weights)
            return np.array([value]), (dlogits, caches)

        def backward(dy, cache):
            gradients, dx = model.backward(dy[0] * cache[0], cache[1])
            return dx, *(gradients[name] for name in names)

        args = [rng.standard_normal((3, 7, 8)), *(p + 0.1 * rng.standard_normal(p.shape) for p in params.values())]
        worst = worst_gradient_error(forward, backward, args, rng)
        tally.note(float(worst), worst.place)
    return tally


def layer_list(rng, kind: str) -> tuple[tuple, list[Layer]]:
    """The shape of an x, and one layer for it (batch-norm: behind a kernel), for C and for NumPy."""
    shape = (size(rng, 9), size(rng, 9), size(rng, 9), size(rng, 40))
    C, N = shape[3], size(rng, 40)
    layer = {"conv2d": Layer("conv2d", "layer", {"w": (size(rng), size(rng), C, N)}, {"stride": (size(rng, 3), size(rng, 3))}),
             "depthwise2d": Layer("depthwise2d", "layer", {"w": (3, 3, C)}), "pointwise": Layer("pointwise", "layer", {"w": (C, N)}),
             "maxpool": Layer("maxpool", "layer", settings={"size": size(rng, shape[2])}),
             "gru": Layer("gru", "layer", {"w": (shape[2], 3 * N), "u": (N, 3 * N), "b": (3 * N,), "c": (3 * N,)}),
             "mean_time": Layer("mean_time", "layer"), "dense": Layer("dense", "layer", {"w": (shape[1], N), "b": (N,)}),
             "batchnorm": Layer("batchnorm", "norm", {"gamma": (C,), "beta": (C,)}, {"eps": 1e-3, "momentum": 0.99})}[kind]
    n_axes = {"gru": 3, "mean_time": 3, "dense": 2}.get(kind, 4)
    before = [Layer("depthwise2d", "layer", {"w": (3, 3, C)})] if kind == "batchnorm" else []
    return shape[:n_axes], [*before, layer]


C_LAYERS = ("conv2d", "depthwise2d", "pointwise", "batchnorm", "maxpool", "gru", "mean_time", "dense")


def check_c_layer(kind: str, n_cases: int, seed: int) -> Tally:
    """y, dx and the gradients of all weights in C, float32, against the same in NumPy, float64."""
    rng, tally = np.random.default_rng(seed), Tally()
    for _ in range(n_cases):
        shape, layers = layer_list(rng, kind)
        T, M, C = clip_shape(shape)
        network = kernels_train.Network(layers, (T, M, C), shape[0], threads=2)
        params = {name: (0.3 * rng.standard_normal(s)).astype(np.float32) for name, s in network.shapes.items()}
        stats = {f"norm/{key}": np.ones(s, np.float32) for key, s in (("mean", C), ("var", C), ("count", ()))}
        x = (2 * rng.standard_normal(shape)).astype(np.float32)
        y, caches, _ = network.forward(params, stats, x.reshape(shape[0], T, M, C), rng)
        dy = rng.standard_normal(y.shape).astype(np.float32)
        gradients, dx = network.backward(dy, caches, with_dx=True)
        expected_y, expected_dx, expected = in_float64(layers, params, x, dy)
        for name, found, value in [("y", y, expected_y), ("dx", dx, expected_dx),
                                   *((name, gradients[name], expected[name]) for name in expected)]:
            difference = np.abs(np.ravel(found) - np.ravel(value)).max() / max(np.abs(value).max(), FLOOR)
            tally.note(float(difference), f"{name} of {kind}, x {shape}")
    return tally


def clip_shape(shape) -> tuple[int, int, int]:
    """Shape of NumPy's x, (B, C), (B, T, C) or (B, T, M, C) -> (T, M, C)."""
    return {2: (1, 1, *shape[1:]), 3: (*shape[1:2], 1, *shape[2:]), 4: tuple(shape[1:])}[len(shape)]


def in_float64(layers, params, x, dy):
    """The NumPy layers -> y, dx, {"layer/weight": gradient}."""
    caches, x = [], x.astype(np.float64)
    for layer in layers:
        settings = {key: value for key, value in layer.settings.items() if key != "momentum"}
        x, cache = PAIRS[layer.kind][0](x, *(params[f"{layer.name}/{key}"].astype(np.float64) for key in layer.shapes), **settings)
        caches.append((layer, PAIRS[layer.kind][1], cache))
    gradients, d = {}, dy.astype(np.float64).reshape(x.shape)
    for layer, backward, cache in reversed(caches):
        d, *dweights = backward(d, cache)
        gradients |= {f"{layer.name}/{key}": dw for key, dw in zip(layer.shapes, dweights)}
    return x, d, gradients
