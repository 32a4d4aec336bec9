"""npgru audit: all claims hold, a wrong operator, gradient or file is a row that fails and exit code 1, absence is said."""
import re

import numpy as np
import pytest
import tolerances
from runs import npgru
from test_int8 import clips, quantised, trained

from npgru import audit, audit_layers, audit_network, audit_operators, cli, int8, kernels, kernels_int8, model, witnesses
from npgru.export_tflite import tflite_bytes
from npgru.import_tflite import read_tflite
from npgru.layers import dense
from npgru.tally import Tally

needs_kernels = pytest.mark.skipif(not kernels.AVAILABLE, reason="kernels not built")


@pytest.fixture
def exported(tmp_path):
    """The file of a student with random weights."""
    rng = np.random.default_rng(7)
    integers = int8.freeze(quantised(trained(model.student(), clips(rng, 16), rng), clips(rng, 32)))
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(integers))
    return tmp_path / "m.tflite"


@pytest.fixture
def alone(monkeypatch):
    """No runtime is installed."""
    monkeypatch.setattr(witnesses, "why_absent", lambda name: "not installed: pip install it")
    monkeypatch.setattr(audit, "why_absent", witnesses.why_absent)


def test_the_table_has_every_claim_and_all_hold(capsys):
    assert cli.main(["audit", "--cases", "8"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert re.match(r"claim +witness +cases +worst +verdict", lines[0])
    for name in (*audit_layers.GRADIENTS, *audit_operators.OPERATORS, *witnesses.RUNTIMES):
        assert any(name in line for line in lines), name
    assert "FAILS" not in said.out and " 0 fail" in said.err
    for name in witnesses.RUNTIMES:
        if reason := witnesses.why_absent(name):
            assert reason in said.out and "pip install" in reason


def test_an_absent_witness_is_no_failure(alone, capsys):
    rows = [audit.checked(claim) for claim in audit.claims_of_runtime("ai-edge-litert", 3, 0)]
    assert [(row.cases, row.verdict, row.failed) for row in rows] == [(0, "not installed: pip install it", False)]


def off_by_one(function):
    def wrong(*args, **settings):
        y = function(*args, **settings)
        y = y.copy()
        y.flat[-1] ^= 1
        return y
    return wrong


@needs_kernels
@pytest.mark.parametrize("operator", ["conv2d_s8", "depthwise2d_s8", "dense_s8", "dense_s16", "add", "sub", "mul", "mean",
                                      "max_pool_s8", "quantize", "quantize_features", "logistic_s16", "tanh_s16", "lookup_s8",
                                      "softmax_s8", "gru_step_s8", "gru_step_s16"])
def test_one_wrong_code_of_any_operator_in_c_is_seen(operator, alone, monkeypatch):
    monkeypatch.setattr(kernels_int8, operator, off_by_one(getattr(kernels_int8, operator)))
    rows = [audit.checked(claim) for claim in audit.claims(3) if claim.text.startswith("C: ")]
    failed = [row for row in rows if row.failed]
    assert failed and all(row.worst and row.verdict.startswith("FAILS: at most") for row in failed)


@needs_kernels
def test_a_wrong_operator_gives_exit_code_1(exported, alone, monkeypatch, capsys):
    assert cli.main(["audit", str(exported), "--cases", "3"]) == 0
    monkeypatch.setattr(kernels_int8, "softmax_s8", off_by_one(kernels_int8.softmax_s8))
    assert cli.main(["audit", str(exported), "--cases", "3"]) == 1
    said = capsys.readouterr()
    assert "FAILS: at most 0 allowed; probabilities" in said.out and "1 fail" in said.err


def test_a_wrong_gradient_and_an_error_inside_are_failures(monkeypatch):
    forward, _, draw = audit_layers.GRADIENTS["dense"]
    monkeypatch.setitem(audit_layers.GRADIENTS, "dense", (forward, lambda dy, cache: [1.001 * g for g in
                                                                                     dense.dense_backward(dy, cache)], draw))
    monkeypatch.setitem(audit_layers.GRADIENTS, "scale", (forward, None, draw))
    rows = {row.claim: row for row in (audit.checked(claim) for claim in audit.claims(1) if claim.text.startswith("gradient"))}
    assert rows["gradient of dense"].failed and rows["gradient of dense"].worst > 1e-4
    assert rows["gradient of scale"].verdict.startswith("FAILS: TypeError") and not rows["gradient of gru"].failed


class Runtime:
    """A runtime that is off by one code in its last output."""

    def __init__(self, *arguments):
        pass

    def run(self, *inputs):
        return [np.zeros((1, 2), np.int8)]


def test_a_runtime_that_disagrees_is_seen(exported, monkeypatch):
    monkeypatch.setattr(audit_network, "Session", Runtime)
    monkeypatch.setattr(audit, "why_absent", lambda name: None if name == "tflite-micro" else "not here")
    content = exported.read_bytes()
    integers, _ = read_tflite(content)
    claims = audit.claims_of_model(content, integers, {"random clips": clips(np.random.default_rng(0), 2)})
    rows = [audit.checked(claim) for claim in claims if claim.witness == "tflite-micro"]
    assert rows and all(row.failed for row in rows)


def test_the_users_own_clips_are_audited(exported, corpus):
    done = npgru("audit", exported, corpus, "--cases", 6)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "your clips" in done.stdout and "random clips" in done.stdout


def test_refusals(tmp_path, capsys):
    (tmp_path / "m.tflite").write_bytes(b"no model")
    assert cli.main(["audit", str(tmp_path / "m.tflite")]) == 1
    assert "m.tflite: is not a .tflite file" in capsys.readouterr().err


def test_limits_are_those_of_the_tests():
    for name in ("GRADIENT_REL_ERROR", "NETWORK_GRADIENT_REL_ERROR", "C_LAYER_REL_ERROR", "FLOAT_LOG_MEL_UNITS", "LOGIT_STEPS",
                 "MICRO_TABLE_CODES"):
        assert getattr(audit, name) == getattr(tolerances, name), name
    assert audit.OTHER_KERNELS_CODES == max(codes["probability"] for codes in tolerances.OTHER_KERNELS_CODES.values())


def test_a_tally_of_other_shapes_types_and_no_numbers_is_infinite():
    for found, expected in ((np.zeros(3, np.int8), np.zeros(4, np.int8)), (np.zeros(3, np.int8), np.zeros(3, np.int16))):
        tally = Tally()
        tally.compare(found, expected, "here")
        assert tally.worst == np.inf and "here" in tally.place and tally.cases == 1
    tally = Tally()
    tally.note(np.nan, "there")
    assert tally.worst == np.inf and tally.place == "there"
    other = Tally()
    other.compare(np.int8([-128]), np.int8([127]), "wide")
    assert other.worst == 255
    tally.add(other)
    assert tally.cases == 2 and tally.worst == np.inf
