"""What the multi-layer perceptrons share: from checked parameters and data to trained arrays.

The semantics are those of scikit-learn's MLPClassifier and MLPRegressor (Pedregosa et al. 2011, version 1.9): initial
values, order of the samples, split, penalty and stopping rule are drawn and judged in the same order, so that the same
``random_state`` gives the same network up to rounding.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from pellucid import fields
from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.estimators import checks, lbfgs
from pellucid.estimators.descent import Descent, Samples, training_arrays
from pellucid.estimators.goals import Goal
from pellucid.estimators.listening import Listeners
from pellucid.estimators.network import Architecture, Network, initial_parameters
from pellucid.estimators.solvers import KeepGradient, Rates, optimizer_of
from pellucid.estimators.stochastic import Plan, Training, Validation
from pellucid.nn import activations
from pellucid.nn.losses import MeanSquaredError
from pellucid.optim import Optimizer
from pellucid.train.recording.recorder import as_recorder


def _activation(value: Any) -> str | None:
    known = ("identity", "logistic", *activations.ACTIVATIONS)
    if isinstance(value, str) and value not in known:
        raise unknown_name("activation", value, known)
    return None if isinstance(value, str) or callable(value) else "the name of an activation, or a function"


def _solver(value: Any) -> str | None:
    message = checks.optimizer(value)
    return None if message is None or value == "lbfgs" else f"'lbfgs', {message}"


#: What each parameter must be.
PARAMETERS: dict[str, fields.Check] = {
    "hidden_layer_sizes": checks.sizes,
    "activation": _activation,
    "solver": _solver,
    "alpha": fields.non_negative,
    "batch_size": checks.batch_size,
    "learning_rate": fields.Choice("constant", "invscaling", "adaptive"),
    "learning_rate_init": fields.positive,
    "power_t": fields.non_negative,
    "max_iter": fields.Integer(1),
    "shuffle": checks.truth,
    "random_state": checks.random_state,
    "tol": fields.non_negative,
    "verbose": checks.verbosity,
    "warm_start": checks.truth,
    "momentum": fields.Interval(0, 1, "left"),
    "nesterovs_momentum": checks.truth,
    "early_stopping": checks.truth,
    "validation_fraction": fields.Interval(0, 1, "left"),
    "beta_1": fields.Interval(0, 1, "left"),
    "beta_2": fields.Interval(0, 1, "left"),
    "epsilon": fields.positive,
    "n_iter_no_change": checks.patience,
    "max_fun": fields.Integer(1),
    "dropout": fields.Interval(0, 1, "left"),
    "record": checks.recorder,
}


@dataclass(frozen=True)
class SolverState:
    """What ``partial_fit`` goes on with: the optimiser's slots, its updates so far, and an epoch-wise learning rate."""

    slots: list[np.ndarray]
    updates: int
    rate: float


@dataclass(frozen=True)
class Task:
    """What targets ask of a network.

    Attributes:
        goal: What is to be made small.
        targets: The targets as the loss takes them.
        outputs: The number of the network's outputs.
        score: From rows, the network's outputs for them and their weights to the score.
        strata: Classes whose proportions a split keeps, or None.
        class_weights: From the samples' own weights to the weight of each from that of its class, or to None.
    """

    goal: Goal
    targets: np.ndarray
    outputs: int
    score: Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]
    strata: np.ndarray | None = None
    class_weights: Callable[[np.ndarray | None], np.ndarray | None] = lambda own: None


