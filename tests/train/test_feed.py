import threading
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from pellucid import Callback, Input, Sequential
from pellucid.errors import DataError
from pellucid.nn import Dense
from pellucid.op import Spec
from pellucid.train.feed import ArrayFeed, is_generator_like

FLOAT = np.dtype("float32")


def feed(count=10, **options):
    x = np.arange(count)[:, None]
    settings = {"batch_size": 4, "shuffle": False, "seed": 0, **options}
    return ArrayFeed((x,), (np.arange(count),), None, (FLOAT,), **settings)


def seen(segments):
    """The targets of every batch, gathered by hand."""
    return [segment.y[0][rows].tolist() for segment in segments for rows in _batches(segment)]


def _batches(segment):
    return segment.order.reshape(segment.steps, segment.batch)


def weights_after(classifier, source, **options):
    model = classifier()
    model.fit(source, seed=1, verbose=0, **options)
    return model.get_weights()


def same(a, b):
    return all(np.array_equal(a[key], b[key]) for key in a)


@pytest.fixture
def batches(blobs):
    x, y = blobs
    return [(x[i : i + 20], y[i : i + 20]) for i in (0, 20, 40)]


# Arrays.


def test_the_last_batch_holds_what_is_left():
    assert seen(feed().epoch(0)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert (feed().steps, feed(8).steps, feed(batch_size=None).steps, feed(batch_size=99).steps) == (3, 2, 1, 1)


def test_orders_drawn_ahead_are_the_orders():
    expected = feed(9, shuffle=True).orders(range(3, 9))
    for numbers in (range(3, 6), range(3, 9), range(3, 20), range(1, 9), range(5, 7)):
        source = feed(9, shuffle=True)
        source.look_ahead(numbers)
        for _ in range(2):
            assert np.array_equal(source.orders(range(3, 9)), expected)
        assert np.array_equal(source.orders(range(3, 5)), expected[:2])
        assert np.array_equal(source.orders(range(5, 9)), expected[2:])


def test_it_says_of_how_many_epochs_orders_are_drawn_ahead():
    source = feed(9, shuffle=True)
    assert source.drawn(0) == 0
    source.look_ahead(range(3, 9))
    assert [source.drawn(epoch) for epoch in (2, 3, 5, 8, 9)] == [0, 6, 4, 1, 0]
    source.look_ahead(range(5, 20))  # which are being drawn
    assert source.drawn(5) == 4
    source.look_ahead(range(9, 12))
    assert source.drawn(9) == 3
    source.look_ahead(range(12, 12))
    assert source.drawn(9) == 3


def test_orders_are_drawn_where_no_thread_can_be_started(monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    expected = feed(9, shuffle=True).orders(range(4))
    drawing = feed(9, shuffle=True)
    drawing.look_ahead(range(2))
    drawing.orders(range(2))
    monkeypatch.setattr(threading.Thread, "start", start)
    for source in (feed(9, shuffle=True), drawing):
        source.look_ahead(range(2, 4))
        assert np.array_equal(source.orders(range(4)), expected)
        assert np.array_equal(source.orders(range(2)), expected[:2])


def test_batches_have_the_models_type_and_the_targets_their_own():
    x, y = np.arange(12, dtype=np.uint8).reshape(6, 2), np.arange(6, dtype=">i4")
    source = ArrayFeed((x,), (y,), np.ones(6), (FLOAT,), batch_size=4, shuffle=True, seed=0)
    whole, rest = source.epoch(0)
    assert whole.x[0] is x  # gathered when it is needed, not before
    assert whole.specs() == ((Spec((4, 2), FLOAT),), (Spec((4,), np.dtype("int32")),), Spec((4,), np.dtype("float64")))
    assert [spec.shape[0] for spec in (rest.specs()[0][0], rest.specs()[2])] == [2, 2]


def test_whole_batches_are_one_segment_and_the_rest_another():
    assert [(s.batch, s.steps) for s in feed().epoch(0)] == [(4, 2), (2, 1)]
    assert [(s.batch, s.steps) for s in feed(8).epoch(0)] == [(4, 2)]
    assert [(s.batch, s.steps) for s in feed(3).epoch(0)] == [(3, 1)]


def test_a_segment_can_be_cut_into_its_batches():
    (segment, _) = feed().epoch(0)
    assert [(s.steps, s.order.tolist()) for s in segment.one_by_one()] == [(1, [0, 1, 2, 3]), (1, [4, 5, 6, 7])]


def test_an_order_follows_from_seed_and_epoch_alone():
    shuffled = feed(shuffle=True)
    first = seen(shuffled.epoch(0))
    assert sorted(row for part in first for row in part) == list(range(10))
    assert seen(shuffled.epoch(1)) != first
    assert seen(shuffled.epoch(0)) == first
    assert seen(feed(shuffle=True, seed=1).epoch(0)) != first


@pytest.mark.parametrize("batch_size", [10, 64, None])
def test_one_batch_of_all_samples_keeps_their_order(batch_size):
    assert seen(feed(batch_size=batch_size, shuffle=True).epoch(0)) == [list(range(10))]
    assert seen(feed(batch_size=9, shuffle=True).epoch(0)) != [list(range(9)), [9]]


def test_only_the_given_rows_are_used():
    rows = np.array([9, 2, 5])
    assert seen(feed(rows=rows).epoch(0)) == [[9, 2, 5]]
    shuffled = feed(rows=rows, shuffle=True, batch_size=2)
    assert sorted(row for part in seen(shuffled.epoch(0)) for row in part) == [2, 5, 9]


def test_inputs_targets_and_weights_stay_together():
    x = np.arange(20.0)[:, None]
    source = ArrayFeed((x, 2 * x), (3 * x,), 4 * x[:, 0], (FLOAT, FLOAT), batch_size=3, shuffle=True, seed=5)
    rows = [row for segment in source.epoch(2) for row in segment.order]
    assert sorted(rows) == list(range(20))
    for segment in source.epoch(2):
        assert segment.arrays[0] is x
        assert [len(array) for array in segment.arrays] == [20] * 4  # one order serves them all


def test_a_memory_mapped_array_is_never_in_memory_whole(tmp_path):
    rows, columns = 60_000, 250  # 60 MB as float32, more than a slice of the checks
    shape = (rows, columns)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=shape)
    x[:] = np.linspace(0, 0.1, columns)
    x.flush()
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    y = np.zeros(rows, np.float32)
    model = Sequential([Input((columns,)), Dense(1)])
    model.compile("mse", "sgd")
    model.predict(x[:1000])
    tracemalloc.start()
    try:
        model.fit(x[:50_000], y[:50_000], batch_size=1000, callbacks=StopAfter(5), verbose=0)
        model.predict(x, batch_size=1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 2


class StopAfter(Callback):
    """Ends the fit after some batches."""

    def __init__(self, batches):
        self.batches = batches

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch + 1 >= self.batches


def test_a_memory_mapped_array_trains_as_the_array_does(classifier, blobs, tmp_path):
    x, y = blobs
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    options = {"seed": 1, "validation_split": 0.25, "batch_size": 7, "verbose": 0}
    a, b = classifier(), classifier()
    a.fit(x, y, **options)
    b.fit(mapped, y, **options)
    assert same(a.get_weights(), b.get_weights())


def test_an_infinite_number_far_into_a_memory_mapped_array_is_found(tmp_path):
    shape = (9000, 500)  # more than one slice of the checks
    x = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=shape)
    x[8999, 3] = np.inf
    model = Sequential([Input((500,)), Dense(1)])
    with pytest.raises(DataError, match=r"^x holds inf at index \[8999, 3\] \(1 such values in these rows\)\."):
        model.predict(x)


# Generators.


def test_every_kind_of_generator_trains_alike(classifier, batches):
    class Loader(Sequence):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return batches[index]

    class Stream:
        def __iter__(self):
            return iter(batches)

    def endless():
        while True:
            yield from batches

    reference = weights_after(classifier, lambda: iter(batches), epochs=2)
    assert same(reference, weights_after(classifier, Loader(), epochs=2))
    assert same(reference, weights_after(classifier, Stream(), epochs=2))
    assert same(reference, weights_after(classifier, endless(), epochs=2, steps_per_epoch=3))
    assert same(reference, weights_after(classifier, iter(batches * 2), epochs=2, steps_per_epoch=3))
    one_epoch = weights_after(classifier, lambda: iter(batches), epochs=1)
    assert not same(reference, one_epoch)


def test_a_plain_generator_goes_on_where_the_last_epoch_ended(classifier, batches):
    served = []

    def source():
        for number in range(10):
            served.append(number)
            yield batches[number % 3]

    model = classifier()
    model.fit(source(), epochs=3, steps_per_epoch=2, verbose=0)
    assert served == list(range(6))


def test_a_function_is_called_anew_for_every_epoch(classifier, batches):
    calls = []

    def source():
        calls.append(len(calls))
        return iter(batches)

    assert len(classifier().fit(source, epochs=3, verbose=0)) == 3
    assert calls == [0, 1, 2]


def test_the_first_batch_that_builds_a_model_is_trained_on(blobs):
    sizes = []

    class Count(Callback):
        def on_train_batch_end(self, batch, logs=None):
            sizes.append(logs["size"])

    model = Sequential([Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy")
    x, y = blobs
    model.fit(iter([(x[:5], y[:5]), (x[5:8], y[5:8])]), callbacks=Count(), verbose=0)
    assert sizes == [5, 3]


def test_a_generator_may_give_weights(classifier, blobs):
    x, y = blobs
    weights = np.linspace(0.0, 2.0, 48)
    a = weights_after(classifier, lambda: iter([(x, y, weights)]))
    model = classifier()
    model.fit(x, y, sample_weight=weights, batch_size=None, shuffle=False, seed=1, verbose=0)
    assert same(a, model.get_weights())


def test_class_weights_reach_the_batches_of_a_generator(classifier, blobs):
    x, y = blobs
    table = {0: 0.5, 1: 1.0, 2: 3.0}
    a = weights_after(classifier, lambda: iter([(x, y)]), class_weight=table)
    model = classifier()
    model.fit(x, y, class_weight=table, batch_size=None, shuffle=False, seed=1, verbose=0)
    assert same(a, model.get_weights())


def test_a_generator_that_ends_early_ends_the_epoch(classifier, batches):
    history = classifier().fit(lambda: iter(batches[:2]), epochs=2, steps_per_epoch=5, verbose=0)
    assert len(history) == 2


def test_an_exhausted_generator_says_what_to_do(classifier, batches):
    model = classifier()
    with pytest.raises(DataError) as error:
        model.fit(iter(batches), epochs=2, verbose=0)
    assert str(error.value) == (
        "The generator gave no batch in epoch 2.\n"
        "Hint: pass a function that returns a fresh generator, so that every epoch can start anew"
    )
    assert len(model.history) == 1


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (5, "Batch 1 of the generator is int, not (x, y) or (x, y, sample_weight)."),
        (("x",), "Batch 1 of the generator is tuple, not (x, y) or (x, y, sample_weight)."),
        ((np.zeros((2, 4)), np.zeros(3)), "x has 2 samples but y has 3."),
        ((np.zeros((2, 5)), np.zeros(2)), "x has shape [?, 5] but the model was built for [?, 4]."),
        ((np.full((1, 4), np.nan), [0]), "x holds nan at index [0, 0] (4 such values in these rows)."),
        ((np.zeros((1, 4)), [9]), "y: the label 9 in row 0 lies outside the classes 0..2."),
        ((np.zeros((1, 4)), [0], [-1.0]), "sample_weight must not be negative, but -1.0 is there."),
    ],
)
def test_every_batch_of_a_generator_is_checked(classifier, batches, item, text):
    with pytest.raises(DataError) as error:
        classifier().fit(iter([batches[0], item]), verbose=0)
    assert str(error.value).splitlines()[0] == text


def test_a_generator_that_gives_nothing_builds_nothing():
    model = Sequential([Dense(3)])
    model.compile("mse")
    with pytest.raises(DataError, match=r"^The generator gave no batch\.$"):
        model.fit(iter([]), verbose=0)
    with pytest.raises(DataError, match=r"^A batch of the generator is int, not a tuple \(x, y\)\.$"):
        model.fit(iter([3]), verbose=0)
    assert not model.built


def test_what_counts_as_a_generator():
    pandas = pytest.importorskip("pandas")
    assert all(is_generator_like(x) for x in (iter([]), (i for i in ()), lambda: None, {1}.__iter__()))
    frame = pandas.DataFrame({"a": [1.0]})
    assert not any(is_generator_like(x) for x in ([1], (1,), {"x": 1}, np.zeros(1), frame, frame["a"], 5, None))
