import numpy as np
import pytest

from pellucid import Input, Model, Sequential
from pellucid.errors import ConfigurationError, DataError, ShapeError
from pellucid.nn import Add, Conv2D, Dense, Embedding, Flatten, MaxPool2D

R = np.random.default_rng(0)


def images():
    layers = [Conv2D(3, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(4, activation="softmax")]
    return Sequential([Input((6, 6, 1)), *layers])


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("batch_size", [1, 3, 17])
def test_a_predictor_gives_what_predict_gives(backend, batch_size):
    model = images()
    model.compile("mse", backend=backend)
    predictor = model.predictor(batch_size)
    for _ in range(3):
        x = R.normal(size=(batch_size, 6, 6, 1)).astype("float32")
        np.testing.assert_array_equal(predictor(x), model.predict(x, batch_size=batch_size))


def test_results_are_not_overwritten_by_the_next_call():
    predictor = images().predictor()
    first = predictor(np.zeros((1, 6, 6, 1), "float32"))
    kept = first.copy()
    predictor(np.ones((1, 6, 6, 1), "float32"))
    np.testing.assert_array_equal(first, kept)


def test_a_predictor_follows_its_model():
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("mse", "sgd")
    predictor, x = model.predictor(), np.ones((1, 3), "float32")
    before = predictor(x)
    model.fit(R.normal(size=(20, 3)), R.normal(size=20), verbose=0)
    after = predictor(x)
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, model.predict(x))


def test_lists_integers_and_booleans_are_taken_too():
    predictor = Sequential([Input((2,)), Dense(1)]).predictor(2)
    expected = predictor(np.array([[1, 0], [0, 1]], "float32"))
    for given in ([[1, 0], [0, 1]], np.eye(2, dtype="int64"), np.eye(2, dtype=bool), np.eye(2)):
        np.testing.assert_array_equal(predictor(given), expected)


def test_a_functional_model_takes_an_array_per_input():
    a, b = Input((2,)), Input((2,))
    both = Add()([Dense(3)(a), Dense(3)(b)])
    model = Model([a, b], [both, Dense(1)(both)])
    x, y = (R.normal(size=(1, 2)).astype("float32") for _ in range(2))
    found, expected = model.predictor()(x, y), model.predict([x, y])
    assert [out.shape for out in found] == [(1, 3), (1, 1)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_wrong_inputs_are_refused():
    predictor = Sequential([Input((2,)), Dense(1)]).predictor()
    with pytest.raises(ShapeError, match=r"was made for inputs \[1, 2\], but input 0 is \[2, 2\]"):
        predictor(np.zeros((2, 2), "float32"))
    with pytest.raises(ShapeError, match="takes 1 inputs, not 2"):
        predictor(np.zeros((1, 2), "float32"), np.zeros((1, 2), "float32"))
    with pytest.raises(ConfigurationError, match="batch_size"):
        Sequential([Input((2,)), Dense(1)]).predictor(0)


def test_an_index_outside_of_an_embedding_is_an_error_and_the_predictor_works_on():
    model = Sequential([Input((2,), "int32"), Embedding(5, 3), Flatten()])
    predictor = model.predictor()
    with pytest.raises(DataError):
        predictor(np.array([[1, 7]], "int32"))
    good = np.array([[1, 4]], "int32")
    np.testing.assert_array_equal(predictor(good), model.predict(good))