class MultilayerPerceptron(BaseEstimator, ABC):
    """Base of MLPClassifier and MLPRegressor."""

    hidden_layer_sizes: Any
    activation: Any
    solver: Any
    alpha: float
    batch_size: Any
    learning_rate: str
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    warm_start: bool
    early_stopping: bool
    validation_fraction: float
    dropout: float
    callbacks: Any
    record: Any

    _y_numeric = False

    @abstractmethod
    def _task(self, y: Any, begins: bool, incremental: bool, classes: Any) -> Task:
        """What checked targets ask of the network.

        Args:
            y: The targets.
            begins: Whether the network is a new one.
            incremental: Whether these are not all targets.
            classes: All labels, where they are known beforehand.
        """

    # Data.

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, Any]:
        """Inputs and targets as scikit-learn checks them; a sparse matrix becomes a dense one."""
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=self._y_numeric,
            dtype=(np.float64, np.float32), reset=reset,
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        dtype = X.dtype if reset else self.coefs_[0].dtype
        return np.ascontiguousarray(X.toarray() if sparse.issparse(X) else X, dtype), y

    def _weights(self, given: Any, task: Task, x: np.ndarray) -> np.ndarray | None:
        own = checks.sample_weights(given, len(x), x.dtype)
        by_class = task.class_weights(own)
        product = own if by_class is None else by_class if own is None else own * by_class
        if product is not None and not product.any():
            raise DataError("The weights of samples and classes together leave nothing: all products are zero.")
        return product

    # Fitting.

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, incremental: bool = False, classes: Any = None) -> Any:
        checks.check_parameters(self, PARAMETERS)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        x, y = self._checked(X, y, first)
        task = self._task(y, first, incremental, classes)
        self.n_outputs_ = task.outputs
        random = check_random_state(self.random_state)
        samples = Samples.weighed(x, task.targets, self._weights(sample_weight, task, x))
        if first:
            self._initialize(x, task.goal, random)
        elif [c.shape[0] for c in self.coefs_[1:]] != self._hidden():
            raise ConfigurationError(
                f"{type(self).__name__}: hidden_layer_sizes is {self._hidden()}, but the network that training goes on "
                f"with has {[c.shape[0] for c in self.coefs_[1:]]}.",
                hint="set warm_start=False to begin anew",
            )
        if self.solver == "lbfgs":
            self._fit_lbfgs(samples, task.goal, random)
        else:
            self._fit_stochastic(samples, task, random, incremental)
        checks.check_finite_state(self._parameters, self)
        return self

    def _hidden(self) -> list[int]:
        return [int(n) for n in np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=int))]

    @property
    def _parameters(self) -> list[np.ndarray]:
        """Kernel and bias of each layer in turn."""
        return [array for pair in zip(self.coefs_, self.intercepts_, strict=True) for array in pair]

    def _keep(self, parameters: list[np.ndarray]) -> None:
        self.coefs_, self.intercepts_ = parameters[::2], parameters[1::2]

    def _initialize(self, x: np.ndarray, goal: Goal, random: np.random.RandomState) -> None:
        """A network of random numbers, and no history."""
        units = [x.shape[1], *self._hidden(), self.n_outputs_]
        self._keep(initial_parameters(units, self.activation, random, x.dtype))
        self.n_iter_, self.t_, self.n_layers_, self.out_activation_ = 0, 0, len(units), goal.out_activation
        self._solver_state: SolverState | None = None
        if self.solver != "lbfgs":
            self._begin_records()

    def _begin_records(self) -> None:
        """No history of training by epochs."""
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_ = self.best_validation_score_ = None
        self.validation_scores_: Any = None
        self.validation_loss_curve_: Any = None

    def _continue_records(self) -> None:
        """What training is judged by: what is there, and a beginning where it was judged otherwise before."""
        if not hasattr(self, "loss_curve_"):
            self._begin_records()
        if self.early_stopping and self.best_validation_score_ is None:
            self.validation_scores_, self.validation_loss_curve_, self.best_validation_score_ = [], [], -np.inf
            self._no_improvement_count = 0
        elif not self.early_stopping and self.best_loss_ is None:
            self.best_loss_, self._no_improvement_count = np.inf, 0

    def _network(self, goal: Goal, optimizer: Optimizer) -> Network:
        """A network for the arrays that there are."""
        units = (self.coefs_[0].shape[0], *(c.shape[1] for c in self.coefs_))
        dropout, dtype = float(self.dropout), self.coefs_[0].dtype
        self._architecture = Architecture(units, self.activation, self.out_activation_, dropout, dtype)
        return Network(self._architecture, goal.loss, goal.factor, optimizer, self.alpha > 0)

    def _listeners(self, network: Network, parameters: list[np.ndarray]) -> Listeners:
        """The callbacks, told of the epochs of all fits that ``loss_curve_`` tells of."""
        epochs = len(getattr(self, "loss_curve_", ()))
        return Listeners(type(self).__name__, self.callbacks, network.model, parameters, epochs)

    def _key_seed(self, random: np.random.RandomState) -> int:
        """What fixes dropout; without dropout nothing is drawn, so that the draws are scikit-learn's."""
        return int(random.randint(2**31)) if self.dropout else 0

    def _fit_lbfgs(self, samples: Samples, goal: Goal, random: np.random.RandomState) -> None:
        if as_recorder(self.record, None) is not None:
            raise ConfigurationError(
                f"{type(self).__name__}: record={self.record!r} tells of updates by batches, but solver='lbfgs' makes "
                "steps of another kind.",
                hint='take another solver, such as "adam", or record="off"',
            )
        self.recording_ = None
        network = self._network(goal, KeepGradient())
        parameters = [array.copy() for array in self._parameters]
        surface = lbfgs.Surface(network, samples, parameters, self.alpha, self._key_seed(random))
        constant = goal.constant(samples.y, samples.weights)
        reported = lambda loss, penalty: goal.reported * loss + penalty + constant  # noqa: E731
        listeners = self._listeners(network, parameters)
        self.loss_ = reported(*lbfgs.minimise(self, surface, self._parameters, listeners, reported))
        self._keep(parameters)
        self._shell = network

    def _fit_stochastic(self, samples: Samples, task: Task, random: np.random.RandomState, incremental: bool) -> None:
        if incremental and self.early_stopping:
            raise ConfigurationError(
                "partial_fit does not support early_stopping=True: a few samples at a time leave none to set apart."
            )
        self._continue_records()
        network = self._network(task.goal, optimizer_of(self))
        state = self._solver_state if incremental else None
        parameters = [np.require(array, requirements=["C", "W"]) for array in self._parameters]
        arrays = training_arrays(network, parameters, state.slots if state else [])
        schedule = "constant" if self.solver == "adam" else self.learning_rate  # scikit-learn's adam takes no schedule
        rates = Rates(network.model.optimizer, schedule, self.power_t, state.rate if state else None)
        rows, held_out = self._split(samples, task, random)
        samples = samples.relative_to(rows)
        descent = Descent(
            network, samples, arrays, rows=rows, batch=self._batch(len(rows)), alpha=self.alpha,
            key_seed=self._key_seed(random), recorder=as_recorder(self.record, None),
        )  # fmt: skip
        validation = None if held_out is None else Validation(network, samples, arrays, held_out, task.goal, task.score)
        constant = task.goal.constant(*samples.targets_of(rows))
        plan = Plan(
            descent, rates, random, bool(self.shuffle), 1 if incremental else int(self.max_iter), not incremental,
            validation, lambda loss, penalty: task.goal.reported * loss + penalty + constant,
            self._listeners(network, parameters),
        )  # fmt: skip
        training = Training(self, plan, parameters, state.updates if state else 0)
        self._keep(training.run())
        self._solver_state = SolverState(arrays[len(parameters) :], training.updates, rates.present)
        self._shell = network

    def _batch(self, count: int) -> int:
        if isinstance(self.batch_size, str):
            return min(200, count)
        if self.batch_size > count:
            warnings.warn(
                f"{type(self).__name__}: batch_size is {self.batch_size}, but there are {count} samples: each batch "
                "holds all of them.",
                stacklevel=6,
            )
        return int(min(self.batch_size, count))

    def _split(
        self, samples: Samples, task: Task, random: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The rows that are trained on and those that are set apart, as scikit-learn's train_test_split takes them."""
        rows = np.arange(len(samples.x))
        if not self.early_stopping:
            return rows, None
        try:
            split: Any = train_test_split(
                rows, random_state=random, test_size=self.validation_fraction, stratify=task.strata
            )
        except ValueError as error:
            raise DataError(
                f"{type(self).__name__}: early_stopping cannot set validation_fraction={self.validation_fraction!r} of "
                f"{len(rows)} samples apart: {error}"
            ) from None
        rows, held_out = split
        if len(held_out) < 2:
            raise DataError(
                f"The validation set would have {len(held_out)} sample, which is too small for a score.",
                hint="increase validation_fraction, or give more samples",
            )
        return rows, held_out

    # Use.

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's outputs [n, outputs]."""
        check_is_fitted(self, "coefs_")
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        dtype = self.coefs_[0].dtype
        X = np.ascontiguousarray(X.toarray() if sparse.issparse(X) else X, dtype)
        return self._working_network().outputs(X, [np.ascontiguousarray(p, dtype) for p in self._parameters])

    def _working_network(self) -> Network:
        """The compiled network: that of the fit, or one made anew after the estimator was copied or read."""
        if getattr(self, "_shell", None) is None:
            self._shell = Network(self._architecture, MeanSquaredError(), 1.0, KeepGradient(), penalised=False)
        return self._shell

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and arrays; compiled programs stay where they are."""
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_shell"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
