"""Members that are estimators of scikit-learn's form: fitted one after the other, as its own searches do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils import _safe_indexing

from pellucid.errors import ConfigurationError, NonFiniteError
from pellucid.select import executors
from pellucid.select.scoring import Score
from pellucid.select.task import Listener, Member, Outcome, Task


def fit_estimators(
    task: Task,
    members: Sequence[Member],
    listener: Listener | None = None,
    *,
    executor: str = "threads",
    n_jobs: int | None = None,
) -> list[Outcome]:
    """Fit and score every member; Ctrl-C ends all of them.

    The seed of a member is the ``random_state`` of its estimator, where it has one. In the threads of this process one
    is fitted after the other; other executors fit several at once, as ``n_jobs`` of scikit-learn's searches does.

    Raises:
        ConfigurationError: The executor is unknown, the estimators cannot be sent to it, or several of them were to be
            fitted at once in this process.
    """
    if executor == "threads" and n_jobs not in (None, 1):
        raise ConfigurationError(
            f"Estimators are fitted one after the other in this process, not several at once (n_jobs={n_jobs}).",
            hint=f"pass executor='processes', n_jobs={n_jobs}",
        )
    work = executors.Work(fit_one_by_one, task, members, [None for _ in members])
    return executors.get(executor, n_jobs).run(work, listener)


def fit_one_by_one(task: Task, members: Sequence[Member], listener: Listener | None = None) -> list[Outcome]:
    """Fit and score members in this thread."""
    outcomes = [Outcome(failure="interrupted") for _ in members]
    scores = task.scores or (_own_score(task.source),)
    try:
        for number, member in enumerate(members):
            outcomes[number] = _fitted(task, member, scores)
            if listener is not None:
                listener(member, outcomes[number])
    except KeyboardInterrupt:
        pass
    return outcomes


def _own_score(estimator: Any) -> Score:
    """The ``score`` method of an estimator: accuracy of a classifier, R² of a regressor."""
    name = "accuracy" if is_classifier(estimator) else "r2"

    def scorer(fitted: Any, x: Any, y: Any) -> float:
        return float(fitted.score(x, y))

    return Score(name, True, lambda answers, outputs, y: float("nan"), scorer)


def made(task: Task, member: Member) -> Any:
    """The estimator of a member, not fitted."""
    own: Any = clone(task.source)
    own.set_params(**task.configurations[member.configuration])
    for name in sorted(own.get_params()):
        seeded = name == "random_state" or name.endswith("__random_state")
        if seeded and name not in task.configurations[member.configuration]:
            own.set_params(**{name: member.seed})
    return own


def _fitted(task: Task, member: Member, scores: Sequence[Score]) -> Outcome:
    outcome, x = Outcome(), task.inputs.of(member.fold)
    y = np.asarray(task.y)
    train, test = member.fold.train, member.fold.test
    started = time.perf_counter()
    weights = {} if task.sample_weight is None else {"sample_weight": np.asarray(task.sample_weight)[train]}
    own = made(task, member)
    try:
        own.fit(_safe_indexing(x, train), y[train], **weights)
    except (ValueError, NonFiniteError) as error:
        outcome.failure = str(error).splitlines()[0]
        outcome.recording = getattr(own, "recording_", None)
        return outcome
    outcome.seconds, started = time.perf_counter() - started, time.perf_counter()
    outcome.epochs, outcome.recording = _iterations(own), getattr(own, "recording_", None)
    held_out = _safe_indexing(x, test)
    outcome.test = _scored(own, held_out, y[test], scores, outcome)
    if task.train_scores:
        outcome.train = _scored(own, _safe_indexing(x, train), y[train], scores, outcome)
    outcome.outputs = _outputs(own, held_out, np.unique(y)) if is_classifier(own) else np.asarray(own.predict(held_out))
    outcome.score_seconds = time.perf_counter() - started
    outcome.model = own if task.keep_models else None
    return outcome


def _scored(fitted: Any, x: Any, y: np.ndarray, scores: Sequence[Score], outcome: Outcome) -> dict[str, float]:
    found = {}
    for score in scores:
        try:
            found[score.name] = score.scorer(fitted, x, y)
        except ValueError as error:  # such as a score of two classes where the rows hold one
            found[score.name] = float("nan")
            outcome.failure = f"{score.name}: {str(error).splitlines()[0]}"
    return found


def _iterations(fitted: Any) -> int:
    """Iterations of the fit, 0 where they were not counted."""
    found = getattr(fitted, "n_iter_", None)
    return 0 if found is None else int(np.max(found))


def _outputs(fitted: Any, x: Any, classes: np.ndarray) -> np.ndarray:
    """A column for each class of all rows, also of those that the training rows did not hold."""
    found = np.zeros((len(np.asarray(x)), len(classes)))
    if hasattr(fitted, "predict_proba"):
        found[:, np.searchsorted(classes, fitted.classes_)] = fitted.predict_proba(x)
    else:
        found[np.arange(len(found)), np.searchsorted(classes, fitted.predict(x))] = 1.0
    return found
