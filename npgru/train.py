"""The training loop, once: epochs of Adam, validation after each, the best epoch kept, resumable at any moment."""
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from . import checkpoint, dataset, loss, metrics, model
from .augment import AugmentConfig, are_clear, augment_targets
from .backend import Backend
from .feature_rows import Rows
from .optimiser import AdamConfig, adam_init, cosine_decay


@dataclass(frozen=True)
class TrainConfig:
    """How one stage trains; the defaults are the paper's teacher.

    epochs          1 to 10 000
    batch_size      clips a step; the last batch of an epoch may be smaller
    class_weights   "balanced": total / count of each class; "none": 1
    schedule        of the learning rate: "constant", or "cosine" down to 0
    keep            the epoch that the stage hands on: "best" validation average precision, or "last"
    adam, augment   their own tables
    """
    epochs: int = 30
    batch_size: int = 32
    class_weights: str = "balanced"
    schedule: str = "constant"
    keep: str = "best"
    adam: AdamConfig = field(default_factory=AdamConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self):
        for name, highest in (("epochs", 10_000), ("batch_size", 65_536)):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= highest:
                raise ValueError(f"{name}={value!r}; accepted: whole numbers from 1 to {highest}")
        for name, accepted in (("class_weights", ("balanced", "none")), ("schedule", ("constant", "cosine")),
                               ("keep", ("best", "last"))):
            if getattr(self, name) not in accepted:
                raise ValueError(f"{name}={getattr(self, name)!r}; accepted: {accepted[0]!r}, {accepted[1]!r}")


@dataclass(frozen=True)
class TrainingData:
    """Features of both splits, uint16 (N, T, M), and targets (N,) in {0, 1}; each class is in both splits."""
    x_train: np.ndarray | Rows
    y_train: np.ndarray
    x_validation: np.ndarray | Rows
    y_validation: np.ndarray


@dataclass
class State:
    """Everything that an epoch changes; a checkpoint holds exactly this, so a resumed run ends with the same bytes.

    masks   {"layer/weight": array of 0 and 1} of a stage that prunes, else empty
    """
    weights: dict
    stats: dict
    adam_m: dict
    adam_v: dict
    best_weights: dict
    best_stats: dict
    masks: dict = field(default_factory=dict)
    step: int = 0
    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -1.0
    history: list = field(default_factory=list)


ARRAY_GROUPS = {"weights": "weights", "stats": "stats", "adam_m": "adam_m", "adam_v": "adam_v", "masks": "masks",
                "best_weights": "best/weights", "best_stats": "best/stats"}        # field of State -> group in the file


@dataclass(frozen=True)
class Objective:
    """What a stage makes of a step.

    loss          (x (B, T, M), logits (B, K), y (B,)) -> loss and dlogits, as the functions of npgru.loss
    after_step    (state, number of all steps) -> None, when Adam has moved the weights: pruning's masks
    """
    loss: Callable
    after_step: Callable = lambda state, n_steps: None


def fresh_state(layers: list, rng: np.random.Generator) -> State:
    """New weights, zero moments."""
    return state_from(*model.init(layers, rng))


def state_from(weights: dict, stats: dict) -> State:
    """The weights of an earlier stage, zero moments."""
    weights = {name: array.copy() for name, array in weights.items()}
    return State(weights, dict(stats), *adam_init(weights), weights, dict(stats))


def save_state(path: Path, state: State, header: dict) -> None:
    """State -> one atomic checkpoint; header adds what identifies the run."""
    groups = {group: getattr(state, name) for name, group in ARRAY_GROUPS.items()}
    facts = {f.name: getattr(state, f.name) for f in fields(State) if f.name not in ARRAY_GROUPS}
    checkpoint.save(path, checkpoint.pack(groups), {**header, "state": facts})


def load_state(path: Path) -> tuple[State, dict]:
    """save_state back: the state and the header."""
    arrays, header = checkpoint.load(path)
    groups = {name: checkpoint.group(arrays, group) for name, group in ARRAY_GROUPS.items()}
    return State(**groups, **header.pop("state")), header


def class_weights_of(y, config: TrainConfig) -> np.ndarray:
    """(2,) float32 for the training targets y (N,)."""
    return loss.balanced_class_weights(y) if config.class_weights == "balanced" else np.ones(2, np.float32)


