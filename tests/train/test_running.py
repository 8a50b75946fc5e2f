from contextlib import suppress

import numpy as np
import pytest

from pellucid import Input, Sequential, ops
from pellucid.backends.cpu.threads import POOL
from pellucid.errors import DataError, NonFiniteError
from pellucid.nn import BatchNorm, Dense
from pellucid.optim import SGD, Adam
from pellucid.optim.optimizer import Optimizer
from pellucid.optim.schedules import ExponentialDecay, Schedule
from pellucid.train import loop
from pellucid.train.feed import Segment
from pellucid.train.running import NonFiniteStepError, TrainingRun

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])
KEY = np.asarray(ops.random_key(3))


@pytest.fixture
def turns(monkeypatch):
    """Sets how many steps a turn of the CPU engine makes; the reference makes one."""

    def set_steps(count):
        monkeypatch.setattr(
            "pellucid.backends.cpu.pace.Pace.choose", lambda self, steps, share: (False, min(steps, count))
        )

    return set_steps


@pytest.fixture
def safe_at_once(monkeypatch):
    """A copy of the state is made after every turn."""
    monkeypatch.setattr(TrainingRun, "SAFE", 0.0)


def fitted_line(backend, optimizer, activation=None):
    """A compiled model y = f(x w + b) with w = 1 and b = 0."""
    model = Sequential([Input((1,)), Dense(1, activation=activation, name="line")])
    model.set_weights({"line.kernel": np.ones((1, 1), np.float32), "line.bias": np.zeros(1, np.float32)})
    model.compile("mse", optimizer, backend=backend)
    return model


def points(count=10, **others):
    """Inputs and targets of as many steps of one sample; x3=1e30 puts another input in step 3."""
    x = np.linspace(0.5, 1.5, count, dtype=np.float32)[:, None]
    for name, value in others.items():
        x[int(name[1:])] = value
    return x, np.full((count, 1), 0.25, np.float32)


def segment(x, y, batch=1):
    return Segment((x,), (y,), (), (np.dtype(np.float32),), np.arange(len(x)), batch)


def finish(run):
    while run.done < run.steps:
        run.advance(run.steps - run.done)
    return run


def everything(model):
    """Parameters, slots and the number of updates."""
    slots = {(p, name): v.tobytes() for p, own in model.optimizer.state.items() for name, v in own.items()}
    return {name: value.tobytes() for name, value in model.get_weights().items()}, slots, model.optimizer.iterations


def after(model, x, y, batch=1):
    """What a model knows after training on some data, or on none."""
    run = loop.start(model, segment(x, y, batch) if len(x) else segment(*points(1)), KEY)
    if len(x):
        finish(run)
    run.publish()
    assert run.done == len(x) // batch
    return everything(model)


# Good steps.


@BACKENDS
def test_the_model_changes_when_the_run_is_published(backend):
    model = fitted_line(backend, Adam(0.1))
    run = loop.start(model, segment(*points(4)), KEY)
    before = everything(model)
    assert (run.steps, run.done) == (4, 0)
    finish(run)
    assert run.done == 4
    assert everything(model) == before
    run.publish()
    assert everything(model)[0] != before[0]
    assert model.optimizer.iterations == 4


@BACKENDS
def test_logs_are_those_of_the_steps_made(backend, turns):
    turns(3)
    run = loop.start(fitted_line(backend, SGD(0.0)), segment(*points(8)), KEY)
    losses = []
    while run.done < run.steps:
        before = run.done
        losses.append(run.advance(5).total)
        assert len(losses[-1]) == run.done - before
    x, y = points(8)
    np.testing.assert_allclose(np.concatenate(losses), ((x - y) ** 2)[:, 0], rtol=1e-6)


