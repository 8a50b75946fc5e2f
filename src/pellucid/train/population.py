"""Populations: many copies of a model trained at once, each with numbers of its own, on shared data.

The copies share one compiled step: learning rate, momentum, L2, dropout rate, seed and rows are data to it. Each copy
trains on one thread, as many at a time as there are cores, and ends with the same bits as the same fit alone.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid import seeds
from pellucid.errors import ConfigurationError, DataError, NonFiniteError
from pellucid.nn.core import Dropout
from pellucid.nn.regularizers import L2
from pellucid.train import fitting, loop
from pellucid.train.callbacks import Callback
from pellucid.train.crew import Crew
from pellucid.train.feed import ArrayFeed, check_batch_size, permutations
from pellucid.train.history import History
from pellucid.train.loop import Run
from pellucid.train.model import Model
from pellucid.train.recording.recorder import Recorder, as_recorder, member_recorder


@dataclass(frozen=True)
class Shared:
    """The data that the members read, checked once: the inputs of each member, which many of them may share."""

    x: list[tuple[np.ndarray, ...]]
    y: tuple[np.ndarray, ...]
    weights: np.ndarray | None


class Orders:
    """The orders of the epochs: members of one seed and as many rows have the same, which are drawn once."""

    #: No more than this many bytes of them are kept.
    MOST = 1 << 26

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], np.ndarray] = {}

    def of(self, seed: int, numbers: range, count: int) -> np.ndarray:
        """The permutations of some epochs [epoch, row]; those that an :class:`ArrayFeed` draws."""
        kept = self._kept.get((seed, count), np.empty((0, count), np.int64))
        if len(kept) < numbers.stop and self._has_room(numbers.stop - len(kept), count):
            kept = np.concatenate([kept, permutations(seed, range(len(kept), numbers.stop), count)])
            self._kept[seed, count] = kept
        own = kept[numbers.start : numbers.stop]
        if len(own) == len(numbers):
            return own
        return np.concatenate([own, permutations(seed, range(numbers.start + len(own), numbers.stop), count)])

    def _has_room(self, epochs: int, count: int) -> bool:
        return sum(own.nbytes for own in list(self._kept.values())) + 8 * epochs * count <= self.MOST


class MemberFeed(ArrayFeed):
    """Batches of a member's rows, in the orders that it shares with others; the batches of an ArrayFeed."""

    def __init__(self, *data: Any, orders: Orders, seed: int, **settings: Any) -> None:
        super().__init__(*data, shuffle=True, seed=seed, **settings)
        self._orders = orders

    def look_ahead(self, numbers: range) -> None:
        """Others may have drawn them already."""

    def _permutations(self, numbers: range) -> np.ndarray:
        return self._orders.of(self._seed, numbers, self.count)


