"""Data sets that are drawn from a rule: points in the plane, and curves with noise.

The same seed gives the same examples. Points keep a margin from the border between the classes, so that "solved"
means that every one of them is right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from pellucid.data.dataset import Dataset
from pellucid.data.schema import Task
from pellucid.data.split import split_indices
from pellucid.fields import Choice, Integer, non_negative, require
from pellucid.seeds import generator

#: Half the width of the empty band along the border between two classes.
MARGIN = 0.05

_LICENCE = "drawn by Pellucid; free of rights"
_BOOK = "after the three tables of the lectures' second deck"

Border = Callable[[np.ndarray], np.ndarray]
CurveName = Literal["sine", "cubic", "bump", "kink", "step"]

#: Curves on -1 to 1 by name.
CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sine": lambda x: np.sin(np.pi * x),
    "cubic": lambda x: 2 * x**3 - x,
    "bump": lambda x: np.exp(-8 * x**2),
    "kink": np.abs,
    "step": lambda x: np.where(x >= 0, 1.0, 0.0),
}


def linearly_separable(samples: int = 300, *, noise: float = 0.0, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Draw points of the square on both sides of a line: one unit tells them apart.

    Class 1 where 0.6 x1 + 0.8 x2 > 0.1.

    Args:
        samples: Number of points, half of them in each class.
        noise: Deviation of a normal shift of each point, in both directions, after its class is decided.
        test_fraction: Share of the points that is held out, stratified by class.
        seed: Seed of the points and of the split.

    Returns:
        x float32 [N, 2], -1 to 1; y int32, 0 or 1.

    Raises:
        ConfigurationError: An argument is outside its range.

    >>> linearly_separable()
    Dataset('linearly_separable': classification into 2 classes, 240 training and 60 test examples of shape [2])
    """
    return _points(
        "linearly_separable",
        lambda x: x @ [0.6, 0.8] - 0.1,
        "Points of the square on both sides of a line.",
        samples,
        noise,
        test_fraction,
        seed,
    )


def non_linearly_separable(
    samples: int = 300, *, noise: float = 0.0, test_fraction: float = 0.2, seed: int = 0
) -> Dataset:
    """Draw points of the square above and below a wave: no line tells them apart, one hidden layer does.

    Class 1 where x2 > 0.6 cos(π x1).

    Args:
        samples: Number of points, half of them in each class.
        noise: Deviation of a normal shift of each point, in both directions, after its class is decided.
        test_fraction: Share of the points that is held out, stratified by class.
        seed: Seed of the points and of the split.

    Returns:
        x float32 [N, 2], -1 to 1; y int32, 0 or 1.

    Raises:
        ConfigurationError: An argument is outside its range.

    >>> non_linearly_separable(100).feature_names
    ('Input_A', 'Input_B')
    """
    return _points(
        "non_linearly_separable",
        lambda x: x[:, 1] - 0.6 * np.cos(np.pi * x[:, 0]),
        "Points of the square above and below a wave.",
        samples,
        noise,
        test_fraction,
        seed,
    )


