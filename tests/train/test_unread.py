"""Large inputs are checked by the first epoch that reads them; whatever is found, it is as if they had been before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import Input, Model, Sequential, ops, optim
from pellucid.errors import DataError, NonFiniteError
from pellucid.nn import Activation, BatchNorm, Concatenate, Conv2D, Dense, Dropout, Flatten, Lambda
from pellucid.nn.activations import ACTIVATIONS
from pellucid.train import fitting, loop, unread
from pellucid.train.callbacks import Callback
from pellucid.train.running import TrainingRun


class Told(Callback):
    """Whether training had begun when it ended."""

    def __init__(self):
        self.ended = False

    def on_train_end(self):
        self.ended = True


class ToldOfBatches(Told):
    def on_train_batch_end(self, batch, logs):
        pass


class Slower(Told):
    def on_epoch_begin(self, epoch):
        self.model.optimizer.learning_rate = 0.001


class Ending(Told):
    def on_train_begin(self):
        self.model.stop_training = "enough"


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch):
    monkeypatch.setattr(unread, "LARGE", 1)


def network(*layers, optimizer="sgd", inputs=(6,), backend="cpu", loss="categorical_crossentropy"):
    layers = layers or (Dense(5, "relu"), Dense(3, "softmax"))
    model = Sequential([Input(inputs), *layers])
    model.compile(loss, optimizer, backend=backend)
    return model


def data(count=40, shape=(6,)):
    r = np.random.default_rng(0)
    return r.normal(size=(count, *shape)).astype("float32"), r.integers(0, 3, count)


def state(model):
    return {name: value.tobytes() for name, value in model.get_weights().items()}


def refused(model, x, y, **arguments):
    """The text of the error, and whether training had begun; the model must be as it was."""
    before, history, updates, told = state(model), model.history, model.optimizer.iterations, Told()
    stopping = model.stop_training = "before"
    with pytest.raises(DataError) as error:
        model.fit(x, y, verbose=0, callbacks=[told], seed=1, **arguments)
    assert state(model) == before
    assert model.history is history
    assert model.optimizer.iterations == updates
    assert model.stop_training is stopping
    return str(error.value), told.ended


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("batch", [8, 7, None])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_what_is_not_finite_is_refused_with_the_same_words_as_before_training(value, batch, backend, monkeypatch):
    x, y = data()
    model = network(backend=backend)
    for row in (0, 17, 39):
        bad = x.copy()
        bad[row, 2] = value
        monkeypatch.setattr(unread, "LARGE", 1)
        found, begun = refused(model, bad, y, batch_size=batch, epochs=2)
        monkeypatch.setattr(unread, "LARGE", 1 << 40)
        assert (found, False) == refused(model, bad, y, batch_size=batch, epochs=2)
        assert begun
        assert f"index [{row}, 2]" in found


@pytest.mark.parametrize("optimizer", [*optim.OPTIMIZERS, "clipped"])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS.keys() - {"step"}))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_optimizer_and_no_activation_hides_it(optimizer, activation, value):
    known = optim.SGD(clip_norm=0.1) if optimizer == "clipped" else optim.OPTIMIZERS[optimizer]()
    model = network(Dense(4, activation), Dense(3, "softmax"), optimizer=known)
    x, y = data()
    model.fit(x, y, verbose=0)
    x[23, 4] = value
    text, begun = refused(model, x, y, batch_size=8)
    assert begun
    assert "index [23, 4]" in text


@given(st.integers(1, 50), st.integers(1, 12), st.integers(1, 3), st.data())
@settings(max_examples=40, deadline=None)
def test_any_element_of_any_shape_is_found(count, batch, epochs, draw):
    model = network(Flatten(), Dense(2, "sigmoid"), Dropout(0.5), Dense(3, "softmax"), inputs=(2, 3))
    x, y = data(count, (2, 3))
    place = tuple(draw.draw(st.integers(0, n - 1)) for n in x.shape)
    x[place] = draw.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    text, _ = refused(model, x, y, batch_size=batch, epochs=epochs)
    assert f"index {list(place)}" in text


def test_epochs_in_one_go_find_it_too(monkeypatch):
    model = network()
    x, y = data(400)
    model.fit(x, y, verbose=0, epochs=3)  # it is known now how long an epoch takes
    blocks = []
    run_block = fitting.start.__globals__["run_block"]
    monkeypatch.setitem(fitting.start.__globals__, "run_block", lambda *a: blocks.append(run_block(*a)) or blocks[-1])
    model.fit(x, y, verbose=0, epochs=6)
    assert True in blocks
    before = state(model)
    x[399, 5] = np.inf
    with pytest.raises(DataError, match=r"x holds inf at index \[399, 5\]"):
        model.fit(x, y, verbose=0, epochs=6)
    assert state(model) == before
    assert False in blocks


def test_good_data_are_not_read_before_training_and_give_the_same_bits(monkeypatch):
    x, y = data(83)
    found = []
    for large in (1, 1 << 40):
        monkeypatch.setattr(unread, "LARGE", large)
        model, told = network(Dense(5, "relu"), Dense(3, "softmax")), []
        model.set_weights({n: np.full_like(w, 0.1) for n, w in model.get_weights().items()})
        monkeypatch.setattr(unread, "check_finite", lambda *a, told=told: told.append(a))
        model.fit(x, y, batch_size=8, epochs=3, seed=4, verbose=0)
        assert not told
        found.append(state(model))
    assert found[0] == found[1]


@pytest.mark.parametrize("epochs", [1, 3])
def test_training_that_diverges_on_good_data_is_called_so(epochs):
    model = network(Dense(4), Dense(3), optimizer=optim.SGD(1e30), loss="mse")
    x, _ = data()
    with pytest.raises(NonFiniteError, match="epoch 1"):
        model.fit(x, x[:, :3], batch_size=8, epochs=epochs, verbose=0)


def test_what_becomes_bad_after_the_first_epoch_is_not_said_to_have_been_there():
    x, y = data()
    model = network()

    def spoil(epoch, logs):
        x[3, 3] = np.nan

    with pytest.raises(NonFiniteError, match="epoch 2"):
        model.fit(x, y, epochs=2, verbose=0, callbacks=[spoil])
    assert len(model.history) == 1


def frozen():
    layer = Dense(5, "sigmoid")
    layer.trainable = False
    return layer


class Own(optim.SGD):
    """Someone's optimiser: nobody knows what it makes of NaN."""


