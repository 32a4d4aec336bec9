"""The stages of the paper's recipe: the configuration of each, and what it brings to the one training loop."""
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from . import checkpoint, compress, loss, model, train
from .augment import AugmentConfig
from .backend import Backend
from .features import FrontEnd
from .optimiser import AdamConfig
from .train import TrainConfig

PRODUCTS = {"teacher": "teacher", "distil": "student", "prune": "pruned", "calibrate": "calibrated",
            "quantise": "quantised"}                                               # stage -> the network it makes
STAGES = tuple(PRODUCTS)
NEEDS = {"teacher": (), "distil": ("teacher",), "prune": ("distil",), "calibrate": ("prune", "distil"),
         "quantise": ("prune", "distil")}                                          # the first finished one is begun with


@dataclass(frozen=True)
class TeacherConfig:
    """The first stage: the network, and how it is trained."""
    network: model.NetworkConfig = field(default_factory=model.teacher)
    training: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True)
class DistilConfig:
    """The student, from scratch, on labels and the teacher's logits."""
    network: model.NetworkConfig = field(default_factory=model.student)
    training: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=25, class_weights="none", schedule="cosine"))
    distillation: loss.DistillationConfig = field(default_factory=loss.DistillationConfig)


@dataclass(frozen=True)
class PruneConfig:
    """The student with fewer weights; its last epoch counts, the only one at the full sparsity."""
    training: TrainConfig = field(default_factory=lambda: TrainConfig(
        epochs=8, class_weights="none", schedule="cosine", keep="last", adam=AdamConfig(learning_rate=5e-4),
        augment=AugmentConfig(probability=0.15)))
    pruning: compress.PruningConfig = field(default_factory=compress.PruningConfig)


@dataclass(frozen=True)
class CalibrateConfig:
    """Post-training quantisation: ranges from clean clips, nothing is trained."""
    quantisation: compress.QuantisationConfig = field(default_factory=compress.QuantisationConfig)


@dataclass(frozen=True)
class QuantiseConfig:
    """Quantisation-aware training, batch-norm folded."""
    training: TrainConfig = field(default_factory=lambda: TrainConfig(
        epochs=6, class_weights="none", schedule="cosine", adam=AdamConfig(learning_rate=1e-4),
        augment=AugmentConfig(probability=0.05)))
    quantisation: compress.QuantisationConfig = field(default_factory=compress.QuantisationConfig)


@dataclass(frozen=True)
class FineTuneConfig:
    """Where a run begins with trained weights; a stage that does trains for fewer epochs, with smaller steps.

    start           a run folder, or a float checkpoint; "": every network begins with random weights
    epochs          of stages teacher and distil, in place of theirs, where they begin with weights of `start`
    learning_rate   of Adam, likewise
    """
    start: str = ""
    epochs: int = 15
    learning_rate: float = 5e-4

    def __post_init__(self):
        TrainConfig(epochs=self.epochs, adam=AdamConfig(learning_rate=self.learning_rate))      # raises out of range


@dataclass(frozen=True)
class Recipe:
    """All decisions of a run; the defaults are the paper's. A new option's default is what runs did before it came.

    seed      of every random number of the run
    clip_s    length of a clip, seconds; longer recordings give their loudest slice
    target    name of the target's folder or label; "" where there is only one
    also      a manifest of further clips, such as a review's decisions; "": none
    """
    seed: int = 0
    clip_s: float = 2.0
    target: str = ""
    also: str = ""
    front_end: FrontEnd = field(default_factory=FrontEnd.paper)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    distil: DistilConfig = field(default_factory=DistilConfig)
    prune: PruneConfig = field(default_factory=PruneConfig)
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    quantise: QuantiseConfig = field(default_factory=QuantiseConfig)
    fine_tune: FineTuneConfig = field(default_factory=FineTuneConfig)

    def __post_init__(self):
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={self.seed!r}; accepted: 0 to 2^63 - 1")
        shortest_s = self.front_end.window_len / self.front_end.sample_rate_hz
        if not shortest_s <= self.clip_s <= 60:
            raise ValueError(f"clip_s={self.clip_s!r}; accepted: {shortest_s:g} (one window) to 60")
        for network in (self.teacher.network, self.distil.network):
            model.build(network, self.front_end.mel_n_channels)           # raises where the sizes do not fit together


@dataclass(frozen=True)
class Plan:
    """What a stage brings to the one training loop.

    training  None: nothing is trained
    start     () -> the State to begin with
    finish    State at the end -> (layers, weights, stats) to hand on
    """
    training: TrainConfig | None
    layers: list
    start: Callable
    objective: train.Objective | None
    finish: Callable


