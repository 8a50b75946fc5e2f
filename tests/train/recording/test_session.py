"""Fits that are recorded: the numbers are right, and training is the same to the bit."""

import numpy as np
import pytest

from pellucid import Callback, Input, Model, Sequential, ops, set_seed
from pellucid.errors import ConfigurationError, DataError, NonFiniteError
from pellucid.nn import LSTM, BatchNorm, Conv2D, Dense, Dropout, Embedding, Flatten, Layer, MaxPool2D
from pellucid.optim import SGD, Adam
from pellucid.train import Recorder, Recording
from pellucid.train.block import run_block
from pellucid.train.recording import session

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])
R = np.random.default_rng(0)
IMAGES, LABELS = R.random((50, 8, 8, 1), "float32"), R.integers(0, 3, 50)


def dense():
    hidden = [Dense(6, activation="relu", name="first"), Dropout(0.3), Dense(5, activation="sigmoid", name="second")]
    return Sequential([Input((8, 8, 1)), Flatten(), *hidden, Dense(3, activation="softmax", name="last")])


def convolutional():
    features = [Conv2D(3, 3, activation="relu"), MaxPool2D(2), Conv2D(4, 2), BatchNorm()]
    return Sequential([Input((8, 8, 1)), *features, Flatten(), Dense(3, activation="softmax")])


class Rescaled(Layer):
    def build(self, shape):
        self.factor = self.add_parameter("factor", shape[1:], "ones")
        self.inner = Dense(4, activation="tanh", name="inner")

    def call(self, x):
        return self.inner(x * self.factor)


def own_layers():
    return Sequential([Input((8, 8, 1)), Flatten(), Rescaled(), Dense(3, activation="softmax")])


def nested():
    x = Input((8, 8, 1))
    inner = Sequential([Input((4,)), Dense(4, activation="tanh")], name="block")
    flat = Dense(4, name="entry")(Flatten()(x))
    return Model(x, Dense(3, activation="softmax")(inner(inner(flat) + flat)))


NETWORKS = pytest.mark.parametrize("network", [dense, convolutional, own_layers, nested])


def fitted(network, backend, optimizer=None, **arguments):
    set_seed(3)
    model = network()
    model.compile("categorical_crossentropy", optimizer or Adam(0.01, clip_norm=1.0), ["accuracy"], backend=backend)
    history = model.fit(IMAGES, LABELS, **{"epochs": 3, "batch_size": 16, "seed": 1, "verbose": 0} | arguments)
    return model, history


def everything(model):
    tensors = {
        **model.get_weights(),
        **{f"{p}.{s}": v for p, own in model.optimizer.state.items() for s, v in own.items()},
    }
    return {name: value.tobytes() for name, value in tensors.items()}


# Training is the same.


@BACKENDS
@NETWORKS
@pytest.mark.parametrize("record", [Recorder("stats", every=1), Recorder("full", every=3)], ids=["stats", "full"])
def test_a_recorded_fit_gives_the_same_bits(backend, network, record):
    plain, history = fitted(network, backend)
    recorded, other = fitted(network, backend, record=record)
    assert everything(plain) == everything(recorded)
    assert history.history == other.history
    assert history.recording is None


@BACKENDS
def test_epochs_in_blocks_and_recorded_steps_among_them_give_the_same_bits(backend, monkeypatch):
    monkeypatch.setattr("pellucid.train.block._TURN", 1e9)
    blocks = []

    def counted(fit, epoch, count, *others):
        blocks.append(count)
        return run_block(fit, epoch, count, *others)

    monkeypatch.setattr("pellucid.train.loop.run_block", counted)
    plain, _ = fitted(dense, backend, epochs=40)
    blocks.clear()
    recorded, history = fitted(dense, backend, epochs=40, record="stats", every=60)
    assert history.recording.steps == [1, 61, 121, 160]
    assert max(blocks) > 30  # recorded steps do not end a block
    assert everything(plain) == everything(recorded)