class Population:
    """Copies of a compiled model, with numbers of their own.

    Args:
        model: The model to copy: built and compiled, or compiled and built by the first data.
        n: How many copies.
        seed: Per member, what draws its parameters, orders its batches and drops its units, or one number for the first
            member, after which they count up; by default fresh ones.
        learning_rate, momentum: Per member, or one for all: settings of the optimiser.
        l2: Per member, or one for all: the strength of an L2 penalty on every kernel (``kernel_regularizer``).
        dropout: Per member, or one for all: the rate of every Dropout layer.

    Attributes:
        members: The models.
        seeds: The seed of each.
        histories: After ``fit``, the history of each.
        failures: After ``fit``, member -> the error that ended its training.
        interrupted: Whether Ctrl-C ended the last ``fit``.

    Raises:
        ConfigurationError: A list has not one value per member, or the model has nothing that a number could set.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((4,)), Dense(8, activation="relu"), Dense(3, activation="softmax")])
    >>> model.compile("categorical_crossentropy", "sgd", ["accuracy"])
    >>> population = Population(model, 3, seed=0, learning_rate=[0.01, 0.1, 1.0])
    >>> r = np.random.default_rng(0)
    >>> x, y = r.normal(size=(60, 4)), r.integers(0, 3, 60)
    >>> histories = population.fit(x, y, epochs=2, batch_size=10, verbose=0)
    >>> [len(history) for history in histories]
    [2, 2, 2]
    """

    def __init__(
        self,
        model: Model,
        n: int,
        *,
        seed: int | Sequence[int] | None = None,
        learning_rate: Any = None,
        momentum: Any = None,
        l2: Any = None,
        dropout: Any = None,
    ) -> None:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise ConfigurationError(f"Population: n must be a whole number of at least 1, not {n!r}.")
        model.require_compiled()
        self._model = model
        self.seeds = _seeds(seed, int(n))
        given = {"learning_rate": learning_rate, "momentum": momentum, "l2": l2, "dropout": dropout}
        self._numbers = {name: _each(name, value, int(n)) for name, value in given.items() if value is not None}
        self.members: list[Model] = []
        self.histories: list[History] = []
        self.failures: dict[int, NonFiniteError] = {}
        self.interrupted = False
        self._orders = Orders()
        self._epoch_seconds: float | None = None  # of the member that ended last
        if model.built:
            self._make_members()

    def _make_members(self) -> None:
        for number, seed in enumerate(self.seeds):
            member = self._model.clone(seed)
            for name, values in self._numbers.items():
                _SETTERS[name](member, values[number])
            self.members.append(member)

    def _build_for(self, x: Any) -> None:
        self._model._build_for(x)
        if not self.members:
            self._make_members()

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, number: int) -> Model:
        return self.members[number]

    def __iter__(self) -> Iterator[Model]:
        return iter(self.members)

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int | None = 32,
        epochs: int = 1,
        rows: Sequence[Any] | None = None,
        validation_rows: Sequence[Any] | None = None,
        validation_data: Any = None,
        validation_every: int = 1,
        shuffle: bool = True,
        sample_weight: Any = None,
        inputs: Sequence[Any] | None = None,
        callbacks: Callable[[int], Sequence[Callback]] | Sequence[Callback] = (),
        on_member_end: Callable[[int, Model], None] | None = None,
        record: str | Recorder | None = "off",
        every: int | None = None,
        crew: Crew | None = None,
        verbose: str | int = 0,
    ) -> list[History]:
        """Train all members; the same as ``members[k].fit(x[rows[k]], y[rows[k]], seed=seeds[k], ...)`` for each.

        Args:
            x, y: Data that all members read; ``x`` may be None where ``inputs`` are given.
            batch_size, epochs, validation_every, shuffle, sample_weight: As for ``Model.fit``.
            rows: Per member the rows that it trains on, as numbers or as a mask; all of them by default.
            validation_rows: Per member the rows that it is validated on.
            validation_data: (x, y) that all members are validated on instead.
            inputs: Per member what it reads in place of ``x``, for instance the samples as they were standardised on
                its own rows. Members that are given one object share it.
            callbacks: Callbacks of which each member gets copies (early stopping has a state per member), or a function
                from the member's number to its callbacks.
            on_member_end: Called with the number and the model of each member that was trained to its end, in the
                thread that trained it: whatever it looks at, the others train on.
            record, every: As for ``Model.fit``; ``histories[k].recording`` is that of member k. A recorder with a
                path writes to a folder ``0``, ``1`` ... in it for each.
            crew: Trains the members beside those of other populations, when its ``work`` is called.
            verbose: 1 shows a bar that counts members.

        Returns:
            The history of each member (with a crew, they are in ``histories`` after its work). A member whose numbers
            became NaN or infinite is in ``failures``, and the others go on. Ctrl-C ends all of them.
        """
        _check_arguments(batch_size, validation_rows, validation_data)
        own_inputs = self._own_inputs(x, inputs)
        self._build_for(own_inputs[0])
        request = fitting.FitRequest(
            x=None, y=None, batch_size=batch_size, epochs=epochs, validation_data=validation_data, validation_split=0.0,
            validation_every=validation_every, shuffle=shuffle, class_weight=None, sample_weight=None, callbacks=(),
            seed=0, initial_epoch=0, steps_per_epoch=None, verbose=0, recorder=as_recorder(record, every),
        )  # fmt: skip
        shared = self._checked(own_inputs, y, sample_weight)
        trained = self._row_lists("rows", rows, len(shared.y[0]))
        held_out = self._row_lists("validation_rows", validation_rows, len(shared.y[0]))

        def run(number: int) -> Run:
            own = callbacks(number) if callable(callbacks) else [copy.deepcopy(c) for c in callbacks]
            asked = replace(request, callbacks=own, seed=self.seeds[number])
            return self._run(number, asked, shared, _of(trained, number), _of(held_out, number))

        self._hand_over(run, on_member_end, crew, verbose)
        return self.histories

    def _hand_over(
        self,
        run: Callable[[int], Run],
        after: Callable[[int, Model], None] | None,
        crew: Crew | None,
        verbose: str | int,
    ) -> None:
        """Give all fits to a crew; to one of one's own, which works at once, where none is given."""
        self.failures, self.interrupted, self._epoch_seconds, self._orders = {}, False, None, Orders()
        self.histories = []
        for member in self.members:
            member.history = None
        helpers = Crew() if crew is None else crew
        helpers.add(self, [functools.partial(self._train, run, after, number) for number in range(len(self))])
        if crew is None:
            helpers.work(verbose)

    def _run(
        self,
        number: int,
        request: fitting.FitRequest,
        shared: Shared,
        rows: np.ndarray | None,
        held_out: np.ndarray | None,
    ) -> Run:
        """The fit of one member."""
        member = self.members[number]
        request = replace(request, recorder=member_recorder(request.recorder, number))

        def feed(chosen: np.ndarray | None, weights: np.ndarray | None, *, shuffle: bool) -> ArrayFeed:
            data = (shared.x[number], shared.y, weights, member.input_dtypes)
            settings: dict[str, Any] = {"rows": chosen, "batch_size": request.batch_size, "seed": request.seed}
            return (
                MemberFeed(*data, orders=self._orders, **settings)
                if shuffle
                else ArrayFeed(*data, shuffle=False, **settings)
            )

        training = feed(rows, shared.weights, shuffle=request.shuffle)
        validation = None if held_out is None else feed(held_out, None, shuffle=False)
        return fitting.prepare_feeds(member, request, training, validation)

    def _own_inputs(self, x: Any, inputs: Sequence[Any] | None) -> list[Any]:
        """What each member reads."""
        if inputs is None:
            return [x] * len(self)
        if len(inputs) != len(self):
            raise ConfigurationError(f"Population.fit: inputs has {len(inputs)} entries for {len(self)} members.")
        return list(inputs)

    def _checked(self, inputs: list[Any], y: Any, sample_weight: Any) -> Shared:
        checks = self._model.checks()
        seen: dict[int, tuple[np.ndarray, ...]] = {}
        for x in inputs:
            if id(x) not in seen:
                seen[id(x)] = checks.x(x)
        arrays = [seen[id(x)] for x in inputs]
        count = len(arrays[0][0])
        for number, own in enumerate(arrays):
            if len(own[0]) != count:
                raise DataError(f"Population.fit: inputs[{number}] has {len(own[0])} samples, inputs[0] has {count}.")
        weights = None if sample_weight is None else checks.weights(sample_weight, count)
        return Shared(arrays, checks.y(y, count), weights)

    def _row_lists(self, name: str, given: Sequence[Any] | None, count: int) -> list[np.ndarray] | None:
        if given is None:
            return None
        if len(given) != len(self):
            raise ConfigurationError(f"Population.fit: {name} has {len(given)} entries for {len(self)} members.")
        return [_rows(f"{name}[{number}]", own, count) for number, own in enumerate(given)]

    def interrupt(self) -> None:
        """End the fits of all members after their present steps."""
        self.interrupted = True
        for member in self.members:
            member.stop_training = "interrupted"

    def finish(self) -> None:
        """Gather the histories of a fit that has ended."""
        self.histories = [member.history or History() for member in self.members]

    def _train(self, run: Callable[[int], Run], after: Callable[[int, Model], None] | None, number: int) -> None:
        try:
            history = loop.run(replace(run(number), epoch_seconds=self._epoch_seconds))
        except NonFiniteError as error:
            self.failures[number] = error
            return
        if history.interrupted:
            raise KeyboardInterrupt
        self._epoch_seconds = history.seconds[-1] if history.seconds else None
        if after is not None and history.stopped_by != "interrupted":
            after(number, self.members[number])

    def evaluate(self, x: Any, y: Any, *, batch_size: int | None = 256) -> list[dict[str, Any]]:
        """Losses and metrics of every member."""
        return [member.evaluate(x, y, batch_size=batch_size, return_dict=True) for member in self.members]

    def predict(self, x: Any, *, batch_size: int | None = 256) -> np.ndarray:
        """The outputs of every member [member, sample, ...]."""
        return np.stack([member.predict(x, batch_size=batch_size) for member in self.members])