@pytest.mark.parametrize(
    ("layers", "shape", "optimizer", "arguments"),
    [
        ((frozen(), Dense(3, "softmax")), (6,), "sgd", {}),
        ((Activation("tanh"), Dense(3, "softmax")), (6,), "sgd", {}),
        ((BatchNorm(), Dense(3, "softmax")), (6,), "sgd", {}),
        ((Dropout(0.9), Dense(3, "softmax")), (6,), "sgd", {}),
        ((Conv2D(2, 2), Flatten(), Dense(3, "softmax")), (3, 3, 1), "sgd", {}),
        ((Dense(3, "softmax"),), (6,), optim.SGD(clip_value=1.0), {}),
        ((Dense(3, "softmax"),), (6,), Own(), {}),
        ((Dense(3, "softmax"),), (6,), "sgd", {"validation_split": 0.5}),
        ((Dense(3, "softmax"),), (6,), "sgd", {"record": "stats"}),
        ((Dense(3, "softmax"),), (6,), "sgd", {"epochs": 0}),
    ],
)
def test_where_training_might_not_find_it_inputs_are_checked_before(layers, shape, optimizer, arguments):
    x, y = data(40, shape)
    x[(5,) + (0,) * len(shape)] = np.inf
    text, begun = refused(network(*layers, optimizer=optimizer, inputs=shape), x, y, **arguments)
    assert not begun
    assert "x holds inf" in text


