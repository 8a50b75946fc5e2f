import numpy as np
import pytest
from sklearn import model_selection as sk
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.select.nets import X, Y, regression

from pellucid import estimators
from pellucid.errors import ConfigurationError, DataError
from pellucid.select import cross_validate, evaluate_once

GRID = {"alpha": [0.001, 1.0], "hidden_layer_sizes": [(3,), (5,)]}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_results_are_those_of_scikit_learns_grid_search():
    model = MLPClassifier(max_iter=5, random_state=0)
    cv = sk.StratifiedKFold(4, shuffle=True, random_state=0)
    search = sk.GridSearchCV(model, GRID, cv=cv, return_train_score=True).fit(X, Y)
    found = cross_validate(model, X, Y, cv=4, grid=GRID)
    ours, theirs = found.cv_results_, search.cv_results_
    assert set(theirs) <= set(ours)
    assert ours["params"] == theirs["params"]
    for key in theirs:
        if "test_score" in key or "train_score" in key:
            assert np.allclose(ours[key], theirs[key]), key
    assert found.best_params_ == search.best_params_
    assert np.array_equal(found.refit().predict(X), search.predict(X))
    assert np.array_equal(found.predictions.labels(), sk.cross_val_predict(search.best_estimator_, X, Y, cv=cv))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_pipeline_equals_preprocessing_inside_the_folds():
    mlp = estimators.MLPClassifier((4,), max_iter=5, random_state=0)
    own = cross_validate(mlp, X, Y, cv=3, preprocess=StandardScaler(), scoring=["f1_macro", "roc_auc_ovr"])
    piped = cross_validate(make_pipeline(StandardScaler(), mlp), X, Y, cv=3, scoring=["f1_macro", "roc_auc_ovr"])
    for name in ("validation_f1_macro", "validation_roc_auc_ovr", "train_f1_macro"):
        assert np.array_equal(own.results[name], piped.results[name])


def test_numbers_are_scored_by_r2_and_names_are_classes():
    x, y = regression()
    expected = sk.cross_val_score(Ridge(), x, y, cv=sk.KFold(5, shuffle=True, random_state=0))
    assert np.allclose(cross_validate(Ridge(), x, y).results["validation_r2"], expected)
    words = np.array(["one", "two", "three"])[Y]
    found = cross_validate(RidgeClassifier(), X, words, cv=3)  # it has no probabilities
    assert set(found.predictions.labels()) <= set(words)
    assert (found.predictions.labels() == words).mean() == pytest.approx(found.best_score_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_seed_is_the_random_state():
    found = cross_validate(MLPClassifier(max_iter=3), X, Y, cv=2, seeds=[4, 9], keep_models=True)
    assert [o.model.random_state for o in found.scores.outcomes] == [4, 9, 4, 9]


def test_texts_may_be_lists():
    words = ["warm sun", "cold snow", "warm sea", "cold ice", "warm sand", "cold wind"] * 3
    names = ["summer", "winter"] * 9
    found = cross_validate(make_pipeline(CountVectorizer(), LogisticRegression()), words, names, cv=3)
    assert found.best_score_ == 1.0
    assert found.predictions.labels().tolist() == names
    with pytest.raises(DataError, match="y is empty"):
        cross_validate(LogisticRegression(), words, [])


def test_an_unknown_parameter_of_an_estimator_is_refused_before_anything_is_fitted():
    with pytest.raises(ConfigurationError, match="grid: Invalid parameter 'c' for estimator LogisticRegression"):
        cross_validate(LogisticRegression(), X, Y, grid={"C": [1.0], "c": [1.0]})


def test_a_score_that_a_fold_does_not_have_is_told():
    def picky(y, predicted):
        if len(np.unique(y)) < 3:
            raise ValueError("one class is missing")
        return 1.0

    folds = [(np.arange(0, 150, 2), np.arange(1, 150, 2)), (np.arange(0, 150, 2), np.arange(1, 50, 2))]
    found = cross_validate(LogisticRegression(max_iter=500), X, Y, cv=folds, scoring=picky)
    assert np.isnan(found.scores.cube("picky")).reshape(-1).tolist() == [False, True]
    assert found.results["failure"].tolist() == [None, "picky: one class is missing"]


def test_a_fit_that_fails_is_told():
    found = cross_validate(Ridge(), *regression(), grid={"alpha": [1.0, -1.0]}, cv=3)
    assert all("alpha" in text for text in found.results.where(alpha=-1.0)["failure"])
    assert found.best_params_ == {"alpha": 1.0}


def test_a_refitted_estimator_scores_a_test_set(tmp_path):
    found = cross_validate(Ridge(), *regression(), cv=3, preprocess=StandardScaler()).refit()
    assert evaluate_once(found, *regression(seed=1), folder=tmp_path).scores == found.evaluate(*regression(seed=1))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_our_perceptron_gets_the_scores_of_scikit_learns_on_the_same_folds():
    cv = sk.StratifiedKFold(4, shuffle=True, random_state=0)
    theirs = sk.cross_validate(MLPClassifier((6,), max_iter=30, random_state=0), X, Y, cv=cv, scoring="neg_log_loss")
    ours = cross_validate(
        estimators.MLPClassifier((6,), max_iter=30, random_state=0), X, Y, cv=cv, scoring="neg_log_loss"
    )
    assert np.allclose(ours.results["validation_neg_log_loss"], theirs["test_score"], rtol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", [MLPClassifier(max_iter=5), estimators.MLPClassifier((4,), max_iter=5)])
def test_estimators_in_processes_are_those_fitted_here(model):
    options = {"cv": 3, "seeds": [0, 4], "grid": {"alpha": [0.001, 1.0]}, "preprocess": StandardScaler()}
    here = cross_validate(model, X, Y, keep_models=True, **options)
    there = cross_validate(model, X, Y, keep_models=True, executor="processes", n_jobs=2, **options)
    for name in here.results.columns:
        if "seconds" not in name:
            assert list(there.results[name]) == list(here.results[name]), name
    for a, b in zip(here.scores.outcomes, there.scores.outcomes, strict=True):
        assert np.array_equal(a.outputs, b.outputs)
        assert np.array_equal(a.model.predict_proba(X), b.model.predict_proba(X))


def test_warnings_are_errors_in_processes_too_where_they_are_here():
    with pytest.raises(ConvergenceWarning, match="Maximum iterations"):
        cross_validate(MLPClassifier(max_iter=3), X, Y, cv=2, executor="processes", n_jobs=2)


def test_several_estimators_at_once_need_processes():
    with pytest.raises(ConfigurationError, match=r"(?s)one after the other.*executor='processes', n_jobs=2"):
        cross_validate(Ridge(), *regression(), n_jobs=2)