@BACKENDS
def test_a_run_goes_on_where_the_last_one_ended(backend):
    x, y = points(8)
    whole = fitted_line(backend, Adam(ExponentialDecay(0.1, 3, 0.5)))
    expected = after(whole, x, y)
    parts = fitted_line(backend, Adam(ExponentialDecay(0.1, 3, 0.5)))
    rates = []
    for rows in (slice(0, 3), slice(3, 8)):
        run = finish(loop.start(parts, segment(x[rows], y[rows]), KEY))
        run.publish()
        rates.extend(run.rates)
    assert everything(parts) == expected
    np.testing.assert_allclose(rates, [0.1 * 0.5 ** (step / 3) for step in range(8)])


@pytest.mark.parametrize("safe", [0.0, 1.0])
def test_a_fit_does_not_depend_on_the_steps_of_a_turn(classifier, blobs, turns, monkeypatch, safe):
    monkeypatch.setenv("PELLUCID_BACKEND", "cpu")
    monkeypatch.setattr(TrainingRun, "SAFE", safe)
    results = []
    for count in (1, 3, 1000):
        turns(count)
        model = classifier(dropout=0.4)
        history = model.fit(*blobs, batch_size=5, epochs=3, validation_split=0.2, seed=1, verbose=0)
        results.append((everything(model), history.history))
    assert results[1] == results[0]
    assert results[2] == results[0]


class Remembering(Optimizer):
    """Gradient descent that keeps the last parameter and the last gradient."""

    def initial_slots(self, shape, dtype):
        return {"w": np.zeros(shape, dtype), "g": np.zeros(shape, dtype)}

    def update(self, w, g, slots, t, learning_rate):
        return w - 0.1 * g, {"w": w, "g": g}


@BACKENDS
def test_an_optimiser_may_keep_the_last_parameter_and_gradient(backend):
    x, y = points(4)
    model = fitted_line(backend, Remembering())
    after(model, x[:3], y[:3])
    before = model.get_weights()
    after(model, x[3:], y[3:])
    for name, w in model.get_weights().items():
        slots = model.optimizer.state[name]
        np.testing.assert_array_equal(slots["w"], before[name])
        np.testing.assert_allclose(before[name] - 0.1 * slots["g"], w, rtol=1e-6)


# NaN and infinity.


@BACKENDS
@pytest.mark.parametrize("steps", [1, 2, 7, 100])
@pytest.mark.parametrize("bad", [0, 3, 9])
def test_nan_is_found_in_the_step_it_began_and_the_state_is_that_from_before(backend, turns, steps, bad):
    turns(steps)
    x, y = points(10, **{f"x{bad}": 1e30})
    model = fitted_line(backend, Adam(ExponentialDecay(0.1, 3, 0.5)))
    run = loop.start(model, segment(x, y), KEY)
    with pytest.raises(NonFiniteStepError, match=r"^The loss became inf$") as error:
        finish(run)
    assert (error.value.step, run.done) == (bad, bad)
    assert error.value.rate == pytest.approx(0.1 * 0.5 ** (bad / 3))
    run.publish()
    turns(1000)
    assert everything(model) == after(fitted_line(backend, Adam(ExponentialDecay(0.1, 3, 0.5))), x[:bad], y[:bad])


@pytest.mark.usefixtures("safe_at_once")
@BACKENDS
@pytest.mark.parametrize("bad", [0, 4, 7, 9])
def test_with_a_copy_of_the_state_the_same_step_is_found(backend, turns, bad):
    turns(3)
    x, y = points(10, **{f"x{bad}": np.nan})
    model = fitted_line(backend, Adam(0.1))
    run = loop.start(model, segment(x, y), KEY)
    with pytest.raises(NonFiniteStepError, match=r"^The loss became nan$") as error:
        finish(run)
    assert (error.value.step, run.done) == (bad, bad)
    run.publish()
    assert everything(model) == after(fitted_line(backend, Adam(0.1)), x[:bad], y[:bad])


