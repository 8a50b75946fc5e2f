import os
import signal
import threading
import time
import warnings

import pytest
from tests.select.executors.jobs import assert_same, small_task

from pellucid import backends, config
from pellucid.select.executors import worker
from pellucid.select.executors.base import Work
from pellucid.select.executors.remote import job_of
from pellucid.select.members import train_populations
from pellucid.select.task import Outcome


def parts(members, folds):
    return [(number, folds.index(member.fold), member) for number, member in enumerate(members)]


def job(train, task, members, threads=1):
    return job_of(Work(train, task, members, [0] * len(members)), threads, None)


def test_a_part_is_trained_as_anywhere():
    task, members = small_task()
    folds = list({id(m.fold): m.fold for m in members}.values())
    done = worker.run_part(job(train_populations, task, members), parts(members, folds))
    assert done.numbers == list(range(len(members)))
    assert done.seconds > 0
    assert_same(done.outcomes, train_populations(task, members))


def test_settings_and_warnings_are_those_of_the_sender_and_the_workers_own_come_back(monkeypatch):
    seen = {}

    def train(task, members, listener):
        seen.update(verify=config.VERIFY.read(), threads=backends.num_threads(), filters=list(warnings.filters))
        seen["interrupt"] = signal.getsignal(signal.SIGINT)
        return [Outcome() for _ in members]

    task, members = small_task()
    monkeypatch.setenv("PELLUCID_VERIFY", "1")
    sent = job(train, task, members, threads=3)
    monkeypatch.setenv("PELLUCID_VERIFY", "0")
    before = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worker.run_part(sent, [(0, 0, members[0])])
    assert (seen["verify"], seen["threads"]) == ("1", 3)
    assert seen["filters"] == list(sent.filters)
    assert seen["interrupt"] == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) == before
    assert os.environ["PELLUCID_VERIFY"] == "0"


def test_samples_are_prepared_once_for_each_fold_and_forgotten_when_idle(monkeypatch):
    monkeypatch.setattr(worker, "FORGETS_AFTER", 0.05)
    task, members = small_task(epochs=1)
    sent = job(train_populations, task, members)
    first = members[0]
    worker.run_part(sent, [(0, 0, first)])
    assert worker.known(sent.name) is sent
    assert worker.known("another") is None
    again = job(train_populations, *small_task(epochs=1))
    again.name = sent.name  # as it is unpickled anew with every part
    worker.run_part(again, [(1, 0, members[1])])
    assert worker.known(sent.name) is sent
    assert not again.task.inputs._kept
    deadline = time.monotonic() + 10
    while worker.known(sent.name) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_thread_that_cannot_set_signals_trains_too():
    task, members = small_task(epochs=1)
    found = []
    thread = threading.Thread(
        target=lambda: found.append(worker.run_part(job(train_populations, task, members), [(0, 0, members[0])]))
    )
    thread.start()
    thread.join()
    assert found[0].outcomes[0].failure is None


def test_lists_are_sent_as_arrays():
    task, members = small_task()
    sent = job(train_populations, small_task(y=task.y.tolist())[0], members)
    assert sent.task.y.tolist() == task.y.tolist()
    assert not isinstance(sent.task.y, list)


def test_an_environment_variable_that_was_not_set_is_not_set_afterwards(monkeypatch):
    monkeypatch.delenv("PELLUCID_CACHE", raising=False)
    monkeypatch.setenv("PELLUCID_DATA", "here")
    with worker.environment({"PELLUCID_CACHE": "there", "PELLUCID_DATA": None}):
        assert os.environ["PELLUCID_CACHE"] == "there"
        assert "PELLUCID_DATA" not in os.environ
    assert "PELLUCID_CACHE" not in os.environ
    assert os.environ["PELLUCID_DATA"] == "here"


@pytest.mark.parametrize("setting", [config.THREADS, config.OPENMP_THREADS, config.CACHE, config.DATA])
def test_threads_and_folders_are_no_settings_that_travel(setting):
    assert setting.variable not in worker.settings_here()
