import numpy as np
import pytest

from pellucid import EarlyStopping, Input, Population, Sequential, set_seed
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import BatchNorm, Dense, Dropout
from pellucid.nn.regularizers import L2
from pellucid.optim import SGD, Adam, Momentum
from pellucid.train import Recorder, Recording, structure

R = np.random.default_rng(0)
X, Y = R.normal(size=(90, 4)).astype("float32"), R.integers(0, 3, 90)
N = 5
RATES, SHARES, STRENGTHS, DROPS = (
    [0.01, 0.02, 0.05, 0.1, 0.3],
    [0.5, 0.6, 0.7, 0.8, 0.9],
    [0.001, 0.002, 0.01, 0.02, 0.05],
    [0.1, 0.2, 0.3, 0.4, 0.5],
)


def net(learning_rate=0.1, momentum=0.9, l2=0.01, rate=0.2, backend=None):
    layers = [
        Dense(7, activation="tanh", kernel_regularizer=L2(l2)),
        BatchNorm(),
        Dropout(rate),
        Dense(3, activation="softmax", kernel_regularizer=L2(l2)),
    ]
    model = Sequential([Input((4,)), *layers])
    model.compile("categorical_crossentropy", Momentum(learning_rate, momentum), ["accuracy"], backend=backend)
    return model


def same(a, b):
    return all(np.array_equal(value, b.get_weights()[name]) for name, value in a.get_weights().items())


def options():
    return {"seed": 3, "learning_rate": RATES, "momentum": SHARES, "l2": STRENGTHS, "dropout": DROPS}


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_each_member_equals_the_same_fit_alone_bit_for_bit(backend):
    rows = [R.permutation(90)[:61] for _ in range(N)]
    held_out = [R.permutation(90)[:20] for _ in range(N)]
    population = Population(net(backend=backend), N, **options())
    stop = EarlyStopping(patience=1)
    histories = population.fit(X, Y, rows=rows, validation_rows=held_out, epochs=6, batch_size=16, callbacks=[stop])
    for k in range(N):
        set_seed(3 + k)
        alone = net(RATES[k], SHARES[k], STRENGTHS[k], DROPS[k], backend)
        history = alone.fit(
            X[rows[k]],
            Y[rows[k]],
            validation_data=(X[held_out[k]], Y[held_out[k]]),
            epochs=6,
            batch_size=16,
            seed=3 + k,
            callbacks=[EarlyStopping(patience=1)],
            verbose=0,
        )
        assert same(alone, population[k])
        assert history["loss"] == histories[k]["loss"]
        assert history["val_accuracy"] == histories[k]["val_accuracy"]
        assert history.stopped_by == histories[k].stopped_by


def test_without_observers_a_member_equals_the_same_fit_alone():
    population = Population(net(), N, **options())
    histories = population.fit(X, Y, epochs=4, batch_size=16, validation_data=(X[:31], Y[:31]))
    for k in range(N):
        set_seed(3 + k)
        alone = net(RATES[k], SHARES[k], STRENGTHS[k], DROPS[k])
        seen = []
        history = alone.fit(
            X, Y, epochs=4, batch_size=16, seed=3 + k, validation_data=(X[:31], Y[:31]), verbose=0,
            callbacks=lambda epoch, logs, seen=seen: seen.append(logs["val_loss"]),
        )  # fmt: skip
        assert same(alone, population[k])
        assert history["val_loss"] == seen == histories[k]["val_loss"]
        assert history["loss"] == histories[k]["loss"]


def test_members_share_one_compiled_step():
    structure.SHARED.clear()
    Population(net(), N, **options()).fit(X[:64], Y[:64], batch_size=16)
    assert len(structure.SHARED._programs) == 1


def test_a_mask_of_rows_says_the_same_as_their_numbers():
    mask = np.arange(90) % 3 > 0
    a, b = (Population(net(), 2, seed=1) for _ in range(2))
    a.fit(X, Y, rows=[mask, ~mask])
    b.fit(X, Y, rows=[np.flatnonzero(mask), np.flatnonzero(~mask)])
    assert all(same(one, other) for one, other in zip(a, b, strict=True))


def test_a_member_that_diverges_is_reported_and_the_others_go_on():
    model = Sequential([Input((4,)), Dense(1)])
    model.compile("mse", SGD(0.1))
    population = Population(model, 3, seed=0, learning_rate=[0.01, 1e30, 0.02])
    histories = population.fit(X, Y.astype("float32"), epochs=3)
    assert list(population.failures) == [1]
    assert "The loss became" in str(population.failures[1])
    assert [len(h) for h in histories] == [3, 0, 3]
    assert all(np.isfinite(v).all() for v in population[1].get_weights().values())


