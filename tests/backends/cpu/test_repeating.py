"""Small instructions that each thread makes for itself: the same bits on any threads, in runs of any length."""

import numpy as np
import pytest

from pellucid import Input, Sequential, optim, set_num_threads, set_seed
from pellucid.backends.cpu import memory, pace, repeating, runner, threads
from pellucid.backends.cpu.memory import Memory
from pellucid.nn import Dense, Dropout
from pellucid.plan.plan import Address, When

R = np.random.default_rng(0)
X, Y = R.normal(size=(72, 300)).astype(np.float32), R.integers(0, 3, 72)


@pytest.fixture
def made(monkeypatch):
    """The memories that are made, of plans that threads share whatever their size."""
    found = []
    initial = Memory.__init__
    monkeypatch.setattr(memory, "_WORTH_SHARING", 0)
    monkeypatch.setattr(
        Memory, "__init__", lambda self, *args, **kw: (initial(self, *args, **kw), found.append(self))[0]
    )
    yield found
    set_num_threads(None)


def trained(count, units, optimizer="sgd", layers=(), **options):
    set_num_threads(count)
    set_seed(0)
    model = Sequential([Input((300,)), Dense(units, "tanh"), *layers, Dense(3, "softmax")])
    rates = {"sgd": optim.SGD, "momentum": optim.Momentum, "adam": optim.Adam}
    model.compile("sparse_categorical_crossentropy", rates[optimizer](learning_rate=0.05), metrics=["accuracy"])
    history = model.fit(X, Y, batch_size=16, epochs=3, seed=1, verbose=0, **options)
    return [*model.get_weights().values(), np.array(history.history["loss"])]


def repeated(memories):
    """The names of what each thread makes in the training step with the most instructions."""
    plan = max((m.plan for m in memories), key=lambda plan: len(plan.instructions))
    return [i.name for i in plan.instructions if i.alone]


# One width for each of the tests: plans are shared between models of one structure.
@pytest.mark.parametrize(("optimizer", "units"), [("sgd", 34), ("momentum", 35), ("adam", 36)])
def test_the_same_bits_on_any_number_of_threads(optimizer, units, made):
    results = [trained(count, units, optimizer) for count in (1, 2, 3, 8)]
    assert any(name.startswith("rows") for name in repeated(made))
    for other in results[1:]:
        for one, same in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, same)


def test_the_same_bits_as_where_threads_share_everything(made, monkeypatch):
    alone = trained(2, 37)
    assert repeated(made)
    made.clear()
    monkeypatch.setattr(repeating, "_MOST_WORK", 0)
    shared = trained(2, 37, layers=[Dropout(0.0)])  # another structure with the same numbers
    assert not repeated(made)
    for one, same in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, same)


def test_the_same_bits_in_runs_of_single_steps(made, monkeypatch):
    whole = trained(2, 38)
    assert repeated(made)
    monkeypatch.setattr(pace.Pace, "choose", lambda self, steps, may_share: (may_share, 1))
    for one, same in zip(whole, trained(2, 38), strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_step_waits_twice_and_state_is_copied_at_the_ends_of_a_run_alone(made):
    trained(2, 39)
    plan = max((m.plan for m in made), key=lambda plan: len(plan.instructions))
    assert sum(i.waits for i in plan.instructions) == 2
    ends = [i.when for i in plan.instructions if i.when is not When.ALWAYS]
    assert {i.name for i in plan.instructions if i.when is not When.ALWAYS} == {"copy"}
    assert ends.count(When.FIRST) == ends.count(When.LAST) >= 3  # both biases, the small weights, totals


def test_memory_of_its_own_lies_on_pages_of_its_own(made):
    trained(2, 40)
    plan = max((m.plan for m in made), key=lambda plan: len(plan.instructions))
    addresses = [e for i in plan.instructions for e in i.record if isinstance(e, Address) and e.apart]
    own = {e.apart for e in addresses if e.buffer in dict(plan.temporaries)}
    (apart,) = own
    assert apart % 4096 == 0
    starts = [dict(plan.temporaries)[e.buffer] for e in addresses if e.buffer in dict(plan.temporaries)]
    assert max(starts) + 4096 < min(starts) + apart  # a page at least from a thread's last array to the next one's
    assert plan.arena >= threads.most() * apart


def test_what_one_thread_makes_alone_is_not_planned_for_several(made, monkeypatch):
    monkeypatch.setattr(memory, "_WORTH_SHARING", 10**12)
    trained(2, 41)
    assert not repeated(made)


def test_two_threads_wait_once_a_step_and_more_of_them_twice(made, monkeypatch):
    monkeypatch.setattr(pace.Pace, "choose", lambda self, steps, may_share: (may_share, steps))
    waits = {}
    for count in (2, 3):
        trained(count, 60)  # so many that the first weights are multiplied with in halves
        before = int(threads.POOL._view[runner.RELEASED])
        trained(count, 60)
        waits[count] = int(threads.POOL._view[runner.RELEASED]) - before
    steps, lines = 3 * 5, 3 * 2  # of each epoch the whole batches, and what is left
    assert waits == {2: steps + lines, 3: 2 * steps}
