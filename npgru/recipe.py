"""The paper's recipe: one configuration, a list of stages over train.py, one folder a run; resumes where it stopped.

A run folder holds config.toml (as used), environment.toml (versions), log.csv (one row an epoch) and checkpoints/:
<stage>_last.npz while a stage is running, <stage>.npz when it is finished. No file holds a time or a path of
its own, so an interrupted and an uninterrupted run end with the same bytes.
"""
import csv
import hashlib
import io
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tomli_w

from . import __version__, checkpoint, dataset, kernels, metrics, model, train
from .checkpoint import CheckpointError, write_atomically
from .config import ConfigError, as_table, first_difference, read_toml
from .features import FrontEnd

STAGES = ("teacher",)


@dataclass(frozen=True)
class StageConfig:
    """One stage: the network it trains, and how."""
    network: model.NetworkConfig = field(default_factory=model.teacher)
    training: train.TrainConfig = field(default_factory=train.TrainConfig)


@dataclass(frozen=True)
class Recipe:
    """All decisions of a run; the defaults are the paper's.

    seed      of every random number of the run
    clip_s    length of a clip, seconds; longer recordings give their loudest slice
    target    name of the target's folder or label; "" where there is only one
    """
    seed: int = 0
    clip_s: float = 2.0
    target: str = ""
    front_end: FrontEnd = field(default_factory=FrontEnd.paper)
    teacher: StageConfig = field(default_factory=StageConfig)

    def __post_init__(self):
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={self.seed!r}; accepted: 0 to 2^63 - 1")
        if not 0 < self.clip_s <= 60:
            raise ValueError(f"clip_s={self.clip_s!r}; accepted: above 0, at most 60")


def check_run_folder(run: Path, recipe: Recipe, data: str) -> None:
    """A new, an empty, or the very same run's folder is accepted; else ConfigError says what differs."""
    run = Path(run)
    if run.exists() and not run.is_dir():
        raise ConfigError(f"{run}: is a file; give a folder for the run with -o")
    if not run.is_dir() or not any(run.iterdir()):
        return
    if not (run / "config.toml").is_file():
        raise ConfigError(f"{run}: is not empty and not a run folder; give a new folder with -o")
    difference = first_difference(read_toml(run / "config.toml"), {"data": data, **as_table(recipe)})
    if difference:
        raise ConfigError(f"{run}: holds a run with {difference}; use the same options to continue it, "
                          "or another folder with -o")


def start_run_folder(run: Path, recipe: Recipe, data: str) -> None:
    """Create the folder, config.toml and environment.toml; a run that continues keeps what it has.

    What a killed run left half-written (write_atomically's temporary files) is removed.
    """
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    for leftover in [*run.glob(".*.tmp"), *run.glob("checkpoints/.*.tmp")]:
        leftover.unlink(missing_ok=True)
    texts = {"config.toml": tomli_w.dumps({"data": data, **as_table(recipe)}),
             "environment.toml": tomli_w.dumps({"npgru": __version__, "python": platform.python_version(),
                                                "numpy": np.__version__, "kernels": kernels.AVAILABLE,
                                                "machine": platform.machine(), "system": platform.system()})}
    for name, text in texts.items():
        if not (run / name).is_file():
            write_atomically(run / name, lambda file: file.write(text.encode()))


@dataclass(frozen=True)
class Loaded:
    """What a run learns from. classes: names of (negatives, target); problems: clips left out, with reasons."""
    data: train.TrainingData
    classes: tuple[str, str]
    notices: list
    problems: list


def load_data(recipe: Recipe, root: Path, threads: int, strict: bool, progress: Callable | None) -> Loaded:
    """A data folder or manifest -> the features of its training and validation clips.

    The test clips are read too, so that a sound which is in two splits is noticed; nothing is learned from them.
    raises  dataset.DatasetError or AudioError, naming what is wrong
    """
    corpus = dataset.discover(root, target=recipe.target or None, seed=recipe.seed, strict=strict)
    x, clips, refused = dataset.load_features(corpus.clips, recipe.front_end, recipe.clip_s, threads=threads,
                                              strict=strict, progress=progress)
    y, split = np.array([clip.target for clip in clips]), np.array([clip.split for clip in clips])
    for name in ("train", "validation"):
        n_targets, n = int(y[split == name].sum()), int((split == name).sum())
        if not 0 < n_targets < n:
            raise dataset.DatasetError(f"{root}: of the {name} clips {n_targets} targets and {n - n_targets} negatives can "
                                       f"be used; accepted: at least 1 of each; the first refused: {[*refused, 'none'][0]}")
    target_name = next(clip.class_name for clip in clips if clip.target)
    data = train.TrainingData(x[split == "train"], y[split == "train"], x[split == "validation"], y[split == "validation"])
    return Loaded(data, ("Negatives", target_name), corpus.notices, [*corpus.problems, *refused])


def fingerprint(data: train.TrainingData) -> str:
    """sha256 of everything a stage learns from: 64 hex digits."""
    digest = hashlib.sha256()
    for array in (data.x_train, data.y_train, data.x_validation, data.y_validation):
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def stage_path(run: Path, stage: str, finished: bool = True) -> Path:
    """The checkpoint of a stage."""
    return Path(run) / "checkpoints" / (f"{stage}.npz" if finished else f"{stage}_last.npz")


def write_log(run: Path, stage: str, history: list[dict]) -> None:
    """log.csv: one row an epoch, written anew each time."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["stage", *history[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"stage": stage, **row} for row in history)
    write_atomically(run / "log.csv", lambda file: file.write(text.getvalue().encode()))


def run_teacher(run: Path, recipe: Recipe, data: train.TrainingData, classes: tuple[str, str],
                after_epoch: Callable[[train.State, int], None]) -> Path:
    """Train the teacher, from where the folder left it; returns the finished checkpoint.

    after_epoch   called with the state and the number of epochs, when the epoch's checkpoint is written
    raises        CheckpointError when the run was started on other data
    """
    config, last, final = recipe.teacher, stage_path(run, "teacher", finished=False), stage_path(run, "teacher")
    layers = model.build(config.network, recipe.front_end.mel_n_channels, n_classes=2)
    header = {"stage": "teacher", "seed": recipe.seed, "data_sha256": fingerprint(data), "npgru": __version__}
    if last.is_file():
        state, found = train.load_state(last)
        if found["data_sha256"] != header["data_sha256"]:
            raise CheckpointError(f"{run}: was trained on other clips than these; give back the same data, "
                                  "or start another run with -o")
    else:
        state = train.fresh_state(layers, np.random.default_rng([recipe.seed, STAGES.index("teacher"), 0]))

    def describe(state):
        return checkpoint.Model(layers, state.best_weights, state.best_stats, recipe.front_end, classes, recipe.clip_s)

    def save(state):
        train.save_state(last, state, {**header, **checkpoint.model_header(describe(state))})
        write_log(run, "teacher", state.history)
        after_epoch(state, config.training.epochs)

    train.train(layers, state, data, config.training, [recipe.seed, STAGES.index("teacher")], save)
    scores = model.target_score(model.predict(layers, state.best_weights, state.best_stats, data.x_validation))
    threshold, _ = metrics.best_f1(data.y_validation, scores)
    checkpoint.save_model(final, describe(state), {**header, "epoch": state.best_epoch, "threshold": float(threshold),
                                                   "validation_average_precision": state.best_score})
    return final
