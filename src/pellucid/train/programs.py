"""The compiled programs of a model, by the shapes of a batch; those of equal models are shared."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from pellucid.train import structure
from pellucid.train.feed import Segment
from pellucid.train.recording.probe import probe_of
from pellucid.train.recording.recorder import Recorder
from pellucid.train.state import TrainingState
from pellucid.train.step import (
    BatchSpecs,
    CompiledEvaluation,
    CompiledPrediction,
    CompiledTraining,
    EvaluationProgram,
    PredictionProgram,
    TrainingProgram,
)

# Batches of ever new sizes must not fill the memory with compiled graphs.
_KEPT = 32


class Programs:
    """What was compiled for a model, and the working copies of what training changes.

    Attributes:
        kept: The programs by purpose and shapes, the one used last at the end.
    """

    def __init__(self, model: Any) -> None:
        # No circle: a model that nobody needs any more frees its memory at once.
        self._owner = weakref.ref(model)
        self._state: TrainingState | None = None
        self._structure_before: tuple[Hashable, ...] | None = None
        self._structure_now: tuple[Hashable, ...] | None = None
        self._trained_then: tuple[Hashable, ...] = ()
        self._fits = 0  # that have begun and not ended: a callback may fit the model, too
        self.kept: dict[Any, Any] = {}

    def __getstate__(self) -> Any:
        return self._model  # machine code and addresses are not copied: a copy of the model compiles anew

    def __setstate__(self, model: Any) -> None:
        self.__init__(model)

    @property
    def _model(self) -> Any:
        model = self._owner()
        assert model is not None, "programs live no longer than their model"
        return model

    def clear(self) -> None:
        """Forget all programs."""
        self.kept.clear()

    def training(self, segment: Segment, recorder: Recorder | None = None) -> TrainingProgram:
        """The compiled step for batches of this shape; with a recorder, one that also gives what is recorded."""
        model, specs, trained = self._model, BatchSpecs(*segment.specs()), self._trained()
        if self._structure_now is not None and trained != self._trained_then:
            self._look_again()  # a callback has frozen layers, or the reverse
        purpose = ("train",) if recorder is None else ("record", recorder.key)
        key = (*purpose, specs, *trained)

        def make() -> TrainingProgram:
            compiled = structure.SHARED.get(
                (*purpose, specs, *self._training_structure()),
                lambda: CompiledTraining(
                    model, model.objective, model.optimizer, specs, model.backend, probe_of(model, recorder)
                ),
            )
            return TrainingProgram(model, model.optimizer, compiled)

        return self._get(key, make)

    def state(self, program: TrainingProgram) -> TrainingState:
        """The working copies of what the program changes, up to date; programs for other batch sizes share them."""
        tensors = program.trained.tensors
        if self._state is None or not self._state.is_of(tensors):
            self._state = TrainingState(tensors)
        self._state.take_in()
        return self._state

    def evaluation(self, segment: Segment) -> EvaluationProgram:
        """The compiled evaluation for batches of this shape."""
        model, specs = self._model, BatchSpecs(*segment.specs())

        def make() -> EvaluationProgram:
            compiled = structure.SHARED.get(
                ("evaluate", specs, *self._structure(with_objective=True)),
                lambda: CompiledEvaluation(model, model.objective, specs, model.backend),
            )
            return EvaluationProgram(model, compiled)

        return self._get(("evaluate", specs), make)

    def prediction(self, segment: Segment) -> PredictionProgram:
        """The compiled forward computation for batches of this shape."""
        model, specs = self._model, segment.specs()[0]

        def make() -> PredictionProgram:
            compiled = structure.SHARED.get(
                ("predict", specs, *self._structure(with_objective=False)),
                lambda: CompiledPrediction(model, specs, model.backend),
            )
            return PredictionProgram(model, compiled)

        return self._get(("predict", specs), make)

    def begin_fit(self) -> None:
        """Compile anew where layers, losses or the optimiser were changed since the last fit.

        Until :meth:`end_fit` the structure is taken as it is now, but for what is trained.
        """
        self._fits += 1
        self._look_again()

    def _look_again(self) -> None:
        """Take the structure as it is now."""
        self._structure_now = None
        self._structure_now, self._trained_then = self._training_structure(), self._trained()
        if self._structure_now != self._structure_before:
            self.kept.clear()
            self._structure_before = self._structure_now

    def end_fit(self) -> None:
        """From now on anything may change again."""
        self._fits = max(self._fits - 1, 0)
        self._structure_now = None

    @property
    def is_fitting(self) -> bool:
        """Whether a fit has begun and not ended."""
        return self._fits > 0

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """In the block, the structure is taken as it is at its beginning."""
        self._look_again()
        try:
            yield
        finally:
            self._structure_now = None

    def _trained(self) -> tuple[Hashable, ...]:
        """Which layers are trained, and which parameters."""
        model = self._model
        return tuple(layer.trainable for layer in model.sublayers()), tuple(map(id, model.trainable_parameters))

    def _training_structure(self) -> tuple[Hashable, ...]:
        if self._structure_now is not None:
            return self._structure_now
        optimizer = structure.fingerprint(self._model.optimizer, without=("learning_rate",))
        return (optimizer, *self._structure(with_objective=True))

    def _structure(self, *, with_objective: bool) -> tuple[Hashable, ...]:
        """All that a graph of the model depends on, beside the shapes of a batch."""
        if self._structure_now is not None:
            return self._structure_now[1:] if with_objective else self._structure_now[1:3]
        model, backend = self._model, self._model.backend
        own = structure.is_own(type(backend))
        parts: list[Hashable] = [type(backend) if own else structure.Same(backend), structure.of_model(model)]
        if with_objective:
            o = model.objective
            parts.append(tuple(structure.fingerprint(part) for part in (o.losses, o.loss_weights, o.metrics)))
        return tuple(parts)

    def _get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The program of a key, made on first use; the one that was not used for longest makes room."""
        program = self.kept.pop(key, None)
        if program is None:
            program = make()
            if len(self.kept) >= _KEPT:
                del self.kept[next(iter(self.kept))]
        self.kept[key] = program
        return program
