import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import optuna
import pytest
from tests.select.tuning.cases import build, rows, search, states

from pellucid.errors import ConfigurationError
from pellucid.select.tuning import storage as storages
from pellucid.select.tuning import workers
from pellucid.select.tuning.storage import PatientStorage, is_passing, open_storage, patiently

ROOT = Path(__file__).parents[3]


def url(kind, folder):
    return {"journal": str(folder / "search.journal"), "sqlite": f"sqlite:///{folder}/search.db"}[kind]


def process(storage, trials, script="killed.py"):
    """Another process that works on a storage."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests/select/tuning" / script), storage, str(trials)],
        env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_a_search_that_goes_on_later_is_the_search_in_one_go(kind, pruner, tmp_path):
    storage = url(kind, tmp_path)
    whole = search(pruner=pruner, trials=12, sampler="random", at_once=4)
    first = search(pruner=pruner, trials=8, sampler="random", at_once=4, storage=storage)
    # A sampler begins anew in every call: what it drew before is drawn past.
    sampler = optuna.samplers.RandomSampler(seed=3)
    skipped = optuna.create_study(sampler=sampler)
    for _ in range(8):
        trial = skipped.ask()
        trial.suggest_categorical("units", [4, 6])
        trial.suggest_float("learning_rate", 1e-3, 0.3, log=True)
    second = search(pruner=pruner, trials=12, sampler=sampler, at_once=4, storage=storage)
    assert rows(first) == rows(whole)[:8]
    assert rows(second) == rows(whole)
    assert second.curves == whole.curves


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_enough_trials_are_enough(kind, tmp_path):
    first = search(storage=url(kind, tmp_path), trials=5)
    second = search(storage=url(kind, tmp_path), trials=5)
    assert rows(first) == rows(second)
    with pytest.raises(ConfigurationError, match=r"trial \d was trained in another process or an earlier call"):
        _ = second.model
    assert second.refit().model is not None


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes"])
def test_a_search_that_goes_on_does_not_draw_what_it_has_drawn_before(sampler, tmp_path):
    space = {"learning_rate": (1e-3, 0.3, "log"), "units": (3, 6)}
    for trials in (4, 8, 12):
        found = search(storage=url("journal", tmp_path), trials=trials, sampler=sampler, space=space, epochs=1)
    assert len(set(found.results["learning_rate"])) == 12


def test_searches_of_other_names_do_not_disturb_each_other(tmp_path):
    first = search(storage=url("journal", tmp_path), trials=3)
    second = search(storage=url("journal", tmp_path), trials=4, name="other")
    assert (len(first.results), len(second.results)) == (3, 4)


def test_a_name_that_is_taken_is_refused_where_the_search_shall_be_new(tmp_path):
    search(storage=url("sqlite", tmp_path), trials=2)
    with pytest.raises(ConfigurationError, match="The storage holds a search called 'pellucid' already"):
        search(storage=url("sqlite", tmp_path), resume=False)


def test_a_search_of_another_score_is_not_gone_on_with(tmp_path):
    search(storage=url("journal", tmp_path), trials=2)
    with pytest.raises(ConfigurationError, match="is to maximize accuracy, this one to maximize f1"):
        search(storage=url("journal", tmp_path), scoring="f1")


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_ctrl_c_leaves_no_trial_running_and_they_are_tried_when_the_search_goes_on(kind, tmp_path):
    done = []

    def interrupt(record):
        done.append(record)
        if len(done) == 5:
            raise KeyboardInterrupt

    stopped = search(storage=url(kind, tmp_path), on_trial=interrupt, trials=12)
    left = states(stopped)
    assert stopped.interrupted
    assert "RUNNING" not in left
    assert left["WAITING"] == left["FAIL"] > 0
    found = search(storage=url(kind, tmp_path), trials=12)
    assert states(found)["COMPLETE"] == 12
    assert states(found).keys() == {"COMPLETE", "FAIL"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_trials_of_a_killed_process_are_tried_again_and_none_stays_running(kind, tmp_path):
    storage = url(kind, tmp_path)
    worker = process(storage, 12)
    _, errors = worker.communicate(timeout=120)
    assert worker.returncode == -signal.SIGKILL, errors.decode()
    study = optuna.load_study(study_name="pellucid", storage=open_storage(storage))
    lost = [trial for trial in study.trials if trial.state.name == "RUNNING"]
    assert lost
    found = search(build=build, storage=storage, trials=12)
    assert "RUNNING" not in states(found)
    assert "WAITING" not in states(found)
    assert states(found)["COMPLETE"] == 12
    complete = [record.params for record in found.records if record.state == "complete"]
    assert all(trial.params in complete for trial in lost if trial.params)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_several_processes_share_a_search(kind, tmp_path):
    storage = url(kind, tmp_path)
    search(storage=storage, trials=1)
    pool = [process(storage, 30, "sharing.py") for _ in range(2)]
    for worker in pool:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors.decode()
    found = search(storage=storage, trials=1)
    assert 30 <= states(found)["COMPLETE"] <= 30 + 4
    assert states(found).keys() == {"COMPLETE"}
    marks = {tuple(trial.user_attrs[workers.MARK]) for trial in found.study.trials}
    assert len(marks) == 3


def test_a_locked_database_loses_no_trial(tmp_path):
    storage = url("sqlite", tmp_path)
    search(storage=storage, trials=2)
    plain = [row[2:] for row in rows(search(trials=8, sampler="random"))]
    other = sqlite3.connect(tmp_path / "search.db", check_same_thread=False, isolation_level=None)
    locked, found = threading.Event(), []

    def hold():
        for _ in range(4):
            other.execute("BEGIN EXCLUSIVE")
            locked.set()
            time.sleep(0.4)
            other.execute("COMMIT")
            time.sleep(0.01)

    opened = PatientStorage(storage, engine_kwargs={"connect_args": {"timeout": 0.05}})
    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait()
    started = time.monotonic()
    found = search(storage=opened, trials=8, sampler="random", name="locked")
    thread.join()
    assert time.monotonic() - started > 0.4
    assert [row[2:] for row in rows(found)] == plain
    assert states(found) == {"COMPLETE": 8}


def test_patience_has_an_end_and_is_for_what_passes_only(tmp_path):
    from sqlalchemy.exc import OperationalError

    calls = []

    def locked():
        calls.append(0)
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))

    with pytest.raises(OperationalError):
        patiently(locked, patience=0.3)
    assert len(calls) > 2
    assert not is_passing(OperationalError("SELECT", {}, sqlite3.OperationalError("no such table: trials")))
    assert not is_passing(ValueError("locked"))


def test_a_database_has_a_heartbeat_and_a_journal_has_one_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(storages, "HEARTBEAT", 1)
    opened = open_storage(url("sqlite", tmp_path))
    assert (opened.get_heartbeat_interval(), opened.grace_period) == (1, storages.GRACE)
    study = optuna.create_study(storage=open_storage(url("journal", tmp_path)))
    trial = study.ask()
    with workers.Pulse(study) as pulse:
        pulse.watch([trial._trial_id])
        first = study.trials[0].user_attrs[workers.PULSE]
        deadline = time.monotonic() + 10
        while study.trials[0].user_attrs[workers.PULSE] == first and time.monotonic() < deadline:
            time.sleep(0.05)
    assert study.trials[0].user_attrs[workers.PULSE] > first


def test_a_trial_of_another_machine_is_given_up_when_its_heartbeat_is_old(tmp_path):
    storage = open_storage(url("journal", tmp_path))
    study = optuna.create_study(storage=storage)
    far = ["another machine", "1", "1"]
    for pulse in (time.time(), time.time() - storages.GRACE - 1):
        trial = study.ask({"learning_rate": optuna.distributions.FloatDistribution(0, 1)})
        trial.set_user_attr(workers.MARK, far)
        trial.set_user_attr(workers.PULSE, pulse)
    assert workers.give_up_lost(study) == 1
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "FAIL", "WAITING"]
    assert study.trials[2].params == study.trials[1].params


def test_a_process_that_took_the_number_of_a_dead_one_is_not_taken_for_it():
    machine, process_number, _ = workers.own_mark()
    assert not workers.is_gone(workers.own_mark())
    assert workers.is_gone([machine, process_number, "1"])
    assert not workers.is_gone(["another machine", process_number, "1"])
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert workers.is_gone([machine, str(child.pid), "1"])


@pytest.fixture(scope="module")
def postgres():
    """The URL of a PostgreSQL server."""
    pytest.importorskip("psycopg")
    found = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")] if os.name == "posix" else []
    programs = Path(shutil.which("initdb") or (found[-1] / "initdb" if found else "missing")).parent
    if not (programs / "initdb").exists():
        pytest.skip("no PostgreSQL server is installed")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are closed to other users
    user = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        user = {"user": "nobody"}
        shutil.chown(folder, "nobody")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = subprocess.run(
        [programs / "initdb", "-D", folder / "data", "-U", "searcher", "-A", "trust"], capture_output=True, **user
    )
    assert started.returncode == 0, started.stderr.decode()
    server = subprocess.Popen(
        [programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-h", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user,
    )  # fmt: skip
    for _ in range(100):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    time.sleep(0.5)
    yield f"postgresql://searcher@127.0.0.1:{port}/postgres"
    server.send_signal(signal.SIGINT)  # does not wait for clients to leave
    server.wait()
    shutil.rmtree(folder)


@pytest.mark.slow
def test_postgresql_holds_a_search_too(postgres):
    plain = search(pruner="median", trials=12)
    found = search(storage=postgres, pruner="median", trials=12)
    assert rows(found) == rows(plain)
    assert states(search(storage=postgres, pruner="median", trials=16)).keys() == {"COMPLETE", "PRUNED"}


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_running_in_postgresql(postgres):
    worker = process(postgres, 40)
    _, errors = worker.communicate(timeout=120)
    assert worker.returncode == -signal.SIGKILL, errors.decode()
    found = search(storage=postgres, trials=40)
    assert states(found).keys() <= {"COMPLETE", "FAIL", "PRUNED"}


def test_a_database_that_cannot_be_opened_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        open_storage(f"sqlite:///{tmp_path}/missing/search.db")
