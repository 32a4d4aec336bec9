"""A run folder and its clips -> all that a report tells: every finished stage scored, the hardest clips, the curves."""
import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from . import (augment, checkpoint, config, costs, dataset, evaluate, export_tflite, feature_rows, int8, metrics, model, recipe,
               train)
from .audio import printable
from .corpus import POSITIVE_NAMES
from .tables import normal

LABELS = {"teacher": "Teacher", "distil": "Student, distilled", "prune": "Student, pruned", "calibrate": "PTQ",
          "quantise": "QAT"}
SCORED = ("validation", "test")             # the best is last: nothing was chosen on the test clips
N_HARDEST = 6                               # clips shown of each kind of mistake


class ReportError(ValueError):
    """One line: what is missing, and what to do."""


@dataclass(frozen=True)
class Stage:
    """A finished stage, or a quantised one in one of its forms: its network, what it costs, its scores (N,) of all clips,
    metrics.scores per split."""
    name: str
    label: str
    trained: checkpoint.Model
    header: dict
    costs: dict
    score: np.ndarray
    tables: dict[str, dict]

    @property
    def short_label(self) -> str:
        """The stage, whatever its form."""
        return LABELS.get(self.name, self.name)


@dataclass(frozen=True)
class Example:
    """A clip to show. wrong: the detector erred at the best-F1 threshold; else it is only near."""
    index: int
    name: str
    recording: str
    score: float
    wrong: bool


@dataclass(frozen=True)
class Evidence:
    """x uint16 (N, T, M) and y (N,), split (N,) of the clips, of all splits; stages in their order; same_data: True or
    False where the clips can be compared with those of the training, else None; log: {stage: {column: values (E,)}}."""
    run: Path
    root: Path
    recipe: recipe.Recipe
    clips: list
    x: np.ndarray
    y: np.ndarray
    split: np.ndarray
    stages: list[Stage]
    log: dict
    same_data: bool | None
    notices: list

    @property
    def last(self) -> Stage:
        return self.stages[-1]

    @property
    def trainings(self) -> list[Stage]:
        """One a stage, whatever forms it is in."""
        return list({stage.name: stage for stage in self.stages}.values())

    @property
    def splits(self) -> list[str]:
        """Those that are scored; the last is the one to believe."""
        return list(self.last.tables)


def gather(run: Path, data: Path | None, threads: int, progress: Callable) -> Evidence:
    """Everything, computed anew from the checkpoints and the clips.

    data     None: what config.toml names
    raises   ReportError, CheckpointError, ConfigError, DatasetError
    """
    table = read_config(run)
    root = data_folder(run, table.pop("data", ""), data)
    plan, found = config.updated(recipe.Recipe(), table), finished_stages(run)
    corpus = dataset.discover(root, target=plan.target or None, seed=plan.seed, also=plan.also)
    front_end, clip_s = found[-1][1].front_end, found[-1][1].clip_s
    x, clips, refused = dataset.load_features(corpus.clips, front_end, clip_s, threads=threads, progress=progress)
    y, split = np.array([clip.target for clip in clips]), np.array([clip.split for clip in clips])
    scored = [name for name in SCORED if y[split == name].any()]
    if not scored:
        raise ReportError(f"{printable(root)}: holds no target clip for validation or test, so nothing can be scored; "
                          "give data with Validation_Set or Test_Set")
    forms = [(name, trained, header, form) for name, trained, header in found for form in forms_of(name, trained)]
    stages = [scored_stage(run, *form, x, clips, scored)
              for form in progress(forms, total=len(forms), desc="stages", unit="stage")]
    notices = [*corpus.notices, *(f"left out: {problem}" for problem in [*corpus.problems, *refused]),
               *(f"the {name} clips hold no target: not scored" for name in SCORED if name in split and name not in scored)]
    same_data = _same_data(stages[0], x, y, split)
    return Evidence(run, root, plan, clips, x, y, split, stages, read_log(run), same_data, notices)


def silent(iterable, **about):
    """progress that shows nothing."""
    return iterable


def read_config(run: Path) -> dict:
    """RUN/config.toml as a table, or ReportError."""
    if not (run / "config.toml").is_file():
        raise ReportError(f"{printable(run)}: is no run folder, it has no config.toml; give the folder of `npgru "
                          "train -o`")
    return config.read_toml(run / "config.toml")


