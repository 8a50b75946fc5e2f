"""Fits without observers run many epochs at once; they must give the bits of fits that are watched."""

import numpy as np
import pytest

from pellucid import Input, Sequential, ops, set_seed
from pellucid.errors import DataError, NonFiniteError
from pellucid.nn import BatchNorm, Dense, Dropout, Embedding, Flatten, Layer
from pellucid.nn.regularizers import L2
from pellucid.optim import SGD, Adam
from pellucid.optim.schedules import CosineDecay
from pellucid.train import Callback, EarlyStopping, block, feed, loop

R = np.random.default_rng(0)
X, Y = R.normal(size=(70, 4)).astype("float32"), R.integers(0, 3, 70)


@pytest.fixture
def unknown_pace(monkeypatch):
    """Nobody knows how long an epoch takes before the first."""
    monkeypatch.setattr(block, "_expected", lambda fit: fit.epoch_seconds)


@pytest.fixture
def blocks(monkeypatch, unknown_pace):
    """The blocks that were run: first epoch and number of epochs."""
    found = []

    def noted(fit, first, count, key, history):
        good = block.run_block(fit, first, count, key, history)
        found.append((first, count, good))
        return good

    monkeypatch.setattr(loop, "run_block", noted)
    monkeypatch.setattr(block, "_TURN", 1e9)
    return found


def net(backend=None, metrics=("accuracy", "f1"), optimizer=None):
    set_seed(1)
    layers = [Dense(6, activation="tanh", kernel_regularizer=L2(0.01)), BatchNorm(), Dropout(0.2)]
    model = Sequential([Input((4,)), *layers, Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", optimizer or Adam(0.01), list(metrics), backend=backend)
    return model


def watched(model, **options):
    """The same fit with a callback that does nothing, and so without blocks."""
    return model.fit(callbacks=lambda epoch, logs: None, **options)


def same(a, b):
    return all(np.array_equal(value, b.get_weights()[name]) for name, value in a.get_weights().items())


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 16},
        {"batch_size": 35, "validation_split": 0.3},
        {"batch_size": 16, "validation_data": (X[:40], Y[:40]), "validation_every": 3},
        {"batch_size": None, "shuffle": False, "sample_weight": R.random(70).astype("float32")},
        {"batch_size": 16, "class_weight": "balanced", "initial_epoch": 2},
    ],
)
def test_a_block_gives_the_bits_of_single_epochs(blocks, backend, options):
    options = {"x": X, "y": Y, "epochs": 9, "seed": 3, "verbose": 0, **options}
    schedule = Adam(CosineDecay(0.02, decay_steps=40))
    a, b = net(backend, optimizer=schedule), net(backend, optimizer=schedule.copy())
    history, expected = a.fit(**options), watched(b, **options)
    first = options.get("initial_epoch", 0) + 1
    assert blocks == [(first, 9 - first, True)]
    assert same(a, b)
    assert a.optimizer.iterations == b.optimizer.iterations
    assert history.epochs == expected.epochs
    assert list(history.history) == list(expected.history)
    for key, values in history.history.items():
        np.testing.assert_array_equal(values, expected[key], err_msg=key)


def test_a_fit_like_the_last_one_begins_with_a_block(monkeypatch):
    monkeypatch.setattr(block, "_TURN", 1e9)
    found = []
    run_block = block.run_block
    monkeypatch.setattr(
        loop,
        "run_block",
        lambda fit, first, count, *rest: found.append((first, count)) or run_block(fit, first, count, *rest),
    )
    options = {"x": X, "y": Y, "epochs": 6, "seed": 3, "verbose": 0, "batch_size": 14}
    models = [net(metrics=["precision"]) for _ in range(3)]
    histories = [model.fit(**options) for model in models[:2]]
    assert found == [(1, 5), (0, 6)]
    assert histories[0]["loss"] == histories[1]["loss"] == watched(models[2], **options)["loss"]
    assert same(models[0], models[1])
    assert same(models[0], models[2])
    monkeypatch.setattr(block, "_TURN", 0)  # there is no time for a block
    net(metrics=["precision"]).fit(**options)
    assert len(found) == 2