@BACKENDS
def test_blocks_record_what_single_epochs_record(backend, monkeypatch):
    _, single = fitted(dense, backend, epochs=40, record="stats", every=3, callbacks=lambda epoch, logs: None)
    monkeypatch.setattr("pellucid.train.block._TURN", 1e9)
    monkeypatch.setattr(session, "_ROWS", 20)
    _, blocks = fitted(dense, backend, epochs=40, record="stats", every=3)
    for name in ("steps", "stats"):
        assert blocks.recording.frame(name).equals(single.recording.frame(name))
    assert blocks.recording.frame("steps", "numpy")["epoch"].tolist() == [
        (step - 1) // 4 + 1 for step in blocks.recording.steps
    ]


def test_callbacks_of_every_batch_and_early_stops_go_with_recording():
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = self.model.optimizer.iterations == 7

    plain, _ = fitted(dense, "cpu", callbacks=Stop())
    recorded, history = fitted(dense, "cpu", callbacks=Stop(), record="stats", every=2)
    assert history.recording.steps == [1, 3, 5, 7]
    assert everything(plain) == everything(recorded)


# The numbers are right.


@BACKENDS
def test_the_arrays_of_a_step_are_those_of_the_lectures_formulas(backend):
    _, history = fitted(dense, backend, SGD(0.5), epochs=1, record="full", every=1, batch_size=10)
    r = history.recording
    assert (r.level, r.steps) == ("full", [1, 2, 3, 4, 5])
    for step in (1, 4):
        x, y = IMAGES[r.rows(step)].reshape(10, 64), np.eye(3)[LABELS[r.rows(step)]]
        np.testing.assert_array_equal(r.activations(step, "flatten"), x)
        w = r.weights(step, "first")
        z = r.preactivations(step, "first")
        np.testing.assert_allclose(z, x @ w["kernel"] + w["bias"], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(r.activations(step, "first"), np.maximum(z, 0))
        # delta of the last layer, then backwards: delta^l = (W^(l+1))^T delta^(l+1) * f'(z)
        last = r.deltas(step, "last")
        np.testing.assert_allclose(last, (r.activations(step, "last") - y) / 10, rtol=1e-4, atol=1e-7)
        a = r.activations(step, "second")
        delta = last @ r.weights(step, "last")["kernel"].T * a * (1 - a)
        np.testing.assert_allclose(r.deltas(step, "second"), delta, rtol=1e-4, atol=1e-7)
        gradients = r.gradients(step, "second")
        np.testing.assert_allclose(gradients["kernel"], r.activations(step, "dropout").T @ delta, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(gradients["bias"], delta.sum(0), rtol=1e-3, atol=1e-6)
    after = r.weights(2, "last")["kernel"]
    before, gradient = r.weights(1, "last")["kernel"], r.gradients(1, "last")["kernel"]
    np.testing.assert_allclose(after, before - 0.5 * gradient, rtol=1e-6, atol=1e-7)


@BACKENDS
@NETWORKS
def test_the_statistics_are_those_of_the_arrays(backend, network):
    _, history = fitted(network, backend, record="full", every=4)
    r = history.recording
    rows = r.frame("stats").to_pylist()
    read = {"activation": r.activations, "preactivation": r.preactivations, "delta": r.deltas}
    read |= {"weight": r.weights, "gradient": r.gradients}
    weights = {(row["step"], row["layer"], row["name"]): row for row in rows if row["quantity"] == "weight"}
    for row in rows:
        if row["quantity"] == "update":
            weight = weights[row["step"], row["layer"], row["name"]]["norm"]
            assert row["ratio"] == (pytest.approx(row["norm"] / weight) if weight else None)
            continue
        found = read[row["quantity"]](row["step"], row["layer"])
        if row["name"].isdigit():
            continue  # a further call of a shared layer: the reader gives the first
        values = np.float64(found[row["name"]] if isinstance(found, dict) else found)
        for name in ("mean", "std", "min", "max"):
            expected = getattr(values, name)()
            assert row[name] == pytest.approx(expected, rel=1e-4, abs=1e-6 * np.abs(values).max()), (row, name)
        assert row["zeros"] == pytest.approx((values == 0).mean(), abs=1e-6)
        assert row["norm"] == pytest.approx(np.linalg.norm(values), rel=1e-4)


@BACKENDS
def test_both_backends_record_the_same(backend):
    _, history = fitted(convolutional, backend, SGD(0.1), record=Recorder(steps=[1]))
    _, other = fitted(convolutional, "reference", SGD(0.1), record=Recorder(steps=[1]))
    ours, theirs = (h.recording.frame("stats", "numpy") for h in (history, other))
    for name, column in ours.items():
        if name == "zeros":
            continue  # of the bias before a normalisation, whose gradient is rounding
        if column.dtype == np.float64:
            np.testing.assert_allclose(column, theirs[name], rtol=1e-3, atol=1e-5, err_msg=name)
        else:
            assert column.tolist() == theirs[name].tolist()


def test_steps_tell_loss_rate_and_the_norm_of_all_gradients():
    _, history = fitted(dense, "cpu", SGD(0.1), record=Recorder("full", every=1, layers=["last"]), epochs=1)
    _, whole = fitted(dense, "cpu", SGD(0.1), record=Recorder("full", every=1), epochs=1)
    frame = history.recording.frame("steps", "numpy")
    assert frame["step"].tolist() == [1, 2, 3, 4]
    assert frame["epoch"].tolist() == [1] * 4
    np.testing.assert_array_equal(frame["learning_rate"], 0.1)
    sizes = np.array([16, 16, 16, 2])
    assert np.sum(frame["loss"] * sizes) / 50 == pytest.approx(history["loss"][0], rel=1e-5)
    gradients = [g for layer in ("first", "second", "last") for g in whole.recording.gradients(2, layer).values()]
    assert frame["gradient_norm"][1] == pytest.approx(np.sqrt(sum(np.sum(np.float64(g) ** 2) for g in gradients)), 1e-4)
    assert history.recording.layers == ["last"]


def test_a_second_fit_goes_on_counting_steps():
    model, history = fitted(dense, "cpu", record="stats", every=5)
    again = model.fit(IMAGES, LABELS, batch_size=16, epochs=4, initial_epoch=3, verbose=0, record="stats", every=2)
    assert history.recording.steps == [1, 6, 11, 12]
    assert again.recording.frame("steps", "numpy")["epoch"].tolist() == [4, 4, 4]
    assert again.recording.steps == [13, 15, 16]


# Which layers.


def rows_of(history, layer):
    data = history.recording.frame("stats", "numpy")
    chosen = data["layer"] == layer
    return list(dict.fromkeys(zip(data["quantity"][chosen], data["name"][chosen], strict=True)))


def test_layers_of_every_kind_have_their_rows():
    _, history = fitted(dense, "cpu", record="stats")
    assert history.recording.layers == ["flatten", "first", "dropout", "second", "last"]
    assert rows_of(history, "flatten") == [("activation", "")]  # no trained parameter lies before it
    assert rows_of(history, "dropout") == [("activation", ""), ("delta", "")]
    parameters = [(q, name) for name in ("kernel", "bias") for q in ("weight", "gradient", "update")]
    assert rows_of(history, "first") == [("preactivation", ""), ("activation", ""), ("delta", ""), *parameters]
    data = history.recording.frame("stats", "numpy")
    assert dict(zip(data["layer"], data["function"], strict=True)) == {
        "flatten": "", "first": "relu", "dropout": "", "second": "sigmoid", "last": "softmax",
    }  # fmt: skip


def test_inner_layers_have_paths_and_shared_ones_are_counted():
    _, history = fitted(nested, "cpu", record="stats")
    assert history.recording.layers == ["flatten", "entry", "block/dense", "add", "dense"]
    assert ("activation", "2") in rows_of(history, "block/dense")
    _, history = fitted(own_layers, "cpu", record="stats")
    assert history.recording.layers == ["flatten", "rescaled/inner", "rescaled", "dense"]
    assert rows_of(history, "rescaled") == [(q, "factor") for q in ("weight", "gradient", "update")]


def test_frozen_layers_have_weights_only_and_what_lies_before_them_no_delta():
    def frozen():
        model = dense()
        model.get_layer("first").trainable = False
        return model

    _, history = fitted(frozen, "cpu", record="stats")
    assert [q for q, _ in rows_of(history, "first")] == ["preactivation", "activation", "weight", "weight"]


@BACKENDS
def test_pooled_images_that_are_flattened_have_a_delta(backend):
    _, history = fitted(convolutional, backend, SGD(0.5), epochs=1, record="full", every=1)
    assert ("delta", "") in rows_of(history, "max_pool2d")
    r = history.recording
    image, pooled, delta = r.activations(2, "conv2d"), r.activations(2, "max_pool2d"), r.deltas(2, "max_pool2d")
    windows = image.reshape(16, 3, 2, 3, 2, 3).transpose(0, 1, 3, 5, 2, 4).reshape(16, 3, 3, 3, 4)
    np.testing.assert_array_equal(pooled, windows.max(-1))
    # The winner of a window gets its delta, where relu lets it through.
    np.testing.assert_allclose(r.deltas(2, "conv2d").sum((1, 2)), (delta * (pooled > 0)).sum((1, 2)), atol=1e-6)

    def flattened():
        features = [Conv2D(3, 3, activation="relu"), MaxPool2D(2), Flatten()]
        return Sequential([Input((8, 8, 1)), *features, Dense(3, activation="softmax", name="out")])

    _, history = fitted(flattened, backend, record="full", every=1)
    r = history.recording
    expected = r.deltas(2, "out") @ r.weights(2, "out")["kernel"].T
    np.testing.assert_allclose(r.deltas(2, "max_pool2d").reshape(16, -1), expected, rtol=1e-4, atol=1e-7)


@BACKENDS
def test_every_call_of_a_shared_layer_can_be_read(backend):
    _, history = fitted(nested, backend, record="full", every=1)
    r = history.recording
    w = r.weights(2, "block/dense")
    first, second = r.activations(2, "block/dense"), r.activations(2, "block/dense", "2")
    entry = r.activations(2, "entry")
    np.testing.assert_allclose(first, np.tanh(entry @ w["kernel"] + w["bias"]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(second, np.tanh((first + entry) @ w["kernel"] + w["bias"]), rtol=1e-4, atol=1e-6)
    by_bias = r.deltas(2, "block/dense").sum(0) + r.deltas(2, "block/dense", "2").sum(0)
    np.testing.assert_allclose(r.gradients(2, "block/dense")["bias"], by_bias, rtol=1e-4, atol=1e-6)
    with pytest.raises(ConfigurationError, match="Unknown call of layer 'block/dense' in the recording '3'"):
        r.preactivations(2, "block/dense", "3")


def test_chosen_layers_are_recorded_with_their_inner_ones_and_unknown_ones_refused():
    _, history = fitted(nested, "cpu", record=Recorder(layers=["block"]))
    assert history.recording.layers == ["block/dense"]
    with pytest.raises(ConfigurationError) as error:
        fitted(nested, "cpu", record=Recorder(layers=["entri"]))
    assert str(error.value).startswith("Unknown layer 'entri'; known are: add, block, block/dense,")
    assert str(error.value).endswith("Hint: did you mean 'entry'?")


def test_sequences_of_words_are_recorded():
    model = Sequential([Input((5,), "int32"), Embedding(9, 4), LSTM(3), Dense(2, activation="softmax")])
    model.compile("categorical_crossentropy", "adam")
    r = model.fit(R.integers(0, 9, (20, 5)), R.integers(0, 2, 20), record="full", verbose=0).recording
    assert r.layers == ["embedding", "lstm", "dense"]
    assert r.activations(1, "embedding").shape == (20, 5, 4)
    assert r.gradients(1, "lstm")["kernel"].shape == (4, 12)


def test_a_model_in_double_precision_is_recorded_in_it():
    set_seed(0)
    model = Sequential([Input((4,)), Dense(3, activation="tanh"), Dense(1)], dtype="float64")
    model.compile("mse", "sgd")
    r = model.fit(R.normal(size=(9, 4)), R.normal(size=9), record="full", verbose=0).recording
    assert r.weights(1, "dense")["kernel"].dtype == np.float64
    assert r.frame("stats").num_rows == 9 + 8


def test_an_activation_function_of_ones_own_has_its_name_but_no_ends():
    def squash(x):
        return ops.tanh(x) / 2

    model = Sequential([Input((4,)), Dense(3, activation=squash), Dense(3, activation=ops.tanh), Dense(1)])
    model.compile("mse", "sgd")
    data = model.fit(R.normal(size=(9, 4)), R.normal(size=9), record="stats", verbose=0).recording.frame(
        "stats", "numpy"
    )
    chosen = data["quantity"] == "activation"
    assert data["function"][chosen].tolist() == ["squash", "tanh", ""]
    assert np.isnan(data["saturated"][chosen]).tolist() == [True, False, True]


# Where it goes.


def test_a_recording_in_a_folder_is_that_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_ROWS", 20)
    _, history = fitted(dense, "cpu", record=Recorder("full", every=2, path=tmp_path / "r"))
    _, other = fitted(dense, "cpu", record=Recorder("full", every=2))
    loaded = Recording.load(tmp_path / "r")
    for name in ("steps", "stats"):
        assert loaded.frame(name).equals(other.recording.frame(name))
        assert history.recording.frame(name).equals(loaded.frame(name))
    assert str(loaded) == str(history.recording)
    np.testing.assert_array_equal(loaded.deltas(3, "second"), other.recording.deltas(3, "second"))


def test_rows_are_on_disk_while_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_SECONDS", 0.0)
    seen = []

    def look(epoch, logs):
        seen.append(Recording.load(tmp_path / "r").steps)

    fitted(dense, "cpu", record=Recorder("stats", every=3, path=tmp_path / "r"), callbacks=look)
    assert seen == [[1, 4], [1, 4, 7], [1, 4, 7, 10, 12]]


def test_the_recording_can_be_read_while_training_goes_on_and_after_an_error():
    seen = []

    def look(epoch, logs):
        seen.append(model.history.recording.steps)
        if epoch == 1:
            raise DataError("enough")

    model = dense()
    model.compile("categorical_crossentropy", "sgd")
    with pytest.raises(DataError):
        model.fit(IMAGES, LABELS, batch_size=25, epochs=5, verbose=0, record="stats", every=1, callbacks=look)
    assert seen == [[1, 2], [1, 2, 3, 4]]
    assert model.history.recording.steps == [1, 2, 3, 4]


@BACKENDS
def test_a_step_that_ends_in_nan_is_recorded_and_the_parameters_are_those_from_before(backend):
    plain = Sequential([Input((8, 8, 1)), Flatten(), Dense(5), Dense(1)])
    recorded = plain.clone()
    for model in (plain, recorded):
        model.compile("mse", SGD(10.0), backend=backend)
    arguments = {"epochs": 20, "batch_size": 10, "seed": 0, "verbose": 0}
    with pytest.raises(NonFiniteError) as expected:
        plain.fit(IMAGES, LABELS, **arguments)
    with pytest.raises(NonFiniteError) as error:
        recorded.fit(IMAGES, LABELS, record="stats", every=1, **arguments)
    assert str(error.value) == str(expected.value)
    assert error.value.step in recorded.history.recording.steps
    assert everything(plain) == everything(recorded)


def test_generators_are_recorded_with_the_rows_of_their_batches():
    model = dense()
    model.compile("categorical_crossentropy", "sgd")
    batches = [(IMAGES[:10], LABELS[:10]), (IMAGES[10:30], LABELS[10:30])]
    r = model.fit(lambda: iter(batches), epochs=2, record="full", every=1, verbose=0).recording
    assert r.steps == [1, 2, 3, 4]
    np.testing.assert_array_equal(r.rows(2), np.arange(20))


def test_asking_for_a_period_without_recording_is_an_error():
    with pytest.raises(ConfigurationError, match="nothing is recorded"):
        fitted(dense, "cpu", every=10)