def data_folder(run: Path, name: str, data: Path | None) -> Path:
    """The folder or manifest of a run's clips: as given, or as its config.toml has it."""
    if data:
        return Path(data)
    root = run / "synthetic_corpus" if name.startswith("synthetic corpus of ") and not Path(name).exists() else Path(name)
    if not name or not root.exists():
        raise ReportError(f"{printable(run)}: was trained on {printable(name)!r}, which is not there (a relative path "
                          "starts where `npgru train` was called); say where it is: npgru report RUN DATA")
    return root


def finished_stages(run: Path) -> list[tuple]:
    """[(stage, Model, header)] of the checkpoints that are there, in the order of the recipe."""
    names = [name for name in recipe.STAGES if recipe.stage_path(run, name).is_file()]
    if not names:
        raise ReportError(f"{printable(run)}: no stage of this run is finished; run the same `npgru train` command again")
    return [(name, *checkpoint.load_model(recipe.stage_path(run, name))) for name in names]


@dataclass(frozen=True)
class Form:
    """A network as it is run. predict: features (N, T, M) -> (N,) scores; arrays: {"layer/weight": array} that it needs;
    n_bytes: of its .tflite file, or None for a float network, which has its checkpoint."""
    words: str
    predict: Callable
    arrays: dict
    n_bytes: int | None = None


def forms_of(name: str, trained: checkpoint.Model) -> list[Form]:
    """One for a float network; for a quantised one integers with 8 and, last, 16 bits of state, as `npgru evaluate` scores.

    Quantisation-aware training also has its float twin; calibration only the last form: its table has enough rows.
    """
    if not int8.is_quantised(trained):
        return [Form("", partial(evaluate.target_scores, trained), trained.params)]
    forms = []
    for bits in int8.STATE_BITS:
        integers = int8.freeze(trained, bits)
        arrays = {f"{op.name}/{key}": array for op in integers.operators for key, array in op.arrays.items()}
        forms.append(Form(f", int8, {bits}-bit state", partial(_integer_scores, integers), arrays,
                          len(export_tflite.tflite_bytes(integers))))
    twin = Form(", its float twin", partial(_float_scores, trained), trained.params)
    return [twin, *forms] if name == "quantise" else forms[-1:]


def _integer_scores(integers, features):
    return model.target_score(int8.logits(integers, features))


def _float_scores(trained, features):
    with threadpool_limits(1):
        return model.target_score(model.predict(trained.layers, trained.params, trained.stats, features))


def scored_stage(run: Path, name: str, trained: checkpoint.Model, header: dict, form: Form, x, clips: list,
                 splits: list) -> Stage:
    """Score the clips of these splits, one split after the other as `npgru evaluate` does: the last bits of a score
    depend on what else is in its batch. The others' scores are NaN."""
    split, score, tables = np.array([clip.split for clip in clips]), np.full(len(clips), np.nan), {}
    for part in splits:
        rows = np.flatnonzero(split == part)
        score[rows] = form.predict(feature_rows.part(x, rows))
        tables[part] = evaluate.score_table([clips[i] for i in rows], score[rows])
    label, costs_of_form = LABELS.get(name, name) + form.words, price(run, name, trained, form, x)
    return Stage(name, label, trained, header, costs_of_form, score, tables)


def price(run: Path, name: str, trained: checkpoint.Model, form: Form, x) -> dict:
    """What a form costs; bytes: of its .tflite file, or of the checkpoint."""
    without_gru, all_kernels = costs.sparsity(trained.layers, form.arrays)
    return {"n_parameters": costs.n_parameters(trained.layers),
            "multiply_adds": costs.multiply_adds(trained.layers, x.shape[1], x.shape[2]),
            "bytes": form.n_bytes or recipe.stage_path(run, name).stat().st_size,
            "compressed_bytes": costs.compressed_bytes(form.arrays), "sparsity": without_gru, "sparsity_all": all_kernels}


def _same_data(stage, x, y, split):
    """True or False, or None where the clips of a split are not there or the checkpoint does not tell."""
    parts = [array[split == name] for name in ("train", "validation") for array in (x, y)]
    if not all(map(len, parts)) or "data_sha256" not in stage.header:
        return None
    return recipe.fingerprint(train.TrainingData(*parts)) == stage.header["data_sha256"]


