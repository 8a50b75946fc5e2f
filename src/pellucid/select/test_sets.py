"""Test sets that have been looked at: what is chosen after a look at a test set, it no longer judges fairly.

Each look is a line of a journal in the user's cache folder: a fingerprint of the data, when, and what was found. The
data themselves are not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import config
from pellucid.errors import DataError
from pellucid.select.refitted import Refitted
from pellucid.train.checks import as_array
from pellucid.train.progress import written

_JOURNAL = "test_sets.jsonl"


class TestSetSeenWarning(UserWarning):
    """A test set has been looked at before."""

    __test__ = False  # no test case, though its name begins like one


@dataclass(frozen=True)
class Look:
    """One look at a test set: when (local time, to the second), at what model, and the scores."""

    when: str
    model: str
    scores: dict[str, float]


@dataclass(frozen=True)
class TestResult:
    """Scores on a test set, and the looks that were taken at it before.

    Attributes:
        scores: Loss and metrics, or the score of an estimator.
        samples: The number of test samples.
        earlier: The looks before this one, oldest first.
    """

    __test__ = False

    scores: dict[str, float]
    samples: int
    earlier: tuple[Look, ...] = ()

    @property
    def first(self) -> bool:
        """Whether nobody looked at this test set before, as far as the journal knows."""
        return not self.earlier

    def __str__(self) -> str:
        found = f"{written(self.scores)} on {self.samples} test samples"
        if self.first:
            return f"{found}, looked at for the first time"
        return f"{found}; {_history(self.earlier)}: as an estimate the scores are too good"


def evaluate_once(model: Any, x: Any, y: Any, *, folder: str | Path | None = None) -> TestResult:
    """Evaluate on a test set, and say so if it has been looked at before.

    A test set judges a model fairly once. Whoever looks, changes something and looks again chooses by the test set; the
    scores are then those of a validation set.

    Args:
        model: A Model, the outcome of ``refit``, or a fitted estimator.
        x, y: The test set; it is known again by its numbers, also rounded to float32, but not in another order of rows.
        folder: Where the journal of looks is; by default the user's cache folder (``PELLUCID_CACHE``).

    Returns:
        The scores, and the looks before.

    Warns:
        TestSetSeenWarning: There were some.

    Raises:
        DataError: The data cannot be used.

    >>> import tempfile
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> x, y = np.eye(4), np.array([0, 1, 0, 1])
    >>> tree = DecisionTreeClassifier(random_state=0).fit(x, y)
    >>> print(evaluate_once(tree, x, y, folder=tempfile.mkdtemp()))
    score 1.0000 on 4 test samples, looked at for the first time
    """
    mark = fingerprint(x, y)
    journal = Path(config.cache_folder() if folder is None else folder) / _JOURNAL
    earlier = looks(journal, mark)
    scores = _scores(model, x, y)
    _append(journal, mark, Look(datetime.now().isoformat(timespec="seconds"), repr(model)[:200], scores))
    if earlier:
        warnings.warn(TestSetSeenWarning(f"This {_history(earlier)}."), stacklevel=2)
    return TestResult(scores, len(as_array_of(y)), earlier)


def _history(earlier: tuple[Look, ...]) -> str:
    times = "once" if len(earlier) == 1 else f"{len(earlier)} times"
    last = "" if len(earlier) == 1 else f", last on {earlier[-1].when}"
    return f"test set has been looked at {times} before, first on {earlier[0].when}{last}"


def fingerprint(x: Any, y: Any) -> str:
    """A number that depends on every value of a test set, as 64 hexadecimal digits.

    >>> a = fingerprint(np.eye(2), [0, 1])
    >>> a == fingerprint(np.asfortranarray(np.eye(2)), [0, 1]), a == fingerprint(np.eye(2), [1, 0])
    (True, False)
    """
    digest = hashlib.sha256()
    for part in (x, y):
        arrays = list(part.values()) if isinstance(part, dict) else part if isinstance(part, tuple) else [part]
        for values in arrays:
            array = as_array_of(values)
            if array.dtype.kind in "biuf":  # the same numbers in another type, rounded ones too, are the same test set
                with np.errstate(over="ignore"):
                    array = np.ascontiguousarray(array, np.float32)
            else:
                array = np.array([str(value) for value in array.reshape(-1)], dtype="U").reshape(array.shape)
            digest.update(f"{array.shape} {array.dtype.kind} ".encode())
            digest.update(array.tobytes() if array.dtype.kind == "f" else "\0".join(array.reshape(-1)).encode())
    return digest.hexdigest()


def as_array_of(values: Any) -> np.ndarray:
    """An array of numbers or texts, from a data frame too."""
    found = np.asarray(values)
    return found if found.dtype.kind in "US" or found.dtype == object else as_array(found, "the test set")


def looks(journal: Path, mark: str) -> tuple[Look, ...]:
    """The looks at a test set that a journal knows, oldest first; a damaged line counts as none."""
    try:
        lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["test_set"] == mark:
                found.append(Look(str(entry["when"]), str(entry["model"]), dict(entry["scores"])))
        except (ValueError, KeyError, TypeError):
            continue  # a line that a crash cut off
    return tuple(found)


def _append(journal: Path, mark: str, look: Look) -> None:
    """Add a line in one piece; processes that write at once do not mix their lines."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    entry = {"test_set": mark, "when": look.when, "model": look.model, "scores": look.scores}
    handle = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        # The line break first: what a crash has cut off stays a line of its own.
        os.write(handle, f"\n{json.dumps(entry)}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def _scores(model: Any, x: Any, y: Any) -> dict[str, float]:
    inner, prepared = (model.model, model.prepared(x)) if isinstance(model, Refitted) else (model, x)
    if hasattr(inner, "evaluate"):
        logs = inner.evaluate(prepared, y, return_dict=True)
        return {name: float(value) for name, value in logs.items() if np.ndim(value) == 0}
    if hasattr(inner, "score"):
        return {"score": float(inner.score(prepared, y))}
    raise DataError(f"evaluate_once takes a Model or a fitted estimator, not {model!r}.")
