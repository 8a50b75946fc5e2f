import time
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks.candidates import CANDIDATES
from benchmarks.nets import lenet, mlp
from benchmarks.runner import Plan, measure, take_turns
from benchmarks.serving import Done, Failure, choose
from benchmarks.work import FRESH, Estimation, Training

from benchmarks import fresh, peak


def sleeper(seconds):
    return lambda: lambda count: time.sleep(seconds * count)


def broken():
    raise ValueError("not here")


def test_the_quickest_way_is_kept_and_repeated_to_fill_a_turn():
    prepared, _, count = choose({"slow": sleeper(0.02), "quick": sleeper(0.002)}, unit=2, seconds=0.02)
    assert prepared.variant == "quick"
    assert 5 <= count <= 10
    assert prepared.trials["quick"] == pytest.approx(1000, rel=0.9)


def test_a_way_that_fails_does_not_stop_the_others():
    prepared, _, _ = choose({"broken": broken, "quick": sleeper(0.001)}, unit=1, seconds=0.001)
    assert list(prepared.trials) == ["quick"]
    assert "ValueError: not here" in prepared.failed["broken"]


def test_when_every_way_fails_all_reasons_are_given():
    with pytest.raises(RuntimeError, match=r"(?s)broken: .*ValueError: not here"):
        choose({"broken": broken}, unit=1, seconds=1)


class Scripted:
    """A worker that answers from a list."""

    def __init__(self, name, answers, log):
        self.candidate = SimpleNamespace(name=name, rest=0)
        self.answers, self.log = list(answers), log

    def ask(self, order, patience):
        self.log.append(self.candidate.name)
        return self.answers.pop(0)


def done(microseconds):
    return Done(microseconds, burnt=0.0, used=0.0)


def test_turns_go_round_and_one_that_fails_is_left_out():
    log = []
    steady = Scripted("a", map(done, [1.0, 2.0, 3.0]), log)
    failing = Scripted("b", [done(1.0), Failure("gone")], log)
    failures = {}
    turns = take_turns([steady, failing], Plan(rounds=2, warm=1), failures)
    assert log == ["a", "b", "b", "a", "a"]
    assert [turn.done.microseconds for turn in turns[steady]] == [1.0, 2.0, 3.0]
    assert (failing in turns, failures) == (False, {"b": "gone"})


def test_the_peak_kernel_adds_and_multiplies_in_every_chain():
    _, chains = peak.registers()
    np.testing.assert_array_equal(peak.multiply_add(5), float(chains))


def test_an_import_is_timed_once_per_library():
    found = fresh.taking_part(FRESH[0], CANDIDATES)
    assert [c.name for c in found] == ["ours", "torch eager", "jax", "keras", "sklearn", "onnxruntime"]


def test_onnx_gives_the_outputs_of_our_network():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from benchmarks.peers import onnx_session
    from benchmarks.peers.ours import model_of

    for net in (mlp(5, 4, 3, activation="sigmoid"), lenet()):
        model = model_of(net)
        x = np.random.default_rng(0).standard_normal((1, *net.inputs), np.float32)
        network = onnx_session.export(net, list(model.get_weights().values()))
        (y,) = onnx_session.session_of(network, 1).run(None, {"x": onnx_session.planes(x)})
        np.testing.assert_allclose(y, model.predict(x), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_ours_is_measured_in_a_process_of_its_own(tmp_path):
    work = Training("tiny", mlp(4, 8, 3), 8, 20)
    (row,) = measure([work], CANDIDATES[:1], Plan(rounds=2, seconds=0.01), tmp_path)
    assert row.failures == {}
    assert len(row.figures["ours"].rounds) == 2
    assert row.figures["ours"].median > 0


def test_fits_are_whole_fits_in_milliseconds(tmp_path):
    work = Estimation("wine", "wine", (("max_iter", 3),))
    candidates = [c for c in CANDIDATES if c.name in {"ours", "sklearn"}]
    (row,) = measure([work], candidates, Plan(rounds=2, seconds=0.01), tmp_path)
    assert (row.section, row.unit, dict(row.failures)) == ("estimators", "ms", {})
    assert all(0.1 < figure.median < 1000 for figure in row.figures.values())
    assert list(row.figures) == ["ours", "sklearn"]
