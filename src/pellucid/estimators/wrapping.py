"""What the estimators around a Model share: it is made, trained, used, and kept as plain data."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid import fields, seeds
from pellucid.errors import ConfigurationError, DataError, NonFiniteError
from pellucid.estimators import checks
from pellucid.estimators.checks import DivergedError
from pellucid.estimators.listening import own_callbacks
from pellucid.estimators.network import outputs_of
from pellucid.nn import activations
from pellucid.optim import Optimizer
from pellucid.optim import get as get_optimizer
from pellucid.train import Model

#: The parameters that a model is compiled with.
_COMPILED_WITH = ("optimizer", "learning_rate", "loss", "metrics")

#: What each parameter that all of them have must be.
PARAMETERS: dict[str, fields.Check] = {
    "epochs": fields.Integer(1),
    "batch_size": fields.optional(fields.Integer(1)),
    "optimizer": checks.optimizer,
    "learning_rate": fields.optional(fields.positive),
    "validation_split": fields.Interval(0, 1, "left"),
    "shuffle": checks.truth,
    "random_state": checks.random_state,
    "warm_start": checks.truth,
    "verbose": checks.verbosity,
    "record": checks.recorder,
}


@dataclass(frozen=True)
class Problem:
    """What a model is made for; a function that builds one may take any of these as keywords.

    Attributes:
        n_features_in: The size of the samples' first axis.
        input_shape: The shape of a sample.
        n_outputs: Outputs that the targets need: 1 for two classes, else one per class, label or target.
        n_classes: The number of classes; None for a regressor.
        out_activation: ``"sigmoid"``, ``"softmax"`` or ``"linear"``: of the last layer.
        dtype: ``"float32"`` or ``"float64"``, as the data are.
    """

    n_features_in: int
    input_shape: tuple[int, ...]
    n_outputs: int
    n_classes: int | None
    out_activation: str
    dtype: str


@dataclass(frozen=True)
class OptimizerState:
    """Where an optimiser is.

    Attributes:
        iterations: Its updates so far.
        slots: Those of each trained parameter, in a fixed order.
        rate: Its learning rate, which a callback may have changed; None where a schedule gives it.
    """

    iterations: int
    slots: list[np.ndarray]
    rate: float | None

    @classmethod
    def of(cls, model: Model) -> OptimizerState:
        """The state after a fit."""
        rate = model.optimizer.learning_rate
        number = float(rate) if isinstance(rate, Real) else None
        return cls(model.optimizer.iterations, [slot.numpy().copy() for slot in _slots(model)], number)

    def restore(self, model: Model) -> None:
        """Put it into a model of the same architecture."""
        for slot, value in zip(_slots(model), self.slots, strict=True):
            slot.assign(value)
        model.optimizer.iterations = self.iterations
        if self.rate is not None:
            model.optimizer.learning_rate = self.rate


def _slots(model: Model) -> list[Any]:
    found = [model.optimizer.slots_of(parameter) for parameter in model.trainable_parameters]
    return [own[name] for own in found for name in sorted(own)]


class ModelEstimator(BaseEstimator, ABC):
    """Base of the estimators around a Model.

    A fit leaves ``weights_`` (every parameter by name), ``history_`` (each logged number of every epoch),
    ``recording_`` (what it has recorded, or None), ``problem_`` and ``n_features_in_``. The model itself is
    :attr:`model_`; it is not part of the estimator's state, but made from that when it is needed, by the parameters
    that the estimator had when ``fit`` made it first.
    """

    epochs: int
    batch_size: int | None
    optimizer: Any
    learning_rate: float | None
    loss: Any
    metrics: Any
    callbacks: Any
    validation_split: float
    shuffle: bool
    random_state: Any
    warm_start: bool
    verbose: Any
    record: Any

    _y_numeric = False

    @abstractmethod
    def _made_from(self) -> tuple[str, ...]:
        """The parameters that decide what :meth:`_construct` makes."""

    @abstractmethod
    def _construct(self, problem: Problem) -> Model:
        """A new model."""

    @abstractmethod
    def _problem(self, x: np.ndarray, y: Any, begins: bool, classes: Any) -> Problem:
        """What the model is for; ``begins`` says whether it is a new one."""

    @abstractmethod
    def _default_loss(self, linear: bool) -> Any:
        """The loss where none is given, for a last layer with or without activation."""

    @abstractmethod
    def _accept(self, model: Model) -> None:
        """Refuse a model whose outputs do not fit the problem."""

    @abstractmethod
    def _targets(self, y: Any, model: Model) -> np.ndarray:
        """Checked targets as the model's loss takes them."""

    @abstractmethod
    def _class_weights(self, y: Any, own: np.ndarray | None) -> np.ndarray | None:
        """The weight of each sample from that of its class, or None; ``own`` are the samples' own weights."""

    @abstractmethod
    def _samples(self, X: Any) -> tuple[Any, tuple[int, ...] | None]:
        """The data to be checked, and the shape of a sample where that is known beforehand."""

    @abstractmethod
    def _settle(self, x: np.ndarray, given: tuple[int, ...] | None) -> None:
        """Take in, from checked data, what later data must be like."""

    @abstractmethod
    def _shaped(self, x: np.ndarray, given: tuple[int, ...] | None) -> np.ndarray:
        """Checked data as the model takes them."""

    # Data.

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, Any]:
        samples, given = self._samples(X)
        checked: Any = validate_data(
            self, samples, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=self._y_numeric,
            allow_nd=True, reset=reset,
        )  # fmt: skip
        x, y = _dense(checked[0]), checked[1]
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset:
            self._settle(x, given)
        return self._shaped(x, given), y

    def _weights(self, given: Any, x: np.ndarray, y: Any) -> np.ndarray | None:
        """The weight of each sample: the product of its own and its class's, with the mean 1 over those above 0."""
        own = checks.sample_weights(given, len(x), np.float64)
        by_class = self._class_weights(y, own)
        product = own if by_class is None else by_class if own is None else own * by_class
        if product is None:
            return None
        if not product.any():
            raise DataError("The weights of samples and classes together leave nothing: all products are zero.")
        return product / product[product > 0].mean()

    # Fitting.

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, partial: bool = False, classes: Any = None) -> Any:
        """Train as a fit does, or (partial) one more epoch."""
        checks.check_parameters(self, PARAMETERS)
        begins = not hasattr(self, "weights_") or not (partial or self.warm_start)
        x, y = self._checked(X, y, begins)
        problem = self._problem(x, y, begins, classes)
        if not begins and problem.input_shape != self.problem_.input_shape:
            raise DataError(
                f"Samples have the shape {problem.input_shape}, but the model takes {self.problem_.input_shape}."
            )
        if begins:
            seed = int(check_random_state(self.random_state).randint(2**31))
            self.problem_, self._seed, self._epochs = problem, seed, 0
            self._settings = self._model_settings()
            self._model = self._compiled(problem, seed)
            self.history_: dict[str, list[float]] = {}
        else:
            self._go_on_with(self._model_settings())
        self._train(self.model_, x, self._targets(y, self.model_), self._weights(sample_weight, x, y), partial)
        return self

    def _model_settings(self) -> dict[str, Any]:
        """The parameters that the model follows from, as they are now."""
        now = self.get_params(deep=False)
        return {name: now[name] for name in (*self._made_from(), *_COMPILED_WITH) if name in now}

    def _go_on_with(self, settings: dict[str, Any]) -> None:
        """Take in another learning rate; refuse parameters that another model would follow from.

        Raises:
            ConfigurationError: Which parameter was changed since the model was made.
        """
        before = self._settings
        for name in (*before, *settings):
            if name in before and name in settings and checks.same(before[name], settings[name]):
                continue
            if name == "learning_rate":
                self.model_.optimizer.learning_rate = self._optimizer().learning_rate
                continue
            raise ConfigurationError(
                f"{type(self).__name__}: training goes on with a model that was made with "
                f"{name}={before.get(name, 'nothing')!r}, but {name} is {settings.get(name, 'nothing')!r} now.",
                hint="set warm_start=False and call fit to begin anew",
            )
        self._settings = settings

    def _train(
        self, model: Model, x: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, partial: bool
    ) -> None:
        if weights is not None and not weights.all():  # a sample of weight 0 is none, also for the size of a batch
            kept = np.flatnonzero(weights)
            x, targets, weights = x[kept], targets[kept], weights[kept]
        last = self._epochs + (1 if partial else int(self.epochs))
        try:
            history = model.fit(
                x, targets, batch_size=self.batch_size, epochs=last, initial_epoch=self._epochs,
                validation_split=0.0 if partial else self.validation_split, shuffle=bool(self.shuffle),
                sample_weight=weights, callbacks=own_callbacks(self.callbacks), seed=self._seed,
                verbose=int(self.verbose), record=self.record,
            )  # fmt: skip
        except NonFiniteError as error:
            self.recording_ = None if model.history is None else model.history.recording
            raise DivergedError(
                error.message, details=error.details, hint=error.hint, cause=error.cause, step=error.step,
                epoch=error.epoch,
            ) from None  # fmt: skip
        self.recording_ = history.recording
        self._epochs += len(history)
        for key, values in history.history.items():
            self.history_.setdefault(key, []).extend(values)
        self.weights_ = model.get_weights()
        self._optimizer_state = OptimizerState.of(model)

    def _compiled(self, problem: Problem, seed: int) -> Model:
        """A new model, built and compiled."""
        with seeds.rooted(seed):
            model = self._construct(problem)
            if not isinstance(model, Model):
                raise ConfigurationError(
                    f"{type(self).__name__}: build_fn returned {model!r}, which is no Sequential or Model."
                )
            if not model.built:
                model.build((None, *problem.input_shape))  # type: ignore[arg-type]
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ConfigurationError(
                f"{type(self).__name__} takes a model of one input and one output, but this one has "
                f"{len(model.inputs)} and {len(model.outputs)}."
            )
        self._accept(model)
        if not model.is_compiled:
            loss = self._default_loss(self._is_linear(model)) if self.loss is None else self.loss
            model.compile(loss, self._optimizer(), self.metrics)
        return model

    @staticmethod
    def _is_linear(model: Model) -> bool:
        call = model.outputs[0].call
        return call is not None and activations.is_linear(getattr(call.layer, "activation", "unknown"))

    def _optimizer(self) -> Optimizer:
        optimizer = get_optimizer(self.optimizer).copy()
        if self.learning_rate is not None:
            optimizer.learning_rate = float(self.learning_rate)
        return optimizer

    # Use.

    @property
    def model_(self) -> Model:
        """The fitted model: that of the fit, or made anew from the estimator's state after it was copied or read."""
        check_is_fitted(self, "problem_")
        if getattr(self, "_model", None) is None:
            model = self._as_made()._compiled(self.problem_, self._seed)
            model.set_weights(self.weights_)
            self._optimizer_state.restore(model)
            self._model = model
        return self._model

    def _as_made(self) -> Self:
        """A copy with the parameters that the model was made with; the estimator's own may be others by now."""
        twin = copy.copy(self)
        vars(twin).update(vars(type(self)(**self._settings)))
        return twin

    def _outputs(self, X: Any) -> np.ndarray:
        """The model's outputs [n, ...]."""
        check_is_fitted(self, "weights_")
        samples, given = self._samples(X)
        x = _dense(validate_data(self, samples, accept_sparse=["csr", "csc"], allow_nd=True, reset=False))
        model = self.model_
        (x,) = model.checks().x(self._shaped(x, given))
        return outputs_of(model, np.ascontiguousarray(x), [np.ascontiguousarray(p.numpy()) for p in model.parameters])

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and arrays; the model stays where it is."""
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_model"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _dense(x: Any) -> np.ndarray:
    """Checked data; a sparse matrix as a dense one."""
    return x.toarray() if sparse.issparse(x) else x