def training_batches(data: TrainingData, config: TrainConfig, clear: np.ndarray | None, shuffle_rng: np.random.Generator,
                     augment_rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One pass over the training clips in a new order: x (B, T, M) float32, its positives augmented, and y (B,)."""
    negatives = np.flatnonzero(data.y_train == 0)
    for rows in dataset.batches(len(data.y_train), config.batch_size, shuffle_rng):
        x, y = data.x_train[rows].astype(np.float32), data.y_train[rows]
        if config.augment.probability:
            targets = np.flatnonzero(y == 1)
            x[targets] = augment_targets(x[targets], clear[rows[targets]], data.x_train, negatives, config.augment, augment_rng)
        yield x, y


def ahead(items: Iterator) -> Iterator:
    """The same items; the next one is made in a thread of its own while the caller works on this one."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = thread.submit(next, items, end)
            yield item


def train_epoch(network, state: State, data: TrainingData, config: TrainConfig, objective: Objective,
                clear: np.ndarray | None, rng: np.random.Generator) -> float:
    """One pass over the training clips in a new order; changes state, returns the mean loss a batch.

    network   of the back end (npgru.backend)
    clear     which training clips are clear (augment.are_clear); None without augmentation
    raises    FloatingPointError when the loss is no longer finite
    """
    shuffle_rng, augment_rng, dropout_rng = rng.spawn(3)
    n_steps = config.epochs * -(-len(data.y_train) // config.batch_size)
    losses = []
    for x, y in ahead(training_batches(data, config, clear, shuffle_rng, augment_rng)):
        logits, caches, state.stats = network.forward(state.weights, state.stats, x, dropout_rng)
        batch_loss, dlogits = objective.loss(x, logits, y)
        if not np.isfinite(batch_loss):
            raise FloatingPointError(f"the loss became {batch_loss} in epoch {state.epoch + 1}; lower adam.learning_rate")
        gradients, _ = network.backward(dlogits, caches)
        state.step += 1
        decay = cosine_decay(state.step, n_steps) if config.schedule == "cosine" else 1.0
        network.adam_step(state.weights, gradients, state.adam_m, state.adam_v, state.step, config.adam, decay)
        objective.after_step(state, n_steps)
        losses.append(batch_loss)
    return float(np.mean(losses))


def train(layers: list, state: State, data: TrainingData, config: TrainConfig, objective: Objective, seed: list[int],
          after_epoch: Callable[[State], None], backend: Backend = Backend()) -> State:
    """Train from state.epoch to config.epochs and keep the best epoch, or the last.

    seed          what identifies this stage's random numbers; epoch e draws from default_rng([*seed, e]) alone,
                  so that nothing but `state` is needed to continue. BLAS gets one thread: its sums would depend on more
    after_epoch   called with the state when an epoch is complete: writes the checkpoint, shows progress
    """
    clear = are_clear(data.x_train, data.y_train, config.augment)
    network = backend.network(layers, data.x_train.shape[1:], config.batch_size)
    state.weights, state.adam_m, state.adam_v = (network.own(a) for a in (state.weights, state.adam_m, state.adam_v))
    with threadpool_limits(1):
        while state.epoch < config.epochs:
            rng = np.random.default_rng([*seed, state.epoch + 1])
            train_loss = train_epoch(network, state, data, config, objective, clear, rng)
            finish_epoch(network, state, data, config, train_loss)
            after_epoch(state)
    return state


def finish_epoch(network, state: State, data: TrainingData, config: TrainConfig, train_loss: float) -> None:
    """Score the validation clips, keep the weights if they are the best so far, add a row to the history."""
    logits = network.predict(state.weights, state.stats, data.x_validation)
    validation_loss, _ = loss.cross_entropy(logits, data.y_validation, class_weights_of(data.y_train, config))
    score = metrics.average_precision(data.y_validation, model.target_score(logits))
    state.epoch += 1
    if score > state.best_score or config.keep == "last":
        state.best_score, state.best_epoch = score, state.epoch
        state.best_weights = {name: array.copy() for name, array in state.weights.items()}
        state.best_stats = state.stats
    state.history.append({"epoch": state.epoch, "loss": train_loss, "validation_loss": validation_loss,
                          "validation_average_precision": score})
