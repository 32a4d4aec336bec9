"""Rows of a file are an array to whoever reads them, and a run that learns from them ends with the same bytes."""
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npgru import cli, dataset, evidence, feature_rows, report
from npgru.augment import contrast
from npgru.feature_rows import Rows, blocks, part, room_for
from npgru.front_end import FrontEnd
from runs import FAST


@pytest.fixture
def pair(rng, tmp_path, monkeypatch):
    """The same numbers as an array and as Rows, written in another order than they are read."""
    monkeypatch.setattr(feature_rows, "IN_MEMORY_BYTES", 0)
    x = rng.integers(0, 65536, (11, 3, 2), dtype=np.uint16)
    rows = room_for(11, (3, 2), tmp_path / "new")
    for k in rng.permutation(11):
        rows[k] = x[k]
    return x, rows


@pytest.mark.parametrize("index", [0, -1, slice(None), slice(2, 9, 3), slice(0, 0), np.array([3, 3, 10, 0]), np.array([2, 3, 4, 9, 8, 7, 0, 1]), [5],
                                   np.arange(11) % 2 == 0, np.zeros(11, bool)], ids=str)
def test_rows_are_indexed_like_an_array(pair, index):
    x, rows = pair
    assert isinstance(rows, Rows) and (len(rows), rows.shape, rows.dtype) == (len(x), x.shape, x.dtype)
    np.testing.assert_array_equal(rows[index], x[index])
    assert rows[index].dtype == x.dtype


def test_parts_of_parts_read_what_was_chosen(pair):
    x, rows = pair
    chosen, again = np.arange(11) % 3 != 0, np.array([4, 0, 2])
    found = part(part(rows, chosen), again)
    assert isinstance(found, Rows) and found.shape == (3, 3, 2)
    np.testing.assert_array_equal(found[:], part(part(x, chosen), again))
    with pytest.raises(IndexError):
        rows[11]


@pytest.mark.parametrize("size", [1, 4, 11, 50])
def test_blocks_are_all_rows_in_order(pair, size):
    for x in pair:
        assert max(map(len, blocks(x, size))) <= size
        np.testing.assert_array_equal(np.concatenate(list(blocks(x, size))), pair[0])
    assert [block.shape for block in blocks(pair[1][:0], size)] == [(0, 3, 2)]
    np.testing.assert_array_equal(contrast(pair[1]), contrast(pair[0]))


def test_threads_read_at_the_same_time(pair):
    x, rows = pair
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: rows[[k % 11, (k + 5) % 11]], range(400)))
    assert all(np.array_equal(pair_of_rows, x[[k % 11, (k + 5) % 11]]) for k, pair_of_rows in enumerate(found))


def test_few_clips_are_in_memory_and_a_folder_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    assert isinstance(room_for(6_241, (84, 32), tmp_path / "none"), np.ndarray) and not (tmp_path / "none").exists()
    monkeypatch.setattr(feature_rows, "IN_MEMORY_BYTES", 100)
    (tmp_path / "file").write_text("no folder")
    rows = room_for(20, (3, 2), tmp_path / "file")
    rows[19] = 7
    assert isinstance(rows, Rows) and (rows[19] == 7).all()


def test_a_file_that_ends_early_is_an_error(pair):
    pair[1].file.file.truncate(20)
    with pytest.raises(OSError, match="8 bytes of 12"):
        pair[1][1]


def test_a_run_on_rows_has_the_bytes_of_a_run_in_memory(corpus, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(feature_rows, "IN_MEMORY_BYTES", 0)
    assert isinstance(dataset.load_features(dataset.discover(corpus).clips, FrontEnd.paper()).features, Rows)
    assert cli.main(["train", str(corpus), "-o", str(tmp_path / "run"), "--seed", "3", *FAST]) == 0
    for product in ("teacher", "student", "pruned", "calibrated", "quantised"):
        memory, file = ((run / "checkpoints" / f"{product}.npz").read_bytes() for run in (finished, tmp_path / "run"))
        assert memory == file
    scores = []
    for limit in (0, 1 << 25):
        monkeypatch.setattr(feature_rows, "IN_MEMORY_BYTES", limit)
        for stage in ("teacher", "quantised"):
            capsys.readouterr()
            assert cli.main(["evaluate", str(finished), str(corpus), "--stage", stage, "--json"]) == 0
            scores.append(capsys.readouterr().out)
    assert scores[:2] == scores[2:]


def test_a_report_is_made_of_rows(corpus, finished, monkeypatch):
    monkeypatch.setattr(feature_rows, "IN_MEMORY_BYTES", 0)
    found = evidence.gather(finished, corpus, 1, evidence.silent)
    assert isinstance(found.x, Rows) and evidence.typical(found)[0] >= 0
    assert report.plan_examples(found)
