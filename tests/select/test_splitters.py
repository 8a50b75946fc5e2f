import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

from pellucid.data import train_test_split
from pellucid.errors import ConfigurationError, DataError
from pellucid.select import SCHEMES, Bootstrap, Holdout, Nested, splitter


def test_a_bootstrap_sample_has_as_many_rows_as_the_data_and_tests_on_all_that_it_left_out():
    for train, test in Bootstrap(20, 3).split(np.zeros((30, 1))):
        assert len(train) == 30
        assert set(train) | set(test) == set(range(30))
        assert not set(train) & set(test)


def test_a_bootstrap_sample_leaves_out_a_share_near_1_over_e():
    shares = [len(test) / 400 for _, test in Bootstrap(50).split(np.zeros((400, 1)))]
    assert np.mean(shares) == pytest.approx((1 - 1 / 400) ** 400, abs=0.01)


def test_the_bootstrap_draws_groups_where_there_are_groups():
    groups = np.repeat(np.arange(8), 5)
    for train, test in Bootstrap(10).split(np.zeros((40, 1)), None, groups):
        assert not set(groups[train]) & set(groups[test])
        drawn = np.bincount(groups[train], minlength=8)
        assert drawn.sum() == 40
        assert (drawn % 5 == 0).all()


def test_the_same_seed_draws_the_same_samples_and_another_seed_others():
    def samples(seed):
        return [train.tolist() for train, _ in Bootstrap(5, seed).split(np.zeros((20, 1)))]

    assert samples(1) == samples(1) != samples(2)


def test_scikit_learns_search_takes_the_bootstrap():
    x, y = np.arange(40.0)[:, None], np.arange(40) // 20
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, cv=Bootstrap(7)).fit(x, y)
    assert search.n_splits_ == 7
    assert search.best_score_ > 0.9


@given(n=st.integers(2, 4), seed=st.integers(0, 50))
def test_even_of_a_few_rows_a_bootstrap_sample_leaves_one_out(n, seed):
    assert all(len(test) for _, test in Bootstrap(5, seed).split(np.zeros((n, 1))))


def test_one_row_cannot_be_left_out():
    with pytest.raises(DataError, match="leaves something out only of 2 rows or more, not of 1"):
        next(Bootstrap().split(np.zeros((1, 1))))
    with pytest.raises(DataError, match="of 2 groups or more, not of 1"):
        next(Bootstrap().split(np.zeros((5, 1)), None, np.zeros(5)))


def test_the_holdout_is_that_of_train_test_split():
    x, y = np.arange(50)[:, None], np.arange(50) % 3
    ((train, test),) = Holdout(0.3, 7).split(x, y)
    (expected, _), (held, _) = train_test_split(x, y, fraction=0.3, seed=7)
    assert np.array_equal(x[train], expected)
    assert np.array_equal(x[test], held)
    assert Holdout().get_n_splits() == 1


def test_every_scheme_has_a_splitter_and_takes_its_settings():
    for name, scheme in SCHEMES.items():
        made = splitter(name, seed=1, **{k: {"folds": 3, "repeats": 2, "fraction": 0.25}[k] for k in scheme.defaults})
        assert hasattr(made, "split") or isinstance(made, Nested)
    assert splitter("K-fold").n_splits == 10
    assert splitter("Leave one out").get_n_splits(np.zeros((5, 1))) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheme": "kfolds"}, "Unknown cross-validation scheme 'kfolds'.*\n.*did you mean 'kfold'"),
        ({"scheme": "kfold", "repeats": 3}, "Unknown setting of the scheme 'kfold' 'repeats'; known are: folds, seed"),
        ({"scheme": "kfold", "folds": 1}, "folds must be a whole number of at least 2, not 1"),
        ({"scheme": "holdout", "fraction": 1.5}, "fraction must be a number in"),
        ({"scheme": "kfold", "seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_what_a_scheme_does_not_have_is_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        splitter(**settings)


def test_a_scheme_is_nested_once():
    with pytest.raises(ConfigurationError, match="inner must be a scheme that is not nested itself"):
        Nested(5, Nested(3, 3))
