import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from tests.select.executors.jobs import Killer, Slow, assert_same, small_task
from tests.select.nets import X, Y, line, net, regression

from pellucid import Input, Sequential
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense
from pellucid.select import cross_validate, executors, learning_curve
from pellucid.select.folds import Fold
from pellucid.select.members import Member, Outcome, Task, train_members
from pellucid.select.preparing import Inputs
from pellucid.train import EarlyStopping

IN_PROCESSES = {"executor": "processes", "n_jobs": 2}


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_members_are_bit_for_bit_those_of_threads_in_their_order(jobs):
    task, members = small_task(callbacks=[EarlyStopping(patience=1)])
    told = []
    found = train_members(task, members, lambda m, o: told.append((m, o)), executor="processes", n_jobs=jobs)
    assert_same(found, train_members(task, members))
    assert {(id(m), id(o)) for m, o in told} == {(id(m), id(o)) for m, o in zip(members, found, strict=True)}


def test_functions_lambdas_closures_and_their_models_travel():
    units = 4

    class Doubled(Dense):
        def call(self, x, **options):
            return super().call(x, **options) * 2.0

    def build(learning_rate=0.1):
        model = Sequential([Input((4,)), Doubled(units), Dense(3, activation="softmax")])
        model.compile("categorical_crossentropy", "sgd", ["accuracy"])
        return model

    options = {"cv": 2, "epochs": 2, "keep_models": True, "callbacks": lambda member: [lambda epoch, logs: None]}
    here = cross_validate(build, X, Y, scoring=lambda true, guess: float((true == guess).mean()), **options)
    there = cross_validate(
        build, X, Y, scoring=lambda true, guess: float((true == guess).mean()), **options, **IN_PROCESSES
    )
    assert_same(there.scores.outcomes, here.scores.outcomes)
    assert type(there.scores.outcomes[0].model.layers[0]) is Doubled


def test_models_and_learning_curves_train_there_too():
    model = net(units=4)
    here = learning_curve(model, X, Y, sizes=[0.5, 1.0], epochs=2)
    there = learning_curve(model, X, Y, sizes=[0.5, 1.0], epochs=2, **IN_PROCESSES)
    assert np.array_equal(there.scores.cube("loss"), here.scores.cube("loss"))