@pytest.mark.parametrize("callback", [ToldOfBatches, Slower, Ending])
def test_callbacks_that_see_or_change_the_model_before_the_first_epoch_ends_find_checked_inputs(callback):
    x, y = data()
    x[39, 0] = np.nan
    model, told = network(), callback()
    with pytest.raises(DataError, match="x holds nan"):
        model.fit(x, y, callbacks=[told], verbose=0)
    assert not told.ended
    assert model.optimizer.learning_rate == network().optimizer.learning_rate


def smooth_step(z):
    return ops.stop_gradient(ops.tanh(z))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "layers",
    [
        (Dense(4, "step"), Dense(3, "softmax")),
        (Dense(4), Activation("step"), Dense(3, "softmax")),
        (Dense(4, "tanh"), Dense(4, "step"), Dense(3, "softmax")),
        (Dense(4, smooth_step), Dense(3, "softmax")),
        (Dense(4), Lambda(smooth_step), Dense(3, "softmax")),
    ],
)
def test_networks_through_which_no_gradient_may_go_get_checked_inputs(layers, value):
    x, y = data()
    x[5, 1] = value
    text, begun = refused(network(*layers), x, y)
    assert not begun
    assert "index [5, 1]" in text


def test_an_input_that_no_layer_reads_is_checked_before():
    a, b = Input((4,), name="a"), Input((2,), name="b")
    model = Model([a, b], Dense(3, "softmax")(a))
    model.compile("categorical_crossentropy", "sgd", backend="cpu")
    r = np.random.default_rng(0)
    x, y = {"a": r.random((20, 4), "float32"), "b": np.full((20, 2), np.nan, "float32")}, r.integers(0, 3, 20)
    text, begun = refused(model, x, y)
    assert not begun
    assert "x of input 'b'" in text


def test_a_run_that_has_been_thought_good_for_a_while_is_undone_as_a_whole(monkeypatch):
    monkeypatch.setattr(TrainingRun, "SAFE", 0.0)  # a copy of the state after every turn
    monkeypatch.setattr("pellucid.backends.cpu.pace.Pace.choose", lambda self, steps, share: (False, min(steps, 2)))
    x, y = data(200)
    x[190, 0] = np.nan
    text, begun = refused(network(), x, y, batch_size=8, shuffle=False)
    assert begun
    assert "index [190, 0]" in text


@pytest.mark.parametrize("epochs", [1, 6])
def test_inputs_count_as_read_after_the_first_epoch_or_block(epochs):
    x, y = data(400)
    model = network()
    model.fit(x, y, verbose=0, epochs=3)
    runs = []
    start = loop.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "run", lambda run: runs.append((run, run.feed.unread)) or start(run))
        model.fit(x, y, verbose=0, epochs=epochs)
    ((run, before),) = runs
    assert before is not None
    assert run.feed.unread is None


def test_errors_about_later_batches_of_a_generator_keep_their_history():
    x, y = data()
    model, calls = network(), []

    def batches():
        calls.append(1)
        yield x, y
        if len(calls) > 2:
            yield np.full_like(x, np.nan), y

    with pytest.raises(DataError, match="x holds nan"):
        model.fit(batches, epochs=3, verbose=0)
    assert len(model.history) >= 1


def test_numbers_too_large_for_the_model_are_refused_before():
    x, y = data()
    text, begun = refused(network(), np.where(np.arange(40)[:, None] == 7, 1e300, x.astype("float64")), y)
    assert not begun
    assert "too large for float32" in text


def test_each_of_several_inputs_is_looked_at():
    a, b = Input((4,), name="a"), Input((2,), name="b")
    model = Model([a, b], Dense(3, "softmax")(Concatenate()(Dense(3, "relu")(a), Activation("tanh")(b))))
    model.compile("categorical_crossentropy", "sgd", backend="cpu")
    r = np.random.default_rng(0)
    x, y = {"a": r.random((20, 4), "float32"), "b": r.random((20, 2), "float32")}, r.integers(0, 3, 20)
    for name, begins in (("a", True), ("b", False)):
        bad = {key: value.copy() for key, value in x.items()}
        bad[name][11, 1] = np.nan
        text, begun = refused(model, bad, y)
        assert begun == begins
        assert f"x of input '{name}' holds nan at index [11, 1]" in text
