"""The convolutional-recurrent network as a list of layers: init, forward, and backward over the reversed list."""
from dataclasses import asdict, dataclass, field

import numpy as np

from .layers import (activations, batchnorm, bias, conv2d, dense, depthwise2d, dropout, fake_quant, gru, gru_quantised,
                     pool)
from .layers.conv2d import same_padding


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network; the defaults are the paper's teacher.

    input_scale      the features are multiplied by it, a power of two; 1/64 makes them ln V, some 3 to 13. Batch-norm makes
                     training indifferent to it, but weights into which batch-norm is folded must suit their inputs
    conv_filters     filters of the first convolution
    conv_kernel      its kernel (frames, bands)
    conv_stride      its stride (frames, bands)
    block_filters    pointwise filters of each depthwise-separable block; its length is the number of blocks
    pool_size        neighbouring frequencies of which the maximum is taken
    gru_units        H
    dense_units      units of the dense layer before the classes
    dropout          share of GRU outputs dropped in training, in [0, 1)
    batchnorm_momentum    share of the running statistics that a step keeps, once there were 1 / (1 − momentum) steps;
                     before that they are the plain mean. Keras's 0.99 looks back over 100 steps, five epochs of a
                     small corpus, and the validation score then jumps from epoch to epoch
    batchnorm_eps    ε of the variance, Keras's
    """
    input_scale: float = 1 / 64
    conv_filters: int = 32
    conv_kernel: tuple[int, int] = (10, 4)
    conv_stride: tuple[int, int] = (5, 2)
    block_filters: tuple[int, ...] = (64, 64, 64)
    pool_size: int = 4
    gru_units: int = 32
    dense_units: int = 32
    dropout: float = 0.15
    batchnorm_momentum: float = 0.9
    batchnorm_eps: float = 1e-3

    def __post_init__(self):
        for name in ("conv_kernel", "conv_stride", "block_filters"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        sizes = {"conv_filters": self.conv_filters, "pool_size": self.pool_size, "gru_units": self.gru_units,
                 "dense_units": self.dense_units}
        for name in ("conv_kernel", "conv_stride", "block_filters"):
            sizes |= {f"{name}[{i}]": size for i, size in enumerate(getattr(self, name))}
        for name, size in sizes.items():
            if not isinstance(size, int) or not 1 <= size <= 4096:
                raise ValueError(f"{name}={size!r} is not a size; accepted: whole numbers from 1 to 4096")
        for name in ("conv_kernel", "conv_stride"):
            if len(getattr(self, name)) != 2:
                raise ValueError(f"{name}={getattr(self, name)!r}; accepted: two numbers, [frames, bands]")
        for name in ("dropout", "batchnorm_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}; accepted: at least 0 and below 1")
        if not (2.0**-20 <= self.input_scale <= 2.0**20 and np.frexp(self.input_scale)[0] == 0.5):
            raise ValueError(f"input_scale={self.input_scale!r}; accepted: a power of two, so that the integers stay exact")
        if not 0 < self.batchnorm_eps < 1:
            raise ValueError(f"batchnorm_eps={self.batchnorm_eps!r}; accepted: above 0 and below 1")


def teacher() -> NetworkConfig:
    """The paper's teacher."""
    return NetworkConfig()


def student() -> NetworkConfig:
    """The paper's student: 15 642 parameters once batch-norm is folded."""
    return NetworkConfig(conv_filters=24, block_filters=(48, 48), gru_units=16, dense_units=16, dropout=0.05)


@dataclass(frozen=True)
class Layer:
    """One row of the network: kind is a key of PAIRS, shapes are its weights' in the order of forward's arguments."""
    kind: str
    name: str
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)