def test_large_data_are_trained_on():
    r = np.random.default_rng(0)
    x = r.normal(size=(20_000, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    here = cross_validate(net(), x, y, cv=2, batch_size=1000, keep_models=True)
    there = cross_validate(net(), x, y, cv=2, batch_size=1000, keep_models=True, **IN_PROCESSES)
    assert_same(there.scores.outcomes, here.scores.outcomes)


def test_large_data_lie_in_memory_that_workers_share_and_a_worker_keeps_its_task():
    def train(task, members, listener):
        task.configurations[0].setdefault("trained", []).extend(member.seed for member in members)
        x, kept = task.inputs.x, task.configurations[0]["trained"]
        return [Outcome(failure=f"{type(x).__name__} {x.flags.writeable} {os.getpid()} {len(kept)}") for _ in members]

    x = np.zeros((20_000, 4))
    fold = Fold(0, 0, np.arange(5), np.arange(5, 9))
    task = Task(net, Inputs(x, None, None), np.zeros(20_000, int), 20_000, [{}])
    members = [Member(0, fold, seed) for seed in range(9)]
    work = executors.Work(train, task, members, list(range(9)))  # no two in one part
    told = [outcome.failure.split() for outcome in executors.get("processes", 2).run(work)]
    assert {(kind, writable) for kind, writable, _, _ in told} == {("memmap", "True")}
    for process in {p for _, _, p, _ in told}:
        assert sorted(int(k) for _, _, p, k in told if p == process) == list(
            range(1, 1 + sum(p == process for _, _, p, _ in told))
        )
    assert task.configurations == [{}]


def test_epochs_are_heard_here_and_members_are_ended_from_here():
    heard = {"threads": [], "processes": []}
    outcomes = {}
    members = small_task()[1]
    for executor, epochs in heard.items():

        def on_epoch(member, epoch, numbers, epochs=epochs):
            epochs.append((os.getpid(), members.index(member), epoch, numbers))
            return "pruned" if epoch == 1 and member.seed == 7 else None

        outcomes[executor] = train_members(small_task(on_epoch=on_epoch)[0], members, executor=executor, n_jobs=2)
    assert sorted(heard["processes"], key=str) == sorted(heard["threads"], key=str)
    assert len(heard["threads"]) == 12 * 4 + 12 * 2
    assert [o.stopped_by for o in outcomes["processes"]] == [None, "pruned"] * 12
    assert_same(outcomes["processes"], outcomes["threads"])


@pytest.mark.slow
def test_what_on_epoch_raises_is_raised():
    def on_epoch(member, epoch, numbers):
        raise RuntimeError("no more reports")

    task, members = small_task(on_epoch=on_epoch)
    with pytest.raises(RuntimeError, match="no more reports"):
        train_members(task, members, **IN_PROCESSES)


@pytest.mark.slow
def test_what_a_listener_raises_is_raised():
    def listener(member, outcome):
        raise RuntimeError("not listening")

    with pytest.raises(RuntimeError, match="not listening"):
        train_members(*small_task(), listener, **IN_PROCESSES)


def test_a_failing_fit_is_told_as_with_threads():
    x, y = regression()
    options = {"cv": 3, "grid": {"learning_rate": [0.01, 1e30]}, "epochs": 3}
    here = cross_validate(line(), x, y, **options).results
    there = cross_validate(line(), x, y, **options, **IN_PROCESSES).results
    assert list(there["failure"]) == list(here["failure"])
    assert all("became" in text for text in there.where(learning_rate=1e30)["failure"])


@pytest.mark.slow
def test_an_error_of_a_worker_is_raised_as_it_is():
    with pytest.raises(ConfigurationError, match="must return a compiled model, not NoneType"):
        train_members(small_task(source=lambda units=1: None)[0], small_task()[1], **IN_PROCESSES)


@pytest.mark.slow
def test_what_cannot_travel_is_named():
    task, members = small_task(callbacks=[threading.Lock()])
    with pytest.raises(ConfigurationError, match=r"cannot be sent to another process: .*cannot pickle '_thread.lock'"):
        train_members(task, members, **IN_PROCESSES)


@pytest.mark.slow
def test_a_killed_worker_loses_no_member(tmp_path):
    task, members = small_task(callbacks=[Killer(str(tmp_path / "killed"))])
    told = []
    found = train_members(task, members, lambda m, o: told.append(m), **IN_PROCESSES)
    assert (tmp_path / "killed").exists()
    assert_same(found, train_members(small_task()[0], members))
    assert sorted(map(id, told)) == sorted(map(id, members))


@pytest.mark.slow
def test_a_member_that_always_kills_its_worker_is_given_up_and_the_others_are_not():
    task, members = small_task()
    bad = (2, members[2].fold.number, 7)

    def callbacks(member):
        return [Killer()] if (member.configuration, member.fold.number, member.seed) == bad else []

    found = train_members(small_task(callbacks=callbacks)[0], members, **IN_PROCESSES)
    expected = train_members(task, members)
    failed = [number for number, outcome in enumerate(found) if outcome.failure]
    assert [(m.configuration, m.fold.number, m.seed) for m in (members[n] for n in failed)] == [bad]
    assert found[failed[0]].failure == "its worker was lost 3 times while it trained: killed, or out of memory"
    rest = [n for n in range(len(members)) if n not in failed]
    assert_same([found[n] for n in rest], [expected[n] for n in rest])


@pytest.mark.slow
def test_ctrl_c_returns_what_was_finished():
    task, members = small_task(callbacks=[Slow()], epochs=8)
    finished = []

    def listener(member, outcome):
        finished.append(member)
        if len(finished) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    found = train_members(task, members, listener, **IN_PROCESSES)
    assert {o.failure for o in found} == {None, "interrupted"}
    assert sum(o.failure is None for o in found) == len(finished)


_PROGRAM = """
    import os, signal, sys, time
    import numpy as np
    from pellucid import Input, Sequential
    from pellucid.nn import Dense
    from pellucid.select import cross_validate
    from pellucid.train import Callback

    class Wait(Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                print("epoch", os.getpid(), flush=True)
            time.sleep(0.05)

    def build():
        model = Sequential([Input((4,)), Dense(3, activation="softmax")])
        model.compile("categorical_crossentropy", "sgd", ["accuracy"])
        return model

    if __name__ == "__main__":
        r = np.random.default_rng(0)
        x, y = r.normal(size=(120, 4)), np.arange(120) % 3
        found = cross_validate(build, x, y, cv=20, epochs=10, callbacks=Wait(), executor="processes", n_jobs=2)
        failures = found.results["failure"]
        print("interrupted", found.interrupted, sum(f is None or f == "" for f in failures) >= 1, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to groups of processes")
def test_ctrl_c_in_a_terminal_ends_a_program_and_its_workers_in_peace(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(_PROGRAM))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, start_new_session=True,
    )  # fmt: skip
    lines = [process.stdout.readline() for _ in range(5)]
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.splitlines()[-1] == "interrupted True True", (lines, out, err)
    assert "Traceback" not in err
    workers = {int(line.split()[1]) for line in (*lines, *out.splitlines()) if line.startswith("epoch")}
    deadline = time.monotonic() + 10
    while any(_runs(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker is still there"
        time.sleep(0.05)


def _runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
