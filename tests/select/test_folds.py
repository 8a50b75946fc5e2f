import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from pellucid.errors import ConfigurationError, DataError
from pellucid.select import SCHEMES, Bootstrap, Nested, splitter
from pellucid.select.folds import folds_of, targets_of


def folds(cv, labels=None, *, n=None, groups=None, seed=0):
    count = len(labels) if n is None else n
    return folds_of(cv, targets_of(count, labels, labels, groups), seed)


def balanced(n, classes):
    return np.random.default_rng(n).permutation(np.arange(n) % classes)


@pytest.mark.parametrize("name", SCHEMES)
@given(n=st.integers(36, 60), classes=st.integers(2, 3), seed=st.integers(0, 1000))
def test_no_test_row_is_ever_trained_on(name, n, classes, seed):
    settings = {"folds": 3, "repeats": 2, "fraction": 0.3}
    made = splitter(name, seed=seed, **{k: settings[k] for k in SCHEMES[name].defaults})
    labels, groups = balanced(n, classes), np.random.default_rng(seed).permutation(np.arange(n) % 9)
    for fold in folds(made, labels, groups=groups):
        assert len(fold.train)
        assert len(fold.test)
        assert not np.intersect1d(fold.train, fold.test).size
        for inner in fold.inner:
            assert not np.intersect1d(inner.train, inner.test).size
            assert np.isin(inner.train, fold.train).all()
            assert np.isin(inner.test, fold.train).all()


@pytest.mark.parametrize("name", ["kfold", "stratified", "leave_one_out", "group", "leave_one_group_out"])
@given(n=st.integers(20, 50))
def test_partitions_test_every_row_once(name, n):
    found = folds(name, balanced(n, 2), groups=np.arange(n) % 7)
    assert sorted(np.concatenate([fold.test for fold in found])) == list(range(n))
    assert all(len(fold.train) + len(fold.test) == n for fold in found)


@pytest.mark.parametrize("name", ["repeated", "repeated_stratified"])
def test_repetitions_test_every_row_once_each_and_are_shuffled_anew(name):
    found = folds(splitter(name, folds=4, repeats=3), balanced(40, 2))
    assert [(f.repeat, f.number) for f in found] == [(r, k) for r in range(3) for k in range(4)]
    for repeat in range(3):
        rows = np.concatenate([f.test for f in found if f.repeat == repeat])
        assert sorted(rows) == list(range(40))
    assert not np.array_equal(found[0].test, found[4].test)


@pytest.mark.parametrize("name", ["stratified", "repeated_stratified", "stratified_subsampling", "holdout"])
def test_stratified_test_parts_hold_classes_in_their_proportions(name):
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    for fold in folds(name, labels):
        shares = np.bincount(labels[fold.test], minlength=3) / len(fold.test)
        assert np.allclose(shares, [0.5, 0.3, 0.2], atol=0.01)


@pytest.mark.parametrize("name", ["group", "stratified_group", "leave_one_group_out", "group_subsampling", "bootstrap"])
def test_group_schemes_never_tear_a_group_apart(name):
    groups = np.random.default_rng(0).integers(0, 12, 80)
    for fold in folds(name, balanced(80, 2), groups=groups):
        assert not np.intersect1d(groups[fold.train], groups[fold.test]).size


@pytest.mark.parametrize(
    ("name", "count"),
    [("holdout", 1), ("kfold", 10), ("repeated", 50), ("leave_one_out", 40), ("subsampling", 20), ("bootstrap", 50),
     ("five_by_two", 10), ("time_series", 5), ("nested", 5)],
)  # fmt: skip
def test_schemes_have_as_many_folds_as_they_promise(name, count):
    assert len(folds(name, balanced(40, 2))) == count


def test_time_series_trains_on_what_came_before():
    assert all(fold.train.max() < fold.test.min() for fold in folds("time_series", n=40))


def test_a_number_stratifies_classes_shuffles_by_the_seed_and_keeps_groups_together():
    labels = balanced(60, 3)
    expected = StratifiedKFold(5, shuffle=True, random_state=4).split(np.zeros(60), labels)
    for fold, (train, test) in zip(folds(5, labels, seed=4), expected, strict=True):
        assert np.array_equal(fold.train, train)
        assert np.array_equal(fold.test, test)
    groups = np.arange(60) // 6
    assert all(not np.intersect1d(groups[f.train], groups[f.test]).size for f in folds(5, labels, groups=groups))
    assert len(folds(5, n=60)) == 5


def test_none_means_five_folds_as_in_scikit_learn():
    assert len(folds_of(None, targets_of(30, np.arange(30) % 3))) == 5


def test_groups_that_a_scheme_does_not_use_raise_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds("kfold", balanced(40, 2), groups=np.arange(40) % 5)


def test_five_by_two_of_numbers_is_not_stratified():
    assert [f.repeat for f in folds("five_by_two", n=20)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_pairs_of_rows_or_masks_are_folds():
    mask = np.arange(10) < 7
    (a,), (b,) = folds([(mask, ~mask)], n=10), folds([(range(7), [7, 8, 9])], n=10)
    assert np.array_equal(a.train, b.train)
    assert np.array_equal(a.test, b.test)


def test_inner_folds_of_a_bootstrap_sample_hold_each_row_once():
    for fold in folds(Nested(Bootstrap(4), 3), balanced(40, 2)):
        rows = np.concatenate([inner.test for inner in fold.inner])
        assert sorted(rows) == sorted(set(fold.train.tolist()))


@pytest.mark.parametrize(
    ("cv", "error", "message"),
    [
        (1, ConfigurationError, "cv must be at least 2 folds, not 1"),
        (3.5, ConfigurationError, "cv must be a number of folds, the name of a scheme"),
        ([([0, 1], [1, 2])], DataError, "fold 0 trains on row 1 and tests on it, too"),
        ([([0, 1], [30])], DataError, "fold 0, test rows: the row 30 is not one of 30"),
        ([([0], [])], DataError, "fold 0, test rows must be row numbers or a mask of 30 rows"),
        ([3, 4], DataError, "fold 0 must be a pair"),
        ([], DataError, "cv gives no fold"),
        (31, DataError, "cannot split these 30 rows"),
        ("group", DataError, "groups.*\n.*pass groups="),
    ],
)
def test_what_does_not_split_is_refused(cv, error, message):
    with pytest.raises(error, match=message):
        folds(cv, n=30)


def test_there_is_one_group_for_every_row():
    with pytest.raises(DataError, match=r"one group for each of 30 rows, not \[3\]"):
        targets_of(30, None, groups=[1, 2, 3])
