import copy

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.select.nets import X, Y, net

from pellucid.errors import ConfigurationError, DataError
from pellucid.select import Bootstrap, Nested, cross_validate
from pellucid.select.folds import Fold
from pellucid.select.preparing import Inputs


class Spy(TransformerMixin, BaseEstimator):
    """Remembers the samples that it was fitted on; the first column numbers them."""

    seen: list = []  # noqa: RUF012 - shared by the copies on purpose

    def fit(self, x, y=None):
        Spy.seen.append(x[:, 0].astype(int))
        return self

    def transform(self, x):
        return x


@pytest.mark.parametrize("cv", [5, "holdout", Bootstrap(4), Nested(3, 3)])
def test_preprocessing_sees_the_training_rows_of_its_fold_and_no_others(cv):
    numbered = np.column_stack([np.arange(150.0), X])
    Spy.seen.clear()
    found = cross_validate(net(features=5), numbered, Y, cv=cv, preprocess=Spy())
    fitted_on = {tuple(rows) for rows in Spy.seen}
    wanted = {tuple(fold.train) for outer in found.folds for fold in (outer, *outer.inner)}
    assert wanted <= fitted_on
    assert all(rows == tuple(range(150)) for rows in fitted_on - wanted)  # the resubstitution of the bootstrap
    if not isinstance(cv, Bootstrap):
        assert fitted_on == wanted


def test_selecting_features_of_noise_inside_the_folds_gives_chance_where_a_leak_would_not():
    r = np.random.default_rng(0)
    x, y = r.normal(size=(60, 2000)), np.arange(60) % 2
    model = lambda: net(features=None)  # noqa: E731
    inside = cross_validate(model, x, y, cv=5, preprocess=SelectKBest(k=20), epochs=30)
    leaked = cross_validate(model, SelectKBest(k=20).fit_transform(x, y), y, cv=5, epochs=30)
    assert leaked.best_score_ > 0.8
    assert inside.best_score_ < 0.7


def test_a_list_of_transformers_is_a_pipeline_and_may_change_the_number_of_features():
    found = cross_validate(lambda: net(features=None), X, Y, cv=3, preprocess=[StandardScaler(), PCA(0.97)], epochs=2)
    assert len(found.results) == 3


def test_folds_whose_preprocessing_gives_other_features_are_trained_beside_each_other():
    colours = np.array(["red"] * 50 + ["green"] * 99 + ["blue"])[:, None]
    encoder = OneHotEncoder(handle_unknown="ignore")
    folds = [(np.arange(0, 150, 2), np.arange(1, 150, 2)), (np.arange(1, 150, 2), np.arange(0, 150, 2))]
    found = cross_validate(lambda: net(features=None), colours, Y, cv=folds, preprocess=encoder, keep_models=True)
    assert sorted(outcome.model.inputs[0].sample_shape[0] for outcome in found.scores.outcomes) == [2, 3]


def test_columns_of_a_data_frame_are_transformed_by_name():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    frame["kind"] = np.where(X[:, 0] > 5, "big", "small")
    prepare = ColumnTransformer([("n", StandardScaler(), list("abcd")), ("k", OneHotEncoder(), ["kind"])])
    found = cross_validate(net(features=6), frame, Y, cv=3, preprocess=prepare)
    assert found.refit().predict(frame).shape == (150, 3)


@pytest.mark.parametrize("given", ["scale", StandardScaler, 3])
def test_what_is_no_transformer_is_refused(given):
    with pytest.raises(ConfigurationError, match="preprocess must be a transformer"):
        cross_validate(net(), X, Y, preprocess=given)


def test_what_a_transformer_cannot_fit_is_an_error_of_the_data():
    with pytest.raises(DataError, match="cannot be fitted: could not convert string to float"):
        cross_validate(net(features=1), np.array([["a"], ["b"]] * 10), np.arange(20) % 2, preprocess=StandardScaler())


def test_a_copy_for_another_process_knows_no_folds_and_holds_arrays():
    fold = Fold(0, 0, np.arange(100), np.arange(100, 150))
    inputs = Inputs(X.tolist(), StandardScaler(), Y)
    prepared = inputs.of(fold)
    other = copy.copy(inputs)  # as pickling does it
    assert not other._kept
    assert inputs._kept
    assert isinstance(other.x, np.ndarray)
    assert np.array_equal(other.of(fold), prepared)