def test_a_fit_with_much_more_to_check_than_the_last_one_does_not_begin_with_a_block(monkeypatch):
    found = []
    run_block = block.run_block
    monkeypatch.setattr(
        loop,
        "run_block",
        lambda fit, first, count, *rest: found.append(first) or run_block(fit, first, count, *rest),
    )
    options = {"x": X, "y": Y, "epochs": 500, "seed": 3, "verbose": 0, "batch_size": 14}
    model = net(metrics=["recall"])
    model.fit(**options)
    (program,) = (p for key, p in model.programs.kept.items() if key[0] == "train")
    program.loop.seconds = 1e-4  # an epoch of five steps takes 0.5 ms
    many = {"validation_data": (np.tile(X, (100, 1)), np.tile(Y, 100))}
    found.clear()
    net(metrics=["recall"]).fit(**options, **many)
    assert found[0] > 0  # which checks 7,000 samples: there is no time for two of them


class Table(Layer):
    """Rows of a table by numbers, which nothing checks beforehand."""

    def build(self, shape):
        self.table = self.add_parameter("table", (10, 16), "glorot_uniform")

    def call(self, x):
        return ops.mean(ops.gather(self.table, ops.cast(x, "int64")), axis=1)


def test_a_fit_after_one_whose_indices_were_wrong_is_told_nothing_of_it():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 10, (70, 5)).astype("f4"), rng.normal(size=(70, 1)).astype("f4")
    model = Sequential([Input((5,)), Table(), Dense(8), Dense(1)])
    model.compile("mse", "sgd")
    options = {"epochs": 30, "batch_size": 32, "verbose": 0}
    model.fit(x, y, **options)
    with pytest.raises(DataError, match=r"lies outside 0\.\.9"):
        model.fit(x + 50, y, **options)
    for _ in range(2):
        model.fit(x, y, **options)


def test_several_blocks_are_one_fit(blocks, monkeypatch):
    monkeypatch.setattr(block, "_BYTES", 8 * 70 * 4)  # four epochs
    a, b = net(), net()
    history = a.fit(X, Y, epochs=12, seed=3, verbose=0)
    assert [count for _, count, _ in blocks] == [4, 4, 3]
    assert history["loss"] == watched(b, x=X, y=Y, epochs=12, seed=3, verbose=0)["loss"]
    assert same(a, b)


@pytest.mark.parametrize("stopping", [None, 3])
def test_orders_drawn_while_others_are_trained_on_change_nothing(blocks, monkeypatch, stopping):
    monkeypatch.setattr(block, "_BYTES", 8 * 70 * 4)
    monkeypatch.setattr(block, "_SHORT", 1e9)
    monkeypatch.setattr(block, "_WORTH", 0)
    monkeypatch.setattr(block, "num_threads", lambda: 2)
    asked = []
    look_ahead = feed.ArrayFeed.look_ahead
    monkeypatch.setattr(feed.ArrayFeed, "look_ahead", lambda self, n: asked.append(n) or look_ahead(self, n))
    a, b = net(), net()
    callbacks = (
        []
        if stopping is None
        else [EarlyStopping(monitor="loss", patience=stopping, min_delta=1.0, restore_best_weights=False)]
    )
    history = a.fit(X, Y, epochs=12, seed=3, verbose=0, callbacks=callbacks)
    assert any(asked)
    assert history["loss"] == watched(b, x=X, y=Y, epochs=len(history), seed=3, verbose=0)["loss"]
    assert same(a, b)


