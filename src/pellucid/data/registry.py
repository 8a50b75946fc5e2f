"""The closed table of data sets that are loaded by name."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pellucid.data.builtin import breast_cancer, digits, iris, wine
from pellucid.data.dataset import Dataset
from pellucid.data.faces import faces
from pellucid.data.mnist import mnist
from pellucid.data.patterns import five_by_five, parity
from pellucid.data.sms_spam import sms_spam
from pellucid.data.spoken_digits import spoken_digits
from pellucid.data.synthetic import circles, curve, linearly_separable, non_linearly_separable, spirals, xor
from pellucid.data.table import load_csv
from pellucid.errors import ConfigurationError, nearest, unknown_name

LOADERS: dict[str, Callable[..., Dataset]] = {
    "breast_cancer": breast_cancer,
    "circles": circles,
    "curve": curve,
    "digits": digits,
    "faces": faces,
    "five_by_five": five_by_five,
    "iris": iris,
    "linearly_separable": linearly_separable,
    "mnist": mnist,
    "non_linearly_separable": non_linearly_separable,
    "parity": parity,
    "sms_spam": sms_spam,
    "spirals": spirals,
    "spoken_digits": spoken_digits,
    "wine": wine,
    "xor": xor,
}

_TABLE_SUFFIXES = (".csv", ".tsv", ".txt")


def load(name: str | os.PathLike[str], **options: Any) -> Dataset:
    """Load a data set by its name, or a table by its path.

    Args:
        name: One of :func:`names`, or the path of a file ending in .csv, .tsv or .txt.
        options: Arguments of the data set's own loader: ``test_fraction`` and ``seed`` for most, ``samples`` and
            ``noise`` for those that are drawn; ``target`` (the column to learn) and those of :func:`load_csv` for a
            path.

    Returns:
        The data set, x float32 [N, ...] and y [N], split into training and test examples.

    Raises:
        ConfigurationError: The name or an option is unknown, or the target of a table is not given.
        DataError: The data cannot be read.

    >>> load("iris")
    Dataset('iris': classification into 3 classes, 120 training and 30 test examples of shape [4])
    """
    if isinstance(name, os.PathLike) or str(name).lower().endswith(_TABLE_SUFFIXES):
        if "target" not in options:
            raise ConfigurationError(
                f"The table {Path(name)} needs the name of the column to learn.",
                hint=f"load({str(name)!r}, target='...')",
            )
        _check_options(str(name), load_csv, options, given=("path",))
        return load_csv(name, **options)
    if name not in LOADERS:
        raise unknown_name("data set", name, LOADERS)
    loader = LOADERS[name]
    _check_options(name, loader, options)
    return loader(**options)


def names() -> tuple[str, ...]:
    """The names that :func:`load` knows, sorted.

    >>> "mnist" in names()
    True
    """
    return tuple(sorted(LOADERS))


def _check_options(
    name: str, loader: Callable[..., Dataset], options: dict[str, Any], given: tuple[str, ...] = ()
) -> None:
    known = [option for option in inspect.signature(loader).parameters if option not in given]
    for option in options:
        if option not in known:
            close = nearest(option, known)
            raise ConfigurationError(
                f"The data set {name!r} has no option {option!r}; it takes: {', '.join(known) or 'none'}.",
                hint=f"did you mean {close!r}?" if close else None,
            )