def best_of(layers: list) -> Callable:
    """finish of a stage that hands on its kept epoch as it is."""
    return lambda state: (layers, state.best_weights, state.best_stats)


def plan_teacher(recipe: Recipe, before, data: train.TrainingData, rng: np.random.Generator,
                 backend: Backend) -> Plan:
    """From scratch on the labels."""
    config = recipe.teacher
    layers = model.build(config.network, recipe.front_end.mel_n_channels)
    weights = train.class_weights_of(data.y_train, config.training)
    objective = train.Objective(lambda x, logits, y: loss.cross_entropy(logits, y, weights))
    return Plan(config.training, layers, lambda: train.fresh_state(layers, rng), objective, best_of(layers))


def plan_distil(recipe: Recipe, before: checkpoint.Model, data: train.TrainingData, rng: np.random.Generator,
                backend: Backend) -> Plan:
    """The student from scratch; the teacher sees the very batch that the student sees."""
    config, teacher = recipe.distil, before
    layers = model.build(config.network, recipe.front_end.mel_n_channels)
    weights = train.class_weights_of(data.y_train, config.training)
    network = backend.network(teacher.layers, data.x_train.shape[1:], config.training.batch_size)
    params = network.own(teacher.params)

    def objective(x, logits, y):
        teacher_logits, _, _ = network.forward(params, teacher.stats, x)
        return loss.distillation(logits, teacher_logits, y, weights, config.distillation)

    return Plan(config.training, layers, lambda: train.fresh_state(layers, rng), train.Objective(objective), best_of(layers))


def plan_prune(recipe: Recipe, before: checkpoint.Model, data: train.TrainingData, rng: np.random.Generator,
               backend: Backend) -> Plan:
    """The student goes on with masks; channels that are all zero are taken out at the end."""
    config, layers = recipe.prune, before.layers
    weights = train.class_weights_of(data.y_train, config.training)
    objective = train.Objective(lambda x, logits, y: loss.cross_entropy(logits, y, weights),
                                lambda state, n_steps: compress.prune(layers, state, n_steps, config.pruning))

    def finish(state):
        if config.pruning.structure == "channels":
            return compress.remove_channels(layers, state.best_weights, state.best_stats, state.masks)
        return layers, state.best_weights, state.best_stats

    return Plan(config.training, layers, lambda: train.state_from(before.params, before.stats), objective, finish)


def clean_clips(data: train.TrainingData, config: compress.QuantisationConfig, rng: np.random.Generator):
    """Training clips to calibrate with, (n, T, M), without augmentation."""
    return data.x_train[rng.permutation(len(data.x_train))[:config.calibration_clips]]


def plan_calibrate(recipe: Recipe, before: checkpoint.Model, data: train.TrainingData, rng: np.random.Generator,
                   backend: Backend) -> Plan:
    """Ranges only."""
    config = recipe.calibrate.quantisation
    layers, weights, stats = compress.quantisable(before, clean_clips(data, config, rng), config)
    return Plan(None, layers, lambda: train.state_from(weights, stats), None, best_of(layers))


def plan_quantise(recipe: Recipe, before: checkpoint.Model, data: train.TrainingData, rng: np.random.Generator,
                  backend: Backend) -> Plan:
    """The network on the integers' grids goes on; weights that were pruned stay zero."""
    config = recipe.quantise
    layers, weights, stats = compress.quantisable(before, clean_clips(data, config.quantisation, rng), config.quantisation)
    masks = {name: (array != 0).astype(np.uint8) for name, array in weights.items() if name.endswith("/w")}
    of_class = train.class_weights_of(data.y_train, config.training)
    objective = train.Objective(lambda x, logits, y: loss.cross_entropy(logits, y, of_class),
                                lambda state, n_steps: compress.apply_masks(state.weights, masks))
    return Plan(config.training, layers, lambda: train.state_from(weights, stats), objective, best_of(layers))


def fine_tuned(plan: Plan, before: checkpoint.Model, config: FineTuneConfig) -> Plan:
    """The same stage, begun with trained weights of the same shapes; Adam's moments are zero."""
    adam = replace(plan.training.adam, learning_rate=config.learning_rate)
    return replace(plan, training=replace(plan.training, epochs=config.epochs, adam=adam),
                   start=lambda: train.state_from(before.params, before.stats))


PLANS = {"teacher": plan_teacher, "distil": plan_distil, "prune": plan_prune, "calibrate": plan_calibrate,
         "quantise": plan_quantise}
