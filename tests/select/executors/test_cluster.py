import os
import signal
import sys
import threading
import warnings

import pytest
from tests.select.executors.jobs import Killer, Slow, assert_same, small_task
from tests.select.nets import X, Y, net

from pellucid.errors import ConfigurationError, MissingDependencyError
from pellucid.select import cross_validate
from pellucid.select.members import train_members

ON_RAY = {"executor": "ray", "n_jobs": 2}


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        MissingDependencyError, match=r"executor='ray' needs the library 'ray'.*\n.*pellucid\[cluster\]"
    ):
        cross_validate(net(), X, Y, **ON_RAY)


ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_a_cluster_of_two_workers_one_of_which_is_killed_gives_the_results_of_threads(tmp_path):
    assert not ray.is_initialized()
    task, members = small_task(callbacks=[Killer(str(tmp_path / "killed"))])
    told = []
    found = train_members(task, members, lambda m, o: told.append(m), **ON_RAY)
    assert (tmp_path / "killed").exists()
    assert_same(found, train_members(small_task()[0], members))
    assert sorted(map(id, told)) == sorted(map(id, members))
    assert not ray.is_initialized(), "the cluster that it started is ended"


@pytest.fixture(scope="module")
def cluster():
    """A cluster of the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path or os.getcwd() for path in sys.path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield
        ray.shutdown()


@pytest.mark.slow
def test_functions_travel_and_a_cluster_that_is_there_is_used_and_kept(cluster):
    def build(units=3):
        return net(units=units)

    options = {"cv": 2, "epochs": 2, "grid": {"units": [2, 4]}, "keep_models": True}
    here = cross_validate(build, X, Y, **options)
    there = cross_validate(build, X, Y, **options, **ON_RAY)
    assert_same(there.scores.outcomes, here.scores.outcomes)
    assert ray.is_initialized()


@pytest.mark.slow
def test_epochs_are_heard_here_and_members_are_ended_from_here(cluster):
    heard = {"threads": [], "ray": []}
    outcomes = {}
    members = small_task()[1]
    for executor, epochs in heard.items():

        def on_epoch(member, epoch, numbers, epochs=epochs):
            epochs.append((os.getpid(), members.index(member), epoch, numbers))
            return "pruned" if epoch == 1 and member.seed == 7 else None

        outcomes[executor] = train_members(small_task(on_epoch=on_epoch)[0], members, executor=executor, n_jobs=2)
    assert sorted(heard["ray"], key=str) == sorted(heard["threads"], key=str)
    assert_same(outcomes["ray"], outcomes["threads"])


@pytest.mark.slow
def test_errors_are_raised_as_they_are(cluster):
    task, members = small_task(source=lambda units=1: None)
    with pytest.raises(ConfigurationError, match="must return a compiled model, not NoneType"):
        train_members(task, members, **ON_RAY)
    with pytest.raises(ConfigurationError, match=r"cannot be sent to another process: .*cannot pickle '_thread.lock'"):
        train_members(small_task(callbacks=[threading.Lock()])[0], members, **ON_RAY)

    def on_epoch(member, epoch, numbers):
        raise RuntimeError("no more reports")

    with pytest.raises(RuntimeError, match="no more reports"):
        train_members(small_task(on_epoch=on_epoch)[0], members, **ON_RAY)


@pytest.mark.slow
def test_ctrl_c_returns_what_was_finished(cluster):
    task, members = small_task(callbacks=[Slow()], epochs=8)
    finished = []

    def listener(member, outcome):
        finished.append(member)
        if len(finished) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    found = train_members(task, members, listener, **ON_RAY)
    assert {o.failure for o in found} == {None, "interrupted"}
    assert sum(o.failure is None for o in found) == len(finished)


@pytest.mark.slow
def test_a_member_that_always_kills_its_worker_is_given_up_and_the_others_are_not(cluster):
    task, members = small_task()
    bad = members[4]

    def callbacks(member):
        same_member = (member.configuration, member.fold.number, member.seed)
        return [Killer()] if same_member == (bad.configuration, bad.fold.number, bad.seed) else []

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = train_members(small_task(callbacks=callbacks)[0], members, **ON_RAY)
    expected = train_members(task, members)
    assert found[4].failure == "its worker was lost 3 times while it trained: killed, or out of memory"
    rest = [n for n in range(len(members)) if n != 4]
    assert_same([found[n] for n in rest], [expected[n] for n in rest])
