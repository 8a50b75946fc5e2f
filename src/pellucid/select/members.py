"""Members: folds x seeds x configurations, trained as populations, each scored in the thread that trained it."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.select import executors
from pellucid.select.answers import Answers
from pellucid.select.grid import Sorted, sort_out
from pellucid.select.makers import Maker
from pellucid.select.preparing import adapt, forget_statistics
from pellucid.select.task import EpochListener, Listener, Member, Outcome, Task
from pellucid.train import Callback, EarlyStopping, Model, Population, loop
from pellucid.train.crew import Crew
from pellucid.train.feed import ArrayFeed
from pellucid.train.targets import split_rows

__all__ = ["Listener", "Member", "Outcome", "Task", "outputs_of", "train_members", "train_populations"]

#: Samples per evaluation, as in ``Model.evaluate`` and ``Model.predict``: the same bits.
_BATCH = 256

#: Groups of few members are trained side by side, until there are about so many.
_SIDE_BY_SIDE = 64


def train_members(
    task: Task,
    members: Sequence[Member],
    listener: Listener | None = None,
    *,
    executor: str = "threads",
    n_jobs: int | None = None,
) -> list[Outcome]:
    """Train and score every member: one population for each group of equal plans.

    A member is bit for bit the fit of its configuration alone: after ``set_seed(seed)`` the model is built, and fitted
    with ``fit(x[train], y[train], seed=seed)``. Which executor trains it, and with how many workers, changes no bit.

    Args:
        task, members: What to train.
        listener: Called in this process with each member and its outcome as soon as it is there.
        executor, n_jobs: Where members train (see :mod:`pellucid.select.executors`).

    Raises:
        ConfigurationError, DataError: Something does not fit; the members of the group have not been trained.
    """
    chosen = executors.get(executor, n_jobs)
    arguments = Maker(task.source).arguments
    keys = [sort_out(configuration, arguments).key for configuration in task.configurations]
    return chosen.run(
        executors.Work(train_populations, task, members, [keys[m.configuration] for m in members]), listener
    )


def train_populations(task: Task, members: Sequence[Member], listener: Listener | None = None) -> list[Outcome]:
    """Train and score members on the threads of this process."""
    maker = Maker(task.source)
    used = {member.configuration for member in members}
    kinds = {number: sort_out(task.configurations[number], maker.arguments) for number in used}
    outcomes = [Outcome(failure="interrupted") for _ in members]
    groups: dict[Any, list[int]] = {}
    for number, member in enumerate(members):
        shape = np.shape(task.inputs.of(member.fold))[1:] if task.inputs.prepares else ()
        groups.setdefault((kinds[member.configuration].key, shape), []).append(number)
    waiting: list[tuple[list[int], _Group]] = []
    for place, numbers in enumerate(groups.values()):
        own = [members[number] for number in numbers]
        waiting.append((numbers, _Group(task, maker, [kinds[m.configuration] for m in own], own, listener)))
        if sum(len(numbers) for numbers, _ in waiting) < _SIDE_BY_SIDE and place < len(groups) - 1:
            continue
        finished = _train_groups([group for _, group in waiting])
        for numbers, group in waiting:
            for number, outcome in zip(numbers, group.outcomes(), strict=True):
                outcomes[number] = outcome
        if not finished:
            break
        waiting.clear()
    return outcomes


def _train_groups(groups: Sequence[_Group]) -> bool:
    """Train groups side by side; False where Ctrl-C ended it."""
    crew = Crew()
    for group in groups:
        group.join(crew)
    return crew.work()


class _EpochReport(Callback):
    """Tells the task of every epoch, and ends the member when it says so."""

    def __init__(self, tell: EpochListener, member: Member) -> None:
        self._tell, self._member = tell, member

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ask whether to go on."""
        numbers = {name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0}
        reason = self._tell(self._member, epoch, numbers)
        if reason and not self.model.stop_training:
            self.model.stop_training = reason


