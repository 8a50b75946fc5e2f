import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_iris, make_moons
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import NotFittedError
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from pellucid.classic.boosting import AdaBoostStumps, SortedFeatures, Stump, boost
from pellucid.errors import ConfigurationError, DataError


def sorted_features(x):
    columns = np.ascontiguousarray(np.asarray(x, "float32").T)
    return SortedFeatures(lambda start, stop: columns[start:stop], len(columns))


@pytest.mark.parametrize("rounds", [1, 10, 60])
@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_with_gini_stumps_it_is_scikit_learns(rounds, rate):
    x, y = load_breast_cancer(return_X_y=True)
    x = x.astype("float32")
    model = AdaBoostStumps(rounds, learning_rate=rate, criterion="gini").fit(x, y)
    peer = AdaBoostClassifier(
        DecisionTreeClassifier(max_depth=1), n_estimators=rounds, learning_rate=rate, random_state=0
    ).fit(x, y)
    assert [stump.feature for stump in model.stumps_] == [tree.tree_.feature[0] for tree in peer.estimators_]
    assert [stump.threshold for stump in model.stumps_] == [tree.tree_.threshold[0] for tree in peer.estimators_]
    np.testing.assert_allclose(model.estimator_errors_, peer.estimator_errors_, rtol=1e-9)
    np.testing.assert_allclose(model.estimator_weights_, peer.estimator_weights_, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(x), peer.predict(x))
    np.testing.assert_allclose(2 * model.decision_function(x), peer.decision_function(x), atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(x), peer.predict_proba(x), atol=1e-9)


@given(st.integers(2, 25), st.integers(1, 4), st.integers(0, 999))
def test_no_stump_has_a_smaller_weighted_error(samples, features, seed):
    r = np.random.default_rng(seed)
    x = r.normal(size=(samples, features)).round(1).astype("float32")
    labels, weights = r.choice([-1, 1], samples), r.uniform(0.1, 1, samples)
    stump = sorted_features(x).best_stump(weights * labels)

    def error(candidate):
        return weights[candidate.predict(x[:, candidate.feature]) != labels].sum()

    values = [np.unique(x[:, feature]) for feature in range(features)]
    cuts = [(f, cut) for f in range(features) for cut in (-np.inf, *((values[f][1:] + values[f][:-1]) / 2))]
    every = [Stump(f, cut, side, -side) for f, cut in cuts for side in (-1, 1)]
    assert error(stump) == pytest.approx(min(error(candidate) for candidate in every))


@pytest.mark.parametrize("criterion", ["error", "gini"])
def test_after_each_round_the_stump_is_as_good_as_chance(criterion):
    """The weights are raised until it is right on half of them: the next stump must know something else."""
    x, y = make_moons(200, noise=0.3, random_state=0)
    labels, weights = 2 * y - 1, np.full(200, 1 / 200)
    for found, _ in zip(boost(sorted_features(x), labels, weights, criterion=criterion), range(10), strict=False):
        wrong = found.stump.predict(x[:, found.stump.feature].astype("float32")) != labels
        assert weights[wrong].sum() == pytest.approx(found.error)
        weights = weights * np.exp(found.weight * wrong)
        weights /= weights.sum()
        assert weights[wrong].sum() == pytest.approx(0.5)


def test_the_training_error_stays_below_the_bound_of_freund_and_schapire():
    x, y = load_breast_cancer(return_X_y=True)
    model = AdaBoostStumps(40).fit(x, y)
    bound = np.cumprod(2 * np.sqrt(model.estimator_errors_ * (1 - model.estimator_errors_)))
    errors = [float((labels != y).mean()) for labels in model.staged_predict(x)]
    assert all(error <= limit for error, limit in zip(errors, bound, strict=True))
    assert errors[-1] == 0


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_engine_and_the_reference_boost_alike(backend, monkeypatch):
    x, y = make_moons(150, noise=0.2, random_state=1)
    expected = AdaBoostStumps(20).fit(x, y)
    monkeypatch.setenv("PELLUCID_BACKEND", backend)
    assert AdaBoostStumps(20).fit(x, y).stumps_ == expected.stumps_


