"""Nests of parameters to flat lists and back."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import nest
from pellucid.errors import ShapeError


class Pair(NamedTuple):
    left: Any
    right: Any


nests = st.recursive(
    st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=10,
)


@given(nests)
def test_flatten_and_unflatten_undo_each_other(value: Any) -> None:
    leaves, structure = nest.flatten(value)
    assert structure.leaf_count == len(leaves)
    rebuilt = nest.unflatten(structure, leaves)
    assert rebuilt == value
    assert type(rebuilt) is type(value)
    assert nest.flatten(rebuilt)[1] == structure
    assert hash(nest.flatten(rebuilt)[1]) == hash(structure)


@given(nests)
def test_map_changes_leaves_and_nothing_else(value: Any) -> None:
    doubled = nest.map(lambda a, b: a + b, value, value)
    assert nest.flatten(doubled)[1] == nest.flatten(value)[1]
    assert nest.flatten(doubled)[0] == [2 * leaf for leaf in nest.flatten(value)[0]]


def test_dicts_flatten_alike_whatever_order_they_were_filled_in() -> None:
    assert nest.flatten({"w": 1, "b": 2}) == nest.flatten({"b": 2, "w": 1})
    assert nest.flatten(OrderedDict(w=1, b=2)) == nest.flatten({"b": 2, "w": 1})
    assert nest.flatten({1: "a", "b": "c", (2,): "d"})[0] == ["a", "c", "d"]


def test_named_tuples_keep_their_class() -> None:
    rebuilt = nest.map(str, Pair(1, {"x": 2}))
    assert rebuilt == Pair("1", {"x": "2"})
    assert type(rebuilt) is Pair


def test_none_and_strings_are_leaves() -> None:
    assert nest.flatten([None, "ab"])[0] == [None, "ab"]


@pytest.mark.parametrize("other", [[1], (1, 2), {"a": 1, "b": 2}, [1, [2]], 1])
def test_map_over_unlike_nests_is_refused(other: Any) -> None:
    with pytest.raises(ShapeError, match=r"^the nests have different structures$"):
        nest.map(lambda a, b: a, [1, 2], other)


def test_unflatten_needs_every_leaf() -> None:
    with pytest.raises(ShapeError, match=r"^the structure has 2 leaves, but 1 were given$"):
        nest.unflatten(nest.flatten([1, 2])[1], [3])
