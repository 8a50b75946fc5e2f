"""Rows that are near to other rows: the same sample on both sides of a split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from pellucid.seeds import generator

#: Fewer rows than this, or than this share, may be the same by chance.
_FEWEST, _SHARE = 3, 0.02
#: A row is nearly the same as another if its distance is this share of what is usual between neighbours.
_NEAR = 0.05
#: The most training rows (and twice the held-out rows), and the most features, that distances are computed for.
_ROWS, _FEATURES = 4000, 1024


@dataclass(frozen=True, eq=False)
class Overlap:
    """Which held-out rows are in the training data too.

    Attributes:
        rows: Whether each held-out row is [held out].
        partner: The training row that each is the same as [held out].
        nearly: How many are not identical but nearly so.
    """

    rows: np.ndarray
    partner: np.ndarray
    nearly: int


def overlap(train: np.ndarray, held: np.ndarray) -> Overlap | None:
    """The held-out rows that are among the training rows, or None where they are no more than chance brings about.

    Args:
        train, held: Rows [N, features], [M, features].

    >>> rows = np.random.default_rng(0).normal(size=(50, 4))
    >>> overlap(rows[:40], rows[40:]) is None
    True
    >>> found = overlap(rows[:40], rows[35:])
    >>> found.rows.tolist()[:6], found.partner.tolist()[:2]
    ([True, True, True, True, True, False], [35, 36])
    """
    known: dict[bytes, int] = {}
    for number, row in enumerate(train):
        known.setdefault(_digest(row), number)
    partner = np.array([known.get(_digest(row.astype(train.dtype, copy=False)), -1) for row in held])
    same = partner >= 0
    if same.any() and not _is_continuous(train):
        # With few values, rows are the same by chance as often as they are within the training data.
        within = 1 - len(known) / len(train)
        if same.mean() < 3 * within + _SHARE:
            return None
    near, close = _nearly(train, held, same)
    rows = same | near
    if rows.sum() < min(_FEWEST, len(held)) or rows.mean() < _SHARE:
        return None
    return Overlap(rows, np.where(same, partner, close), int((rows & ~same).sum()))


def _digest(row: np.ndarray) -> bytes:
    """A fingerprint of a row: equal rows have equal ones, others do not, and it is short where rows are long."""
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def _is_continuous(x: np.ndarray) -> bool:
    """Whether rows have so many possible values that two are not the same by chance."""
    sample = x[:_ROWS]
    kinds = [len(np.unique(column)) for column in sample.T[:_FEATURES]]
    return float(np.log(kinds).sum()) > np.log(1000.0 * len(x))


def _nearly(train: np.ndarray, held: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which held-out rows are much nearer to a training row than training rows are to each other; that row."""
    draw = generator(0, 11)
    rows = np.sort(draw.permutation(len(train))[:_ROWS])
    columns = np.sort(draw.permutation(train.shape[1])[:_FEATURES])
    a = train[np.ix_(rows, columns)].astype(np.float64)
    std = a.std(axis=0)
    # A feature that hardly ever changes must not make all others small.
    std = np.maximum(std, 0.3 * np.median(std[std > 0])) if std.any() else np.ones(len(std))
    a, b = a / std, held[:, columns].astype(np.float64) / std
    inside, _ = nearest(a, a, own=True)
    usual = float(np.median(inside))
    found, close = np.zeros(len(held), bool), np.full(len(held), -1)
    asked = np.flatnonzero(~same)[: _ROWS // 2]
    if usual > 0 and len(asked) and len(a) > 2 and _is_continuous(train):
        distance, place = nearest(b[asked], a)
        # Of the training rows themselves, some have neighbours as near as that by nature.
        natural = float((inside < _NEAR * usual).mean())
        hits = distance < _NEAR * usual
        if hits.mean() > 3 * natural + _SHARE:
            found[asked], close[asked] = hits, rows[place]
    return found, close


def nearest(a: np.ndarray, b: np.ndarray, *, own: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The Euclidean distance from each row of ``a`` to the nearest of ``b``, and which that is.

    Args:
        a, b: Rows [N, features], [M, features].
        own: Whether they are the same rows, of which none is its own neighbour.

    >>> nearest(np.array([[0.0], [5.0]]), np.array([[1.0], [7.0], [4.5]]))
    (array([1. , 0.5]), array([0, 2]))
    """
    distance, place = np.empty(len(a)), np.empty(len(a), np.int64)
    squares = (b * b).sum(axis=1)
    for start in range(0, len(a), 512):
        part = a[start : start + 512]
        between = squares - 2 * part @ b.T
        if own:
            between[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        best = between.argmin(axis=1)
        place[start : start + 512] = best
        # The square of the difference itself: that of the expansion rounds to anything near 0.
        distance[start : start + 512] = np.sqrt(((part - b[best]) ** 2).sum(axis=1))
    return distance, place
