"""The report: one page that needs nothing else, its numbers, its figures, the same bytes twice, and thin data."""
import csv
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from npgru import checkpoint, compress, evaluate, evidence, export_tflite, figures, int8, metrics, model, recipe, report
from npgru.config import ConfigError
from npgru.front_end import FrontEnd
from tolerances import AP_ABS_ERROR

pytest.importorskip("matplotlib", reason="the report's figures need matplotlib: pip install 'npgru[report]'")
pytest.importorskip("jinja2", reason="the report's page needs jinja2: pip install 'npgru[report]'")

NETWORK = model.NetworkConfig(conv_filters=4, block_filters=(6,), gru_units=4, dense_units=4)
EVIL = "a<b onload='x'>&\"$x_1$"                 # a file name that would be a tag, and a formula in matplotlib


def small(patch, tmp_path_factory):
    """A cache of our own; few and coarse pictures, to save time."""
    patch.setenv("NPGRU_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    patch.setattr(evidence, "N_HARDEST", 2)
    patch.setattr(figures, "DPI", 60)


@pytest.fixture(autouse=True)
def small_reports(tmp_path_factory, monkeypatch):
    small(monkeypatch, tmp_path_factory)


def write_clips(root, names, rng):
    """Two-second sound files: targets (not in Negatives) hold a rising chirp at 4 to 6 kHz."""
    t = np.arange(32000) / 16000
    for name in names:
        song = 0 if "Negatives" in name else 0.2 * np.sin(2 * np.pi * (4000 + 500 * t) * t)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / f"{name}.wav", 0.05 * rng.standard_normal(32000) + song, 16000)
    return root


def names(split, n_targets, n_negatives, target="Wren"):
    return [*(f"{split}/{target}/YH_S{split[0]}{k // 2}_P1_{'AC'[k % 2]}" for k in range(n_targets)),
            *(f"{split}/Negatives/bird_{split[0]}{k}" for k in range(n_negatives))]


