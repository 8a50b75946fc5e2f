"""Predictions out of fold: what models say about rows that they were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.errors import DataError
from pellucid.select.answers import Answers
from pellucid.select.scores import Scores
from pellucid.select.table import Table


class Predictions:
    """What the members say about their test rows.

    Where folds overlap (repetitions, subsampling, the bootstrap) or seeds differ, a row has several predictions.

    Args:
        scores: The outcomes.
        answers: What outputs mean.
        y: The targets.
    """

    def __init__(self, scores: Scores, answers: Answers, y: np.ndarray) -> None:
        self._scores, self._answers, self._y = scores, answers, y

    def outputs(self, configuration: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers [entry] and the outputs for them [entry, ...], of the best or of another configuration.

        Raises:
            DataError: There are none, as with models of several outputs.
        """
        rows, outputs = self._parts(configuration)
        return np.concatenate(rows), np.concatenate(outputs)

    def _parts(self, configuration: int | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
        _, folds, seeds = self._scores.shape
        chosen = self._scores.chosen(configuration)
        rows, outputs = [], []
        for number, outcome in enumerate(self._scores.outcomes[chosen * folds * seeds : (chosen + 1) * folds * seeds]):
            if outcome.outputs is not None:
                rows.append(self._scores.folds[number // seeds].test)
                outputs.append(outcome.outputs)
        if not rows:
            raise DataError("There are no predictions out of fold: the model has several outputs, or every fit failed.")
        return rows, outputs

    def mean(self, configuration: int | None = None) -> np.ndarray:
        """The mean output of each row [N, ...]; NaN for rows that were in no test part."""
        rows, outputs = self.outputs(configuration)
        total = np.zeros((len(self._y), *outputs.shape[1:]))
        np.add.at(total, rows, outputs)
        times = np.bincount(rows, minlength=len(self._y)).reshape(-1, *[1] * (outputs.ndim - 1))
        return np.divide(total, times, out=np.full_like(total, np.nan), where=times > 0)

    def labels(self, configuration: int | None = None) -> np.ndarray:
        """The class that the mean output of each row says, or its number.

        Raises:
            DataError: Rows were in no test part.
        """
        mean = self.mean(configuration)
        missing = np.flatnonzero(np.isnan(mean.reshape(len(mean), -1)).any(axis=1))
        if len(missing):
            raise DataError(
                f"{len(missing)} of {len(mean)} rows, such as {missing[0]}, were in no test part.",
                hint="use .outputs() or .table(), which hold the rows that were",
            )
        return self._answers.predicted(mean)

    def times(self, configuration: int | None = None) -> np.ndarray:
        """How many predictions each row has [N]."""
        return np.bincount(self.outputs(configuration)[0], minlength=len(self._y))

    def table(self, configuration: int | None = None) -> Table:
        """One row per prediction: repetition, fold, seed, row, target, prediction, and the outputs of a classifier."""
        rows, outputs = self._parts(configuration)
        places = [(f, s) for f in range(len(self._scores.folds)) for s in self._scores.seeds]
        kept = [place for place, outcome in zip(places, self._own(configuration), strict=True) if outcome]
        everything, each = np.concatenate(outputs), np.concatenate(rows)
        columns: dict[str, Any] = {
            "repeat": _spread([self._scores.folds[f].repeat for f, _ in kept], rows),
            "fold": _spread([self._scores.folds[f].number for f, _ in kept], rows),
            "seed": _spread([seed for _, seed in kept], rows),
            "row": each,
        }
        target, predicted = self._answers.true(self._y)[each], self._answers.predicted(everything)
        if target.ndim == 1 and predicted.ndim == 1:
            columns |= {"target": target, "prediction": predicted}
        flat = everything.reshape(len(everything), -1)
        if self._answers.classes is not None or flat.shape[1] > 1:
            names = self._answers.classes if self._answers.classes is not None else range(flat.shape[1])
            shown = names if flat.shape[1] > 1 else [names[1]]
            columns |= {f"output_{name}": flat[:, k] for k, name in enumerate(shown)}
        return Table(columns)

    def _own(self, configuration: int | None) -> list[bool]:
        _, folds, seeds = self._scores.shape
        chosen = self._scores.chosen(configuration)
        part = self._scores.outcomes[chosen * folds * seeds : (chosen + 1) * folds * seeds]
        return [outcome.outputs is not None for outcome in part]


def _spread(values: Sequence[Any], rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.repeat(np.array(values), [len(own) for own in rows])