class _Group:
    """Members of one plan."""

    def __init__(
        self, task: Task, maker: Maker, kinds: list[Sorted], members: list[Member], listener: Listener | None
    ) -> None:
        self._task, self._members, self._kinds, self._listener = task, members, kinds, listener
        self._inputs = [task.inputs.of(member.fold) for member in members]
        base = maker(kinds[0], members[0].seed)
        base._build_for(self._inputs[0])
        numbers = {name: [kind.numbers[name] for kind in kinds] for name in kinds[0].numbers}
        self._population = Population(forget_statistics(base), len(members), seed=[m.seed for m in members], **numbers)
        checks = base.checks()
        checked = {id(x): x for x in self._inputs}
        self._arrays = {key: checks.x(x) for key, x in checked.items()}
        self._y: tuple[np.ndarray, ...] = checks.y(task.y, task.count)
        self._base = base
        outputs = int(np.prod(base.outputs[0].sample_shape))
        self._answers = Answers.of(base.objective.losses[0], self._y[0], outputs)
        self._outcomes = [Outcome() for _ in members]
        self._callbacks: list[list[Any]] = [[] for _ in members]

    def join(self, crew: Crew) -> None:
        """Hand all of them over to be trained."""
        task, statistics = self._task, {}
        for number, member in enumerate(self._members):
            arrays = self._arrays[id(self._inputs[number])]
            adapt(self._population[number], arrays, member.fold.train, statistics, id(member.fold))
        rows, watched = self._rows()
        fitting = self._kinds[0].fitting
        self._population.fit(
            None, task.y, inputs=self._inputs, rows=rows, validation_rows=watched, shuffle=task.shuffle,
            batch_size=fitting.get("batch_size", task.batch_size), epochs=fitting.get("epochs", task.epochs),
            sample_weight=task.sample_weight, callbacks=self._callbacks_of, on_member_end=self._ended,
            record=task.recorder, crew=crew,
        )  # fmt: skip

    def outcomes(self) -> list[Outcome]:
        """What became of each."""
        for number, outcome in enumerate(self._outcomes):
            if number in self._population.failures:
                outcome.failure = str(self._population.failures[number]).splitlines()[0]
                outcome.recording = self._population.histories[number].recording
                self._tell(number)
            elif not outcome.test and outcome.failure is None:
                outcome.failure = "interrupted"
        return self._outcomes

    def _rows(self) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """The rows that each member trains on, and those that it watches."""
        share = self._task.validation_split
        if not share:
            held_out = [m.fold.test for m in self._members] if self._task.watch else None
            return [m.fold.train for m in self._members], held_out
        pairs = []
        for member in self._members:
            rows = member.fold.train
            own = split_rows(self._y[0][rows], self._base.objective.losses[0], share, member.seed)
            pairs.append((rows[own[0]], rows[own[1]]))
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def _callbacks_of(self, number: int) -> list[Any]:
        given: Any = self._task.callbacks
        own: Any = given(self._members[number]) if callable(given) else [copy.deepcopy(c) for c in given]
        self._callbacks[number] = list(own)
        if self._task.on_epoch is not None:
            self._callbacks[number].append(_EpochReport(self._task.on_epoch, self._members[number]))
        return self._callbacks[number]

    def _ended(self, number: int, model: Model) -> None:
        """Score a member that has been trained."""
        history, outcome, fold = model.history, self._outcomes[number], self._members[number].fold
        assert history is not None
        outcome.history, outcome.epochs, outcome.seconds = history, len(history), float(sum(history.seconds))
        outcome.stopped_by, outcome.recording = history.stopped_by, history.recording
        stops = [c.best_epoch for c in self._callbacks[number] if isinstance(c, EarlyStopping)]
        outcome.best_epoch = stops[0] + 1 if stops and stops[0] is not None else 0
        started = time.perf_counter()
        with model.programs.unchanged():
            outcome.test, outcome.outputs = self._scored(number, model, fold.test, outcome)
            if self._task.train_scores:
                outcome.train, _ = self._scored(number, model, fold.train, outcome)
        outcome.score_seconds = time.perf_counter() - started
        outcome.model = model if self._task.keep_models else None
        self._tell(number)

    def _scored(
        self, number: int, model: Model, rows: np.ndarray, outcome: Outcome
    ) -> tuple[dict[str, float], np.ndarray | None]:
        """Loss and scores on some rows, and the outputs."""
        arrays = self._arrays[id(self._inputs[number])]
        logs = loop.evaluate(model, _feed(model, arrays, self._y, rows))
        scores = {name: float(value) for name, value in logs.items() if np.ndim(value) == 0}
        if len(model.outputs) > 1:
            return scores, None
        outputs = outputs_of(model, arrays, rows)
        for score in self._task.scores:
            try:
                scores[score.name] = score.of(self._answers, outputs, self._y[0][rows])
            except ValueError as error:  # such as a score of two classes where the rows hold one
                scores[score.name] = float("nan")
                outcome.failure = f"{score.name}: {str(error).splitlines()[0]}"
        return scores, outputs

    def _tell(self, number: int) -> None:
        if self._listener is not None:
            self._listener(self._members[number], self._outcomes[number])


def _feed(model: Model, arrays: Sequence[np.ndarray], y: Sequence[np.ndarray], rows: np.ndarray) -> ArrayFeed:
    return ArrayFeed(arrays, y, None, model.input_dtypes, rows=rows, batch_size=_BATCH, shuffle=False, seed=0)


def outputs_of(model: Model, arrays: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """The first output for some rows; the same bits as ``model.predict(x[rows])``."""
    parts = [model.programs.prediction(segment).run(segment)[0] for segment in _feed(model, arrays, (), rows).epoch(0)]
    return np.concatenate(parts)
