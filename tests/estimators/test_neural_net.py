import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV

from pellucid import EarlyStopping, Input, Model, Sequential
from pellucid.errors import ConfigurationError, DataError
from pellucid.estimators import DivergedError, NeuralNetClassifier, NeuralNetRegressor
from pellucid.nn import BatchNorm, Dense, Dropout, Embedding, Flatten
from pellucid.optim import Adam
from pellucid.train import ReduceOnPlateau


def network(n_features_in, n_classes, units=16, rate=0.0):
    hidden = [Dense(units, activation="tanh"), BatchNorm(), Dropout(rate)]
    return Sequential([Input((n_features_in,)), *hidden, Dense(n_classes, activation="softmax")])


def waiting(units=4, out_activation="softmax", n_outputs=1):
    """A model without Input, which is built for the data."""
    return Sequential([Dense(units), Dense(n_outputs, activation=out_activation)])


def compiled(n_outputs):
    model = Sequential([Dense(n_outputs, activation="softmax")])
    model.compile("categorical_crossentropy", Adam(0.05), ["accuracy"])
    return model


def two_inputs():
    return Model([Input((1,)), Input((1,))], [Dense(1)(Input((1,)))])


def test_keywords_of_the_function_are_parameters():
    estimator = NeuralNetClassifier(network, units=8)
    assert {"units": 8, "rate": 0.0}.items() <= estimator.get_params().items()
    assert "n_features_in" not in estimator.get_params()
    assert clone(estimator.set_params(rate=0.5)).get_params()["rate"] == 0.5
    assert NeuralNetClassifier().set_params(build_fn=network, rate=0.25).get_params()["rate"] == 0.25
    assert "units=8" in repr(estimator)
    with pytest.raises(ValueError, match="unts"):
        estimator.set_params(unts=3)
    assert estimator.units == 8
    estimator.units = 9
    assert clone(estimator).get_params()["units"] == 9
    assert estimator.set_params(units=10).units == 10
    with pytest.raises(AttributeError, match="'NeuralNetClassifier' object has no attribute 'unts'"):
        estimator.unts  # noqa: B018


def test_a_search_over_keywords_of_the_function(data):
    x, y = data["iris"]
    search = GridSearchCV(NeuralNetClassifier(network, epochs=20, random_state=0), {"units": [1, 12]}, cv=3).fit(x, y)
    assert search.best_params_ == {"units": 12}
    assert search.best_estimator_.model_.layers[0].units == 12


def test_two_classes_need_one_output_or_two(data):
    x, y = data["breast_cancer"]
    one = NeuralNetClassifier(epochs=20, random_state=0).fit(x, y)
    two = NeuralNetClassifier(network, epochs=20, random_state=0).fit(x, y)
    for found in (one, two):
        assert found.score(x, y) > 0.95
        assert found.predict_proba(x).shape == (len(x), 2)
        np.testing.assert_allclose(found.predict_proba(x).sum(axis=1), 1, rtol=1e-6)
    assert (one.model_.outputs[0].sample_shape, two.model_.outputs[0].sample_shape) == ((1,), (2,))


def test_a_model_that_ends_in_logits_gives_probabilities(data):
    for name in ("iris", "breast_cancer"):
        x, y = data[name]
        found = NeuralNetClassifier(
            lambda n_outputs: Sequential([Dense(n_outputs)]), epochs=30, learning_rate=0.05, random_state=0
        )
        probable = found.fit(x, y).predict_proba(x)
        assert probable.min() >= 0
        np.testing.assert_allclose(probable.sum(axis=1), 1, rtol=1e-6)
        assert np.array_equal(found.classes_[probable.argmax(axis=1)], found.predict(x))
        assert found.score(x, y) > 0.9


def test_several_labels():
    x, y = make_multilabel_classification(200, random_state=0)
    found = NeuralNetClassifier(epochs=100, learning_rate=0.01, random_state=0).fit(x / 10, y)
    assert found.predict(x / 10).shape == y.shape
    assert (found.predict(x / 10) == y).mean() > 0.85


def test_several_targets():
    x, y = make_regression(200, 4, n_targets=2, random_state=0)
    found = NeuralNetRegressor(epochs=150, learning_rate=0.02, random_state=0).fit(x, y / 50)
    assert found.predict(x).shape == y.shape
    assert found.score(x, y / 50) > 0.95


def test_a_model_that_the_function_compiled_is_used_as_it_is(data):
    x, y = data["iris"]
    found = NeuralNetClassifier(compiled, epochs=20, optimizer="sgd", random_state=0).fit(x, y)
    assert isinstance(found.model_.optimizer, Adam)
    assert list(found.history_) == ["loss", "accuracy"]


