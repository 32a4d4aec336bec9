"""The network: the paper's shapes and sizes, whole-network gradients, running statistics, another framework's numbers."""
import numpy as np
import pytest
from tolerances import DEFINITION_REL_ERROR, NETWORK_GRADIENT_REL_ERROR

from npgru import model
from npgru.audit_layers import check_network_gradients
from npgru.model import NetworkConfig

SMALL = NetworkConfig(input_scale=1.0, conv_filters=3, conv_kernel=(3, 2), conv_stride=(2, 2), block_filters=(5, 4),
                      pool_size=2, gru_units=3, dense_units=4, dropout=0.0)


def shapes_through(config, x):
    """Output shape of each layer, by name."""
    layers = model.build(config, x.shape[2])
    params, stats = model.init(layers, np.random.default_rng(0))
    shapes = {}
    for k in range(1, len(layers) + 1):
        if layers[k - 1].kind in ("relu6", "relu", "dropout"):
            continue
        shapes[layers[k - 1].name] = model.forward(layers[:k], params, stats, x)[0].shape[1:]
    return shapes


@pytest.mark.parametrize("config, C, N, H, units", [(model.teacher(), 32, 64, 32, 32), (model.student(), 24, 48, 16, 16)])
def test_shapes_are_the_papers(config, C, N, H, units):
    shapes = shapes_through(config, np.zeros((1, 84, 32), np.float32))
    assert shapes["conv"] == (17, 16, C)
    assert shapes["block2_pointwise"] == (17, 16, N)
    assert shapes["pool"] == (17, 4, N) and shapes["stack"] == (17, 4 * N)
    assert shapes["gru"] == (17, H) and shapes["mean_time"] == (H,)
    assert shapes["dense"] == (units,) and shapes["classes"] == (2,)


def test_83_frames_give_the_same_17_steps():
    assert shapes_through(model.student(), np.zeros((1, 83, 32), np.float32))["conv"] == (17, 16, 24)


def test_student_has_the_papers_number_of_parameters():
    layers = model.build(model.student(), 32)
    sizes = {layer.kind: 0 for layer in layers}
    for layer in layers:
        sizes[layer.kind] += sum(int(np.prod(shape)) for shape in layer.shapes.values())
    folded = sum(sizes.values()) - sizes["batchnorm"] // 2           # γ and β become one bias a channel
    assert folded == 15642


def test_whole_network_gradients():
    assert check_network_gradients(n_cases=1, seed=7).worst < NETWORK_GRADIENT_REL_ERROR


def test_running_statistics_are_the_mean_of_the_first_batches_then_decay(rng):
    layers = model.build(SMALL, 8)
    params, stats = model.init(layers, rng, np.float64)
    decay = layers[2].settings["momentum"]
    n_first = round(1 / (1 - decay))
    expected, seen = 0.0, []
    for k in range(1, n_first + 8):
        x = rng.standard_normal((2, 7, 8))
        z = model.forward(layers[:2], params, stats, x)[0]
        stats = model.forward(layers, params, stats, x, rng)[2]
        batch = z.mean(axis=(0, 1, 2))
        seen.append(batch)
        expected = np.mean(seen, axis=0) if k <= n_first else decay * expected + (1 - decay) * batch
    np.testing.assert_allclose(stats["conv_bn/mean"], expected, rtol=1e3 * DEFINITION_REL_ERROR)


def test_inference_does_not_depend_on_the_batch(rng):
    layers = model.build(model.student(), 32)
    params, stats = model.init(layers, rng)
    x = rng.integers(0, 800, (5, 84, 32)).astype(np.uint16)
    stats = model.forward(layers, params, stats, x.astype(np.float32), rng)[2]
    together = model.predict(layers, params, stats, x)
    np.testing.assert_allclose(model.predict(layers, params, stats, x, batch_size=2), together, rtol=1e-5, atol=1e-5)
    assert model.predict(layers, params, stats, x[:0]).shape == (0, 2)


def test_layer_list_survives_a_round_trip_through_rows():
    layers = model.build(model.teacher(), 32)
    assert model.from_rows(model.to_rows(layers)) == layers
    with pytest.raises(ValueError, match="lstm"):
        model.from_rows([{"kind": "lstm", "name": "x", "shapes": {}, "settings": {}}])


@pytest.mark.parametrize("option", [{"conv_filters": 0}, {"block_filters": (64, -1)}, {"dropout": 1.0},
                                    {"conv_kernel": (3,)}, {"batchnorm_eps": 0.0}, {"input_scale": 0.01}])
def test_config_refuses(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        NetworkConfig(**option)


def test_a_pool_wider_than_the_bands_is_refused():
    with pytest.raises(ValueError, match="pool_size=4.*leaves 3 of the 5"):
        model.build(NetworkConfig(), 5)
