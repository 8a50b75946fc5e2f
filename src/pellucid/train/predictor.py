"""Predictions at low latency: a compiled forward computation that keeps its plan and its memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.alignment import aligned_copy
from pellucid.backends.loop import LoopData
from pellucid.errors import ShapeError
from pellucid.shapes import show
from pellucid.train.feed import single


class Predictor:
    """A model's outputs for batches of one size, at the lowest latency.

    It follows the model: after training it computes with the new parameters. It is not for several threads at once.

    Args:
        model: The model, built.
        batch_size: Samples per call.

    Raises:
        ShapeError: At a call, an input has another shape.
    """

    def __init__(self, model: Any, batch_size: int) -> None:
        self._single = model._single
        self._inputs = tuple(
            np.zeros((batch_size, *symbol.sample_shape), symbol.dtype) for symbol in model.network.inputs
        )
        segment = single(self._inputs, (), None, model.input_dtypes)
        program = model.programs.prediction(segment)
        self._loop, self._parameters, self._order = program.loop, program.parameters, segment.order
        self._versions: list[int] = []
        self._follow()

    def _follow(self) -> None:
        """Take the model's present parameters."""
        self._versions = [p.version for p in self._parameters]
        state = [aligned_copy(p.numpy()) for p in self._parameters]
        self._step = self._loop.fixed(LoopData(self._inputs, self._order, state=state))

    def __call__(self, *inputs: Any) -> Any:
        """The output for one batch, or the list of outputs."""
        if len(inputs) != len(self._inputs):
            raise ShapeError(f"the predictor takes {len(self._inputs)} inputs, not {len(inputs)}")
        for own, given in zip(self._inputs, inputs, strict=True):
            array = given if isinstance(given, np.ndarray) else np.asarray(given)
            if array.shape != own.shape:
                place = next(number for number, other in enumerate(self._inputs) if other is own)
                raise ShapeError(
                    f"the predictor was made for inputs {show(own.shape)}, but input {place} is {show(array.shape)}",
                    hint="model.predictor(batch_size=...) makes one for another number of samples",
                )
            if array.dtype.kind in "biuf":
                own[...] = array
            else:
                np.copyto(own, array, casting="same_kind")
        if [p.version for p in self._parameters] != self._versions:
            self._follow()
        logs = self._step()
        return logs[0][0].copy() if self._single else [log[0].copy() for log in logs]
