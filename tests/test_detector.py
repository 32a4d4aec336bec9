"""detector: the same network from a run folder, its checkpoint and its .tflite file; facts that are stored in them."""
import json

import numpy as np
import pytest
from test_int8 import clips

from npgru import checkpoint, cli, detector, recipe


@pytest.fixture
def exported(finished, tmp_path):
    assert cli.main(["export", str(finished), "-o", str(tmp_path / "m.tflite")]) == 0
    return tmp_path / "m.tflite"


def test_run_checkpoint_and_tflite_file_score_alike(finished, exported, rng):
    x = clips(rng, 5)
    found = [detector.load(path) for path in (finished, recipe.find_checkpoint(finished), exported)]
    scores = [one.scores(x) for one in found]
    assert np.array_equal(scores[0], scores[1]) and np.array_equal(scores[0], scores[2])
    for one in found:
        assert (one.front_end, one.clip_s, one.classes) == (found[0].front_end, found[0].clip_s, found[0].classes)
        assert one.facts["seed"] == 3 and one.facts["threshold"] == found[0].facts["threshold"] and one.floats is None
    assert detector.load(finished, "teacher").integers is None


@pytest.mark.parametrize("kind", ["npz", "tflite"])
def test_facts_are_stored_and_the_scores_stay(kind, finished, exported, tmp_path, rng):
    path = exported
    if kind == "npz":
        path = tmp_path / "m.npz"
        path.write_bytes(recipe.find_checkpoint(finished).read_bytes())
    before, new = detector.load(path), {"threshold": 0.75, "platt": [1.5, -0.25]}
    assert detector.store_facts(path, new) == path
    after, x = detector.load(path), clips(rng, 3)
    assert after.facts == {**before.facts, **new} and np.array_equal(after.scores(x), before.scores(x))
    content = path.read_bytes()
    detector.store_facts(path, new)
    assert path.read_bytes() == content
    with pytest.raises(ValueError, match="classes: belongs to the network"):
        detector.store_facts(path, {"classes": ["a", "b"]})
    assert path.read_bytes() == content and len(list(path.parent.glob(".*"))) == 0


def test_facts_of_a_run_go_to_the_network_that_is_asked_for(finished, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("teacher.npz", "student.npz"):
        (tmp_path / "checkpoints" / name).write_bytes((finished / "checkpoints" / name).read_bytes())
    assert detector.store_facts(tmp_path, {"threshold": 0.125}, "teacher").name == "teacher.npz"
    assert checkpoint.load(tmp_path / "checkpoints" / "teacher.npz")[1]["threshold"] == 0.125
    assert checkpoint.load(tmp_path / "checkpoints" / "student.npz")[1]["threshold"] != 0.125


def test_refusals(exported, tmp_path):
    with pytest.raises(ValueError, match="none.tflite: there is no such file; give"):
        detector.load(tmp_path / "none.tflite")
    with pytest.raises(ValueError, match="holds one network, found --stage teacher; leave --stage out"):
        detector.load(exported, "teacher")
    (tmp_path / "text.tflite").write_text(json.dumps([1, 2]))
    with pytest.raises(ValueError, match="text.tflite: is not a .tflite file"):
        detector.load(tmp_path / "text.tflite")
