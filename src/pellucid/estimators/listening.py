"""Callbacks of the multi-layer perceptrons: what they are told, and the model that they see.

The arrays that are trained belong to the estimator. Between epochs they are handed to the network's model, which a
callback may read, save, stop, or give other weights.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError
from pellucid.train import Callback, Model
from pellucid.train.callbacks import as_callback, overrides_batch_end


def own_callbacks(given: Any) -> list[Any]:
    """The callbacks; those with a state are copied, so that every fit begins with the state they came with."""
    several = given if isinstance(given, (list, tuple)) else [given]
    return [copy.deepcopy(c) if isinstance(c, Callback) else c for c in several]


class Listeners:
    """The callbacks of one fit.

    Args:
        owner: The estimator's name, for errors.
        given: Its callbacks.
        model: What they see; its optimiser gives the learning rate.
        parameters: The arrays that are trained, in the model's order; a callback that sets weights changes them.
        first_epoch: Epochs of fits before, which this one goes on from.

    Raises:
        ConfigurationError: One is no callback, or wants to hear of every batch.
    """

    def __init__(
        self, owner: str, given: Any, model: Model, parameters: Sequence[np.ndarray], first_epoch: int = 0
    ) -> None:
        self._callbacks = [as_callback(c) for c in own_callbacks(given)]
        if overrides_batch_end(self._callbacks):
            raise ConfigurationError(
                f"{owner}: callbacks are told of epochs, not of batches, which run in one native call.",
                hint="NeuralNetClassifier and NeuralNetRegressor tell of batches, too",
            )
        self._model, self._parameters, self._epoch = model, parameters, first_epoch

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._callbacks)

    def begin(self) -> None:
        """Before the first epoch."""
        if not self:
            return
        self._model.stop_training = False
        self._hand_over()
        for callback in self._callbacks:
            callback.model = self._model
            callback.validation_every = 1
            callback.on_train_begin()

    def begin_epoch(self) -> None:
        """Before an epoch; a callback may set its learning rate."""
        for callback in self._callbacks:
            callback.on_epoch_begin(self._epoch)

    def end_epoch(self, logs: Mapping[str, float]) -> bool | str:
        """After an epoch: whether a callback ends the training, or why."""
        self._hand_over()
        for callback in self._callbacks:
            callback.on_epoch_end(self._epoch, dict(logs))
        self._take_over()
        self._epoch += 1
        return self._model.stop_training

    def end(self) -> None:
        """After the last epoch, however it came."""
        if not self:
            return
        self._hand_over()
        for callback in self._callbacks:
            callback.on_train_end()
        self._take_over()

    def _hand_over(self) -> None:
        for parameter, array in zip(self._model.parameters, self._parameters, strict=True):
            parameter.assign(array)

    def _take_over(self) -> None:
        for parameter, array in zip(self._model.parameters, self._parameters, strict=True):
            array[...] = parameter.numpy()
