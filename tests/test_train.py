"""The training loop: it learns, keeps the best epoch, and an interrupted run ends with the same bytes."""
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from npgru import loss, model, train
from npgru.optimiser import AdamConfig
from npgru.train import TrainConfig, TrainingData

NETWORK = model.NetworkConfig(conv_filters=4, block_filters=(6,), gru_units=5, dense_units=4, dropout=0.1)
CONFIG = TrainConfig(epochs=4, batch_size=16, adam=AdamConfig(learning_rate=0.01))


@pytest.fixture
def layers():
    return model.build(NETWORK, 32)


@pytest.fixture
def data(rng):
    """Clips of noise; a target has a louder band somewhere."""
    def split(n):
        x, y = rng.integers(300, 500, (n, 84, 32)), np.arange(n) % 3 == 0
        x[y, 20:60, 10:14] += 150
        return x.astype(np.uint16), y.astype(int)

    return TrainingData(*split(70), *split(30))


def run(layers, data, config=CONFIG, seed=1, state=None, after_epoch=lambda state: None):
    """A whole training on the labels; the state at its end."""
    state = state or train.fresh_state(layers, np.random.default_rng([seed, 0]))
    weights = train.class_weights_of(data.y_train, config)
    objective = train.Objective(lambda x, logits, y: loss.cross_entropy(logits, y, weights))
    return train.train(layers, state, data, config, objective, [seed], after_epoch)


def test_it_learns_and_keeps_the_best_epoch(layers, data):
    state = run(layers, data)
    scores = [row["validation_average_precision"] for row in state.history]
    assert [row["epoch"] for row in state.history] == [1, 2, 3, 4]
    assert state.best_score == max(scores) > 0.9 and state.best_epoch == 1 + int(np.argmax(scores))
    assert state.step == 4 * 5                                        # 70 clips: the fifth batch has 6


def test_the_kept_weights_are_those_of_the_best_epoch(layers, data):
    seen = {}

    def remember(state):
        seen[state.epoch] = ({k: v.copy() for k, v in state.weights.items()}, dict(state.stats))

    state = run(layers, data, after_epoch=remember)
    weights, stats = seen[state.best_epoch]
    for ours, kept in ((weights, state.best_weights), (stats, state.best_stats)):
        assert all(np.array_equal(ours[name], kept[name]) for name in ours)


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_a_resumed_run_ends_with_the_same_bytes(layers, data, tmp_path, stopped_after):
    whole, parts = tmp_path / "whole.npz", tmp_path / "parts.npz"
    run(layers, data, after_epoch=lambda state: train.save_state(whole, state, {"run": 1}))
    run(layers, data, replace(CONFIG, epochs=stopped_after),
        after_epoch=lambda state: train.save_state(parts, state, {"run": 1}))
    state, header = train.load_state(parts)
    assert state.epoch == stopped_after and header["run"] == 1
    run(layers, data, state=state, after_epoch=lambda state: train.save_state(parts, state, {"run": 1}))
    assert whole.read_bytes() == parts.read_bytes()


def test_same_seed_same_weights_other_seed_others(layers, data):
    one_epoch = replace(CONFIG, epochs=1)
    a, b, c = (run(layers, data, one_epoch, seed).weights for seed in (1, 1, 2))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["gru/w"], c["gru/w"])


def test_blas_threads_do_not_change_the_weights_that_recipe_limits_to_one(layers, data):
    """Under the limit that recipe sets the number of threads of the machine's BLAS plays no part."""
    results = []
    for n in (1, 2):
        with threadpool_limits(n), threadpool_limits(1):
            results.append(run(layers, data, replace(CONFIG, epochs=1)).weights)
    assert all(np.array_equal(results[0][name], results[1][name]) for name in results[0])


def test_keep_last_hands_on_the_last_epoch(layers, data):
    state = run(layers, data, replace(CONFIG, keep="last"))
    assert state.best_epoch == 4 and all(np.array_equal(state.best_weights[k], state.weights[k]) for k in state.weights)


def test_cosine_schedule_ends_with_steps_of_almost_nothing(layers, data):
    seen = [fresh.copy() for fresh in train.fresh_state(layers, np.random.default_rng([1, 0])).weights.values()]
    moved = []

    def remember(state):
        now = list(state.weights.values())
        moved.append(max(np.abs(a - b).max() for a, b in zip(now, seen)))
        seen[:] = [a.copy() for a in now]

    run(layers, data, replace(CONFIG, schedule="cosine"), after_epoch=remember)
    assert moved[3] < 0.3 * moved[0]


def test_the_clips_in_memory_are_never_changed(layers, data):
    before = [array.copy() for array in (data.x_train, data.x_validation)]
    run(layers, data, replace(CONFIG, epochs=1, augment=replace(CONFIG.augment, probability=1.0)))
    assert np.array_equal(before[0], data.x_train) and np.array_equal(before[1], data.x_validation)


def test_class_weights_none_differ_from_balanced(layers, data):
    losses = {kind: run(layers, data, replace(CONFIG, epochs=1, class_weights=kind)).history[0]["loss"]
              for kind in ("none", "balanced")}
    assert losses["balanced"] > 1.5 * losses["none"]                  # total / count is 3 and 1.5


def test_divergence_stops_with_advice(layers, data):
    broken = replace(data, x_train=data.x_train.astype(np.float32) * np.float32(np.nan))
    with pytest.raises(FloatingPointError, match="lower adam.learning_rate"):
        run(layers, broken)


@pytest.mark.parametrize("option", [{"epochs": 0}, {"batch_size": 0}, {"class_weights": "auto"}, {"schedule": "step"},
                                    {"keep": "first"}])
def test_config_refuses(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        TrainConfig(**option)
