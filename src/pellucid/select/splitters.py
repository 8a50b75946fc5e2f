"""Splitters: the ways to take rows apart into training rows and test rows, in scikit-learn's form.

Those that scikit-learn has are its own; the bootstrap, the holdout and the nested scheme are here, with the same
``split(X, y, groups)`` and ``get_n_splits``, so that its searches take them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn import model_selection as sk

from pellucid import data, seeds
from pellucid.errors import DataError, unknown_name
from pellucid.fields import Choice, Configured, Integer, Interval, param, require

_SEED = Integer(0)
_SHARE = Interval(0, 1, closed="neither")
#: How often a bootstrap sample that leaves no row out is drawn again.
_DRAWS = 1000


class Holdout(Configured):
    """One split: a share of the rows is held out, stratified where the targets are classes.

    Args:
        fraction: Share of the rows that is held out.
        random_state: Same seed, same split; the one of :func:`pellucid.data.train_test_split`.
        stratify: True, False or ``"auto"``.

    >>> ((train, test),) = Holdout(0.25).split(np.zeros((8, 1)), [0, 0, 0, 0, 1, 1, 1, 1])
    >>> len(train), len(test)
    (6, 2)
    """

    fraction: float = param(default=0.2, check=_SHARE)
    random_state: int = param(default=0, check=_SEED)
    stratify: Any = param(default="auto", check=Choice(True, False, "auto"))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The training rows and the test rows."""
        yield data.split_indices(
            np.zeros(len(X)) if y is None else y, self.fraction, self.random_state, y is not None and self.stratify
        )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """1."""
        return 1


class Bootstrap(Configured):
    """The bootstrap: n rows drawn with replacement to train on, those that were not drawn (out of bag) to test on.

    A row stays out with the probability (1 - 1/n)^n, which tends to 1/e = 0.368. Where ``groups`` are given, groups are
    drawn instead of rows, each with all its rows.

    Args:
        n_splits: How many samples are drawn.
        random_state: Same seed, same samples.

    Raises:
        ConfigurationError: A setting is outside its range.
        DataError: There are fewer than 2 rows or groups, so that nothing could be left out.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979.

    >>> train, test = next(Bootstrap(1).split(np.zeros((100, 1))))
    >>> len(train), bool(set(train) & set(test)), len(set(train)) + len(test)
    (100, False, 100)
    """

    n_splits: int = param(default=50, check=Integer(1))
    random_state: int = param(default=0, check=_SEED)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Training rows, some of them several times, and test rows, of each sample."""
        count = len(X)
        unit = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        units = int(unit.max()) + 1 if count else 0
        if units < 2:
            what = "rows" if groups is None else "groups"
            raise DataError(f"Bootstrap: a sample leaves something out only of 2 {what} or more, not of {units}.")
        rows_of = np.split(np.argsort(unit, kind="stable"), np.cumsum(np.bincount(unit))[:-1])
        for number in range(self.n_splits):
            drawn = self._drawn(number, units)
            out = ~np.isin(unit, drawn)
            yield np.sort(np.concatenate([rows_of[k] for k in drawn])), np.flatnonzero(out)

    def _drawn(self, number: int, units: int) -> np.ndarray:
        generator = seeds.generator(self.random_state, 0xB0075, number)
        for _ in range(_DRAWS):
            drawn = generator.integers(0, units, units)
            if len(np.unique(drawn)) < units:
                return drawn
        raise DataError(f"Bootstrap: {_DRAWS} samples of {units} in a row left nothing out.")

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many samples are drawn."""
        return self.n_splits


class Nested(Configured):
    """Nested cross-validation: configurations are chosen by an inner scheme within the training rows of an outer one.

    The test rows of the outer scheme judge the choice, and have taken no part in it.

    Args:
        outer, inner: Anything that ``cv=`` takes, but not nested again.

    Source: S. Varma, R. Simon, "Bias in error estimation when using cross-validation for model selection", BMC
    Bioinformatics 7, 2006.

    >>> Nested(10, 3)
    Nested(outer=10, inner=3)
    """

    outer: Any = param(default=5)
    inner: Any = param(default=5)

    def setup(self) -> None:
        """Refuse a scheme nested twice."""
        for name in ("outer", "inner"):
            require("Nested", name, getattr(self, name), _not_nested)


def _not_nested(value: Any) -> str | None:
    return "a scheme that is not nested itself" if isinstance(value, Nested) or value == "nested" else None


@dataclass(frozen=True)
class Scheme:
    """A named scheme: what makes its splitter, and the settings that it takes with their defaults."""

    make: Callable[..., Any]
    defaults: dict[str, Any] = field(default_factory=dict)


