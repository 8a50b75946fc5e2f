"""The loss of a model as a function of one flat vector of weights, for many vectors in one call of the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.backends.loop import LoopData, LoopForm
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.train import Model
from pellucid.train.feed import single
from pellucid.train.settings import data_settings
from pellucid.train.step import BatchSpecs, CompiledEvaluation

#: The longest vectors are evaluated in pieces of about this many numbers.
_CHUNK = 1 << 22


def vector_of(model: Model) -> np.ndarray:
    """The trained parameters of a model, one after the other, as a vector."""
    own = [p.numpy().reshape(-1) for p, mine in zip(model.parameters, _trained(model), strict=True) if mine]
    return np.concatenate(own).astype(np.float64)


def _trained(model: Model) -> list[bool]:
    """Of each parameter, whether it is trained."""
    trained = {id(p) for p in model.trainable_parameters}
    return [id(p) in trained for p in model.parameters]


class LossFunction:
    """The loss that ``compile`` asked for, penalties included, on all samples at once and at inference.

    The vector holds the trained parameters one after the other. All vectors of a call are steps of one compiled loop.

    Args:
        model: The model, compiled; it is not changed.
        x, y: The data.

    Attributes:
        start: The model's present weights as a vector [d].

    Raises:
        ConfigurationError: The model has no trained parameter.
        DataError: The data do not fit the model.
        NotBuiltError: The model is not compiled.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(1, use_bias=False)])
    >>> model.compile("mse", "sgd")
    >>> loss = LossFunction(model, np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0], [2.0]]))
    >>> loss(np.array([[1.0, 1.0], [0.0, 0.0]]))
    array([0. , 2.5])
    """

    def __init__(self, model: Model, x: Any, y: Any) -> None:
        model.require_compiled()
        model._build_for(x)
        trained = _trained(model)
        if not any(trained):
            raise ConfigurationError(f'The model "{model.label}" has no parameter that is trained.')
        self._parameters = list(model.parameters)
        self._trained = trained
        inputs, targets = model.checks().both(x, y)
        segment = single(inputs, targets, None, model.input_dtypes)
        plain = replace(model.objective, metrics=((),) * len(model.objective.losses))
        specs = BatchSpecs(*segment.specs())
        graph = CompiledEvaluation(model, plain, specs, model.backend).loop.graph
        settings = data_settings(model, None).values()
        self._fixed = [
            np.asarray(array, var.spec.dtype, order="C")
            for array, var in zip((*segment.arrays, *settings), graph.inputs, strict=False)
        ]
        self._loop = model.backend.compile_loop(graph, LoopForm(0, len(self._fixed), len(self._parameters)))
        self.start = vector_of(model)

    @property
    def size(self) -> int:
        """The number of weights."""
        return len(self.start)

    def __call__(self, points: Any) -> np.ndarray:
        """The loss at each vector [n, d]; infinite where it is no number.

        Raises:
            ShapeError: The vectors are of another length.
        """
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != self.size:
            raise ShapeError(f"the loss takes points [n, {self.size}], not {list(points.shape)}")
        most = max(1, _CHUNK // self.size)
        parts = [self._losses(points[k : k + most]) for k in range(0, len(points), most)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _losses(self, points: np.ndarray) -> np.ndarray:
        series, used = [], 0
        for parameter, mine in zip(self._parameters, self._trained, strict=True):
            value = parameter.numpy()
            if mine:
                part = points[:, used : used + value.size].reshape(len(points), *value.shape)
                used += value.size
            else:
                part = np.broadcast_to(value, (len(points), *value.shape))
            series.append(np.ascontiguousarray(part, value.dtype))
        run = self._loop.start(LoopData((), np.empty(0, np.int64), self._fixed, series))
        while run.done < run.steps:
            run.advance(run.steps - run.done)
        losses = run.logs[0].astype(np.float64)
        return np.where(np.isnan(losses), np.inf, losses)

    def weights(self, point: np.ndarray) -> dict[str, np.ndarray]:
        """The vector as parameters by name, for ``set_weights``; those that are not trained as they are."""
        found, used = {}, 0
        for parameter, mine in zip(self._parameters, self._trained, strict=True):
            value = parameter.numpy().copy()
            if mine:
                value = point[used : used + value.size].reshape(value.shape).astype(value.dtype)
                used += value.size
            found[str(parameter.name)] = value
        return found
