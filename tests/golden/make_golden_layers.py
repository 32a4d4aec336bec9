"""Writes layers.npz: every layer's numbers, out of PyTorch, Keras and ONNX.

    python3 -m venv golden-env
    golden-env/bin/pip install torch==2.13.0 keras==3.15.1 onnx==1.23.2 onnxruntime==1.32.0
    golden-env/bin/python tests/golden/make_golden_layers.py

Inputs and weights are drawn as float16 and stored so: half the bytes, and exact in float32 and float64. Everything is
computed in float64 and stored as float32, rounded once (6e-8 of each number): the error a test sees is the layer's own.
Keys of layers.npz: "<layer>/<case>/<array>", with y, dy and d<array> for every array of forward; integers are settings.
Nothing here knows npgru: arrays are in its layouts (NHWC), those of GRUs in their framework's own.
"""
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
import keras                                                                                     # noqa: E402
import numpy as np                                                                               # noqa: E402
import onnx                                                                                      # noqa: E402
import onnxruntime                                                                               # noqa: E402
import torch                                                                                     # noqa: E402
import torch.nn.functional as F                                                                  # noqa: E402
from onnx.reference import ReferenceEvaluator                                                    # noqa: E402

FOLDER = Path(__file__).parent
VERSIONS = np.array([f"{module.__name__} {module.__version__}" for module in (torch, keras, onnx, onnxruntime, np)])
EPS = 1e-3