def read_log(run: Path) -> dict:
    """log.csv -> {stage: {column: values (E,) float}}; columns that a stage does not fill are left out."""
    log = {}
    if (run / "log.csv").is_file():
        with open(run / "log.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                columns = log.setdefault(row.pop("stage"), {})
                for name, value in row.items():
                    if value:
                        columns.setdefault(name, []).append(float(value))
    return log


def target_name(evidence: Evidence) -> str:
    """The target as a sentence has it: its class, unless that is just called Target or Positives."""
    name = evidence.last.trained.classes[1]
    return "the target" if normal(name) in POSITIVE_NAMES else printable(name)


def clip_name(evidence: Evidence, index: int) -> str:
    """A clip's file as seen from the data folder, on one line."""
    clip, base = evidence.clips[index], evidence.root if evidence.root.is_dir() else evidence.root.parent
    path = clip.path.relative_to(base) if clip.path.is_relative_to(base) else clip.path
    return printable(path.as_posix()) + (f" from {clip.start_s:g} s" if clip.start_s else "")


def hardest(evidence: Evidence, split: str) -> dict[str, list[Example]]:
    """{"false_positive", "miss"}: the last stage's negatives with the highest and its targets with the lowest scores."""
    threshold, score = evidence.last.tables[split]["best_f1_threshold"], evidence.last.score
    found = {}
    for kind, target, order in (("false_positive", 0, -score), ("miss", 1, score)):
        rows = np.flatnonzero((evidence.split == split) & (evidence.y == target))
        rows = rows[np.argsort(order[rows], kind="stable")][:N_HARDEST]
        found[kind] = [Example(int(i), clip_name(evidence, i), printable(evidence.clips[i].recording), float(score[i]),
                               bool((score[i] >= threshold) != target)) for i in rows]
    return found


def typical(evidence: Evidence) -> tuple[int, int]:
    """A clear target and a negative with something in it, to look at: contrast at the 90th and the 75th percentile.

    Of the training clips if they are there. The negative is -1 where there is none.
    """
    rows = evidence.split == "train" if "train" in evidence.split else np.ones(len(evidence.y), bool)
    chosen = []
    for target, share in ((1, 0.9), (0, 0.75)):
        members = np.flatnonzero(rows & (evidence.y == target))
        ranked = members[np.argsort(augment.contrast(feature_rows.part(evidence.x, members)), kind="stable")]
        chosen.append(int(ranked[int(share * (len(ranked) - 1))]) if len(ranked) else -1)
    return tuple(chosen)


def by_recording(evidence: Evidence, split: str, target: int, n: int) -> dict[str, np.ndarray]:
    """{recording: scores} of the n recordings that the last stage does worst on: targets low, negatives high."""
    groups = {}
    for i in np.flatnonzero((evidence.split == split) & (evidence.y == target)):
        groups.setdefault(evidence.clips[i].recording, []).append(evidence.last.score[i])
    worst_first = sorted(groups, key=lambda name: (np.mean(groups[name]) if target else -max(groups[name]), name))
    return {name: np.array(groups[name]) for name in worst_first[:n]}


def clip_counts(evidence: Evidence) -> list[dict]:
    """A row a split: clips and recordings of the target and of all else."""
    rows = []
    for name in ("train", *SCORED):
        if name in evidence.split:
            members = np.flatnonzero(evidence.split == name)
            n = Counter(int(evidence.y[i]) for i in members)
            from_ = {t: len({evidence.clips[i].recording for i in members if evidence.y[i] == t}) for t in (0, 1)}
            rows.append({"split": name, "n_targets": n[1], "n_negatives": n[0], "n_target_recordings": from_[1],
                         "n_negative_recordings": from_[0]})
    return rows


def at_validation_threshold(evidence: Evidence) -> dict | None:
    """The last stage on the test clips, called with the threshold that the validation clips chose: what use will be like."""
    if evidence.splits != list(SCORED):
        return None
    threshold, test = evidence.last.tables["validation"]["best_f1_threshold"], evidence.split == "test"
    y, score = evidence.y[test], evidence.last.score[test]
    (tn, fp), (fn, tp) = metrics.confusion_matrix(y, score, threshold).tolist()
    return {"threshold": threshold, "tn": tn, "fp": fp, "fn": fn, "tp": tp,
            "error_rate": metrics.error_rate(y, score, threshold)}
