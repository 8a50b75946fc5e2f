"""NeuralNetClassifier and NeuralNetRegressor: any Model, made by a function, as an estimator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields as fields_of
from typing import Any, Self

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import RegressorMixin

from pellucid.errors import ConfigurationError, DataError, nearest
from pellucid.estimators import checks, goals
from pellucid.estimators.labels import BINARY, MULTICLASS, LabelClassifier, Labels
from pellucid.estimators.wrapping import ModelEstimator, Problem
from pellucid.nn import Dense, Input, losses
from pellucid.train import Model, Sequential

#: What a function that builds a model may ask for by name, beside parameters of its own.
_ASKED = tuple(field.name for field in fields_of(Problem))


def one_hidden_layer(input_shape: tuple[int, ...], n_outputs: int, out_activation: str, dtype: str) -> Model:
    """The model where none is given: 100 rectified units between inputs and outputs."""
    layers = [Input(input_shape), Dense(100, activation="relu"), Dense(n_outputs, activation=out_activation)]
    return Sequential(layers, dtype=dtype)


class BuiltByFunction(ModelEstimator):
    """Base of the estimators whose model is made by the user's function, whose parameters are theirs, too.

    What ``build_fn`` takes is in ``_given``: scikit-learn allows a constructor no public attributes but those that its
    signature names. They can be read and written as attributes all the same.
    """

    build_fn: Any
    _given: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        given = vars(self).get("_given", {})
        if name in given:
            return given[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _check_given(self) -> None:
        """Refuse parameters that nobody takes.

        Raises:
            ConfigurationError: ``build_fn`` is no function, or has no parameter of a name that was given.
        """
        if not callable(self._function()):
            raise ConfigurationError(
                f"{type(self).__name__}: build_fn must be None or a function that returns a model, not "
                f"{self.build_fn!r}."
            )
        known = self._build_defaults()
        for name in self._given:
            if name not in known:
                close = nearest(name, [*known, *self._get_param_names()])
                raise ConfigurationError(
                    f"{type(self).__name__} has no parameter {name!r}, and build_fn takes: "
                    f"{', '.join(known) or 'none of its own'}.",
                    hint=f"did you mean {close!r}?" if close else None,
                )

    def _samples(self, X: Any) -> tuple[Any, tuple[int, ...] | None]:
        """The data as they are."""
        return X, None

    def _settle(self, x: np.ndarray, given: tuple[int, ...] | None) -> None:
        """Nothing: the model knows the shape of its samples."""

    def _shaped(self, x: np.ndarray, given: tuple[int, ...] | None) -> np.ndarray:
        """The data as they are."""
        return x

    def _function(self) -> Callable[..., Model]:
        return one_hidden_layer if self.build_fn is None else self.build_fn

    def _signature(self) -> list[inspect.Parameter]:
        if not callable(self._function()):
            return []
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return [p for p in inspect.signature(self._function()).parameters.values() if p.kind in named]

    def _build_defaults(self) -> dict[str, Any]:
        """The parameters of ``build_fn`` that are neither the problem's nor the estimator's, with their defaults."""
        own = {*_ASKED, *self._get_param_names()}
        return {p.name: p.default for p in self._signature() if p.name not in own}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name, those of ``build_fn`` too."""
        defaults = {n: d for n, d in self._build_defaults().items() if d is not inspect.Parameter.empty}
        names = dict.fromkeys([*defaults, *self._given])
        return {**super().get_params(deep), **{name: getattr(self, name, defaults.get(name)) for name in names}}

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of ``build_fn`` too."""
        if "build_fn" in params:
            self._change_function(params.pop("build_fn"))
        known = {*self._build_defaults(), *self._given}
        super().set_params(**{name: value for name, value in params.items() if name not in known})
        own = {name: value for name, value in params.items() if name in known}
        for name in own:
            vars(self).pop(name, None)  # written as an attribute before
        self._given = {**self._given, **own}
        return self

    def _change_function(self, build_fn: Any) -> None:
        """Take another function; parameters that only had the defaults of the one before go with that."""
        defaults = self._build_defaults()
        self.build_fn = build_fn
        known = self._build_defaults()
        self._given = {
            name: value
            for name, value in self._given.items()
            if name in known or name not in defaults or not checks.same(value, defaults[name])
        }

    def _made_from(self) -> tuple[str, ...]:
        names = (p.name for p in self._signature() if p.name not in (*_ASKED, "build_fn"))
        return ("build_fn", *names)

    def _construct(self, problem: Problem) -> Model:
        self._check_given()
        own, given = self._get_param_names(), {}
        for parameter in self._signature():
            name = parameter.name
            if name in _ASKED:
                given[name] = getattr(problem, name)
            elif name in own or name in vars(self) or name in self._given:
                given[name] = getattr(self, name)
            elif parameter.default is inspect.Parameter.empty:
                raise ConfigurationError(
                    f"{type(self).__name__}: build_fn needs {name!r}, which was not given.",
                    hint=f"pass {name}= to the estimator; these are known by themselves: {', '.join(_ASKED)}",
                )
        return self._function()(**given)


class ModelClassifier(LabelClassifier, ModelEstimator):
    """Base of the classifiers around a Model."""

    class_weight: Any

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new model on samples [n, ...] with labels [n], or with indicators of several labels [n, labels]."""
        return self._fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train one more epoch on some samples; the first call names all ``classes``."""
        if not hasattr(self, "weights_") and classes is None:
            raise DataError("classes must be passed in the first call of partial_fit: y may not hold all of them.")
        return self._fit(X, y, sample_weight, partial=True, classes=classes)

    def _problem(self, x: np.ndarray, y: Any, begins: bool, classes: Any) -> Problem:
        checks.check_parameters(self, {"class_weight": checks.class_weights})
        if begins:
            self._labels = Labels.of(y, classes)
            self.classes_ = self._labels.classes
        else:
            self._check_classes(classes)
        labels = self._labels
        out = "softmax" if labels.kind == MULTICLASS else "sigmoid"
        return _problem(x, labels.outputs, len(labels.classes), out)

    def _default_loss(self, linear: bool) -> Any:
        if self._labels.kind == MULTICLASS:
            return losses.CategoricalCrossentropy(from_logits=linear)
        return losses.BinaryCrossentropy(from_logits=linear)

    def _accept(self, model: Model) -> None:
        units = model.outputs[0].sample_shape
        if self._labels.kind == BINARY and units == (2,) and len(self.classes_) == 2:
            self._labels = Labels(MULTICLASS, self.classes_)  # a column for each of the two
        if units != (self._labels.outputs,):
            raise ConfigurationError(
                f"{type(self).__name__}: the model's outputs have the shape {list(units)}, but {len(self.classes_)} "
                f"{self._labels.kind} classes need [{self._labels.outputs}].",
                hint="let build_fn take n_outputs (or n_classes) and give the last layer so many units",
            )

    def _targets(self, y: Any, model: Model) -> np.ndarray:
        labels = self._labels
        return goals.class_targets(labels, labels.encode(y), model.objective.losses[0])

    def _class_weights(self, y: Any, own: np.ndarray | None) -> np.ndarray | None:
        return self._labels.weights(self.class_weight, y, own)

    def _probable(self, X: Any) -> np.ndarray:
        """Probabilities, a column per output; those of a model that ends without activation are computed here."""
        outputs = self._outputs(X)
        if getattr(self.model_.objective.losses[0], "from_logits", False):
            return softmax(outputs, axis=1) if self._labels.kind == MULTICLASS else expit(outputs)
        return outputs


class NeuralNetClassifier(ModelClassifier, BuiltByFunction):
    """Any network for classes: a function builds the model, and its keywords are parameters of the estimator.

    Args:
        build_fn: Returns a Sequential or Model, compiled or not. Of its arguments, those called ``n_features_in``,
            ``input_shape``, ``n_outputs``, ``n_classes``, ``out_activation`` and ``dtype`` follow from the data
            (:class:`Problem`), those called like a parameter of the estimator get its value, and all others are
            parameters themselves: ``NeuralNetClassifier(build_fn, units=64)``. None builds one hidden layer of 100.
        epochs: How often all samples are trained on.
        batch_size: Samples per update; None for all at once.
        optimizer: A name or an Optimizer, which is copied.
        learning_rate: In place of the optimiser's own; None leaves that.
        loss: As ``Model.compile`` takes it; None is the cross-entropy that fits the last layer (of logits where that
            has no activation). A model that ``build_fn`` has compiled keeps its own loss and optimiser.
        metrics: What ``history_`` holds beside the loss.
        callbacks: As for ``Model.fit``.
        validation_split: The share of the samples that only ``val_`` numbers are computed from.
        shuffle: A new order of the samples in every epoch.
        class_weight: Class -> weight of its samples, or ``"balanced"``.
        random_state: Initial values, order, split and dropout.
        warm_start: Go on from the last fit, with another ``learning_rate`` if it was changed; a change of what the
            model is made or compiled from is refused.
        verbose: 0 nothing, 1 a bar, 2 lines.
        record: ``"off"``, ``"stats"``, ``"full"`` or a :class:`~pellucid.train.Recorder`: what a fit records of the
            inside of the network, as for ``Model.fit``; it changes no bit.
        **build_parameters: Parameters of ``build_fn``.

    Attributes:
        model_: The fitted Model.
        classes_: The labels; columns are in their order.
        history_: Each logged number of every epoch.
        weights_: Every parameter by name.
        recording_: What the last fit has recorded, a :class:`~pellucid.train.Recording`, or None.
        problem_, n_features_in_, feature_names_in_: What the model was made for.

    Raises:
        ConfigurationError, DataError: A parameter, the model or the data cannot be used as they are.
        DivergedError: In ``fit``, the loss became NaN or infinite.

    Weights of samples are relative: they are divided by their mean, and a sample of weight 0 counts as absent.

    >>> from pellucid.nn import Dropout
    >>> from sklearn.datasets import load_iris
    >>> def network(n_features_in, n_outputs, units=16, rate=0.0):
    ...     layers = [Input((n_features_in,)), Dense(units, activation="tanh"), Dropout(rate)]
    ...     return Sequential([*layers, Dense(n_outputs, activation="softmax")])
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = NeuralNetClassifier(network, units=8, learning_rate=0.01, epochs=60, random_state=0).fit(X, y)
    >>> classifier.get_params()["units"], classifier.score(X, y) > 0.9
    (8, True)
    """

    def __init__(
        self, build_fn: Callable[..., Model] | None = None, *, epochs: int = 100, batch_size: int | None = 32,
        optimizer: Any = "adam", learning_rate: float | None = None, loss: Any = None, metrics: Any = (),
        callbacks: Any = (), validation_split: float = 0.0, shuffle: bool = True, class_weight: Any = None,
        random_state: Any = None, warm_start: bool = False, verbose: Any = 0, record: Any = "off",
        **build_parameters: Any,
    ) -> None:  # fmt: skip
        self.build_fn = build_fn
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.metrics = metrics
        self.callbacks = callbacks
        self.validation_split = validation_split
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.record = record
        self._given = build_parameters


class NeuralNetRegressor(RegressorMixin, BuiltByFunction):
    """Any network for numbers: a function builds the model, and its keywords are parameters of the estimator.

    Args:
        loss: As ``Model.compile`` takes it; None is the mean squared error.
        build_fn, epochs, batch_size, optimizer, learning_rate, metrics, callbacks, validation_split, shuffle,
            random_state, warm_start, verbose, record, **build_parameters: As for :class:`NeuralNetClassifier`;
            ``n_outputs`` is the number of targets and ``out_activation`` ``"linear"``.

    Attributes:
        model_, history_, weights_, recording_, problem_, n_features_in_, feature_names_in_: As for
            :class:`NeuralNetClassifier`.

    Raises:
        ConfigurationError, DataError: A parameter, the model or the data cannot be used as they are.
        DivergedError: In ``fit``, the loss became NaN or infinite.

    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> regressor = NeuralNetRegressor(learning_rate=0.01, epochs=50, random_state=0).fit(X, np.abs(X[:, 0]))
    >>> regressor.score(X, np.abs(X[:, 0])) > 0.9
    True
    """

    _y_numeric = True

    def __init__(
        self, build_fn: Callable[..., Model] | None = None, *, epochs: int = 100, batch_size: int | None = 32,
        optimizer: Any = "adam", learning_rate: float | None = None, loss: Any = None, metrics: Any = (),
        callbacks: Any = (), validation_split: float = 0.0, shuffle: bool = True, random_state: Any = None,
        warm_start: bool = False, verbose: Any = 0, record: Any = "off", **build_parameters: Any,
    ) -> None:  # fmt: skip
        self.build_fn = build_fn
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.metrics = metrics
        self.callbacks = callbacks
        self.validation_split = validation_split
        self.shuffle = shuffle
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.record = record
        self._given = build_parameters

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new model on samples [n, ...] with targets [n] or [n, outputs]."""
        return self._fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one more epoch on some samples."""
        return self._fit(X, y, sample_weight, partial=True)

    def _problem(self, x: np.ndarray, y: Any, begins: bool, classes: Any) -> Problem:
        return _problem(x, 1 if y.ndim == 1 else y.shape[1], None, "linear")

    def _default_loss(self, linear: bool) -> Any:
        return "mse"

    def _class_weights(self, y: Any, own: np.ndarray | None) -> np.ndarray | None:
        """There are no classes."""

    def _accept(self, model: Model) -> None:
        units, wanted = model.outputs[0].sample_shape, (self.problem_.n_outputs,)
        if units != wanted:
            raise ConfigurationError(
                f"{type(self).__name__}: the model's outputs have the shape {list(units)}, but y needs {list(wanted)}.",
                hint="let build_fn take n_outputs and give the last layer so many units",
            )

    def _targets(self, y: Any, model: Model) -> np.ndarray:
        columns = y if y.ndim == 2 else y[:, None]
        return model.objective.losses[0].prepare(columns, model.outputs[0].sample_shape, "y")

    def predict(self, X: Any) -> np.ndarray:
        """The predicted numbers [n], or [n, outputs]."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _problem(x: np.ndarray, outputs: int, classes: int | None, out_activation: str) -> Problem:
    dtype = "float32" if x.dtype == np.float32 or x.dtype.kind == "b" or x.dtype == np.uint8 else "float64"
    return Problem(x.shape[1], tuple(x.shape[1:]), outputs, classes, out_activation, dtype)
