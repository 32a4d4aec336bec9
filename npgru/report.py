"""`npgru report`: the paper's figures and table from a user's own run, as one HTML page that needs nothing else.

The same run and clips give the same bytes, in the page and in figures/. matplotlib and jinja2 are the extra [report].
"""
import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from . import augment, evidence as seen, feature_rows, figures, metrics
from .checkpoint import write_atomically
from .config import read_toml
from .evidence import Evidence, ReportError

N_NEGATIVE_ROWS = 8                   # of the figures.MAX_ROWS recordings in a figure
N_TABLE_ROWS = 100


@dataclass(frozen=True)
class Picture:
    """A figure in both formats; alt says it in words."""
    name: str
    alt: str
    png: bytes
    svg: bytes

    @property
    def source(self) -> str:
        """For src=: the PNG itself."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def write_report(run: Path, data: Path | None, threads: int, progress: Callable | None) -> Path:
    """Write RUN/report.html and RUN/figures/*.png, *.svg.

    data       folder or manifest; None: the one that the run was trained on
    progress   called as progress(iterable, total=, desc=, unit=) -> iterable, such as tqdm; None: nothing is shown
    returns    the page's path
    raises     ReportError, CheckpointError, ConfigError, DatasetError: one line that says what to do
    """
    if missing := [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]:
        raise ReportError(f"a report needs {' and '.join(missing)}; install: pip install 'npgru[report]'")
    run, progress = Path(run), progress or seen.silent
    evidence = seen.gather(run, data, threads, progress)
    pictures = draw(plan_pictures(evidence), progress)
    page = render(evidence, pictures)
    (run / "figures").mkdir(exist_ok=True)
    for old in [*(run / "figures").glob("figure_*.???"), *(run / "figures").glob("worst_*.???")]:
        if old.stem not in pictures:
            old.unlink()                                             # of an earlier report: would contradict this one
    for picture in pictures.values():
        for kind, content in (("png", picture.png), ("svg", picture.svg)):
            write_atomically(run / "figures" / f"{picture.name}.{kind}", lambda file: file.write(content))
    write_atomically(run / "report.html", lambda file: file.write(page.encode()))
    return run / "report.html"


def draw(plans: dict, progress: Callable) -> dict[str, Picture]:
    """{name: (alt, () -> Figure)} -> {name: Picture}, in their order."""
    pictures = {}
    with figures.style():
        for name, (alt, make) in progress(plans.items(), total=len(plans), desc="figures", unit="figure"):
            figure = figures.settle(make())
            pictures[name] = Picture(name, alt, figures.encoded(figure, "png"), figures.encoded(figure, "svg"))
    return pictures


def plan_pictures(evidence: Evidence) -> dict:
    """All figures that this run's data allow: {name: (alt text, () -> Figure)}."""
    plans = plan_examples(evidence)
    for split in evidence.splits:
        plans |= plan_scores(evidence, split)
    for stage in evidence.trainings:
        columns = evidence.log.get(stage.name, {})
        if "epoch" in columns and "validation_average_precision" in columns:
            kept = stage.header.get("epoch", len(columns["epoch"]))
            plans[f"figure_5_training_{stage.name}"] = (
                f"Training of {stage.short_label}: loss and validation average precision over {len(columns['epoch'])} "
                f"epochs; epoch {kept} was kept.", partial(figures.training, columns["epoch"], columns, kept))
    for kind, examples in seen.hardest(evidence, evidence.splits[-1]).items():
        for k, example in enumerate(examples, start=1):
            plans[f"worst_{kind}_{k}"] = f"Spectrogram of {example.name}, score {example.score:.3f}.", partial(
                figures.spectrograms, {"": evidence.x[example.index]}, evidence.last.trained.front_end, 2.3,
                figures.CLIP_WIDTH_IN)
    return plans


def plan_examples(evidence: Evidence) -> dict:
    """Figures 1 and 2: one target clip, and what augmentation makes of it."""
    target, negative = seen.typical(evidence)
    front_end, x = evidence.last.trained.front_end, evidence.x[[target]].astype(np.float32)
    settings, targets = evidence.recipe.teacher.training.augment, (evidence.split == "train") & (evidence.y == 1)
    gate = augment.gate_value(feature_rows.part(evidence.x, targets if targets.any() else evidence.y == 1), settings)
    snr_db = np.mean(settings.snr_above_db if augment.contrast(x)[0] > gate else settings.snr_below_db, keepdims=True)
    noise = np.random.default_rng(evidence.recipe.seed).standard_normal(x.shape, dtype=np.float32)
    added, panels = {f"noise added, {snr_db[0]:g} dB below it": noise}, {"clean": x[0]}
    if negative >= 0:
        added[f"a negative laid over it, {snr_db[0]:g} dB below it"] = evidence.x[[negative]].astype(np.float32)
    for title, interference in added.items():
        panels[title] = (x + augment.interference_gain(x, interference, snr_db) * interference)[0]
    return {"figure_1_spectrogram": (f"Log-mel spectrogram of the target clip {seen.clip_name(evidence, target)}.",
                                     partial(figures.spectrograms, {"": x[0]}, front_end, 3.4)),
            "figure_2_augmentation": (f"The same clip {', '.join(panels)}.",
                                      partial(figures.spectrograms, panels, front_end, 5.6))}


def plan_scores(evidence: Evidence, split: str) -> dict:
    """Figures 3, 4, 6, 7 and 8 of one split."""
    rows, table, target = evidence.split == split, evidence.last.tables[split], evidence.last.trained.classes[1]
    y, c, curves, values = evidence.y[rows], table["confusion_matrix"], {}, {}
    for stage in evidence.stages:
        precision, recall, threshold = metrics.precision_recall_curve(y, stage.score[rows])
        best, of_stage = int(np.flatnonzero(threshold == stage.tables[split]["best_f1_threshold"])[0]), stage.tables[split]
        curves[f"{stage.label}: {of_stage['average_precision']:.3f}"] = precision, recall, (precision[best], recall[best])
        values[stage.label] = of_stage["average_precision"], of_stage["average_precision_interval"]
    negatives = seen.by_recording(evidence, split, 0, N_NEGATIVE_ROWS)
    targets = seen.by_recording(evidence, split, 1, figures.MAX_ROWS - len(negatives))
    plans = {
        f"figure_3_precision_recall_{split}": (
            f"Precision against recall on the {split} clips. Average precision: {'; '.join(curves)}.",
            partial(figures.precision_recall, curves, float(y.mean()))),
        f"figure_4_confusion_matrix_{split}": (
            f"Confusion matrix of {evidence.last.label} on the {split} clips: {c['tp']} found, {c['fn']} missed, {c['fp']} "
            f"false alarms, {c['tn']} rightly silent.", partial(figures.confusion, c, target)),
        f"figure_6_recordings_{split}": (
            f"Scores of the {split} clips, a row for each of {len(targets)} recordings with targets and of {len(negatives)} "
            "without.",
            partial(figures.recordings, targets, negatives, table["best_f1_threshold"], target))}
    if table["per_distance"]:
        plans[f"figure_7_distances_{split}"] = (f"Average precision and recall on the {split} clips at the distances "
                                                f"{', '.join(table['per_distance'])}.",
                                                partial(figures.distances, table["per_distance"]))
    if len(evidence.stages) > 1:
        plans[f"figure_8_intervals_{split}"] = (f"Average precision of each stage on the {split} clips with its interval.",
                                                partial(figures.intervals, values))
    return plans


def grouped(number: int) -> str:
    """15642 -> "15 642", with a narrow space that does not break."""
    return f"{number:,}".replace(",", "\u202f")


def breakable(text: str):
    """A file's name as HTML that may go on in the next line after / and _."""
    from markupsafe import Markup, escape
    return Markup("").join(part + Markup("<wbr>") if part in ("/", "_") else part
                           for part in map(escape, re.split("([/_])", text)))


SETTINGS = {"epochs": "epochs", "batch, clips": "batch_size", "Adam's learning rate": "adam.learning_rate",
            "its schedule": "schedule", "class weights": "class_weights", "augmentation, probability": "augment.probability"}


def training_settings(evidence: Evidence) -> tuple[list, list]:
    """The names of stages that have a training, and [(words, [value of each])]: what matters of the configuration."""
    stages = [stage for stage in evidence.trainings if hasattr(getattr(evidence.recipe, stage.name, None), "training")]
    trainings = [getattr(evidence.recipe, stage.name).training for stage in stages]
    rows = [(words, [reduce(getattr, path.split("."), training) for training in trainings])
            for words, path in SETTINGS.items()]
    rows.append(("epoch kept", [stage.header.get("epoch", "") for stage in stages]))
    return [stage.short_label for stage in stages], rows


def render(evidence: Evidence, pictures: dict[str, Picture]) -> str:
    """The page."""
    import jinja2
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)
    environment.filters |= {"grouped": grouped, "printable": seen.printable, "breakable": breakable}
    template = environment.from_string((resources.files("npgru") / "report.html.j2").read_text(encoding="utf-8"))
    settings, settings_rows = training_settings(evidence)
    versions = evidence.run / "environment.toml"
    return template.render(
        e=evidence, pictures=pictures, main=evidence.splits[-1], name=seen.printable(evidence.run.resolve().name),
        target=seen.target_name(evidence), table=evidence.last.tables[evidence.splits[-1]],
        counts=seen.clip_counts(evidence), hardest=seen.hardest(evidence, evidence.splits[-1]),
        transferred=seen.at_validation_threshold(evidence), example=seen.clip_name(evidence, seen.typical(evidence)[0]),
        versions=read_toml(versions) if versions.is_file() else {}, n_rows=N_TABLE_ROWS,
        settings=settings, settings_rows=settings_rows,
        data=seen.printable(read_toml(evidence.run / "config.toml").get("data", "")),
        config=(evidence.run / "config.toml").read_text(encoding="utf-8"))
