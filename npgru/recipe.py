"""A run: the stages of the recipe one after the other in one folder; resumes where it stopped.

A run folder holds config.toml (as used), environment.toml (versions), log.csv (one row an epoch) and checkpoints/:
<stage>_last.npz while a stage is running, <stage>.npz when it is finished. No file holds a time or a path of
its own, so an interrupted and an uninterrupted run end with the same bytes.
"""
import csv
import io
import platform
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import tomli_w
from threadpoolctl import threadpool_limits

from . import __version__, checkpoint, dataset, kernels, kernels_train, metrics, model, train
from .backend import Backend
from .checkpoint import CheckpointError, write_atomically
from .config import ConfigError, as_table, first_difference, read_toml, updated
from .evaluate import target_scores
from .feature_rows import blocks, part
from .stages import NEEDS, PLANS, PRODUCTS, STAGES, Plan, Recipe, fine_tuned

TRAINING_ONLY = ("rate", "momentum")              # settings of layers that two networks of the same shapes may differ in


def check_run_folder(run: Path, recipe: Recipe, data: str) -> None:
    """A new, an empty, or the very same run's folder is accepted; else ConfigError says what differs.

    An option that the run's version did not have yet has its default.
    """
    run = Path(run)
    if run.exists() and not run.is_dir():
        raise ConfigError(f"{run}: is a file; give a folder for the run with -o")
    if not run.is_dir() or not any(run.iterdir()):
        return
    if not (run / "config.toml").is_file():
        raise ConfigError(f"{run}: is not empty and not a run folder; give a new folder with -o")
    begun = read_toml(run / "config.toml")
    try:
        begun = {"data": begun.pop("data", ""), **as_table(updated(Recipe(), begun))}
    except ConfigError as error:
        raise ConfigError(f"{run}: its config.toml is of another version or was changed ({error}); continue it with the version "
                          "of its environment.toml, or give another folder with -o") from error
    difference = first_difference(begun, {"data": data, **as_table(recipe)})
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
                                                "numpy": np.__version__, "kernels": best_form(),
                                                "machine": platform.machine(), "system": platform.system()})}
    for name, text in texts.items():
        if not (run / name).is_file():
            write_atomically(run / name, lambda file: file.write(text.encode()))


def best_form() -> str:
    """The instruction set that C trains in on this machine, which the last bits depend on; "none" without kernels."""
    return kernels_train.available_forms()[-1] if kernels.AVAILABLE else "none"


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
    corpus = dataset.discover(root, None, recipe.target or None, recipe.seed, strict, recipe.also)
    x, clips, refused = dataset.load_features(corpus.clips, recipe.front_end, recipe.clip_s, threads=threads,
                                              strict=strict, progress=progress)
    y, split = np.array([clip.target for clip in clips]), np.array([clip.split for clip in clips])
    for name in ("train", "validation"):
        n_targets, n = int(y[split == name].sum()), int((split == name).sum())
        if not 0 < n_targets < n:
            raise dataset.DatasetError(f"{root}: of the {name} clips {n_targets} targets and {n - n_targets} negatives can "
                                       f"be used; accepted: at least 1 of each; the first refused: {[*refused, 'none'][0]}")
    target_name = next(clip.class_name for clip in clips if clip.target)
    data = train.TrainingData(part(x, split == "train"), y[split == "train"],
                              part(x, split == "validation"), y[split == "validation"])
    return Loaded(data, ("Negatives", target_name), corpus.notices, [*corpus.problems, *refused])


def fingerprint(data: train.TrainingData) -> str:
    """sha256 of everything a stage learns from: 64 hex digits."""
    digest = sha256()
    for array in (data.x_train, data.y_train, data.x_validation, data.y_validation):
        digest.update(f"{array.dtype}{array.shape}".encode())
        for block in blocks(array):
            digest.update(np.ascontiguousarray(block))
    return digest.hexdigest()


def stage_path(run: Path, stage: str, finished: bool = True) -> Path:
    """The checkpoint of a stage: checkpoints/<product>.npz, or <product>_last.npz while it is running."""
    return Path(run) / "checkpoints" / f"{PRODUCTS[stage]}{'' if finished else '_last'}.npz"


def find_checkpoint(run: Path, product: str | None = None) -> Path:
    """A checkpoint file as it is, or of a run folder that of a finished stage: the product asked for, or the last.

    raises  CheckpointError for anything else, and for a run in which no such stage is finished yet
    """
    run = Path(run)
    if not run.is_dir():
        return run
    finished = [stage for stage in STAGES if stage_path(run, stage).is_file() and product in (None, PRODUCTS[stage])]
    if finished:
        return stage_path(run, finished[-1])
    running = sorted((run / "checkpoints").glob("*_last.npz"))
    if running:
        raise CheckpointError(f"{run}: {product or 'no stage'} is not finished; run the same `npgru train` command again to "
                              f"continue it, or give {running[-1]} to use its best epoch so far")
    raise CheckpointError(f"{run}: holds no checkpoints; accepted: a run folder or a .npz file of `npgru train`")


