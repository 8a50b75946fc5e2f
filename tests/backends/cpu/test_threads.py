import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from pellucid import Input, Sequential, backends, compile, ops, set_num_threads, set_seed
from pellucid.backends.cpu import threads
from pellucid.errors import ConfigurationError
from pellucid.nn import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D
from pellucid.optim import Adam

pytestmark = pytest.mark.usefixtures("every_plan_is_shared")


def trained(count: int) -> dict[str, bytes]:
    set_num_threads(count)
    set_seed(5)
    r = np.random.default_rng(0)
    x, y = r.normal(size=(130, 9, 7, 2)).astype("float32"), r.integers(0, 5, 130)
    layers = [
        Input((9, 7, 2)),
        Conv2D(5, 3, padding="same", activation="relu"),
        MaxPool2D(2),
        BatchNorm(),
        Flatten(),
        Dropout(0.2),
        Dense(33, activation="tanh"),
        Dense(5, activation="softmax"),
    ]
    model = Sequential(layers)
    model.compile("categorical_crossentropy", Adam(0.01, clip_norm=1.0), ["accuracy"], backend="cpu")
    model.fit(x, y, batch_size=25, epochs=2, seed=1, verbose=0)
    return {name: value.tobytes() for name, value in model.get_weights().items()}


def test_weights_are_the_same_bits_for_any_number_of_threads():
    alone = trained(1)
    for count in (2, 3, 8):
        assert trained(count) == alone


def test_workers_wake_up_after_they_have_gone_to_sleep():
    set_num_threads(3)
    double = compile(lambda x: x * 2.0, backend="cpu")
    x = np.arange(50, dtype="float32")
    for pause in (0.0, 0.3, 0.0):
        threading.Event().wait(pause)
        np.testing.assert_array_equal(np.asarray(double(x)), 2 * x)


def test_programs_with_threads_of_their_own_do_not_wait_for_each_other():
    set_num_threads(2)
    functions = [compile(lambda x, k=k: ops.sum(x * float(k), 1), backend="cpu") for k in range(4)]
    x = np.ones((40, 20), "float32")
    wrong = []

    def work(k):
        for _ in range(100):
            if not np.array_equal(np.asarray(functions[k](x)), np.full(40, 20.0 * k, "float32")):
                wrong.append(k)

    users = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join(timeout=60)
    assert not wrong
    assert not any(user.is_alive() for user in users)


FORKING = """
import multiprocessing, warnings
import numpy as np
from pellucid import compile, set_num_threads

warnings.simplefilter("ignore", DeprecationWarning)


def total():
    return float(np.asarray(compile(lambda x: x + 1.0, backend="cpu")(np.zeros(30, "float32"))).sum())


set_num_threads(2)
total()
here, there = multiprocessing.Pipe()
child = multiprocessing.get_context("fork").Process(target=lambda: there.send(total()))
child.start()
print(here.recv() if here.poll(30) else "no answer")
child.join(10)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_starts_workers_of_its_own():
    """In a process of its own: other libraries have threads here that forbid to fork."""
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=100)
    assert (done.stdout.strip(), done.returncode) == ("30.0", 0), done.stderr


def test_the_environment_says_how_many_threads(monkeypatch):
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "3")
    assert threads.POOL.size() == 3
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "two")
    with pytest.raises(ConfigurationError, match="PELLUCID_NUM_THREADS must be a whole number, not 'two'"):
        threads.POOL.size()


def test_the_limit_that_other_libraries_know_holds_by_default(monkeypatch):
    """joblib sets it in its workers, so that processes do not take each other's cores."""
    monkeypatch.delenv("PELLUCID_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    for value, expected in (("1", 1), ("2", 2), ("64", 4), ("", 4), ("0", 4), ("2,1", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert threads.POOL.size() == expected
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.POOL.size() == 3


def test_by_default_every_usable_core_is_used(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert 1 <= threads.usable_cores() <= (os.cpu_count() or 1)
    assert threads.POOL.size() == threads.usable_cores()


@pytest.mark.parametrize("wrong", [0, -1, 257, 1.5, True, "2"])
def test_a_wrong_number_of_threads_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="The number of threads must be a whole number from 1 to 256, not"):
        backends.set_num_threads(wrong)


def test_plans_have_memory_for_as_many_threads_as_ever_run_them_should_cores_come(monkeypatch):
    most = threads.most()
    monkeypatch.setattr(os, "cpu_count", lambda: 10 * most)
    assert threads.most() == most
    set_num_threads(most + 1)
    assert backends.num_threads() == most