def test_a_model_is_built_by_the_first_data_and_predictions_are_stacked():
    set_seed(0)
    model = Sequential([Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", Adam())
    population = Population(model, 2)
    population.fit(X, Y)
    assert population.predict(X[:5]).shape == (2, 5, 3)
    assert len(population) == len(list(population)) == len(population.evaluate(X, Y)) == 2
    assert not same(population[0], population[1])


def test_the_model_itself_is_not_touched():
    model = net()
    before = model.get_weights()
    Population(model, 2, learning_rate=0.5).fit(X, Y)
    assert all(np.array_equal(before[name], value) for name, value in model.get_weights().items())
    assert model.optimizer.learning_rate == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": [0.1, 0.2, 0.3]}, "learning_rate has 3 values for 2 members"),
        ({"momentum": 2.0}, "momentum must be a number"),
        ({"dropout": -0.5}, "rate must be a number"),
        ({"l2": -1.0}, "strength must be a finite number of at least 0"),
        ({"seed": [1]}, "seed has 1 values for 2 members"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Population(net(), 2, **options)


def test_what_a_model_does_not_have_cannot_be_set():
    model = Sequential([Input((4,)), BatchNorm()])
    model.compile("mse", Adam())
    for name, message in (("momentum", "Adam has no momentum"), ("l2", "the model has none"), ("dropout", "has none")):
        with pytest.raises(ConfigurationError, match=message):
            Population(model, 2, **{name: 0.1})
    with pytest.raises(ConfigurationError, match="n must be a whole number of at least 1"):
        Population(model, 0)


@pytest.mark.parametrize("rows", [[[0, 90], [1]], [[-1], [0]], [[0.5], [1]], [[], [1]], [np.ones(89, bool), [0]]])
def test_rows_that_do_not_exist_are_refused(rows):
    with pytest.raises(DataError, match=r"rows\[0\]"):
        Population(net(), 2).fit(X, Y, rows=rows)
    with pytest.raises(ConfigurationError, match="rows has 1 entries for 2 members"):
        Population(net(), 2).fit(X, Y, rows=[[0]])


def test_members_read_inputs_of_their_own_as_if_they_were_alone():
    inputs = [X, 2 * X, X]
    population = Population(net(), 3, seed=3)
    population.fit(None, Y, inputs=inputs, rows=[np.arange(60)] * 3, validation_rows=[np.arange(60, 90)] * 3, epochs=3)
    for k, own in enumerate(inputs):
        set_seed(3 + k)
        alone = net()
        held_out = (own[60:], Y[60:])
        history = alone.fit(own[:60], Y[:60], epochs=3, seed=3 + k, validation_data=held_out, verbose=0)
        assert same(alone, population[k])
        assert history["val_loss"] == population.histories[k]["val_loss"]


def test_inputs_are_one_for_each_member_with_as_many_samples():
    with pytest.raises(ConfigurationError, match="inputs has 1 entries for 2 members"):
        Population(net(), 2).fit(None, Y, inputs=[X])
    with pytest.raises(DataError, match=r"inputs\[1\] has 80 samples, inputs\[0\] has 90"):
        Population(net(), 2).fit(None, Y, inputs=[X, X[:80]])


def test_each_member_that_ends_is_shown_with_its_number():
    model = Sequential([Input((4,)), Dense(1)])
    model.compile("mse", SGD(0.1))
    population, seen = Population(model, 3, seed=0, learning_rate=[0.01, 1e30, 0.02]), {}
    population.fit(X, Y.astype("float32"), epochs=2, on_member_end=lambda k, member: seen.update({k: member}))
    assert sorted(seen) == [0, 2]
    assert all(seen[k] is population[k] for k in seen)
    assert not population.interrupted


def test_members_are_recorded_each_in_a_folder_of_its_own(tmp_path):
    plain = Population(net(), 3, seed=0)
    plain.fit(X, Y, epochs=3, batch_size=16)
    recorded = Population(net(), 3, seed=0)
    recorder = Recorder("stats", every=4, path=tmp_path / "members")
    histories = recorded.fit(X, Y, epochs=3, batch_size=16, record=recorder)
    for number, history in enumerate(histories):
        assert history.recording.steps == [1, 5, 9, 13, 17, 18]
        assert Recording.load(tmp_path / "members" / str(number)).frame().equals(history.recording.frame())
    first, second = (histories[k].recording.frame("steps", "numpy")["loss"] for k in (0, 1))
    assert first[0] != second[0]
    assert all(same(one, other) for one, other in zip(plain, recorded, strict=True))
    with pytest.raises(ConfigurationError, match="nothing is recorded"):
        plain.fit(X, Y, every=3)
