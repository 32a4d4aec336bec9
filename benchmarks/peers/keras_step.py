"""Keras's twin of npgru's training: python keras_step.py STEP.npz [--threads N] [--runs N].

STEP.npz is what compare_training.py writes. Prints JSON: the loss without dropout before and after one step, and samples a
second of every epoch of model.fit, after one that is not counted.
"""
import argparse
import json
import os
import time

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
import keras
import numpy as np
import tensorflow
from keras import layers as L


def build(p, about, dropout):
    """npgru.model's network with npgru's weights `p`, {"layer/weight": array}, compiled with its loss and Adam."""
    def norm(name):
        made[name] = L.BatchNormalization(momentum=about["momentum"], epsilon=about["eps"])
        return [made[name], L.ReLU(6.0)]

    made = {"conv": L.Conv2D(p["conv/w"].shape[3], p["conv/w"].shape[:2], about["stride"], "same", use_bias=False)}
    stack = [L.Input((84, 32)), L.Rescaling(about["input_scale"]), L.Reshape((84, 32, 1)), made["conv"], *norm("conv_bn")]
    for i in range(1, about["n_blocks"] + 1):
        depthwise, pointwise = f"block{i}_depthwise", f"block{i}_pointwise"
        made[depthwise] = L.DepthwiseConv2D(3, padding="same", use_bias=False)
        made[pointwise] = L.Conv2D(p[f"{pointwise}/w"].shape[1], 1, use_bias=False)
        stack += [made[depthwise], *norm(f"{depthwise}_bn"), made[pointwise], *norm(f"{pointwise}_bn")]
    (D, _), (H, _) = p["gru/w"].shape, p["gru/u"].shape
    made["gru"] = L.GRU(H, return_sequences=True, reset_after=True)
    made["dense"], made["classes"] = L.Dense(p["dense/w"].shape[1], "relu"), L.Dense(p["classes/w"].shape[1])
    net = keras.Sequential([*stack, L.MaxPooling2D((1, about["pool_size"])), L.Reshape((-1, D)), made["gru"],
                            L.Dropout(dropout), L.GlobalAveragePooling1D(), made["dense"], made["classes"]])
    for name, layer in made.items():
        w = [p[key] for key in p if key.startswith(f"{name}/")]
        if name.endswith("_bn"):
            w += layer.get_weights()[2:]                                     # the running statistics as they begin
        elif name == "gru":
            w = [p["gru/w"], p["gru/u"], np.stack([p["gru/b"], p["gru/c"]])]
        layer.set_weights([array.reshape(old.shape) for array, old in zip(w, layer.get_weights(), strict=True)])
    net.compile(keras.optimizers.Adam(1e-3, epsilon=1e-7), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


class Clock(keras.callbacks.Callback):
    """Seconds of every epoch."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    tensorflow.config.threading.set_intra_op_parallelism_threads(args.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    arrays = dict(np.load(args.step))
    about = json.loads(arrays.pop("about").tobytes())
    x, y = arrays.pop("x"), arrays.pop("y")
    check = build(arrays, about, 0.0)
    n = about["batch_size"]
    losses = [float(check.train_on_batch(x[:n].astype(np.float32), y[:n])) for _ in range(2)]
    clock = Clock()
    build(arrays, about, about["dropout"]).fit(x.astype(np.float32), y, n, args.runs + 1, verbose=0, callbacks=[clock])
    print(json.dumps({"losses": losses, "samples_per_s": [len(x) / s for s in clock.seconds[1:]],
                      "version": f"Keras {keras.__version__}, TensorFlow {tensorflow.__version__}"}))


if __name__ == "__main__":
    main()
