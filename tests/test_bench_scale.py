"""npgru bench scale: what is measured is the real work, each size in its own process, and drawn the same each time."""
import json
import subprocess

import numpy as np
import pytest

from npgru import bench_int8, bench_scale, cli, model
from npgru.commands import bench


def test_every_work_is_measured_in_a_process_of_its_own_and_drawn(capsys, tmp_path):
    plot = tmp_path / "scale.svg"
    assert cli.main(["bench", "scale", "--largest", "50", "--threads", "2", "--json", "-o", str(plot)]) == 0
    table = json.loads(capsys.readouterr().out)
    assert list(table["work"]) == ["features", "training", "inference"] and table["machine"]["cpu"]
    for (row,) in table["work"].values():
        assert row["n_clips"] == 50 and 0 < row["us_per_clip"] <= row["median_us_per_clip"]
        assert row["cpu_us_per_clip"] > 0 and 10_000_000 < row["peak_memory_bytes"] < 1_000_000_000
    assert plot.read_bytes().startswith(b"<?xml") and b"<dc:date>" not in plot.read_bytes()
    bench_scale.write_plot(tmp_path / "again.svg", table)
    assert (tmp_path / "again.svg").read_bytes() == plot.read_bytes()


def test_sizes_are_powers_of_ten_and_the_largest_and_spreads_are_of_the_extremes(monkeypatch):
    monkeypatch.setattr(bench_scale, "in_own_process", lambda work, n, threads: ([3e-6 * n, 2e-6 * n, 9e-6], [n * n * 1e-6], 10 * n))
    table = bench_scale.measure(["training"], 2000)
    rows = table["work"]["training"]
    assert [row["n_clips"] for row in rows] == [100, 1000, 2000]
    assert [row["us_per_clip"] for row in rows] == [0.09, 0.009, 0.004] and rows[0]["median_us_per_clip"] == 2.0
    assert table["spread"]["training"] == 21.5 and table["cpu_spread"]["training"] == 19 and table["memory_growth_bytes"]["training"] == 19_000
    assert bench_scale.as_text(table).count("\n") == 5


def test_works_on_the_command_line_are_those_that_there_are():
    assert bench.WORKS == tuple(bench_scale.RUNS)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_works_do_all_their_clips(threads, monkeypatch):
    bench_scale.features_run(130, threads)()                                        # asserts their number
    scored = []
    scores = bench_int8.scores
    monkeypatch.setattr(bench_int8, "scores", lambda *args, **settings: scored.append(scores(*args, **settings)))
    bench_scale.inference_run(70, threads)()
    assert np.concatenate(scored).shape == (70,) and np.ptp(np.concatenate(scored)) > 0
    trained = []
    monkeypatch.setattr(model, "teacher", model.student)
    monkeypatch.setattr(bench_scale.bench_train, "train_epoch", lambda *args: trained.append(len(args[2].x_train)))
    bench_scale.training_run(70, threads)()
    assert trained == [70]


@pytest.mark.parametrize("plot", ["scale.pdf", "scale"])
def test_a_plot_of_another_kind_is_refused_before_anything_is_measured(plot, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_scale, "in_own_process", lambda *args: pytest.fail("measured"))
    assert cli.main(["bench", "scale", "-o", str(tmp_path / plot)]) == 1
    assert "is written as .png or .svg" in capsys.readouterr().err


def test_a_process_that_fails_says_why(monkeypatch, capsys):
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **settings: run([*command[:-1], "many"], **settings))
    assert cli.main(["bench", "scale", "--work", "training", "--largest", "5"]) == 1
    assert "training of 5 clips failed: ValueError" in capsys.readouterr().err
