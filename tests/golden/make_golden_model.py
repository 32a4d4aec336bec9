"""Writes model.npz: a small whole network, training and inference, out of PyTorch. Run like make_golden_layers.py.

    conv 10x4 stride (5, 2) -> BN -> ReLU6 -> 2 x [depthwise 3x3 -> BN -> ReLU6 -> pointwise -> BN -> ReLU6]
    -> max pool (1, 4) -> stack -> GRU -> mean over time -> dense, ReLU -> dense -> weighted softmax cross-entropy

Input (3, 84, 32), filters 6; 8, 8, GRU 5, dense 7, classes 2. loss = (1/B) sum_i class_weights[y_i] CE_i, which is not
PyTorch's own weighted mean (that divides by the sum of the weights).
Keys: x, y, class_weights; params/<layer>/<array>, stats/<batch-norm>/mean and var (given running statistics);
logits, loss, dx_first (of the first clip, to save bytes), gradients/<layer>/<array>, batch/<batch-norm>/mean and var
(biased) of training; inference_logits.
The GRU's arrays are torch's own, under torch's names; every other array is in npgru's layout.
"""
import numpy as np
import torch
import torch.nn.functional as F
from make_golden_layers import (EPS, FOLDER, VERSIONS, batchnorm, conv2d, depthwise2d, draw, gru, leaf, maxpool,
                                pointwise)

B, T, M, H, N, K = 3, 84, 32, 5, 7, 2
FILTERS = (6, 8, 8)
SEED = 7                        # its numbers keep clear of kinks, by KINK_DISTANCE: asserted below
KINK_DISTANCE = 5e-6            # float32 errs by 1e-6 here: nearer a kink it could take the other side's gradient


def draw_params(rng):
    """{"layer/array": float16}: He-like scales, and gamma and beta that send values to both ends of ReLU6."""
    shapes = {"conv/w": (10, 4, 1, FILTERS[0])}
    for i, (C_in, C_out) in enumerate(zip(FILTERS, FILTERS[1:]), start=1):
        shapes |= {f"block{i}_depthwise/w": (3, 3, C_in), f"block{i}_pointwise/w": (C_in, C_out)}
    bns = {f"{name.split('/')[0]}_bn": shape[-1] for name, shape in shapes.items()}
    D = 4 * FILTERS[-1]
    shapes |= {"gru/weight_ih_l0": (3 * H, D), "gru/weight_hh_l0": (3 * H, H), "gru/bias_ih_l0": (3 * H,),
               "gru/bias_hh_l0": (3 * H,), "dense/w": (H, N), "dense/b": (N,), "classes/w": (N, K), "classes/b": (K,)}
    scale = {"conv/w": 0.2, "gru/weight_ih_l0": 0.1}
    params = {name: draw(rng, *shape, scale=scale.get(name, 0.5)) for name, shape in shapes.items()}
    stats = {}
    for name, C in bns.items():
        params |= {f"{name}/gamma": draw(rng, C, scale=0.3) + np.float16(2),
                   f"{name}/beta": draw(rng, C, scale=0.3) + np.float16(1)}
        stats |= {f"{name}/mean": draw(rng, C, scale=0.3), f"{name}/var": np.abs(draw(rng, C)) + np.float16(0.5)}
    return params, stats


def relu6_away_from_kinks(x):
    """ReLU6, asserting that no value is so near a kink that float32 could take the other side's gradient."""
    distance = torch.minimum(x.abs(), (x - 6).abs()).min().item()
    assert distance > KINK_DISTANCE, f"a value is {distance:.1g} from a kink of ReLU6; take another seed"
    return F.relu6(x)


def maxpool_away_from_ties(x, size):
    """Max pooling, asserting that the largest two differ, or are both clipped: then no gradient passes below."""
    groups = x[:, :, :x.shape[2] // size * size].unflatten(2, (-1, size))
    first, second = groups.topk(2, dim=3).values.unbind(3)
    gap = (first - second)[(first > 0) & (first < 6)].min().item()
    assert gap > KINK_DISTANCE, f"two values of a pool differ by {gap:.1g}; take another seed"
    return maxpool(x, size)


def network(x, params, stats=None):
    """x (B, T, M) -> logits (B, K) and the batch's statistics; running statistics given: inference."""
    batch = {}

    def normalised(y, name):
        batch[f"{name}/mean"] = y.mean((0, 1, 2))
        batch[f"{name}/var"] = y.var((0, 1, 2), correction=0)
        running = (stats[f"{name}/mean"], stats[f"{name}/var"]) if stats else (None, None)
        return relu6_away_from_kinks(batchnorm(y, params[f"{name}/gamma"], params[f"{name}/beta"], running))

    y = normalised(conv2d(x[..., None], params["conv/w"], (5, 2)), "conv_bn")
    for i in range(1, len(FILTERS)):
        y = normalised(depthwise2d(y, params[f"block{i}_depthwise/w"]), f"block{i}_depthwise_bn")
        y = normalised(pointwise(y, params[f"block{i}_pointwise/w"]), f"block{i}_pointwise_bn")
    y = maxpool_away_from_ties(y, 4).flatten(2)
    weights = {name.removeprefix("gru/"): array for name, array in params.items() if name.startswith("gru/")}
    y = gru(y, torch.zeros(len(x), H, dtype=torch.float64), **weights).mean(1)
    y = F.relu(F.linear(y, params["dense/w"].T, params["dense/b"]))
    return F.linear(y, params["classes/w"].T, params["classes/b"]), batch


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    params, stats = draw_params(rng)
    x, y = draw(rng, B, T, M), np.array([0, 1, 1])
    class_weights = np.array([1.5, 3.0], np.float32)
    leaves, x_leaf = {name: leaf(array) for name, array in params.items()}, leaf(x)
    logits, batch = network(x_leaf, leaves)
    weight = torch.tensor(class_weights, dtype=torch.float64)
    loss = F.cross_entropy(logits, torch.tensor(y), weight=weight, reduction="none").mean()
    loss.backward()
    running = {name: torch.tensor(array.astype(np.float64)) for name, array in stats.items()}
    numbers = {"logits": logits, "loss": loss, "dx_first": x_leaf.grad[0],
               "inference_logits": network(x_leaf, leaves, running)[0]}
    numbers |= {f"gradients/{name}": tensor.grad for name, tensor in leaves.items()}
    numbers |= {f"batch/{name}": tensor for name, tensor in batch.items()}
    golden = {"versions": VERSIONS, "eps": np.array(EPS), "x": x, "y": y, "class_weights": class_weights}
    golden |= {f"params/{name}": array for name, array in params.items()}
    golden |= {f"stats/{name}": array for name, array in stats.items()}
    golden |= {name: tensor.detach().numpy().astype(np.float32) for name, tensor in numbers.items()}
    np.savez_compressed(FOLDER / "model.npz", **golden)


if __name__ == "__main__":
    main()