@pytest.mark.parametrize(("safe", "again_from"), [(0.0, 6), (1e9, 0)])
def test_only_the_steps_since_the_last_copy_are_made_again(turns, monkeypatch, safe, again_from):
    monkeypatch.setattr(TrainingRun, "SAFE", safe)
    turns(3)
    x, y = points(10, x7=1e30)
    model = fitted_line("cpu", SGD(0.1))
    program = model.programs.training(segment(x, y))
    starts = []

    def recorded(data, first=0, original=program.loop.start):
        starts.append(first)
        return original(data, first)

    monkeypatch.setattr(program.loop, "start", recorded)
    with pytest.raises(NonFiniteStepError):
        finish(loop.start(model, segment(x, y), KEY))
    assert starts == [0, again_from]


@BACKENDS
def test_statistics_are_those_from_before_too(backend, turns):
    turns(100)
    x, y = points(12, x9=np.nan)

    def normalized():
        model = Sequential([Input((1,)), BatchNorm(), Dense(1, kernel_initializer="ones")])
        model.compile("mse", SGD(0.1, momentum=0.9), backend=backend)
        return model

    model = normalized()
    run = loop.start(model, segment(x, y, 3), KEY)
    with pytest.raises(NonFiniteStepError) as error:
        finish(run)
    run.publish()
    assert error.value.step == 3
    assert everything(model) == after(normalized(), x[:9], y[:9], 3)


class Jump(Schedule):
    """A learning rate that float32 cannot hold, in one step."""

    at: int = 0

    def rate(self, step):
        return 1e39 if step == self.at else 0.01


@BACKENDS
@pytest.mark.parametrize("activation", ["tanh", None], ids=["the loss stays finite", "the loss follows"])
@pytest.mark.parametrize("bad", [0, 2, 7])
@pytest.mark.parametrize("safe", [0.0, 1e9])
def test_a_parameter_that_becomes_infinite_is_found_in_its_step(backend, turns, monkeypatch, activation, bad, safe):
    monkeypatch.setattr(TrainingRun, "SAFE", safe)
    turns(3)
    x, y = points(8)
    model = fitted_line(backend, SGD(Jump(bad)), activation)
    run = loop.start(model, segment(x, y), KEY)
    text = '^The parameter "line.kernel" became NaN or infinite$'
    with pytest.raises(NonFiniteStepError, match=text) as error:
        finish(run)
    assert (error.value.step, error.value.rate, run.done) == (bad, 1e39, bad)
    run.publish()
    assert everything(model) == after(fitted_line(backend, SGD(0.01), activation), x[:bad], y[:bad])


@pytest.mark.parametrize(("safe", "turns_made"), [(0.0, 2), (1e9, 4)])
def test_parameters_are_looked_at_before_every_copy_and_at_the_end(turns, monkeypatch, safe, turns_made):
    monkeypatch.setattr(TrainingRun, "SAFE", safe)
    turns(2)
    run = loop.start(fitted_line("cpu", SGD(Jump(3)), "tanh"), segment(*points(8)), KEY)
    for _ in range(turns_made - 1):
        run.advance(8)
    with pytest.raises(NonFiniteStepError):
        run.advance(8)


@BACKENDS
def test_a_fit_tells_the_batch_and_keeps_the_parameters_from_before(backend, turns):
    turns(5)
    x, y = points(10, x7=1e30)
    model = fitted_line(backend, Adam(0.1))
    with pytest.raises(NonFiniteError, match=r"became inf in epoch 1, batch 4 \(update 4, learning rate 0.1\)"):
        model.fit(x, y, batch_size=2, shuffle=False, seed=0, verbose=0)
    assert everything(model) == after(fitted_line(backend, Adam(0.1)), x[:6], y[:6], 2)
    model.fit(x[:6], y[:6], verbose=0)
    assert model.optimizer.iterations == 4


# Errors and interrupts.