def circles(samples: int = 300, *, noise: float = 0.0, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Draw points inside a circle (class 1) and in the ring around it (class 0).

    Class 1 where |x| < 0.6; all points have |x| <= 1.

    Args:
        samples: Number of points, half of them in each class.
        noise: Deviation of a normal shift of each point, in both directions, after its class is decided.
        test_fraction: Share of the points that is held out, stratified by class.
        seed: Seed of the points and of the split.

    Returns:
        x float32 [N, 2]; y int32, 0 or 1.

    Raises:
        ConfigurationError: An argument is outside its range.

    >>> circles(100).x_train.shape
    (80, 2)
    """

    def border(x: np.ndarray) -> np.ndarray:
        radius = np.hypot(x[:, 0], x[:, 1])
        return np.where(radius <= 1, 0.6 - radius, 0.0)  # 0 lies in the empty band: left out

    text = "Points inside a circle, and in the ring around it."
    return _points("circles", border, text, samples, noise, test_fraction, seed)


def xor(samples: int = 300, *, noise: float = 0.0, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Draw points of the square, of class 1 where exactly one coordinate is positive: exclusive or, with room.

    Args:
        samples: Number of points, half of them in each class.
        noise: Deviation of a normal shift of each point, in both directions, after its class is decided.
        test_fraction: Share of the points that is held out, stratified by class.
        seed: Seed of the points and of the split.

    Returns:
        x float32 [N, 2], -1 to 1; y int32, 0 or 1.

    Raises:
        ConfigurationError: An argument is outside its range.

    >>> data = xor(100)
    >>> bool(((data.x_train > 0).sum(axis=1) % 2 == data.y_train).all())
    True
    """

    def border(x: np.ndarray) -> np.ndarray:
        return -np.sign(x[:, 0] * x[:, 1]) * np.abs(x).min(axis=1)

    text = "Points of the square; class 1 where exactly one coordinate is positive."
    return _points("xor", border, text, samples, noise, test_fraction, seed)


def spirals(
    samples: int = 300,
    *,
    arms: int = 2,
    turns: float = 1.5,
    noise: float = 0.02,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Draw points on interleaved spirals, one arm a class.

    A point of arm k at t in (0, 1] lies at the radius t and the angle 2 π (turns t + k / arms).

    Args:
        samples: Number of points, shared out among the arms.
        arms: Number of spirals, that is, of classes.
        turns: Revolutions of each arm.
        noise: Deviation of a normal shift of each point in both directions.
        test_fraction: Share of the points that is held out, stratified by class.
        seed: Seed of the points and of the split.

    Returns:
        x float32 [N, 2]; y int32, 0 to arms - 1.

    Raises:
        ConfigurationError: An argument is outside its range.

    Source: Lang, Witbrock, "Learning to tell two spirals apart", 1988.

    >>> spirals(arms=3).n_classes
    3
    """
    require("spirals", "arms", arms, Integer(2))
    require("spirals", "turns", turns, non_negative)
    _check("spirals", samples, noise, seed, least=2 * arms)
    r = generator(seed)
    y = (np.arange(samples) % arms).astype(np.int32)
    t = np.sqrt(r.uniform(0.005, 1.0, samples))  # evenly along the arm, whose turns grow longer
    angle = 2 * np.pi * (turns * t + y / arms)
    x = np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1) + noise * r.standard_normal((samples, 2))
    text = f"Points on {arms} interleaved spirals."
    source = "after Lang, Witbrock: Learning to tell two spirals apart (1988)"
    return _dataset("spirals", "classification", x, y, text, source, test_fraction, seed, arms)


def curve(
    function: CurveName = "sine",
    samples: int = 200,
    *,
    noise: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Draw points of a curve with noise, to be fitted by regression.

    y = f(x) + noise ε, ε normal, x uniform in -1 to 1; f is ``"sine"`` sin πx, ``"cubic"`` 2x³ - x, ``"bump"``
    exp(-8x²), ``"kink"`` |x| or ``"step"``, 1 from 0 on.

    Args:
        function: Name of the curve.
        samples: Number of points.
        noise: Deviation of the noise, in units of y.
        test_fraction: Share of the points that is held out.
        seed: Seed of the points and of the split.

    Returns:
        x float32 [N, 1]; y float32 [N].

    Raises:
        ConfigurationError: An argument is outside its range.

    >>> curve("bump", noise=0.0)
    Dataset('curve': regression, 160 training and 40 test examples of shape [1])
    """
    require("curve", "function", function, Choice(*get_args(CurveName)))
    _check("curve", samples, noise, seed, least=2)
    r = generator(seed)
    x = r.uniform(-1, 1, (samples, 1))
    y = CURVES[function](x[:, 0]) + noise * r.standard_normal(samples)
    text = f"Points of the curve {function!r} with noise of deviation {noise:g}."
    return _dataset("curve", "regression", x, y.astype(np.float32), text, "", test_fraction, seed)


def _check(owner: str, samples: int, noise: float, seed: int, least: int) -> None:
    require(owner, "samples", samples, Integer(least))
    require(owner, "noise", noise, non_negative)
    require(owner, "seed", seed, Integer(0))


def _points(
    name: str, border: Border, text: str, samples: int, noise: float, test_fraction: float, seed: int
) -> Dataset:
    """Points of the square; ``border`` is positive in class 1 and about the distance to the border."""
    _check(name, samples, noise, seed, least=4)
    r = generator(seed)
    quota = np.array([samples - samples // 2, samples // 2])
    x, y = np.zeros((0, 2)), np.zeros(0, np.int32)
    while (np.bincount(y, minlength=2) < quota).any():
        drawn = r.uniform(-1, 1, (4 * samples, 2))
        side = border(drawn)
        kept = np.abs(side) > MARGIN
        x, y = np.concatenate([x, drawn[kept]]), np.concatenate([y, (side[kept] > 0).astype(np.int32)])
    rank = np.where(y == 1, np.cumsum(y == 1), np.cumsum(y == 0))  # of each point within its class
    taken = rank <= quota[y]
    x, y = x[taken] + noise * r.standard_normal((samples, 2)), y[taken]
    return _dataset(name, "classification", x, y, text, _BOOK, test_fraction, seed, 2)


def _dataset(
    name: str,
    task: Task,
    x: np.ndarray,
    y: np.ndarray,
    text: str,
    source: str,
    test_fraction: float,
    seed: int,
    classes: int = 0,
) -> Dataset:
    train, test = split_indices(y, test_fraction, seed, stratified=task == "classification")
    x = x.astype(np.float32)
    return Dataset(
        name=name,
        task=task,
        train=(x[train], y[train]),
        test=(x[test], y[test]),
        feature_names=("Input_A", "Input_B") if x.shape[1] == 2 else ("x",),
        target_names=tuple(str(k) for k in range(classes)),
        description=text,
        source=source or "drawn by Pellucid",
        licence=_LICENCE,
    )
