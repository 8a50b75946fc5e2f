"""Nested parameters to flat lists and back.

A structure is a dict, list, tuple or named tuple of structures; everything else is a leaf. Dict keys are taken in
sorted order, so that two dicts with equal keys flatten alike whatever order they were filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.errors import ShapeError


@dataclass(frozen=True)
class Structure:
    """The shape of a nest: which container holds which, without the leaves."""

    kind: type | None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()

    @property
    def leaf_count(self) -> int:
        """Number of leaves below."""
        return 1 if self.kind is None else sum(child.leaf_count for child in self.children)


LEAF = Structure(None)


def flatten(nest: Any) -> tuple[list[Any], Structure]:
    """The leaves in order, and the structure that puts them back.

    >>> flatten({"w": 1, "b": (2, 3)})[0]
    [2, 3, 1]
    """
    leaves: list[Any] = []
    return leaves, _flatten(nest, leaves)


def _flatten(nest: Any, leaves: list[Any]) -> Structure:
    if isinstance(nest, dict):
        keys = tuple(sorted(nest, key=lambda key: (type(key).__name__, key)))
        return Structure(dict, keys, tuple(_flatten(nest[key], leaves) for key in keys))
    if isinstance(nest, (list, tuple)):
        return Structure(type(nest), (), tuple(_flatten(item, leaves) for item in nest))
    leaves.append(nest)
    return LEAF


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The nest of the given structure and leaves.

    >>> unflatten(flatten({"w": 1, "b": (2, 3)})[1], ["x", "y", "z"])
    {'b': ('x', 'y'), 'w': 'z'}
    """
    if len(leaves) != structure.leaf_count:
        raise ShapeError(f"the structure has {structure.leaf_count} leaves, but {len(leaves)} were given")
    return _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    if structure.kind is None:
        return next(leaves)
    children = [_unflatten(child, leaves) for child in structure.children]
    if structure.kind is dict:
        return dict(zip(structure.keys, children, strict=True))
    if hasattr(structure.kind, "_fields"):
        return structure.kind(*children)
    return structure.kind(children)


def map(function: Callable[..., Any], nest: Any, *others: Any) -> Any:
    """The nest with ``function`` applied to each leaf (and the leaves of the others at the same place).

    >>> map(lambda x: 2 * x, {"w": 1, "b": (2, 3)})
    {'b': (4, 6), 'w': 2}
    """
    leaves, structure = flatten(nest)
    columns = [leaves]
    for other in others:
        other_leaves, other_structure = flatten(other)
        if other_structure != structure:
            raise ShapeError("the nests have different structures")
        columns.append(other_leaves)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])