def _check_arguments(batch_size: Any, validation_rows: Any, validation_data: Any) -> None:
    check_batch_size(batch_size)
    if validation_rows is not None and validation_data is not None:
        raise ConfigurationError("Population.fit: give validation_rows or validation_data, not both.")


def _of(lists: list[np.ndarray] | None, number: int) -> np.ndarray | None:
    return None if lists is None else lists[number]


def _seeds(given: int | Sequence[int] | None, n: int) -> list[int]:
    if given is None:
        return [seeds.next_seed() for _ in range(n)]
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        return [int(given) + k for k in range(n)]
    return [int(s) for s in _each("seed", given, n)]


def _each(name: str, given: Any, n: int) -> list[Any]:
    """One value per member."""
    if isinstance(given, (str, bytes)) or not hasattr(given, "__len__"):
        return [given] * n
    if len(given) != n:
        raise ConfigurationError(f"Population: {name} has {len(given)} values for {n} members.")
    return [value.item() if isinstance(value, np.generic) else value for value in given]


def _rows(name: str, given: Any, count: int) -> np.ndarray:
    """Row numbers from numbers or a mask."""
    array = np.asarray(given)
    if array.dtype == bool and array.shape == (count,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise DataError(f"{name} must hold row numbers, or one True or False for each of {count} rows.")
    if array.min() < 0 or array.max() >= count:
        raise DataError(f"{name}: the row {array.min() if array.min() < 0 else array.max()} is not one of {count}.")
    return array.astype(np.int64)


def _set_optimizer(name: str) -> Callable[[Model, Any], None]:
    def apply(member: Model, value: Any) -> None:
        optimizer = member.optimizer
        if name not in optimizer.config():
            raise ConfigurationError(f"Population: {type(optimizer).__name__} has no {name}.")
        member._optimizer = type(optimizer)(**{**optimizer.config(), name: value})

    return apply


def _set_l2(member: Model, value: Any) -> None:
    found = False
    for layer in member.sublayers():
        if "kernel_regularizer" in layer.config():
            found = True
            setattr(layer, "kernel_regularizer", L2(value))  # noqa: B010 - only some layers have it
            layer._own["kernel"].regularizer = L2(value)
    if not found:
        raise ConfigurationError("Population: l2 sets the kernel_regularizer of layers, but the model has none.")


def _set_dropout(member: Model, value: Any) -> None:
    layers = [layer for layer in member.sublayers() if isinstance(layer, Dropout)]
    if not layers:
        raise ConfigurationError("Population: dropout sets the rate of Dropout layers, but the model has none.")
    for layer in layers:
        layer.rate = Dropout(value).rate


_SETTERS: dict[str, Callable[[Model, Any], None]] = {
    "learning_rate": _set_optimizer("learning_rate"),
    "momentum": _set_optimizer("momentum"),
    "l2": _set_l2,
    "dropout": _set_dropout,
}