def test_a_model_without_an_input_is_built_for_the_data(data):
    x, y = data["iris"]
    found = NeuralNetClassifier(waiting, units=6, epochs=30, learning_rate=0.02, random_state=0).fit(x, y)
    assert found.model_.get_weights()["dense.kernel"].shape == (4, 6)
    assert found.score(x, y) > 0.85


def test_whole_numbers_stay_whole_for_an_embedding():
    words = np.random.default_rng(0).integers(0, 9, (120, 5))
    y = (words == 3).any(axis=1)

    def reader(n_outputs, input_shape):
        return Sequential(
            [Input(input_shape, "int32"), Embedding(9, 4), Flatten(), Dense(n_outputs, activation="sigmoid")]
        )

    found = NeuralNetClassifier(reader, epochs=80, learning_rate=0.05, random_state=0).fit(words, y)
    assert found.score(words, y) > 0.95
    assert found.predict(words).dtype == bool


def test_samples_of_several_axes(data):
    images = data["digits"][0].reshape(-1, 8, 8, 1)[:300]
    y = data["digits"][1][:300]

    def flat(input_shape, n_outputs):
        return Sequential([Input(input_shape), Flatten(), Dense(n_outputs, activation="softmax")])

    found = NeuralNetClassifier(flat, epochs=20, learning_rate=0.01, random_state=0).fit(images, y)
    assert found.score(images, y) > 0.95
    assert found.problem_.input_shape == (8, 8, 1)
    with pytest.raises(DataError, match="but the model was built for"):
        found.predict(images[:, :, :7])


def test_it_is_the_fit_of_the_model(data):
    x, y = data["iris"]
    found = NeuralNetClassifier(network, epochs=3, random_state=0, metrics=["accuracy"]).fit(x, y)
    by_hand = found.model_.clone(found._seed)
    by_hand.compile("categorical_crossentropy", "adam", ["accuracy"])
    history = by_hand.fit(x, y, batch_size=32, epochs=3, seed=found._seed, verbose=0)
    assert found.history_ == history.history
    np.testing.assert_array_equal(found.predict_proba(x), by_hand.predict(x))


def test_parts_are_epochs(data):
    x, y = data["iris"]
    whole = NeuralNetClassifier(network, rate=0.3, epochs=4, random_state=0).fit(x, y)
    parts = NeuralNetClassifier(network, rate=0.3, random_state=0)
    for _ in range(4):
        parts.partial_fit(x, y, classes=[0, 1, 2])
    assert parts.history_ == whole.history_
    warm = NeuralNetClassifier(network, rate=0.3, epochs=2, random_state=0, warm_start=True).fit(x, y).fit(x, y)
    assert warm.history_ == whole.history_


def wider(n_features_in, n_outputs, width=7):
    return Sequential([Input((n_features_in,)), Dense(width), Dense(n_outputs, activation="softmax")])


def test_a_search_over_functions_of_other_keywords(data):
    x, y = data["iris"]
    functions = {"build_fn": [network, wider]}
    search = GridSearchCV(NeuralNetClassifier(network, epochs=2, random_state=0), functions, cv=2, error_score="raise")
    assert search.fit(x, y).best_estimator_.build_fn in (network, wider)
    changed = clone(NeuralNetClassifier(network)).set_params(build_fn=wider)
    assert changed.get_params()["width"] == 7
    assert "units" not in changed.get_params()
    with pytest.raises(ConfigurationError, match="has no parameter 'units', and build_fn takes: width"):
        NeuralNetClassifier(network, units=3).set_params(build_fn=wider).fit(x, y)


@pytest.mark.parametrize(
    "change", [{"units": 5}, {"build_fn": wider}, {"loss": "mse", "optimizer": "sgd", "metrics": ["accuracy"]}]
)
def test_a_fitted_network_is_copied_as_it_was_made(data, change):
    x, y = data["iris"]
    found = NeuralNetClassifier(network, units=8, epochs=2, random_state=0).fit(x, y)
    expected = found.predict_proba(x)
    found.set_params(**change)
    assert np.array_equal(found.predict_proba(x), expected)
    for copied in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert np.array_equal(copied.predict_proba(x), expected)
    assert change.items() <= found.get_params().items()


def test_training_goes_on_with_the_model_that_there_is(data):
    x, y = data["iris"]
    found = NeuralNetClassifier(network, units=8, epochs=2, warm_start=True, random_state=0).fit(x, y)
    with pytest.raises(ConfigurationError) as error:
        found.set_params(units=9).fit(x, y)
    assert str(error.value) == (
        "NeuralNetClassifier: training goes on with a model that was made with units=8, but units is 9 now.\n"
        "Hint: set warm_start=False and call fit to begin anew"
    )
    found.set_params(units=8, learning_rate=0.25).fit(x, y)
    assert found.model_.optimizer.learning_rate == 0.25
    found.set_params(learning_rate=None).partial_fit(x, y)
    assert found.model_.optimizer.learning_rate == Adam().learning_rate
    assert len(found.history_["loss"]) == 5
    with pytest.raises(DataError, match=r"classes=\[0, 1\] is not what the first call of partial_fit was given"):
        found.partial_fit(x, y, classes=[0, 1])


