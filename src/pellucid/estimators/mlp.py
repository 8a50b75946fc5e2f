"""MLPClassifier and MLPRegressor: scikit-learn's multi-layer perceptrons, trained by Pellucid's engine."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from pellucid.errors import ConfigurationError, DataError
from pellucid.estimators import checks, goals
from pellucid.estimators.labels import BINARY, LabelClassifier, Labels
from pellucid.estimators.multilayer import MultilayerPerceptron, Task


def _by_epochs(estimator: Any) -> bool:
    """Whether the solver can train epoch by epoch.

    Raises:
        AttributeError: It needs all data at once; scikit-learn asks for this type.
    """
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs a solver that trains by epochs, which 'lbfgs' is not.")
    return True


class MLPClassifier(LabelClassifier, MultilayerPerceptron):
    """A multi-layer perceptron for classes, with scikit-learn's parameters, attributes and rules.

    Args:
        hidden_layer_sizes: Units of each hidden layer.
        activation: Of the hidden layers: ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, or any other name of
            Pellucid's activations.
        solver: ``"adam"``, ``"sgd"`` (with momentum) or ``"lbfgs"`` (SciPy's quasi-Newton method on all samples); or
            any of Pellucid's optimisers, by name (with ``learning_rate_init``) or as an object (with its own rate).
        alpha: Strength of the penalty alpha / 2 ||W||^2, which counts once per data set; biases are free.
        batch_size: Samples per update; ``"auto"`` is min(200, n).
        learning_rate: ``"constant"``; ``"invscaling"``: start / (samples seen + 1)^power_t; ``"adaptive"``: a fifth
            each time that training stands still. ``"adam"`` takes no heed of it, as in scikit-learn; ``"sgd"`` and all
            other optimisers do.
        learning_rate_init: The learning rate at the start.
        power_t: See ``learning_rate``.
        max_iter: At most so many epochs (iterations of ``"lbfgs"``).
        shuffle: A new order of the samples in every epoch.
        random_state: Initial values, order, split and dropout.
        tol: What counts as an improvement of the loss (or of the validation score).
        verbose: Print the loss of each epoch.
        warm_start: Go on from the last fit.
        momentum, nesterovs_momentum: Of ``"sgd"``.
        early_stopping: Set a share of the samples apart, judge by their accuracy, and keep the best network.
        validation_fraction: That share.
        beta_1, beta_2, epsilon: Of ``"adam"``.
        n_iter_no_change: Epochs without improvement before the end.
        max_fun: Evaluations of ``"lbfgs"``.
        loss: ``"log_loss"``; or as ``Model.compile`` takes it, a name or a function ``f(y_true, y_pred)`` of
            probabilities and targets with a column per output.
        dropout: The share of hidden units left out in every update.
        class_weight: Class -> weight of its samples, or ``"balanced"``.
        callbacks: Pellucid's callbacks, or functions ``f(epoch, logs)``, told of each epoch (iteration of ``"lbfgs"``):
            its ``loss``, with ``early_stopping`` also ``val_loss`` and ``val_accuracy``. They see a model with the
            weights of the moment, and may end training, change the learning rate or restore weights.
        record: ``"off"``, ``"stats"``, ``"full"`` or a :class:`~pellucid.train.Recorder`: what a fit by epochs records
            of the inside of the network, as for ``Model.fit``; it changes no bit. (Of the penalty, gradients hold the
            share of their batch.)

    Attributes:
        classes_: The labels; outputs are in their order.
        coefs_, intercepts_: Kernel and bias of each layer.
        loss_, best_loss_, loss_curve_: The mean loss of the last, the best and each epoch, penalty included.
        validation_scores_, best_validation_score_, validation_loss_curve_: With ``early_stopping``, of each epoch; the
            loss is without penalty.
        n_iter_, t_: Epochs of the last fit, and samples seen in all.
        recording_: What the last fit has recorded, a :class:`~pellucid.train.Recording`, or None.
        n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_: As in scikit-learn.

    Raises:
        ConfigurationError, DataError: In ``fit``, a parameter or the data cannot be used as they are.
        DivergedError: The parameters became NaN or infinite.

    The same ``random_state`` gives the same network as scikit-learn's class up to rounding. What differs: a sparse
    matrix is made dense; weights of samples are divided by their mean over the data, not over each batch; p is not cut
    off at 2e-16 in the loss. float32 inputs make a float32 network, all others a float64 one.

    Source: the semantics are those of scikit-learn 1.9 (Pedregosa et al. 2011).

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier((16,), solver="lbfgs", alpha=0.1, max_iter=1000, random_state=0).fit(X, y)
    >>> classifier.score(X, y) > 0.95, [c.shape for c in classifier.coefs_]
    (True, [(4, 16), (16, 3)])
    """

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: Any = "relu", *, solver: Any = "adam",
        alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: Any = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, loss: Any = "log_loss", dropout: float = 0.0,
        class_weight: Any = None, callbacks: Any = (), record: Any = "off",
    ) -> None:  # fmt: skip
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.dropout = dropout
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.record = record

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on samples [n, features] with labels [n], or with indicators of several labels [n, labels]."""
        return self._fit(X, y, sample_weight)

    @available_if(_by_epochs)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train one epoch on some samples; the first call names all ``classes``."""
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def _task(self, y: Any, begins: bool, incremental: bool, classes: Any) -> Task:
        checks.check_parameters(self, {"class_weight": checks.class_weights})
        self._labels = labels = self._known_labels(y, begins, incremental, classes)
        self.classes_ = labels.classes
        encoded = labels.encode(y)
        goal = goals.classification(labels, self.loss)
        return Task(
            goal,
            goals.class_targets(labels, encoded, goal.loss),
            labels.outputs,
            lambda rows, outputs, weights: goals.score_accuracy(labels, encoded[rows], outputs, weights),
            encoded if labels.kind == BINARY else None,
            lambda own: labels.weights(self.class_weight, y, own),
        )

    def _known_labels(self, y: Any, begins: bool, incremental: bool, classes: Any) -> Labels:
        """The labels: those of ``y``, or those of the network that is trained on."""
        if begins:
            if incremental and classes is None:
                raise DataError("classes must be passed in the first call of partial_fit: y may not hold all of them.")
            return Labels.of(y, classes)
        if incremental:
            self._check_classes(classes)
            return self._labels
        found = Labels.of(y)
        if not found.equals(self._labels):
            raise DataError(
                f"warm_start goes on with a network for the classes {self.classes_.tolist()}, but y has "
                f"{found.classes.tolist()}.",
                hint="set warm_start=False to begin anew",
            )
        return self._labels

    def _probable(self, X: Any) -> np.ndarray:
        return self._outputs(X)


class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """A multi-layer perceptron for numbers, with scikit-learn's parameters, attributes and rules.

    Args:
        loss: ``"squared_error"``; ``"poisson"`` (half the deviance, for counts: the last layer is exp); or as
            ``Model.compile`` takes it, a name or a function ``f(y_true, y_pred)``.
        hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t,
            max_iter, shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, beta_1, beta_2,
            epsilon, n_iter_no_change, max_fun, dropout: As for :class:`MLPClassifier`.
        early_stopping, validation_fraction: The same, judged by R^2.
        callbacks: As for :class:`MLPClassifier`, with ``val_r2``.
        record: As for :class:`MLPClassifier`.

    Attributes:
        coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_,
            validation_loss_curve_, n_iter_, t_, recording_, n_layers_, n_outputs_, out_activation_, n_features_in_,
            feature_names_in_: As for :class:`MLPClassifier`.

    Raises:
        ConfigurationError, DataError: In ``fit``, a parameter or the data cannot be used as they are.
        DivergedError: The parameters became NaN or infinite.

    Several targets [n, outputs] train one network of several outputs. What differs from scikit-learn is listed at
    :class:`MLPClassifier`; and with several outputs L-BFGS follows the gradient of the very loss that it evaluates.

    Source: the semantics are those of scikit-learn 1.9 (Pedregosa et al. 2011).

    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> regressor = MLPRegressor(hidden_layer_sizes=8, activation="tanh", solver="lbfgs", random_state=0)
    >>> regressor.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99
    True
    """

    _y_numeric = True

    def __init__(
        self, loss: Any = "squared_error", hidden_layer_sizes: Any = (100,), activation: Any = "relu", *,
        solver: Any = "adam", alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: Any = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, dropout: float = 0.0, callbacks: Any = (),
        record: Any = "off",
    ) -> None:  # fmt: skip
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.callbacks = callbacks
        self.record = record

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on samples [n, features] with targets [n] or [n, outputs]."""
        return self._fit(X, y, sample_weight)

    @available_if(_by_epochs)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch on some samples."""
        return self._fit(X, y, sample_weight, incremental=True)

    def _task(self, y: Any, begins: bool, incremental: bool, classes: Any) -> Task:
        if checks.sizes(self.loss) is None:
            raise ConfigurationError(
                f"MLPRegressor: loss must be the name of a loss, a Loss or a function, not {self.loss!r}.",
                hint=f"loss comes first, as in scikit-learn; write hidden_layer_sizes={self.loss!r}",
            )
        columns = y if y.ndim == 2 else y[:, None]
        outputs = columns.shape[1]
        if not begins and outputs != self.n_outputs_:
            raise DataError(f"y has {outputs} columns, but the network that training goes on with {self.n_outputs_}.")
        goal = goals.regression(outputs, self.loss)
        targets = goal.loss.prepare(columns, (outputs,), "y")
        score = lambda rows, found, weights: goals.score_r2(columns[rows], found, weights)  # noqa: E731
        return Task(goal, targets, outputs, score)

    def predict(self, X: Any) -> np.ndarray:
        """The predicted numbers [n], or [n, outputs]."""
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