INPUT_CODES = "input_codes"             # the fake_quant layer that a quantised network starts with
PAIRS = {
    "conv2d": (conv2d.conv2d_forward, conv2d.conv2d_backward),
    "depthwise2d": (depthwise2d.depthwise2d_forward, depthwise2d.depthwise2d_backward),
    "pointwise": (conv2d.pointwise_forward, conv2d.pointwise_backward),
    "batchnorm": (batchnorm.batchnorm_forward, batchnorm.batchnorm_backward),
    "relu6": (activations.relu6_forward, activations.relu6_backward),
    "relu": (activations.relu_forward, activations.relu_backward),
    "maxpool": (pool.maxpool_forward, pool.maxpool_backward),
    "stack": (pool.stack_forward, pool.stack_backward),
    "gru": (gru.gru_forward, gru.gru_backward),
    "dropout": (dropout.dropout_forward, dropout.dropout_backward),
    "mean_time": (pool.mean_time_forward, pool.mean_time_backward),
    "dense": (dense.dense_forward, dense.dense_backward),
    "scale": (activations.scale_forward, activations.scale_backward),
    "bias": (bias.bias_forward, bias.bias_backward),
    "fake_quant": (fake_quant.fake_quant_forward, fake_quant.fake_quant_backward),
    "gru_quantised": (gru_quantised.gru_quantised_forward, gru_quantised.gru_quantised_backward),
}


def build(config: NetworkConfig, n_mels: int, n_classes: int = 2) -> list[Layer]:
    """Sizes -> the layer list, for input x (B, T, M = n_mels); the paper's network, top to bottom.

    raises  ValueError if the pool is wider than what the first convolution leaves of the bands.
    """
    C, stride = config.conv_filters, config.conv_stride
    n_bands, _, _ = same_padding(n_mels, config.conv_kernel[1], stride[1])
    if n_bands < config.pool_size:
        raise ValueError(f"pool_size={config.pool_size}, but the first convolution leaves {n_bands} of the "
                         f"{n_mels} mel bands; accepted: a pool of at most that")

    def normalised(name, C):
        settings = {"eps": config.batchnorm_eps, "momentum": config.batchnorm_momentum}
        return [Layer("batchnorm", f"{name}_bn", {"gamma": (C,), "beta": (C,)}, settings), Layer("relu6", f"{name}_relu6")]

    layers = [Layer("scale", "input", settings={"factor": config.input_scale}),
              Layer("conv2d", "conv", {"w": (*config.conv_kernel, 1, C)}, {"stride": stride}), *normalised("conv", C)]
    for i, N in enumerate(config.block_filters, start=1):
        layers += [Layer("depthwise2d", f"block{i}_depthwise", {"w": (3, 3, C)}), *normalised(f"block{i}_depthwise", C),
                   Layer("pointwise", f"block{i}_pointwise", {"w": (C, N)}), *normalised(f"block{i}_pointwise", N)]
        C = N
    D, H, N = n_bands // config.pool_size * C, config.gru_units, config.dense_units
    return layers + [
        Layer("maxpool", "pool", settings={"size": config.pool_size}),
        Layer("stack", "stack"),
        Layer("gru", "gru", {"w": (D, 3 * H), "u": (H, 3 * H), "b": (3 * H,), "c": (3 * H,)}),
        Layer("dropout", "dropout", settings={"rate": config.dropout}),
        Layer("mean_time", "mean_time"),
        Layer("dense", "dense", {"w": (H, N), "b": (N,)}),
        Layer("relu", "dense_relu"),
        Layer("dense", "classes", {"w": (N, n_classes), "b": (n_classes,)}),
    ]


def glorot_uniform(shape, rng):
    """U(−a, a), a = sqrt(6 / (fan_in + fan_out)). Source: Glorot and Bengio 2010. shape (k.., fan_in, fan_out)."""
    taps = int(np.prod(shape[:-2]))
    a = np.sqrt(6 / (taps * (shape[-2] + shape[-1])))
    return rng.uniform(-a, a, shape)