@BACKENDS
@pytest.mark.parametrize(("safe", "kept"), [(0.0, {"cpu": 3, "reference": 4}), (1e9, {"cpu": 0, "reference": 0})])
def test_after_an_index_outside_its_axis_the_model_is_one_from_before(
    classifier, blobs, turns, monkeypatch, backend, safe, kept
):
    monkeypatch.setenv("PELLUCID_BACKEND", backend)
    monkeypatch.setattr(TrainingRun, "SAFE", safe)
    turns(3)
    x, y = blobs[0][:8], blobs[1][:8].copy()
    y[4] = 9
    model = classifier()
    run = loop.start(model, segment(x, y), KEY)
    with pytest.raises(DataError, match=r"the index 9 lies outside 0\.\.2"):
        finish(run)
    run.publish()
    good = kept[backend]
    assert run.done == model.optimizer.iterations == good
    expected = classifier()
    if good:
        after(expected, x[:good], y[:good])
    assert model.get_weights().keys() == expected.get_weights().keys()
    for name, value in expected.get_weights().items():
        np.testing.assert_array_equal(model.get_weights()[name], value)


def interrupted_fit(classifier, blobs):
    """A fit that Ctrl-C ends, after how many whole batches, and whether it is one that made those batches alone."""
    model, expected = classifier(dropout=0.4), classifier(dropout=0.4)
    x, y = blobs
    options = {"batch_size": 4, "shuffle": False, "seed": 1, "verbose": 0}
    history = model.fit(x, y, epochs=5, **options)
    assert history.interrupted
    assert len(history) == 0
    made = model.optimizer.iterations
    return model, made, lambda: (expected.fit(x[: 4 * made], y[: 4 * made], **options), everything(expected))[1]


@BACKENDS
def test_an_interrupt_between_turns_leaves_whole_steps_that_are_counted(classifier, blobs, turns, monkeypatch, backend):
    monkeypatch.setenv("PELLUCID_BACKEND", backend)
    turns(2)
    with monkeypatch.context() as patch:
        calls = []

        def due(throttle):
            calls.append(throttle)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return False

        patch.setattr("pellucid.train.loop.Throttle.due", due)
        model, made, expected = interrupted_fit(classifier, blobs)
    assert made == (8 if backend == "cpu" else 4)
    assert everything(model) == expected()


def test_an_interrupt_within_a_turn_leaves_whole_steps_that_are_counted(classifier, blobs, turns, monkeypatch):
    monkeypatch.setenv("PELLUCID_BACKEND", "cpu")
    turns(4)
    with monkeypatch.context() as patch:

        def interrupted(script, threads, original=POOL.run):
            ends = script[0, 1] > 0
            script[0, 2] -= 1 if ends else 0
            original(script, threads)
            if ends:
                raise KeyboardInterrupt

        patch.setattr(POOL, "run", interrupted)
        model, made, expected = interrupted_fit(classifier, blobs)
    assert made == 7
    assert everything(model) == expected()


def test_an_interrupt_in_the_turn_in_which_nan_began_leaves_parameters_from_before(turns, monkeypatch):
    turns(4)
    x, y = points(8, x5=1e30)
    model = fitted_line("cpu", SGD(0.1))
    with monkeypatch.context() as patch:

        def interrupted(script, threads, original=POOL.run):
            original(script, threads)
            if script[0, 1] == 4:
                raise KeyboardInterrupt

        patch.setattr(POOL, "run", interrupted)
        with suppress(NonFiniteError):
            model.fit(x, y, batch_size=1, shuffle=False, seed=0, verbose=0)
    made = model.optimizer.iterations
    assert all(np.isfinite(value).all() for value in model.get_weights().values())
    assert everything(model) == after(fitted_line("cpu", SGD(0.1)), x[:made], y[:made])


@BACKENDS
def test_a_failure_that_does_not_happen_again_is_told_and_the_state_is_a_good_one(backend, monkeypatch):
    x, y = points(10, x3=np.nan)
    model, repeat = fitted_line(backend, "sgd"), TrainingRun._go_back
    before = everything(model)
    monkeypatch.setattr(TrainingRun, "_go_back", lambda run: (np.nan_to_num(x, copy=False), repeat(run))[1])
    run = loop.start(model, segment(x, y), KEY)
    with pytest.raises(DataError, match=r"steps 1 to \d+ .* but none did when they were repeated"):
        finish(run)
    run.publish()
    assert everything(model)[0] == before[0]