def write_run(run, data, stages=("teacher",)):
    """A run folder with random weights: what the report reads, without the time to train."""
    plan = recipe.Recipe(seed=3)
    recipe.start_run_folder(run, plan, str(data))
    layers = model.build(NETWORK, plan.front_end.mel_n_channels)
    loaded = recipe.load_data(plan, data, 1, False, None)
    for k, stage in enumerate(stages):
        arrays = model.init(layers, np.random.default_rng(k))
        trained = checkpoint.Model(layers, *arrays, plan.front_end, loaded.classes, plan.clip_s)
        checkpoint.save_model(recipe.stage_path(run, stage), trained, {
            "stage": stage, "seed": 3, "data_sha256": recipe.fingerprint(loaded.data), "npgru": "0.1.0", "epoch": 2})
    with open(run / "log.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["stage", "epoch", "loss", "validation_loss", "validation_average_precision"])
        writer.writerows([stage, k, 1 / k, 1.5 / k, 0.5 + 0.1 * k] for stage in stages for k in (1, 2, 3))
    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng, root = np.random.default_rng(5), tmp_path_factory.mktemp("corpus")
    clips = [*names("Training_Set", 4, 4), *names("Validation_Set", 4, 3), *names("Test_Set", 4, 3)]
    return write_clips(root, [*clips, f"Test_Set/Negatives/{EVIL}"], rng)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A finished run of two stages, and its report."""
    folder = write_run(tmp_path_factory.mktemp("runs") / "two stages", data, recipe.STAGES[:2])
    with pytest.MonkeyPatch.context() as patch:
        small(patch, tmp_path_factory)
        (folder / "figures").mkdir()
        (folder / "figures" / "worst_miss_99.png").write_text("of an earlier report")
        assert report.write_report(folder, None, 1, None) == folder / "report.html"
    return folder


def page(run):
    return (run / "report.html").read_text(encoding="utf-8")


def seen(run, data=None):
    return evidence.gather(run, data, 1, evidence.silent)


def rendered(found):
    """The page of an evidence with its figures planned and made, but not drawn."""
    with figures.style():
        plans = report.plan_pictures(found)
        for _, make in plans.values():
            make()
    return report.render(found, {name: report.Picture(name, alt, b"", b"") for name, (alt, _) in plans.items()})


class Attributes(HTMLParser):
    """Every (tag, attribute, value) of a page, and the tags that are open at its end."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [(tag, name, value) for name, value in attributes]
        if tag not in ("meta", "img", "br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_is_well_formed(run):
    text = page(run)
    parsed = Attributes(text)
    assert not parsed.open and "http" not in text and "@import" not in text and "url(" not in text and "<script" not in text
    sources = [value for _, name, value in parsed.found if name in ("src", "srcset", "data", "xlink:href")]
    assert len(sources) > 10 and all(value.startswith("data:image/png;base64,") for value in sources)
    assert all(value.startswith("#") for tag, name, value in parsed.found if name == "href")
    alts = [value for tag, name, value in parsed.found if name == "alt"]
    assert len(alts) == len(sources) and all(len(alt) > 20 for alt in alts) and len(text) < 3_000_000
    anchors = {value for _, name, value in parsed.found if name == "id"}
    assert anchors >= {value[1:] for _, name, value in parsed.found if name == "href"}


def test_every_figure_is_there_as_png_and_svg_and_none_of_an_earlier_report(run):
    names = {path.name for path in (run / "figures").iterdir()}
    stems = {Path(name).stem for name in names}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")} and "worst_miss_99" not in stems
    assert stems >= {"figure_1_spectrogram", "figure_2_augmentation", "worst_miss_1", "worst_false_positive_1",
                     *(f"figure_5_training_{stage}" for stage in recipe.STAGES[:2]),
                     *(f"{figure}_{split}" for split in ("validation", "test") for figure in (
                         "figure_3_precision_recall", "figure_4_confusion_matrix", "figure_6_recordings",
                         "figure_7_distances", "figure_8_intervals"))}
    for path in (run / "figures").iterdir():
        start = path.read_bytes()[:200]
        assert start.startswith(b"\x89PNG") if path.suffix == ".png" else b"<?xml" in start
    assert not re.findall(rb"<dc:date>", (run / "figures" / "figure_1_spectrogram.svg").read_bytes())


def test_the_table_says_what_metrics_says(run):
    found = seen(run)
    text = page(run)
    for split in ("validation", "test"):
        clips = [clip for clip in found.clips if clip.split == split]
        for stage in found.stages:
            score = evaluate.target_scores(stage.trained, found.x[found.split == split])
            table = evaluate.score_table(clips, score)
            assert stage.tables[split] == table
            low, high = table["average_precision_interval"]
            assert f"<td>{table['average_precision']:.4f}<small>{low:.3f}–{high:.3f}</small></td>" in text
            for key in ("pr_auc_keras_micro", "error_rate"):
                assert f"<td>{table[key]:.4f}<small>" in text
            assert f"<td>{table['best_f1']:.4f}<small>at {table['best_f1_threshold']:.4f}</small></td>" in text
            assert report.grouped(recipe.stage_path(run, stage.name).stat().st_size) in text
            assert f"{stage.label}: {table['average_precision']:.3f}" in text                  # alt of figure 3


def test_the_steps_of_figure_3_enclose_the_average_precision(run):
    found = seen(run)
    with figures.style():
        axes = report.plan_pictures(found)["figure_3_precision_recall_test"][1]().axes[0]
    recall, precision = axes.lines[0].get_data()
    area = np.sum(np.diff(recall) * precision[1:])                          # steps-pre
    assert abs(area - found.stages[0].tables["test"]["average_precision"]) < AP_ABS_ERROR


def test_the_same_run_gives_the_same_bytes(run, data, tmp_path):
    """Made again in another folder of the same name."""
    again = write_run(tmp_path / run.name, data, recipe.STAGES[:2])
    found = seen(again)
    plans = {name: plan for name, plan in report.plan_pictures(found).items() if re.match("figure_[136].*(m|test)$", name)}
    assert len(plans) == 3
    for name, picture in report.draw(plans, evidence.silent).items():
        assert picture.png == (run / "figures" / f"{name}.png").read_bytes(), name
        assert picture.svg == (run / "figures" / f"{name}.svg").read_bytes(), name
    pictures = {path.stem: report.Picture(path.stem, report.plan_pictures(found)[path.stem][0], path.read_bytes(), b"")
                for path in (run / "figures").glob("*.png")}
    assert report.render(found, pictures) == page(run)


def test_file_names_are_escaped_in_the_page_and_are_no_formulas(run):
    assert "<b onload" not in page(run) and "a&lt;b onload=&#39;x&#39;&gt;&amp;&#34;$x" in page(run)
    with figures.style():
        figure = figures.recordings({EVIL * 3: np.array([0.5])}, {"鳥": np.array([0.1])}, 0.4, EVIL)
        assert b"<svg" in figures.encoded(figure, "svg")


def test_hardest_clips_are_the_highest_negatives_and_the_lowest_targets(run):
    found = seen(run)
    of_test = found.split == "test"
    for kind, target, best in (("false_positive", 0, max), ("miss", 1, min)):
        examples = evidence.hardest(found, "test")[kind]
        assert len(examples) == 2 and examples[0].score == best(found.last.score[of_test & (found.y == target)])
        threshold = found.last.tables["test"]["best_f1_threshold"]
        assert all(example.wrong == ((example.score >= threshold) != target) for example in examples)
        c = found.last.tables["test"]["confusion_matrix"]
        assert sum(example.wrong for example in examples) == min(2, c["fn"] if target else c["fp"])


def test_a_teacher_alone_without_test_clips_distances_and_log(tmp_path):
    clips = [name.replace("YH_S", "song_") for split in ("Training_Set", "Validation_Set") for name in names(split, 2, 2)]
    data = write_clips(tmp_path / "data", clips, np.random.default_rng(1))
    run = write_run(tmp_path / "run", data)
    (run / "log.csv").unlink()
    (run / "environment.toml").unlink()
    text = rendered(seen(run))
    assert "There are no test clips to score" in text and "so the curves cannot be drawn" in text
    assert "by distance" not in text and "the last row" not in text and "figure_7" not in text


def test_one_recording_and_no_misses(tmp_path):
    rng, root = np.random.default_rng(2), tmp_path / "data"
    for split in ("Training_Set", "Validation_Set"):
        write_clips(root, [f"{split}/{kind}/XC7_{split}_{k}" for kind in ("Wren", "Negatives") for k in range(2)], rng)
    found = seen(write_run(tmp_path / "run", root))
    y, certain = found.y[found.split == "validation"], np.where(found.y == 1, 1.0, 0.0)        # a perfect detector
    table = metrics.scores(y, certain[found.split == "validation"], ["XC7"] * 4, [None] * 4, np.random.default_rng(0))
    perfect = replace(found, stages=[replace(found.last, score=certain, tables={"validation": table})])
    text = rendered(perfect)
    assert "no interval" in text and "There is no interval: no intervals: all clips are of one recording" in text
    assert "there are no misses; these came closest" in text and "there are no false alarms; these came closest" in text


def test_a_quantised_network_is_shown_in_float_and_in_integers(run):
    found = seen(run)
    layers, params, stats = compress.quantisable(found.last.trained, found.x[:4], compress.QuantisationConfig())
    trained = replace(found.last.trained, layers=layers, params=params, stats=stats)
    forms = evidence.forms_of("quantise", trained)
    assert [form.words for form in forms] == [", its float twin", ", int8, 8-bit state", ", int8, 16-bit state"]
    assert [form.words for form in evidence.forms_of("calibrate", trained)] == [", int8, 16-bit state"]
    assert np.array_equal(forms[-1].predict(found.x[:6]), evaluate.target_scores(trained, found.x[:6]))
    assert forms[-1].arrays["conv/w"].dtype == np.int8
    prices = [evidence.price(run, "teacher", trained, form, found.x) for form in forms]
    assert len({price["n_parameters"] for price in prices}) == 1
    assert [price["bytes"] for price in prices[1:]] == [
        len(export_tflite.tflite_bytes(int8.freeze(trained, bits))) for bits in int8.STATE_BITS]


def test_test_clips_without_a_target_are_not_scored_but_told(data, tmp_path):
    clips = [*names("Training_Set", 2, 2), *names("Validation_Set", 2, 2), *names("Test_Set", 0, 2)]
    root = write_clips(tmp_path / "data", clips, np.random.default_rng(3))
    found = seen(write_run(tmp_path / "run", data), root)
    assert found.splits == ["validation"] and found.same_data is False
    text = rendered(found)
    assert "the test clips hold no target: not scored" in text and "These are not exactly the clips" in text


@pytest.mark.parametrize("spoil, says", [
    (lambda run: (run / "config.toml").unlink(), "is no run folder"),
    (lambda run: (run / "checkpoints" / "teacher.npz").unlink(), "no stage of this run is finished"),
    (lambda run: (run / "config.toml").write_text('data = "gone"\n'), "trained on 'gone', which is not there"),
    (lambda run: (run / "config.toml").write_text('data = "gone"\nsong = 1\n'), "song")])
def test_what_is_missing_is_one_line(spoil, says, data, tmp_path):
    run = write_run(tmp_path / "run", data)
    spoil(run)
    with pytest.raises((evidence.ReportError, ConfigError), match=says) as error:
        report.write_report(run, data if says == "song" else None, 1, None)
    assert "\n" not in str(error.value) and not (run / "report.html").exists()


def test_without_the_extra_one_line_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr(report, "find_spec", lambda name: None if name == "jinja2" else name)
    with pytest.raises(evidence.ReportError, match=r"needs jinja2; install: pip install 'npgru\[report\]'"):
        report.write_report(run, None, 1, None)


def test_a_synthetic_run_finds_its_corpus_in_its_folder(tmp_path):
    assert evidence.data_folder(tmp_path, "given", Path("given")) == Path("given")
    (tmp_path / "synthetic_corpus").mkdir()
    assert evidence.data_folder(tmp_path, "synthetic corpus of 96 clips", None) == tmp_path / "synthetic_corpus"


def test_band_centres_are_the_peaks_of_the_mel_triangles():
    centres = figures.mel_centres_hz(FrontEnd.paper())
    assert len(centres) == 32 and 2000 < centres[0] < centres[-1] < 7500 and np.all(np.diff(np.diff(centres)) > 0)


def test_names_are_shortened_in_the_middle():
    assert figures.shorten("Great_Tit", 9) == "Great_Tit" and figures.shorten("a" * 5 + "b" * 5, 7) == "aaa…bbb"