def beginning(recipe: Recipe, stage: str) -> tuple[Path, checkpoint.Model] | None:
    """The trained network that a stage begins with: its file and itself; None: the stage begins as the recipe has it.

    Of a run folder the teacher and the student are used, each by its stage; of a checkpoint the one network it holds.
    raises  CheckpointError where it is quantised, or has another front end, clip length or shape than this recipe
    """
    start, sizes = Path(recipe.fine_tune.start), {"teacher": recipe.teacher, "distil": recipe.distil}.get(stage)
    if not recipe.fine_tune.start or not sizes:
        return None
    if start.is_dir():
        find_checkpoint(start)                                              # raises where nothing is finished
        if not stage_path(start, stage).is_file():
            return None
    file = stage_path(start, stage) if start.is_dir() else start
    trained, header = checkpoint.load_model(file)
    if not start.is_dir() and (header.get("stage") == "teacher") != (stage == "teacher"):
        return None
    layers = model.build(sizes.network, recipe.front_end.mel_n_channels)
    needed = as_model(layers, {}, {}, recipe, ("", ""))
    for what, value in (("front end", "front_end"), ("clip length", "clip_s")):
        if getattr(trained, value) != getattr(needed, value):
            raise CheckpointError(f"{file}: has another {what} than this run, {getattr(trained, value)}; accepted: the same; "
                                  "give --config with the config.toml of its run")
    if difference := first_difference(structure(trained.layers), structure(layers)):
        raise CheckpointError(f"{file}: is another network than {stage}.network, {difference}; accepted: a float teacher or "
                              "student of the same shapes; give --config with the config.toml of its run")
    return file, trained


def structure(layers: list) -> dict:
    """{layer: kind, shapes, settings}; without what concerns training alone: share of dropout, momentum of statistics."""
    rows = {layer.name: {"kind": layer.kind, "shapes": layer.shapes, "settings": layer.settings} for layer in layers}
    return {name: {**row, "settings": {key: value for key, value in row["settings"].items() if key not in TRAINING_ONLY}}
            for name, row in rows.items()}


def write_log(run: Path, stage: str, history: list[dict]) -> None:
    """log.csv: one row an epoch of the finished stages and of this one, written anew each time."""
    before = STAGES[:STAGES.index(stage)]
    rows = [{"stage": name, **row} for name in before if stage_path(run, name).is_file()
            for row in checkpoint.load(stage_path(run, name))[1]["history"]]
    rows += [{"stage": stage, **row} for row in history]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(run / "log.csv", lambda file: file.write(text.getvalue().encode()))


def stage_before(run: Path, stage: str) -> str | None:
    """The finished stage that this one starts from; None for the first. raises CheckpointError if there is none."""
    finished = [name for name in NEEDS[stage] if stage_path(run, name).is_file()]
    if NEEDS[stage] and not finished:
        raise CheckpointError(f"{run}: stage {stage} starts from {' or '.join(NEEDS[stage])}, which is not finished; "
                              f"use --stages {NEEDS[stage][-1]},{stage}")
    return finished[0] if finished else None


def planned(run: Path, stage: str, recipe: Recipe, loaded: Loaded, backend: Backend) -> tuple[Plan, dict]:
    """What a stage brings to the loop, and what its checkpoints' headers say of where it comes from."""
    before, begun = stage_before(run, stage), beginning(recipe, stage)
    plan = PLANS[stage](recipe, before and checkpoint.load_model(stage_path(run, before))[0], loaded.data,
                        np.random.default_rng([recipe.seed, STAGES.index(stage), 0]), backend)
    return fine_tuned(plan, begun[1], recipe.fine_tune) if begun else plan, {
        "stage": stage, "before": before, "from_sha256": begun and sha256(begun[0].read_bytes()).hexdigest(),
        "seed": recipe.seed, "data_sha256": fingerprint(loaded.data), "backend": kernels.choose_backend(backend.name),
        "npgru": __version__}


@threadpool_limits.wrap(limits=1)                 # initial weights and calibration, too: BLAS sums depend on its threads
def run_stage(run: Path, stage: str, recipe: Recipe, loaded: Loaded, after_epoch: Callable[[str, train.State, int], None],
              backend: Backend = Backend()) -> Path:
    """Train one stage, from where the folder left it; returns the finished checkpoint.

    after_epoch   called with the stage, the state and the number of epochs, when the epoch's checkpoint is written
    raises        CheckpointError when the stage before is missing, or the run was started on other data
    """
    last, final, number = stage_path(run, stage, finished=False), stage_path(run, stage), STAGES.index(stage)
    plan, header = planned(run, stage, recipe, loaded, backend)
    if last.is_file():
        state, found = train.load_state(last)
        for key, what in (("data_sha256", "other clips than these"),
                          ("before", f"stage {found['before']}, not {header['before']}"),
                          ("from_sha256", f"other weights than those of --from {recipe.fine_tune.start or '(none)'}"),
                          ("backend", f"--backend {found['backend']}, not {header['backend']}")):
            if found.get(key) != header[key]:
                raise CheckpointError(f"{last}: stage {stage} was begun with {what}; give back the same, "
                                      "or start another run with -o")
    else:
        state = plan.start()

    def save(state):
        network = as_model(plan.layers, {}, {}, recipe, loaded.classes)
        train.save_state(last, state, {**header, **checkpoint.model_header(network)})
        write_log(run, stage, state.history)
        after_epoch(stage, state, plan.training.epochs)

    if plan.training:
        train.train(plan.layers, state, loaded.data, plan.training, plan.objective, [recipe.seed, number], save, backend)
    finished = as_model(*plan.finish(state), recipe, loaded.classes)
    scores = target_scores(finished, loaded.data.x_validation)
    checkpoint.save_model(final, finished, {
        **header, "epoch": state.best_epoch, "threshold": float(metrics.best_f1(loaded.data.y_validation, scores)[0]),
        "validation_average_precision": metrics.average_precision(loaded.data.y_validation, scores),
        "history": state.history})
    return final


def as_model(layers: list, params: dict, stats: dict, recipe: Recipe, classes: tuple) -> checkpoint.Model:
    """A network with what it needs to be used elsewhere."""
    return checkpoint.Model(layers, params, stats, recipe.front_end, classes, recipe.clip_s)