def orthogonal(shape, rng):
    """Orthonormal rows, (H, 3H) with H <= 3H. Source: Saxe et al. 2013, arXiv:1312.6120."""
    q, r = np.linalg.qr(rng.standard_normal(shape[::-1]))
    return (q * np.sign(np.diag(r))).T


def init(layers: list[Layer], rng: np.random.Generator, dtype=np.float32) -> tuple[dict, dict]:
    """Fresh weights {"layer/weight": array} and running statistics {"layer/mean", "layer/var": (C,), "layer/count": ()}.

    Keras's choices: Glorot uniform for kernels, orthogonal for the recurrent one, 1 for γ and 0 for biases.
    """
    params, stats = {}, {}
    for layer in layers:
        for key, shape in layer.shapes.items():
            if key == "u":
                value = orthogonal(shape, rng)
            elif key == "w":
                value = glorot_uniform((*shape, 1) if layer.kind == "depthwise2d" else shape, rng).reshape(shape)
            else:
                value = np.full(shape, key == "gamma")
            params[f"{layer.name}/{key}"] = value.astype(dtype)
        if layer.kind == "batchnorm":
            stats[f"{layer.name}/mean"] = np.zeros(layer.shapes["gamma"], dtype)
            stats[f"{layer.name}/var"] = np.ones(layer.shapes["gamma"], dtype)
            stats[f"{layer.name}/count"] = np.zeros((), dtype)
    return params, stats


def forward(layers: list[Layer], params: dict, stats: dict, x, rng: np.random.Generator | None = None):
    """x (B, T, M) -> logits (B, K), the caches for backward, and the running statistics after this batch.

    rng    given: training (dropout draws from it, batch-norm uses the batch, ranges move); None: inference
    """
    caches, stats, x = [], dict(stats), x[..., None]
    for layer in layers:
        if layer.kind != "dropout" or rng is not None:
            x, cache = apply_layer(layer, params, stats, x, rng)
            caches.append(cache)
    return x, caches, stats


def apply_layer(layer: Layer, params: dict, stats: dict, x, rng: np.random.Generator | None = None):
    """One layer: x -> y and (layer, its backward, its cache). In training, stats is given new arrays for old ones."""
    forward_fn, backward_fn = PAIRS[layer.kind]
    weights, settings = [params[f"{layer.name}/{key}"] for key in layer.shapes], dict(layer.settings)
    momentum, kernel, codes = (settings.pop(key, None) for key in ("momentum", "kernel", "codes"))
    if kernel and layer.shapes:
        weights = weights_on_grids(layer, params, stats)
    if layer.kind == "dropout":
        settings["rng"] = rng
    elif layer.kind == "batchnorm" and rng is None:
        forward_fn, backward_fn = batchnorm.batchnorm_infer_forward, batchnorm.batchnorm_infer_backward
        weights += [stats[f"{layer.name}/mean"], stats[f"{layer.name}/var"]]
    elif layer.kind == "fake_quant":
        if rng is not None and momentum is not None:
            for key, met in (("low", x.min()), ("high", x.max())):
                move(stats, f"{layer.name}/{key}", met, 1 - momentum)
        weights += activation_scale(layer.name, stats)
        if kernel:
            x_scale, _ = activation_scale(codes, stats)
            settings["first"] = fake_quant.first_rounding(x_scale, params[f"{kernel}/w"], weights[0])
    elif layer.kind == "gru_quantised":
        weights.append(stats[f"{layer.name}/ranges"])
    y, cache = forward_fn(x, *weights, **settings)
    if forward_fn is batchnorm.batchnorm_forward:
        stats[f"{layer.name}/count"] = count = stats[f"{layer.name}/count"] + x.dtype.type(1)
        for key, met in zip(("mean", "var"), batchnorm.batch_statistics(cache)):
            move(stats, f"{layer.name}/{key}", met, np.maximum(1 / count, 1 - momentum))
    elif layer.kind == "gru_quantised" and rng is not None:
        stats[f"{layer.name}/ranges"] = np.maximum(weights[-1], gru_quantised.largest_met(cache))
    return y, (layer, backward_fn, cache)