def test_a_perfect_stump_ends_the_rounds():
    model = AdaBoostStumps().fit([[0.0], [1.0], [2.0]], ["a", "a", "b"])
    assert model.stumps_ == (Stump(0, 1.5, -1, 1),)
    assert model.estimator_weights_.tolist() == [1.0]
    assert model.predict([[1.4], [1.6]]).tolist() == ["a", "b"]


def test_features_that_say_nothing_give_the_heavier_class():
    x = np.zeros((5, 2))
    assert AdaBoostStumps().fit(x, [0, 1, 1, 0, 1]).predict(x[:1]).tolist() == [1]
    assert AdaBoostStumps().fit(x, [0, 1, 0, 0, 1]).predict(x[:1]).tolist() == [0]
    balanced = AdaBoostStumps().fit(x[:4], [0, 1, 0, 1])
    assert balanced.stumps_ == ()
    assert balanced.decision_function(x[:1]).tolist() == [0.0]
    assert balanced.feature_importances_.tolist() == [0.0, 0.0]


def test_importances_are_the_shares_of_the_weights():
    x, y = load_breast_cancer(return_X_y=True)
    model = AdaBoostStumps(15).fit(x, y)
    assert model.feature_importances_.sum() == pytest.approx(1)
    first = model.stumps_[0].feature
    own = [w for stump, w in zip(model.stumps_, model.estimator_weights_, strict=True) if stump.feature == first]
    assert model.feature_importances_[first] == pytest.approx(sum(own) / model.estimator_weights_.sum())


def test_a_weight_counts_as_so_many_samples():
    x, y = make_moons(60, noise=0.3, random_state=2)
    weights = np.random.default_rng(0).integers(0, 4, 60)
    weighted = AdaBoostStumps(8).fit(x, y, sample_weight=weights)
    repeated = AdaBoostStumps(8).fit(np.repeat(x, weights, axis=0), np.repeat(y, weights))
    assert weighted.stumps_ == repeated.stumps_
    np.testing.assert_allclose(weighted.estimator_weights_, repeated.estimator_weights_)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"n_estimators": 0}, "AdaBoostStumps: n_estimators must be a whole number of at least 1, not 0."),
        ({"learning_rate": -1}, "AdaBoostStumps: learning_rate must be a finite number above 0, not -1."),
        ({"criterion": "entropy"}, "AdaBoostStumps: criterion must be one of 'error', 'gini', not 'entropy'."),
    ],
)
def test_settings_out_of_range_are_refused(settings, text):
    with pytest.raises(ConfigurationError) as error:
        AdaBoostStumps(**settings).fit([[0.0], [1.0]], [0, 1])
    assert str(error.value) == text


def test_more_than_two_classes_are_refused():
    with pytest.raises(DataError, match="AdaBoostStumps learns exactly 2 classes, y has 3 classes"):
        AdaBoostStumps().fit(*load_iris(return_X_y=True))


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([1.0], "sample_weight must have the shape [2], one a sample, not [1]."),
        ([1.0, -1.0], "sample_weight must be finite and not negative, and not all zero."),
        ([0.0, 0.0], "sample_weight must be finite and not negative, and not all zero."),
    ],
)
def test_wrong_sample_weights_are_refused(weights, text):
    with pytest.raises(DataError) as error:
        AdaBoostStumps().fit([[0.0], [1.0]], [0, 1], sample_weight=weights)
    assert str(error.value) == text


def test_it_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        AdaBoostStumps().predict([[1.0]])


def test_boosting_needs_a_feature():
    with pytest.raises(DataError, match="Boosting needs at least one feature, there is none"):
        SortedFeatures(lambda start, stop: np.empty((0, 3), "float32"), 0)


@parametrize_with_checks([AdaBoostStumps(), AdaBoostStumps(criterion="gini")])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)
