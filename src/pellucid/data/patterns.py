"""Complete little worlds of zeros and ones: the five digits of 25 pixels, and the parity of bits."""

from __future__ import annotations

import numpy as np

from pellucid.data.dataset import Dataset
from pellucid.data.split import split_indices
from pellucid.errors import ConfigurationError
from pellucid.fields import Integer, Interval, require

#: The five images of the lectures' second deck, "ReLU and Dropout".
_IMAGES = (
    (".##..", "..#..", "..#..", "..#..", ".###."),
    ("####.", "....#", ".###.", "#....", "#####"),
    ("####.", "....#", ".###.", "....#", "####."),
    ("...#.", "..##.", ".#.#.", "#####", "...#."),
    ("#####", "#....", "####.", "....#", "####."),
)

#: Bits up to which all 2^d rows are made.
_MOST_BITS = 20


def five_by_five() -> Dataset:
    """Load the five digits 1 to 5 of 5 x 5 black or white pixels.

    There is one image of each digit; the test examples are the training examples.

    Returns:
        x float32 [5, 5, 5, 1], 1 where there is ink; y int32, 0 (digit 1) to 4 (digit 5).

    Source: the lectures' second deck, three hidden layers of 20 units with and without dropout.

    >>> digits = five_by_five()
    >>> digits.x_train[0, :, :, 0].astype(int)
    array([[0, 1, 1, 0, 0],
           [0, 0, 1, 0, 0],
           [0, 0, 1, 0, 0],
           [0, 0, 1, 0, 0],
           [0, 1, 1, 1, 0]])
    """
    x = np.array([[[[pixel == "#"] for pixel in row] for row in image] for image in _IMAGES], dtype=np.float32)
    y = np.arange(5, dtype=np.int32)
    return Dataset(
        name="five_by_five",
        task="classification",
        train=(x, y),
        test=(x, y),
        feature_names=tuple(f"pixel_{i}_{j}" for i in range(5) for j in range(5)),
        target_names=tuple("12345"),
        description="The digits 1 to 5, one image of 5 x 5 pixels each; the test examples are the training examples.",
        source="the lectures' second deck, Training of Multi-Layer Neural Network",
        licence="five patterns of 25 pixels; free of rights",
    )


def parity(bits: int = 8, *, test_fraction: float = 0.0, seed: int = 0) -> Dataset:
    """Make all rows of so many bits, and whether the number of ones is odd.

    y = x1 + ... + xd mod 2. A net of one hidden layer needs some 2^d units for it, a deep one O(d).

    Args:
        bits: d, 2 to 20.
        test_fraction: Share of the 2^d rows that is held out, stratified by class; with 0 the complete table is both
            the training and the test part.
        seed: Seed of the split.

    Returns:
        x float32 [N, bits], 0 or 1, in the order of counting; y int32, 0 (even) or 1 (odd).

    Raises:
        ConfigurationError: An argument is outside its range.

    >>> table = parity(2)
    >>> table.x_train.tolist(), table.y_train.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    if Integer(2)(bits) or bits > _MOST_BITS:
        raise ConfigurationError(f"parity: bits must be a whole number from 2 to {_MOST_BITS}, not {bits!r}.")
    require("parity", "test_fraction", test_fraction, Interval(0, 1, closed="left"))
    require("parity", "seed", seed, Integer(0))
    table = (np.arange(2**bits)[:, None] >> np.arange(bits)[::-1]) & 1
    x, y = table.astype(np.float32), (table.sum(axis=1) % 2).astype(np.int32)
    train = test = np.arange(len(y))
    if test_fraction:
        train, test = split_indices(y, test_fraction, seed, stratified=True)
    return Dataset(
        name="parity",
        task="classification",
        train=(x[train], y[train]),
        test=(x[test], y[test]),
        feature_names=tuple(f"bit_{i}" for i in range(1, bits + 1)),
        target_names=("even", "odd"),
        description=f"All {2**bits:,} rows of {bits} bits, and whether the number of ones is even or odd.",
        source="arithmetic",
        licence="free of rights",
    )