@pytest.mark.parametrize(("seconds", "expected"), [(1.6e-3, [3, 6, 12]), (2.2e-3, [2, 4, 8]), (4e-3, [2, 4, 8])])
def test_the_first_block_lasts_long_enough_to_draw_the_next(blocks, monkeypatch, seconds, expected):
    monkeypatch.setattr(block, "_TURN", 0.1)
    monkeypatch.setattr(block, "_SHORT", 1e9)
    monkeypatch.setattr(block, "_epoch_seconds", lambda fit, history: seconds)
    monkeypatch.setattr(block, "num_threads", lambda: 2)
    net().fit(X, Y, epochs=40, seed=3, verbose=0)
    assert [count for _, count, _ in blocks][:3] == expected


def test_nothing_is_drawn_ahead_where_callbacks_cut_blocks_too_short_for_it(blocks, monkeypatch):
    monkeypatch.setattr(block, "_TURN", 0.1)
    monkeypatch.setattr(block, "_epoch_seconds", lambda fit, history: 1e-6)
    monkeypatch.setattr(block, "num_threads", lambda: 2)
    asked = []
    monkeypatch.setattr(feed.ArrayFeed, "look_ahead", lambda self, numbers: asked.append(numbers))
    stopping = EarlyStopping(monitor="loss", patience=20, min_delta=-1.0)
    net().fit(X, Y, epochs=60, seed=3, verbose=0, callbacks=[stopping])
    assert blocks
    assert not asked
    net().fit(X, Y, epochs=6000, seed=3, verbose=0)
    assert asked


def test_blocks_whose_orders_others_draw_grow_from_a_short_one(blocks, monkeypatch):
    monkeypatch.setattr(block, "_TURN", 48)
    monkeypatch.setattr(block, "_SHORT", 1e9)
    monkeypatch.setattr(block, "_epoch_seconds", lambda fit, history: 1.0)
    for threads, expected in ((2, [3, 6, 12, 24, 48, 37]), (1, [48, 48, 34])):
        monkeypatch.setattr(block, "num_threads", lambda threads=threads: threads)
        net().fit(X, Y, epochs=130, seed=3, verbose=0)
        assert [count for _, count, _ in blocks] == expected
        del blocks[:]


def test_what_became_nan_in_a_block_is_found_at_its_epoch_and_batch(blocks):
    x = X.copy()
    model, other = (net(optimizer=SGD(5e3), metrics=()) for _ in range(2))
    with pytest.raises(NonFiniteError) as expected:
        watched(other, x=x, y=Y, epochs=50, seed=3, batch_size=16, verbose=0)
    with pytest.raises(NonFiniteError) as error:
        model.fit(x, Y, epochs=50, seed=3, batch_size=16, verbose=0)
    assert str(error.value) == str(expected.value)
    assert [good for *_, good in blocks] in ([False], [])
    assert same(model, other)


def test_observers_and_metrics_of_whole_epochs_are_served_epoch_by_epoch(blocks):
    seen = []
    net().fit(X, Y, epochs=4, seed=0, verbose=0, callbacks=lambda epoch, logs: seen.append(epoch))
    net().fit(((X, Y) for _ in range(8)), epochs=4, steps_per_epoch=2, verbose=0)
    net(metrics=["auc"]).fit(X, Y, epochs=4, verbose=0)
    net().fit(X, Y, epochs=4, verbose=2)
    assert seen == [0, 1, 2, 3]
    assert blocks == []


def test_an_interrupt_leaves_the_model_as_it_was_before_the_block(monkeypatch, unknown_pace):
    monkeypatch.setattr(block, "_TURN", 1e9)
    a, b = net(), net()

    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(block._Training, "is_good", interrupted)
        history = a.fit(X, Y, epochs=9, seed=3, verbose=0)
    assert history.interrupted
    assert len(history) == 1
    b.fit(X, Y, epochs=1, seed=3, verbose=0)
    assert same(a, b)
    assert a.optimizer.iterations == b.optimizer.iterations
    history = a.fit(X, Y, epochs=9, initial_epoch=1, seed=3, verbose=0)
    assert history.epochs == list(range(1, 9))


