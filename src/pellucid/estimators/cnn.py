"""CNNClassifier: a convolutional network for images, as an estimator."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt, prod
from typing import Any

import numpy as np

from pellucid import fields
from pellucid.errors import ConfigurationError, DataError
from pellucid.estimators import checks
from pellucid.estimators.neural_net import ModelClassifier
from pellucid.estimators.wrapping import Problem
from pellucid.nn import Conv2D, Dense, Dropout, Flatten, Input, MaxPool2D, activations
from pellucid.nn.layer import Layer
from pellucid.train import Model, Sequential


def _sizes_or_none(value: Any) -> str | None:
    """A list of whole numbers of at least 1, which may be empty, or one such number."""
    return None if np.ndim(value) == 1 and len(value) == 0 else checks.sizes(value)


def _image_shape(value: Any) -> str | None:
    """(height, width) or (height, width, channels), or None."""
    if value is None or (np.ndim(value) == 1 and len(value) in (2, 3) and all(map(checks.whole, value))):
        return None
    return "(height, width), (height, width, channels) or None"


PARAMETERS: dict[str, fields.Check] = {
    "filters": checks.sizes,
    "kernel_size": fields.Integer(1),
    "pool": fields.Integer(1),
    "dense": _sizes_or_none,
    "activation": activations.check,
    "dropout": fields.Interval(0, 1, "left"),
    "image_shape": _image_shape,
}


class CNNClassifier(ModelClassifier):
    """Convolutions and pooling for images, then dense layers: a network in the manner of LeNet-5 (LeCun et al. 1998).

    Each of ``filters`` is a convolution that keeps height and width, followed by max-pooling; a side that is shorter
    than the pooling window is left as it is.

    Args:
        filters: Channels after each convolution.
        kernel_size: The side of its window.
        pool: The side of the pooling window; 1 pools nothing.
        dense: Units of each dense layer before the last.
        dropout: The share of the units left out before and after the dense layers.
        activation: Of all layers but the last.
        image_shape: (height, width) or (height, width, channels) of flat samples. None: samples are images [n, h, w] or
            [n, h, w, c]; flat ones are taken as square grey images, or as one row of pixels where there is no square.
        epochs, batch_size, optimizer, learning_rate, loss, metrics, callbacks, validation_split, shuffle, class_weight,
            random_state, warm_start, verbose, record: As for :class:`~pellucid.estimators.NeuralNetClassifier`.

    Attributes:
        image_shape_: (height, width, channels).
        n_features_in_: Their product: samples count as flat, whatever form they are given in.
        model_, classes_, history_, weights_, recording_, problem_: As for
            :class:`~pellucid.estimators.NeuralNetClassifier`.

    Raises:
        ConfigurationError, DataError: A parameter or the data cannot be used as they are.
        DivergedError: In ``fit``, the loss became NaN or infinite.

    Images of float32 or uint8 train in float32, which is twice as fast as float64. Scale pixels to about 0..1 first.

    >>> from sklearn.datasets import load_digits
    >>> images, y = load_digits(return_X_y=True)
    >>> images = (images / 16).astype("float32")
    >>> network = CNNClassifier(filters=(8, 16), dense=(32,), epochs=10, learning_rate=0.003, random_state=0)
    >>> network.fit(images[:1400], y[:1400]).score(images[1400:], y[1400:]) > 0.9
    True
    >>> network.image_shape_
    (8, 8, 1)
    """

    def __init__(
        self, filters: Any = (16, 32), kernel_size: int = 3, *, pool: int = 2, dense: Any = (64,),
        dropout: float = 0.0, activation: Any = "relu", image_shape: Any = None, epochs: int = 50,
        batch_size: int | None = 32, optimizer: Any = "adam", learning_rate: float | None = None, loss: Any = None,
        metrics: Any = (), callbacks: Any = (), validation_split: float = 0.0, shuffle: bool = True,
        class_weight: Any = None, random_state: Any = None, warm_start: bool = False, verbose: Any = 0,
        record: Any = "off",
    ) -> None:  # fmt: skip
        self.filters = filters
        self.kernel_size = kernel_size
        self.pool = pool
        self.dense = dense
        self.dropout = dropout
        self.activation = activation
        self.image_shape = image_shape
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

    def _samples(self, X: Any) -> tuple[Any, tuple[int, ...] | None]:
        """Images as flat samples, and their shape; what is flat already stays as it is."""
        if isinstance(X, (list, tuple)) and np.ndim(X) > 2:
            X = np.asarray(X)
        shape = getattr(X, "shape", ())
        if len(shape) < 3:
            return X, None
        if len(shape) > 4:
            raise DataError(f"Images have the axes [n, height, width, channels], but X has {len(shape)} axes: {shape}.")
        height, width, channels = (*map(int, shape[1:]), 1)[:3]
        return np.reshape(np.asarray(X), (shape[0], height * width * channels)), (height, width, channels)

    def _settle(self, x: np.ndarray, given: tuple[int, ...] | None) -> None:
        checks.check_parameters(self, PARAMETERS)
        asked = None if self.image_shape is None else (*map(int, self.image_shape), 1)[:3]
        if asked is not None and (prod(asked) != x.shape[1] or given not in (None, asked)):
            raise ConfigurationError(
                f"CNNClassifier: image_shape is {asked}, but a sample of X has "
                f"{f'the shape {given}' if given else f'{x.shape[1]} numbers'}."
            )
        side = isqrt(x.shape[1])
        guess = (side, side, 1) if side * side == x.shape[1] else (1, x.shape[1], 1)
        self.image_shape_ = asked or given or guess

    def _shaped(self, x: np.ndarray, given: tuple[int, ...] | None) -> np.ndarray:
        if given not in (None, self.image_shape_):
            raise DataError(f"X has images of the shape {given}, but the network was fitted to {self.image_shape_}.")
        return x.reshape(len(x), *self.image_shape_)

    def _made_from(self) -> tuple[str, ...]:
        return tuple(PARAMETERS)

    def _construct(self, problem: Problem) -> Model:
        return Sequential([Input(problem.input_shape), *self._layers(problem)], dtype=problem.dtype)

    def _layers(self, problem: Problem) -> Iterator[Layer]:
        height, width = problem.input_shape[:2]
        for filters in np.atleast_1d(self.filters):
            yield Conv2D(int(filters), int(self.kernel_size), padding="same", activation=self.activation)
            window = [self.pool if side >= self.pool else 1 for side in (height, width)]
            if max(window) > 1:
                yield MaxPool2D(tuple(map(int, window)))
            height, width = height // window[0], width // window[1]
        yield Flatten()
        if self.dropout:
            yield Dropout(float(self.dropout))
        for units in np.atleast_1d(np.asarray(self.dense, dtype=int)):
            yield Dense(int(units), activation=self.activation)
            if self.dropout:
                yield Dropout(float(self.dropout))
        yield Dense(problem.n_outputs, activation=problem.out_activation)
