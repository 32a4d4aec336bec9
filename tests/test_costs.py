"""What a network costs, against the paper's sizes and a count by hand."""
import numpy as np

from npgru import costs, model

TINY = model.NetworkConfig(conv_filters=2, conv_kernel=(2, 2), conv_stride=(2, 2), block_filters=(3,), pool_size=2,
                           gru_units=4, dense_units=5)


def test_the_papers_student_has_15642_parameters():
    assert costs.n_parameters(model.build(model.student(), 32)) == 15_642


def test_multiply_adds_of_a_tiny_network_counted_by_hand():
    layers = model.build(TINY, 8)                              # x (6, 8) -> 3 x 4 places, pooled to 3 x 2, D = 6
    conv, depthwise, pointwise = 12 * 2 * 2 * 2, 12 * 9 * 2, 12 * 2 * 3
    gru, dense, classes = 3 * (6 * 12 + 4 * 12), 4 * 5, 5 * 2
    assert costs.multiply_adds(layers, 6, 8) == conv + depthwise + pointwise + gru + dense + classes


def test_operations_of_a_step_are_twice_the_multiply_adds_forward_and_for_each_gradient():
    layers = model.build(TINY, 8)
    operations = costs.step_operations(layers, 6, 8)
    assert list(operations) == [layer.name for layer in layers]
    with_kernels = [layer.name for layer in layers if costs.kernel_size(layer)]
    assert sum(operations[name][0] for name in with_kernels) == 2 * costs.multiply_adds(layers, 6, 8)
    assert operations["conv"][1] == operations["conv"][0]                       # nothing before it learns: no dx
    assert all(operations[name][1] == 2 * operations[name][0] for name in with_kernels[1:])
    assert operations["input"] == (6 * 8, 0) and operations["pool"] == (12 * 3, 12 * 3) and operations["stack"] == (0, 0)


def test_zeros_are_counted_with_and_without_the_gru_and_compress(rng):
    layers = model.build(TINY, 8)
    params, _ = model.init(layers, rng)
    assert costs.sparsity(layers, params) == (0, 0)
    before = costs.compressed_bytes(params)
    for name in ("conv/w", "block1_depthwise/w", "block1_pointwise/w", "dense/w", "classes/w"):
        params[name][...] = 0
    without_gru, all_kernels = costs.sparsity(layers, params)
    assert without_gru == 1 and all_kernels == 62 / (62 + 120)     # 8 + 18 + 6 + 20 + 10 weights; the GRU's 6·12 + 4·12
    assert costs.compressed_bytes(params) < before


def test_compressed_bytes_are_of_the_weights_as_stored(rng):
    float32, int8 = rng.standard_normal(1000).astype(np.float32), rng.integers(-128, 128, 1000).astype(np.int8)
    assert 1000 <= costs.compressed_bytes({"a/w": int8}) < 1100 < 3000 < costs.compressed_bytes({"a/w": float32}) < 4100