def weights_on_grids(layer: Layer, params: dict, stats: dict) -> list:
    """A layer's weights as its integers will be; the gradient passes straight through to the real ones.

    layer.settings["codes"]      the fake_quant layer whose grid the input of the kernel is on
    layer.settings["kernel"]     whose kernel the bias is added to: its own, or the one before
    """
    x_scale, _ = activation_scale(layer.settings["codes"], stats)
    kernel, rounded = params[f"{layer.settings['kernel']}/w"], []
    for key in layer.shapes:
        value = params[f"{layer.name}/{key}"]
        if key in ("w", "u"):
            rounded.append(fake_quant.fake_quant_weights(value))
        elif key == "b":
            rounded.append(fake_quant.fake_quant_bias(value, x_scale, kernel))
        else:                                                                # c, added to h u; h is in 1/32768
            rounded.append(fake_quant.fake_quant_bias(value, gru_quantised.UNIT, params[f"{layer.name}/u"]))
    return rounded


def activation_scale(name: str, stats: dict) -> tuple[np.float32, int]:
    """Scale and zero point of a fake_quant layer's codes, out of its running range."""
    return fake_quant.activation_scale(stats[f"{name}/low"], stats[f"{name}/high"], scale_bits(name))


def scale_bits(name: str) -> int:
    """Significant bits of a fake_quant layer's scale: 16 for the input, whose codes then need 32-bit products only, on the
    device; else all that a float32 has."""
    return 16 if name == INPUT_CODES else 24


def move(stats: dict, name: str, met, share) -> None:
    """Running statistic ← running + share (met − running), as a new array of the same type."""
    running = stats[name]
    stats[name] = running + running.dtype.type(share) * (met - running)


def backward(dlogits, caches) -> tuple[dict, np.ndarray]:
    """dlogits (B, K) -> gradients {"layer/weight": array} and dx (B, T, M)."""
    gradients, dy = {}, dlogits
    for layer, backward_fn, cache in reversed(caches):
        dy, *dweights = backward_fn(dy, cache)
        gradients |= {f"{layer.name}/{key}": dw for key, dw in zip(layer.shapes, dweights)}
    return gradients, dy[..., 0]


def predict(layers: list[Layer], params: dict, stats: dict, x, batch_size: int = 64) -> np.ndarray:
    """Features x (N, T, M), any real dtype -> logits (N, K) float32, in inference, a batch at a time."""
    batches = [forward(layers, params, stats, x[i:i + batch_size].astype(np.float32))[0]
               for i in range(0, len(x), batch_size)]
    return np.concatenate(batches) if batches else np.zeros((0, layers[-1].shapes["b"][0]), np.float32)


def to_rows(layers: list[Layer]) -> list[dict]:
    """The layer list as plain dicts, for a checkpoint's JSON."""
    return [asdict(layer) for layer in layers]


def from_rows(rows: list[dict]) -> list[Layer]:
    """to_rows back; raises ValueError for a kind this version does not know."""
    layers = []
    for row in rows:
        if row["kind"] not in PAIRS:
            raise ValueError(f"layer {row['name']!r} is of kind {row['kind']!r}; known: {', '.join(PAIRS)}")
        shapes = {key: tuple(shape) for key, shape in row["shapes"].items()}
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in row["settings"].items()}
        layers.append(Layer(row["kind"], row["name"], shapes, settings))
    return layers


def softmax(logits) -> np.ndarray:
    """p_k = e^{l_k − max} / Σ_j e^{l_j − max} over the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def target_score(logits) -> np.ndarray:
    """The target's probability, logits (N, 2) -> (N,) float64: in float32 many sure clips would tie at 1."""
    return softmax(logits.astype(np.float64))[:, 1]
