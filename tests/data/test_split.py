from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import split_indices, train_test_split
from pellucid.errors import ConfigurationError, DataError

PLAIN = [1, 6, 7, 13, 14, 22, 23, 24, 32, 34, 54, 56, 62, 64, 69, 71, 72, 76, 83, 92]
STRATIFIED = "a5f0252c2d0d6e4b"

labels = st.lists(st.integers(0, 6), min_size=2, max_size=80)
fractions = st.floats(0.01, 0.99)


@given(labels, fractions, st.integers(0, 5), st.booleans())
def test_every_row_is_on_exactly_one_side_and_both_have_some(
    y: list[int], fraction: float, seed: int, stratified: bool
) -> None:
    if stratified and len(set(y)) == len(y):
        return
    train, test = split_indices(y, fraction, seed, stratified)
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(len(y)))
    assert len(train)
    assert len(test)
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(test) > 0)


@given(labels, fractions, st.integers(0, 5))
def test_a_stratified_split_keeps_the_share_of_every_class(y: list[int], fraction: float, seed: int) -> None:
    if len(set(y)) == len(y):
        return
    _, test = split_indices(y, fraction, seed, stratified=True)
    for label in set(y):
        count, held = y.count(label), [y[row] for row in test].count(label)
        if count == 1:
            assert held == 0
        else:
            assert abs(held - fraction * count) <= 1 + 1e-6
            assert held < count


@given(st.integers(2, 500), fractions)
def test_a_plain_split_holds_out_the_nearest_number_of_rows(rows: int, fraction: float) -> None:
    _, test = split_indices(np.zeros(rows), fraction)
    assert abs(len(test) - fraction * rows) <= 0.5 + 1e-6 or len(test) in (1, rows - 1)


def test_balanced_classes_are_split_exactly() -> None:
    train, test = split_indices(np.repeat(np.arange(3), 50), 0.2)
    assert np.bincount(test // 50).tolist() == [10, 10, 10]
    assert np.bincount(train // 50).tolist() == [40, 40, 40]


def test_the_total_follows_the_fraction_where_no_class_gives_a_whole_number() -> None:
    y = np.repeat(np.arange(10), 7)  # 1.4 rows a class
    _, test = split_indices(y, 0.2, stratified=True)
    assert len(test) == 14
    assert sorted(np.bincount(y[test]).tolist()) == [1] * 6 + [2] * 4


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    y = np.arange(1000) % 7
    first, again, other = (split_indices(y, 0.3, seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_split_of_a_seed_never_changes() -> None:
    # Pinned: a saved report must stay reproducible with every later version and every NumPy.
    plain = split_indices(np.zeros(100), 0.2, 3)[1]
    assert plain.tolist() == PLAIN
    stratified = split_indices(np.arange(100) % 3, 0.2, 3)[1]
    assert hashlib.sha256(stratified.astype("<i8").tobytes()).hexdigest()[:16] == STRATIFIED


def test_a_split_is_independent_of_numbers_drawn_from_the_same_seed() -> None:
    # Users draw toy data from default_rng(0), and split with the default seed: the sides must not be large and small.
    for seed in range(5):
        x = np.random.default_rng(seed).uniform(-1, 1, 1000)
        for stratified in (False, True):
            train, test = split_indices(np.arange(1000) % 2, 0.2, seed, stratified)
            assert abs(x[test].mean() - x[train].mean()) < 0.15  # 3.3 standard errors
            assert np.ptp(x[test]) > 1.9


@pytest.mark.parametrize("y", [[0.5, 1.5, 2.5, 3.5], [[0, 1], [1, 0]], [1, 2, 3, 4]])
def test_targets_that_are_no_labels_are_split_at_random(y: Any) -> None:
    train, test = split_indices(y, 0.5)
    assert len(train) == len(test) == len(y) // 2


def test_whole_numbers_that_hardly_repeat_are_not_taken_for_labels() -> None:
    _, test = split_indices([0, 0, *range(1, 99)], 0.2)
    assert len(test) == 20


def test_labels_in_a_column_and_words_are_stratified() -> None:
    _, test = split_indices(np.repeat([[0], [1]], 10, axis=0), 0.2)
    assert [int(row) // 10 for row in test] == [0, 0, 1, 1]
    _, test = split_indices(["ham"] * 10 + ["spam"] * 10, 0.2)
    assert [int(row) // 10 for row in test] == [0, 0, 1, 1]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), True, "0.2"])
def test_a_fraction_outside_0_to_1_is_refused(fraction: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        split_indices([0, 1, 0, 1], fraction)
    assert str(caught.value) == f"The held-out fraction must be a number in (0, 1), not {fraction!r}."


def test_other_arguments_outside_their_range_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"The seed of a split must be a whole number of at least 0, not -1\."):
        split_indices([0, 1, 0, 1], 0.5, -1)
    with pytest.raises(ConfigurationError, match=r"stratified must be True, False or 'auto', not 'yes'\."):
        split_indices([0, 1, 0, 1], 0.5, 0, "yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(("y", "rows"), [([], "0"), ([1], "1"), (5, "no axis")])
def test_too_few_rows_are_refused(y: Any, rows: str) -> None:
    with pytest.raises(DataError) as caught:
        split_indices(y)
    assert str(caught.value) == f"A split needs at least 2 rows, the targets have {rows}."


def test_a_stratified_split_needs_a_class_to_share_out() -> None:
    with pytest.raises(DataError) as caught:
        split_indices([0, 1, 2], 0.5, stratified=True)
    assert str(caught.value) == (
        "A stratified split needs a class with at least 2 rows; the 3 classes have one row each.\n"
        "Hint: give more rows, or split with stratified=False"
    )
    with pytest.raises(DataError, match=r"Only one label a row can be stratified, not targets of shape \[2, 2\]\."):
        split_indices([[0, 1], [1, 0]], 0.5, stratified=True)


def test_examples_and_targets_stay_together() -> None:
    x = np.arange(40).reshape(20, 2)
    (x_train, y_train), (x_test, y_test) = train_test_split(x, np.arange(20) % 2, fraction=0.25, stratify=False)
    assert x_train.shape == (15, 2)
    assert x_test.shape == (5, 2)
    assert np.array_equal(x_train[:, 0] // 2 % 2, y_train)
    assert np.array_equal(x_test[:, 0] // 2 % 2, y_test)


def test_examples_and_targets_of_different_length_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        train_test_split(np.zeros((3, 2)), np.zeros(4))
    assert str(caught.value) == "train_test_split: x and y must have the same length, not the shapes [3, 2] and [4]."


def test_splitting_imports_no_heavy_library() -> None:
    code = (
        "import sys, pellucid.data as d; d.split_indices([0, 1] * 9); "
        "print([m for m in ('sklearn', 'pooch', 'pandas', 'narwhals', 'requests') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_million_rows_take_less_than_two_seconds() -> None:
    y = np.arange(1_000_000) % 10
    start = time.perf_counter()
    split_indices(y, 0.1)
    assert time.perf_counter() - start < 2