def test_a_learning_rate_that_a_callback_lowered_is_copied(data):
    x, y = data["iris"]
    plateau = ReduceOnPlateau("loss", factor=0.5, patience=1, min_delta=10.0)
    found = NeuralNetClassifier(network, epochs=4, callbacks=[plateau], random_state=0).fit(x, y)
    twin = pickle.loads(pickle.dumps(found))
    assert twin.model_.optimizer.learning_rate == found.model_.optimizer.learning_rate < 0.001
    assert twin.partial_fit(x, y).history_ == found.partial_fit(x, y).history_


def test_callbacks_begin_anew_in_every_fit(data):
    x, y = data["wine"]
    stopping = EarlyStopping("val_loss", patience=3)
    estimator = NeuralNetClassifier(
        epochs=400, validation_split=0.3, callbacks=[stopping], learning_rate=0.05, random_state=0
    )
    lengths = [len(estimator.fit(x, y).history_["val_loss"]) for _ in range(2)]
    assert lengths[0] == lengths[1] < 400
    assert stopping.stopped_epoch is None
    seen = []
    NeuralNetClassifier(epochs=3, callbacks=lambda epoch, logs: seen.append(epoch)).fit(x, y)
    assert seen == [0, 1, 2]


def test_class_weights_and_an_optimiser_of_ones_own(data):
    x, y = data["iris"]
    optimizer = Adam(0.02)
    found = NeuralNetClassifier(
        network, optimizer=optimizer, class_weight={0: 1, 1: 1e-6, 2: 1}, epochs=40, random_state=0
    ).fit(x, y)
    assert optimizer.iterations == 0
    assert 1 not in found.predict(x)
    assert accuracy_score(y[y != 1], found.predict(x[y != 1])) > 0.95


def test_the_precision_follows_the_data(data):
    x, y = data["iris"]
    for given, expected in (("float32", "float32"), ("float64", "float64"), ("uint8", "float32")):
        found = NeuralNetClassifier(epochs=1).fit(np.abs(x).astype(given), y)
        assert {w.dtype.name for w in found.weights_.values()} == {expected}


@pytest.mark.parametrize(
    ("build_fn", "settings", "message"),
    [
        (3, {}, "build_fn must be None or a function that returns a model, not 3."),
        (lambda: "model", {}, "build_fn returned 'model', which is no Sequential or Model"),
        (lambda colour: None, {}, "build_fn needs 'colour', which was not given"),
        (network, {"unts": 3}, "has no parameter 'unts', and build_fn takes: units, rate"),
        (waiting, {"n_outputs": 2}, "has no parameter 'n_outputs'"),
        (lambda: Sequential([Dense(7, activation="softmax")]), {}, r"have the shape \[7\], but 3 multiclass classes"),
        (network, {"optimizer": "adm"}, "optimizer must be an Optimizer or one of"),
        (network, {"epochs": 0}, "epochs must be a whole number of at least 1, not 0."),
        (network, {"validation_split": 1.0}, "validation_split must be a number in"),
    ],
)
def test_what_does_not_fit_is_said(data, build_fn, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        NeuralNetClassifier(build_fn, **settings).fit(*data["iris"])


@pytest.mark.parametrize("make", [NeuralNetClassifier, NeuralNetRegressor])
def test_sparse_matrices_are_taken(data, make):
    x, y = data["wine"]
    x = np.where(x > 0, x, 0.0)
    dense = make(epochs=2, random_state=0).fit(x, y)
    found = make(epochs=2, random_state=0).fit(sparse.csr_matrix(x), y)
    assert np.array_equal(found.predict(sparse.csc_matrix(x)), dense.predict(x))
    assert np.array_equal(found.partial_fit(sparse.csr_array(x), y).predict(x), dense.partial_fit(x, y).predict(x))


def test_errors_of_going_on(data):
    x, y = data["iris"]
    with pytest.raises(DataError, match="classes must be passed"):
        NeuralNetClassifier().partial_fit(x, y)
    part = NeuralNetClassifier().partial_fit(x[:10], y[:10], classes=[0, 1, 2])
    with pytest.raises(DataError, match=r"y has the classes \[9\]"):
        part.partial_fit(x[:1], [9])
    with pytest.raises(ConfigurationError, match=r"have the shape \[1\], but y needs \[2\]"):
        NeuralNetRegressor(lambda: Sequential([Dense(1)])).fit(x, np.c_[y, y])
    with pytest.raises(DivergedError, match="became") as caught:
        NeuralNetRegressor(optimizer="sgd", learning_rate=1e9, random_state=0).fit(x, y)
    assert caught.value.cause is not None
    assert caught.value.step is not None
