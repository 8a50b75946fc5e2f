"""The results of a cross-validation: scores of every fit, their summary, predictions, and what to do with the best."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, DataError
from pellucid.select.answers import Answers
from pellucid.select.estimator_members import fit_estimators
from pellucid.select.folds import Fold
from pellucid.select.makers import is_estimator
from pellucid.select.members import Member, Outcome, Task, train_members
from pellucid.select.out_of_bag import (
    BootstrapEstimate,
    bootstrap_estimate,
    losses,
    no_information_rate,
    out_of_bag_error,
)
from pellucid.select.predictions import Predictions
from pellucid.select.recorded import joined
from pellucid.select.refitted import Refitted
from pellucid.select.refitting import refit_on_all
from pellucid.select.scores import Scores, cv_results, member_table, summary_table
from pellucid.select.table import Table
from pellucid.train import Recording
from pellucid.train.checks import as_array

#: What tells the fits apart.
_FIT = ("configuration", "repeat", "fold", "seed")


class CrossValidation:
    """What ``cross_validate`` returns.

    Attributes:
        scores: The outcomes as arrays [configuration, fold, seed].
        seconds: The whole time.
        notes: What a reader of the scores must know.
    """

    def __init__(
        self,
        task: Task,
        scores: Scores,
        answers: Answers,
        *,
        seconds: float = 0.0,
        notes: Sequence[str] = (),
        whole: Sequence[Outcome] = (),
        inner: Sequence[Scores] = (),
    ) -> None:
        self._task, self.scores, self._answers = task, scores, answers
        self.seconds, self.notes = seconds, tuple(notes)
        self._whole, self.inner = list(whole), tuple(inner)

    @cached_property
    def results(self) -> Table:
        """One row per fit: configuration, repetition, fold, seed, parameters, ``train_`` and ``validation_`` scores,
        epochs, seconds, and why it failed. A parameter named like one of the others is ``param_<name>``.
        """
        return member_table(self.scores)

    def summary(self, score: str | None = None, *, show: bool = True, top: int | None = 20) -> Table | None:
        """Print one row per configuration, the best first; with ``show=False`` return it as a table.

        The columns: mean over folds and seeds; deviation between folds (``of_seeds``: between seeds within a fold);
        the 95 % interval of the mean for folds that share training rows (see :func:`corrected_interval`); the mean on
        training rows; mean epochs and seconds of a fit.
        """
        table = summary_table(self.scores, score)
        configurations, folds, seeds = self.scores.shape
        name = self.scores.checked(score)
        parts = [_plural(configurations, "configuration"), _plural(folds, "fold"), _plural(seeds, "seed")]
        better = "larger" if self.scores.is_larger_better(name) else "smaller"
        title = f"{name} ({better} is better): {' x '.join(parts)} in {self.seconds:.1f} s"
        table = Table({n: table[n] for n in table}, title=title, notes=(*self._nested_lines(), *self.notes))
        if not show:
            return table
        print(table.text(top))
        return None

    def _nested_lines(self) -> list[str]:
        return [self.nested.text] if self.inner else []

    @property
    def recordings(self) -> list[Recording | None]:
        """What was recorded of each fit, in the order of ``results``; None where nothing was, or an estimator fits."""
        return [outcome.recording for outcome in self.scores.outcomes]

    def recorded(self, name: str = "stats") -> Any:
        """The recordings of all fits as one ``pyarrow.Table``, which begins with configuration, repeat, fold and seed.

        Args:
            name: ``"stats"`` or ``"steps"``, as for :meth:`Recording.frame <pellucid.train.Recording.frame>`.

        Raises:
            ConfigurationError: Nothing was recorded, or there is no such table.
        """
        fits = zip(self.results.rows(), self.recordings, strict=True)
        known = [(fit, recording.frame(name)) for fit, recording in fits if recording is not None]
        if not known:
            raise ConfigurationError("No fit was recorded.", hint='cross_validate(..., record="stats")')
        return joined([({key: fit[key] for key in _FIT}, table) for fit, table in known])

    @property
    def cv_results_(self) -> dict[str, Any]:
        """The results in the shape of scikit-learn's searches."""
        return cv_results(self.scores)

    @cached_property
    def predictions(self) -> Predictions:
        """The predictions out of fold."""
        return Predictions(self.scores, self._answers, np.asarray(self._task.y))

    @property
    def best_index_(self) -> int:
        """The number of the configuration with the best mean."""
        return self.scores.best()

    @property
    def best_params_(self) -> dict[str, Any]:
        """Its values."""
        return dict(self.scores.configurations[self.best_index_])

    @property
    def best_score_(self) -> float:
        """Its mean."""
        return float(self.scores.mean()[self.best_index_])

    @property
    def best_(self) -> dict[str, Any]:
        """The row of the summary of the best configuration."""
        return summary_table(self.scores).rows()[0]

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it before all fits were done."""
        return any(outcome.failure == "interrupted" for outcome in self.scores.outcomes)

    @property
    def answers(self) -> Answers:
        """What the outputs of the models mean."""
        return self._answers

    @property
    def targets(self) -> Any:
        """The targets, as they were given."""
        return self._task.y

    @property
    def folds(self) -> Sequence[Fold]:
        """The folds."""
        return self.scores.folds

    @property
    def nested(self) -> NestedEstimate:
        """The nested estimate, beside the flat one.

        Raises:
            ConfigurationError: The scheme was not nested.
        """
        if not self.inner:
            raise ConfigurationError("The scheme was not nested.", hint="pass cv=Nested(5, 5) or cv='nested'")
        return NestedEstimate(self.scores, self.inner)

    def bootstrap(self, configuration: int | None = None) -> BootstrapEstimate:
        """The .632 and .632+ estimates of the error of the best or of another configuration.

        Raises:
            ConfigurationError: The scheme was not the bootstrap.
        """
        if not self._whole:
            raise ConfigurationError(
                "The scheme was not the bootstrap.", hint="pass cv=Bootstrap(200) or cv='bootstrap'"
            )
        chosen = self.scores.chosen(configuration)
        y, classes = self._answers.true(np.asarray(self._task.y)), self._answers.classes is not None
        seeds = len(self.scores.seeds)
        own = [o.outputs for o in self._whole[chosen * seeds : (chosen + 1) * seeds]]
        _, folds, _ = self.scores.shape
        part = self.scores.outcomes[chosen * folds * seeds : (chosen + 1) * folds * seeds]
        if any(o is None for o in own) or any(o.outputs is None for o in part):
            raise DataError(f"A fit of configuration {chosen} failed; there is no bootstrap estimate of it.")
        predicted = [self._answers.predicted(np.asarray(o)) for o in own]
        rows = [self.scores.folds[k // seeds].test for k in range(len(part))]
        errors = [
            losses(y[r], self._answers.predicted(np.asarray(o.outputs)), classes=classes)
            for r, o in zip(rows, part, strict=True)
        ]
        return bootstrap_estimate(
            out_of_bag_error(len(y), rows, errors),
            float(np.mean([losses(y, p, classes=classes).mean() for p in predicted])),
            float(np.mean([no_information_rate(y, p, classes=classes) for p in predicted])),
        )

    def refit(self, configuration: int | None = None, *, seed: int | None = None) -> Refitted:
        """Train the best (or another) configuration on all rows.

        Where early stopping had no rows of its own to watch (``validation_split=0``), the epochs are the mean of those
        that it chose in the folds.

        Args:
            configuration: Its number.
            seed: By default the first one.

        Returns:
            The model with its fitted preprocessing; ``.model`` is the model alone.
        """
        chosen = self.scores.chosen(configuration)
        own = int(self.scores.seeds[0]) if seed is None else seed
        return refit_on_all(self._task, self._task.configurations[chosen], own, partial(self._epochs, chosen))

    def _epochs(self, configuration: int, epochs: int) -> tuple[int, list[Any]]:
        """Epochs and callbacks of the last training."""
        given = [] if callable(self._task.callbacks) else list(self._task.callbacks)
        if self._task.validation_split or not given:
            return epochs, given
        best = self.scores.of("best_epoch")[configuration].reshape(-1)
        return (max(1, round(float(best[best > 0].mean()))) if (best > 0).any() else epochs), []

    def __repr__(self) -> str:
        configurations, folds, seeds = self.scores.shape
        return (
            f"CrossValidation({_plural(configurations, 'configuration')}, {_plural(folds, 'fold')}, "
            f"{_plural(seeds, 'seed')}: best {self.scores.primary} {self.best_score_:.4f} of {self.best_params_})"
        )


class NestedEstimate:
    """Nested against flat cross-validation.

    Attributes:
        chosen: The configuration that the inner folds chose within each outer fold.
        inner: Its mean score on the inner folds, by outer fold.
        outer: Its score on the outer test rows, by outer fold.
        score: The nested estimate: the mean of ``outer``.
        flat: The flat estimate: the best mean of a configuration over the outer folds, chosen by these very scores.
        optimism: How much better the flat estimate looks.
    """

    def __init__(self, scores: Scores, inner: Sequence[Scores]) -> None:
        self.name = scores.primary
        self.chosen = np.array([part.best() for part in inner])
        cube = scores.cube(self.name).mean(axis=2)
        self.outer = np.array([cube[c, k] for k, c in enumerate(self.chosen)])
        self.inner = np.array([part.mean()[c] for part, c in zip(inner, self.chosen, strict=True)])
        self.score, self.flat = float(self.outer.mean()), float(scores.mean()[scores.best()])
        sign = 1.0 if scores.is_larger_better(self.name) else -1.0
        self.optimism = sign * (self.flat - self.score)
        self._configurations = scores.configurations

    @property
    def table(self) -> Table:
        """One row per outer fold."""
        parameters = [str(self._configurations[c]) for c in self.chosen]
        columns = {
            "outer_fold": np.arange(len(self.chosen)), "configuration": self.chosen,
            "parameters": parameters, "inner_score": self.inner, "outer_score": self.outer,
        }  # fmt: skip
        return Table(columns, title=f"{self.name}, nested", notes=[self.text])

    @property
    def text(self) -> str:
        """The estimates in a sentence."""
        return (
            f"nested estimate {self.score:.4f}; the flat one, chosen by the rows that judge it, is {self.flat:.4f}: "
            f"its optimism is {self.optimism:+.4f}"
        )

    def __repr__(self) -> str:
        return str(self.table)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def run_task(
    task: Task, members: Sequence[Member], listener: Any, executor: str = "threads", n_jobs: int | None = None
) -> list[Outcome]:
    """Train models as populations, or estimators one by one, where the executor says."""
    train = fit_estimators if is_estimator(task.source) else train_members
    return train(task, members, listener, executor=executor, n_jobs=n_jobs)


def rows_of(given: Any, name: str = "x") -> int:
    """The number of samples: of an array, a data frame, a list (of texts, too), or the first of several inputs.

    Raises:
        DataError: There is no sample.
    """
    first = next(iter(given.values())) if isinstance(given, dict) else given[0] if isinstance(given, tuple) else given
    shape = getattr(first, "shape", None)
    count = int(shape[0]) if shape else len(first if isinstance(first, list) else as_array(first, name))
    if count < 1:
        raise DataError(f"{name} is empty: there is no sample.")
    return count