def draw(rng, *shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype(np.float16)


def leaf(array):
    return torch.tensor(array.astype(np.float64), requires_grad=True)


def record(golden, case, f, arrays, rng, **settings):
    """y = f(**arrays, **settings) and its gradients for a random dy, by autograd, into `golden`."""
    leaves = {name: leaf(array) for name, array in arrays.items()}
    y = f(**leaves, **settings)
    dy = draw(rng, *y.shape)
    y.backward(torch.tensor(dy.astype(np.float64)))
    stored = arrays | {"dy": dy, "y": y.detach().numpy().astype(np.float32)}
    stored |= {f"d{name}": tensor.grad.numpy().astype(np.float32) for name, tensor in leaves.items()}
    stored |= {name: np.array(value) for name, value in settings.items()}
    golden.update({f"{case}/{name}": array for name, array in stored.items()})


def pad_same(x, kernel, stride):
    """x (B, T, M, C) -> (B, C, T + .., M + ..) with TensorFlow's SAME zeros, the odd one after."""
    widths = []
    for n_in, k, s in zip(x.shape[1:3], kernel, stride):
        total = max((-(-n_in // s) - 1) * s + k - n_in, 0)
        widths = [total // 2, total - total // 2, *widths]               # F.pad begins at the last axis
    return F.pad(x.permute(0, 3, 1, 2), widths)


def conv2d(x, w, stride):
    y = F.conv2d(pad_same(x, w.shape[:2], stride), w.permute(3, 2, 0, 1), stride=stride).permute(0, 2, 3, 1)
    keras_y = keras.ops.conv(x, w, strides=stride, padding="same", data_format="channels_last")
    assert torch.allclose(y, keras_y, rtol=0, atol=1e-10), "Keras pads otherwise"
    return y


def depthwise2d(x, w):
    k_t, k_m, C = w.shape
    kernels = w.permute(2, 0, 1).reshape(C, 1, k_t, k_m)
    return F.conv2d(pad_same(x, (k_t, k_m), (1, 1)), kernels, groups=C).permute(0, 2, 3, 1)


def pointwise(x, w):
    return F.conv2d(x.permute(0, 3, 1, 2), w.T[:, :, None, None]).permute(0, 2, 3, 1)


def batchnorm(x, gamma, beta, running=(None, None)):
    training = running[0] is None
    y = F.batch_norm(x.permute(0, 3, 1, 2), *running, gamma, beta, training=training, eps=EPS)
    return y.permute(0, 2, 3, 1)


def batchnorm_infer(x, gamma, beta, mean, var):
    """PyTorch gives running statistics no gradient: written out, and equal to F.batch_norm."""
    y = gamma * (x - mean) / torch.sqrt(var + EPS) + beta
    assert torch.allclose(y, batchnorm(x, gamma, beta, (mean.detach(), var.detach())), rtol=0, atol=1e-12)
    return y


def maxpool(x, size):
    return F.max_pool2d(x.permute(0, 3, 1, 2), (1, size)).permute(0, 2, 3, 1)


def gru(x, h0, weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0):
    module = torch.nn.GRU(x.shape[-1], h0.shape[-1], batch_first=True, dtype=torch.float64)
    weights = dict(weight_ih_l0=weight_ih_l0, weight_hh_l0=weight_hh_l0, bias_ih_l0=bias_ih_l0, bias_hh_l0=bias_hh_l0)
    return torch.func.functional_call(module, weights, (x, h0[None]))[0]


def gru_arrays(rng, B, T, D, H):
    shapes = dict(x=(B, T, D), h0=(B, H), weight_ih_l0=(3 * H, D), weight_hh_l0=(3 * H, H),
                  bias_ih_l0=(3 * H,), bias_hh_l0=(3 * H,))
    return {name: draw(rng, *shape, scale=0.5) for name, shape in shapes.items()}


def convolution_cases(golden, rng):
    for case, shape, kernel, N, stride in [("odd", (2, 7, 5, 3), (3, 2), 4, (2, 3)),
                                           ("stride_above_kernel", (2, 8, 7, 2), (2, 1), 3, (3, 4)),
                                           ("one_frame", (1, 1, 1, 1), (10, 4), 1, (5, 2)),
                                           ("no_tail", (1, 83, 3, 1), (10, 4), 2, (5, 2)),
                                           ("teacher", (2, 84, 4, 1), (10, 4), 2, (5, 2))]:
        arrays = {"x": draw(rng, *shape), "w": draw(rng, *kernel, shape[-1], N)}
        record(golden, f"conv2d/{case}", conv2d, arrays, rng, stride=stride)
    for case, shape, N in [("odd", (2, 5, 3, 4), 6), ("teacher", (1, 17, 8, 2), 3)]:
        record(golden, f"pointwise/{case}", pointwise, {"x": draw(rng, *shape), "w": draw(rng, shape[-1], N)}, rng)
    for case, shape, kernel in [("odd", (2, 7, 5, 3), (3, 3)), ("even_kernel", (1, 4, 6, 2), (2, 4)),
                                ("one_frame", (1, 1, 1, 1), (3, 3)), ("teacher", (1, 17, 8, 2), (3, 3))]:
        arrays = {"x": draw(rng, *shape), "w": draw(rng, *kernel, shape[-1])}
        record(golden, f"depthwise2d/{case}", depthwise2d, arrays, rng)


def normalisation_cases(golden, rng):
    for case, shape in [("odd", (2, 5, 3, 4)), ("one_channel", (3, 1, 1, 1)), ("teacher", (1, 17, 8, 2))]:
        C = shape[-1]
        arrays = {"x": draw(rng, *shape, scale=2) + np.float16(1), "gamma": draw(rng, C), "beta": draw(rng, C)}
        record(golden, f"batchnorm/{case}", batchnorm, arrays, rng)
        if case == "teacher":
            continue
        running = torch.zeros(C, dtype=torch.float64), torch.zeros(C, dtype=torch.float64)
        x = leaf(arrays["x"]).permute(0, 3, 1, 2)
        F.batch_norm(x, *running, training=True, momentum=1.0)           # momentum 1: the batch's own, var unbiased
        golden |= {f"batchnorm/{case}/{name}": array.numpy().astype(np.float32)
                   for name, array in zip(("running_mean", "running_var"), running)}
        arrays |= {"mean": draw(rng, C), "var": np.abs(draw(rng, C)) + np.float16(0.1)}
        record(golden, f"batchnorm_infer/{case}", batchnorm_infer, arrays, rng)


def pointwise_cases(golden, rng):
    x = draw(rng, 3, 5, 4, scale=4)
    x.flat[:4] = 0, 6, -1, 7                                             # both kinks
    for name, f in [("relu", F.relu), ("relu6", F.relu6), ("sigmoid", torch.sigmoid)]:
        record(golden, f"{name}/odd", lambda x: f(x), {"x": x}, rng)
    ties = np.round(draw(rng, 2, 3, 7, 2)).astype(np.float16)
    for case, x, size in [("ties_and_remainder", ties, 3), ("teacher", draw(rng, 1, 17, 16, 2), 4)]:
        record(golden, f"maxpool/{case}", maxpool, {"x": x}, rng, size=size)
    record(golden, "stack/odd", lambda x: x.flatten(2), {"x": draw(rng, 2, 3, 4, 5)}, rng)
    record(golden, "mean_time/odd", lambda x: x.mean(1), {"x": draw(rng, 2, 7, 3)}, rng)
    for case, B, D, N in [("odd", 3, 5, 4), ("teacher", 2, 32, 2)]:
        arrays = {"x": draw(rng, B, D), "w": draw(rng, D, N), "b": draw(rng, N)}
        record(golden, f"dense/{case}", lambda x, w, b: F.linear(x, w.T, b), arrays, rng)


def gru_cases(golden, rng):
    for case, sizes in [("odd", (2, 7, 3, 5)), ("one_frame", (1, 1, 1, 1)), ("teacher", (2, 17, 16, 8))]:
        record(golden, f"gru/{case}", gru, gru_arrays(rng, *sizes), rng)
    B, T, D, H = 2, 4, 3, 5
    shapes = dict(x=(B, T, D), h0=(B, H), kernel=(D, 3 * H), recurrent_kernel=(H, 3 * H), bias=(2, 3 * H))
    arrays = {name: draw(rng, *shape) for name, shape in shapes.items()}
    layer = keras.layers.GRU(H, reset_after=True, return_sequences=True, dtype="float64")
    layer.build((B, T, D))
    layer.set_weights([arrays[name] for name in ("kernel", "recurrent_kernel", "bias")])
    y = layer(*(torch.tensor(arrays[name].astype(np.float64)) for name in ("x", "h0"))).detach().numpy()
    golden |= {f"keras_gru/odd/{name}": array for name, array in (arrays | {"y": y.astype(np.float32)}).items()}

    shapes = dict(x=(T, B, D), W=(1, 3 * H, D), R=(1, 3 * H, H), B=(1, 6 * H), h0=(1, B, H))
    arrays = {name: draw(rng, *shape) for name, shape in shapes.items()}
    y = onnx_gru(arrays, H)
    golden |= {f"onnx_gru/odd/{name}": array for name, array in (arrays | {"y": y.astype(np.float32)}).items()}


def onnx_gru(arrays, H):
    """ONNX's GRU, linear_before_reset = 1, by its reference evaluator in float64; onnxruntime agrees in float32."""
    node = onnx.helper.make_node("GRU", ["x", "W", "R", "B", "", "h0"], ["y"], hidden_size=H, linear_before_reset=1)
    runs = []
    for dtype, run in [(np.float64, lambda model: ReferenceEvaluator(model)),
                       (np.float32, lambda model: onnxruntime.InferenceSession(model.SerializeToString()))]:
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        inputs = [onnx.helper.make_tensor_value_info(name, kind, array.shape) for name, array in arrays.items()]
        T, B, _ = arrays["x"].shape
        output = onnx.helper.make_tensor_value_info("y", kind, (T, 1, B, H))
        graph = onnx.helper.make_graph([node], "gru", inputs, [output])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
        onnx.checker.check_model(model)
        runs.append(run(model).run(None, {name: array.astype(dtype) for name, array in arrays.items()})[0])
    assert np.abs(runs[0] - runs[1]).max() < 1e-6, "onnxruntime and ONNX's reference disagree"
    return runs[0]


if __name__ == "__main__":
    torch.set_num_threads(1)
    layers = {"versions": VERSIONS}
    for cases in (convolution_cases, normalisation_cases, pointwise_cases, gru_cases):
        cases(layers, np.random.default_rng(7))
    np.savez_compressed(FOLDER / "layers.npz", **layers)
