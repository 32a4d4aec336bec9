"""PyTorch's twin of npgru's training: python torch_step.py STEP.npz [--threads N] [--runs N] [--plain].

STEP.npz is what compare_training.py writes: weights, clips, and the numbers of the network. Prints JSON: the loss without
dropout before and after one step, and samples a second of every epoch, after one that is not counted. --plain: PyTorch's
default memory format and Adam instead of channels_last and the fused one, which are faster.
"""
import argparse
import json
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class SameConv(nn.Module):
    """Convolution with TensorFlow's SAME padding, then batch-norm and ReLU6. w: as npgru's, moved to PyTorch's order."""

    def __init__(self, w, gamma, beta, stride, groups, eps):
        super().__init__()
        self.conv = nn.Conv2d(w.shape[1] * groups, w.shape[0], w.shape[2:], stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(w.shape[0], eps=eps)
        self.conv.weight.data, self.norm.weight.data, self.norm.bias.data = (torch.tensor(a) for a in (w, gamma, beta))

    def forward(self, x):
        pads = []
        for n, k, s in zip(reversed(x.shape[2:]), reversed(self.conv.kernel_size), reversed(self.conv.stride)):
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads += [total // 2, total - total // 2]
        return F.relu6(self.norm(self.conv(F.pad(x, pads) if any(pads) else x)), inplace=True)


class Twin(nn.Module):
    """npgru.model's network with npgru's weights `p`, {"layer/weight": array}."""

    def __init__(self, p, about):
        super().__init__()
        def stage(name, w, stride=(1, 1), groups=1):
            return SameConv(np.ascontiguousarray(w), p[f"{name}_bn/gamma"], p[f"{name}_bn/beta"], stride, groups, about["eps"])
        self.input_scale = about["input_scale"]
        stages = [stage("conv", p["conv/w"].transpose(3, 2, 0, 1), about["stride"])]
        for i in range(1, about["n_blocks"] + 1):
            w = p[f"block{i}_depthwise/w"].transpose(2, 0, 1)[:, None]
            stages.append(stage(f"block{i}_depthwise", w, groups=len(w)))
            stages.append(stage(f"block{i}_pointwise", p[f"block{i}_pointwise/w"].T[:, :, None, None]))
        self.stages, self.pool = nn.Sequential(*stages), nn.MaxPool2d((1, about["pool_size"]))
        D, H = p["gru/w"].shape[0], p["gru/u"].shape[0]
        self.gru, self.dropout = nn.GRU(D, H, batch_first=True), nn.Dropout(about["dropout"])
        order = np.r_[H:2 * H, 0:H, 2 * H:3 * H]                         # z | r | n -> r | z | n
        arrays = p["gru/w"][:, order].T, p["gru/u"][:, order].T, p["gru/b"][order], p["gru/c"][order]
        for weight, array in zip(self.gru.parameters(), arrays):
            weight.data = torch.tensor(np.ascontiguousarray(array))
        self.dense, self.classes = (nn.Linear(*p[f"{name}/w"].shape) for name in ("dense", "classes"))
        for name in ("dense", "classes"):
            layer = getattr(self, name)
            layer.weight.data, layer.bias.data = torch.tensor(np.ascontiguousarray(p[f"{name}/w"].T)), torch.tensor(p[f"{name}/b"])

    def forward(self, x):
        y = self.pool(self.stages(self.input_scale * x[:, None]))                           # (B, C, T, M)
        y, _ = self.gru(y.permute(0, 2, 3, 1).flatten(2))
        return self.classes(F.relu(self.dense(self.dropout(y).mean(dim=1))))


def build(p, about, plain, dropout):
    """The twin and its optimiser."""
    net = Twin(p, {**about, "dropout": dropout})
    if not plain:
        net = net.to(memory_format=torch.channels_last)
    return net, torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, fused=not plain)


def step(net, optimiser, x, y):
    optimiser.zero_grad(set_to_none=True)
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    optimiser.step()
    return loss


def epoch(net, optimiser, x, y, batch_size):
    """All clips in a new order; returns seconds."""
    began = time.perf_counter()
    for rows in torch.randperm(len(x)).split(batch_size):
        step(net, optimiser, x[rows], y[rows]).item()                        # the loss is looked at, as in npgru's loop
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--plain", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    arrays = dict(np.load(args.step))
    about = json.loads(arrays.pop("about").tobytes())
    x, y = torch.tensor(arrays.pop("x").astype(np.float32)), torch.tensor(arrays.pop("y"))
    n = about["batch_size"]
    check = build(arrays, about, args.plain, 0.0)
    losses = [step(*check, x[:n], y[:n]).item() for _ in range(2)]
    net = build(arrays, about, args.plain, about["dropout"])
    seconds = [epoch(*net, x, y, n) for _ in range(args.runs + 1)][1:]
    print(json.dumps({"losses": losses, "samples_per_s": [len(x) / s for s in seconds], "version": f"PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