def _folds(cls: Any) -> Callable[..., Any]:
    return lambda seed, folds: cls(n_splits=folds, shuffle=True, random_state=seed)


def _repeated(cls: Any) -> Callable[..., Any]:
    return lambda seed, folds, repeats: cls(n_splits=folds, n_repeats=repeats, random_state=seed)


def _drawn(cls: Any) -> Callable[..., Any]:
    return lambda seed, repeats, fraction: cls(n_splits=repeats, test_size=fraction, random_state=seed)


_TENFOLD = {"folds": 10}
_REPEATED = {"folds": 10, "repeats": 5}
_DRAWN = {"repeats": 20, "fraction": 0.2}

#: The schemes by name.
SCHEMES: dict[str, Scheme] = {
    "holdout": Scheme(lambda seed, fraction: Holdout(fraction, seed), {"fraction": 0.2}),
    "kfold": Scheme(_folds(sk.KFold), _TENFOLD),
    "stratified": Scheme(_folds(sk.StratifiedKFold), _TENFOLD),
    "repeated": Scheme(_repeated(sk.RepeatedKFold), _REPEATED),
    "repeated_stratified": Scheme(_repeated(sk.RepeatedStratifiedKFold), _REPEATED),
    "leave_one_out": Scheme(lambda seed: sk.LeaveOneOut()),
    "subsampling": Scheme(_drawn(sk.ShuffleSplit), _DRAWN),
    "stratified_subsampling": Scheme(_drawn(sk.StratifiedShuffleSplit), _DRAWN),
    "bootstrap": Scheme(lambda seed, repeats: Bootstrap(repeats, seed), {"repeats": 50}),
    "group": Scheme(lambda seed, folds: sk.GroupKFold(folds), {"folds": 5}),
    "stratified_group": Scheme(_folds(sk.StratifiedGroupKFold), {"folds": 5}),
    "leave_one_group_out": Scheme(lambda seed: sk.LeaveOneGroupOut()),
    "group_subsampling": Scheme(_drawn(sk.GroupShuffleSplit), _DRAWN),
    "five_by_two": Scheme(lambda seed: sk.RepeatedStratifiedKFold(n_splits=2, n_repeats=5, random_state=seed)),
    "time_series": Scheme(lambda seed, folds: sk.TimeSeriesSplit(folds), {"folds": 5}),
    "nested": Scheme(lambda seed, folds: Nested(folds, folds), {"folds": 5}),
}

_CHECKS = {"folds": Integer(2), "repeats": Integer(1), "fraction": _SHARE}


def splitter(
    scheme: str, *, folds: int | None = None, repeats: int | None = None, fraction: float | None = None, seed: int = 0
) -> Any:
    """The splitter of a scheme by name.

    Args:
        scheme: ``"holdout"``, ``"kfold"``, ``"stratified"``, ``"repeated"``, ``"repeated_stratified"``,
            ``"leave_one_out"``, ``"subsampling"``, ``"stratified_subsampling"``, ``"bootstrap"``, ``"group"``,
            ``"stratified_group"``, ``"leave_one_group_out"``, ``"group_subsampling"``, ``"five_by_two"``,
            ``"time_series"`` or ``"nested"``.
        folds, repeats, fraction: Parts, repetitions (or samples) and share of test rows, where the scheme has them.
        seed: Of the shuffling or drawing.

    Raises:
        ConfigurationError: The scheme is unknown, does not take a setting, or a setting is outside its range.

    >>> splitter("repeated_stratified", folds=5, repeats=2).get_n_splits()
    10
    >>> splitter("bootstrap", repeats=200, seed=1)
    Bootstrap(n_splits=200, random_state=1)
    """
    name = str(scheme).lower().replace("-", "_").replace(" ", "_")
    name = {"k_fold": "kfold", "loo": "leave_one_out", "stratified_kfold": "stratified"}.get(name, name)
    if name not in SCHEMES:
        raise unknown_name("cross-validation scheme", scheme, SCHEMES)
    require("splitter", "seed", seed, _SEED)
    found, settings = SCHEMES[name], dict(SCHEMES[name].defaults)
    for setting, value in (("folds", folds), ("repeats", repeats), ("fraction", fraction)):
        if value is None:
            continue
        if setting not in settings:
            raise unknown_name(f"setting of the scheme {name!r}", setting, [*settings, "seed"])
        require("splitter", setting, value, _CHECKS[setting])
        settings[setting] = value
    return found.make(seed=int(seed), **settings)