def test_large_data_and_embeddings_run_in_blocks_too(blocks):
    words, labels = R.integers(0, 9, (50, 6)), R.integers(0, 2, 50)
    losses = []
    for backend in ("cpu", "reference"):
        set_seed(0)
        model = Sequential([Input((6,), "int32"), Embedding(9, 3), Flatten(), Dense(2, activation="softmax")])
        model.compile("categorical_crossentropy", "adam", backend=backend)
        losses.append(model.fit(words, labels, epochs=5, batch_size=8, seed=0, verbose=0)["loss"])
    assert [count for _, count, _ in blocks] == [4, 4]
    np.testing.assert_allclose(*losses, rtol=1e-5)


class StoppingEpochByEpoch(EarlyStopping):
    """Early stopping that wants to be told of every epoch at once."""

    def on_epoch_begin(self, epoch, logs=None):
        pass


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(("patience", "start", "rate"), [(4, 0, 0.03), (6, 10, 0.1), (0, 0, 0.1), (40, 0, 0.03)])
def test_early_stopping_in_blocks_gives_the_bits_of_single_epochs(blocks, backend, every, patience, start, rate):
    fits = []
    for kind in (EarlyStopping, StoppingEpochByEpoch):
        model, stop = net(backend, optimizer=Adam(rate)), kind(patience=patience, start_from_epoch=start)
        history = model.fit(
            X,
            Y,
            validation_split=0.3,
            validation_every=every,
            epochs=60,
            batch_size=16,
            seed=3,
            callbacks=stop,
            verbose=0,
        )
        fits.append((model, stop, history))
        if kind is EarlyStopping:
            assert bool(blocks) == (patience > 1 or start > 1)
            assert max((count for _, count, _ in blocks), default=0) <= max(patience, 1) + start
            blocks.clear()
    assert not blocks
    (a, stop, history), (b, expected, history_b) = fits
    assert (stop.best_epoch, stop.stopped_epoch) == (expected.best_epoch, expected.stopped_epoch)
    assert history.stopped_by == history_b.stopped_by
    assert a.optimizer.iterations == b.optimizer.iterations
    assert same(a, b)
    for key, values in history.history.items():
        np.testing.assert_array_equal(values, history_b[key], err_msg=key)


def test_weights_of_an_epoch_in_the_midst_of_a_block_are_restored(blocks):
    model, stop = net(optimizer=Adam(0.02)), EarlyStopping(patience=7)
    history = model.fit(X, Y, validation_split=0.3, epochs=60, seed=3, callbacks=stop, verbose=0)
    inside = [first <= stop.best_epoch < first + count - 1 for first, count, _ in blocks]
    assert any(inside)
    best = net(optimizer=Adam(0.02))
    best.fit(X, Y, validation_split=0.3, epochs=stop.best_epoch + 1, seed=3, verbose=0)
    assert same(model, best)
    assert history.best("val_loss") == stop.best_epoch


def test_a_callback_that_needs_not_be_told_at_once_is_told_of_every_epoch(blocks):
    class Patient(Callback):
        def __init__(self):
            self.told = []

        def unwatched(self, epoch):
            return 5

        def on_epoch_end(self, epoch, logs=None):
            self.told.append((epoch, sorted(logs), self.epoch_weights()["dense_1.kernel"]))

    model, patient = net(metrics=("accuracy",)), Patient()
    options = {"epochs": 11, "seed": 3, "validation_data": (X, Y), "validation_every": 2, "verbose": 0}
    model.fit(X, Y, callbacks=patient, **options)
    assert [count for _, count, _ in blocks] == [5, 5]
    seen = []
    other = net(metrics=("accuracy",))

    def look(epoch, logs):
        seen.append((epoch, sorted(logs), other.get_weights()["dense_1.kernel"]))

    other.fit(X, Y, callbacks=look, **options)
    for (epoch, keys, kernel), (wanted, wanted_keys, wanted_kernel) in zip(patient.told, seen, strict=True):
        assert (epoch, keys) == (wanted, wanted_keys)
        np.testing.assert_array_equal(kernel, wanted_kernel)
