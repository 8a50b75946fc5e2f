"""Compiled programs that look inside a model: values of layers, and what flows back to them, over whole data sets.

A request becomes one graph, compiled by the model's own backend and kept with the model; data go through in batches,
so that memory is bounded whatever their number.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.analysis.wiring import Wiring
from pellucid.dtypes import is_float
from pellucid.errors import ConfigurationError
from pellucid.fields import Integer, require
from pellucid.graph import FORWARD_PASSES, rewrite, trace
from pellucid.nn import Embedding
from pellucid.nn.layer import phase
from pellucid.ops import greater, mul, where
from pellucid.ops.elementwise import RELU
from pellucid.reverse import dependents, sweep
from pellucid.shapes import size
from pellucid.train.structure import is_own, of_model

#: How a signal goes back through a ReLU of input x, output y: see :class:`Request`.
RULES = ("gradient", "guided", "deconvnet")

#: How many programs are kept per model.
_KEPT = 24

#: The most numbers that one value of a batch may hold, so that large images do not fill the memory.
_NUMBERS = 1 << 24


@dataclass(frozen=True)
class Request:
    """What a program computes.

    Attributes:
        values: The numbers of the values to hand out.
        of: The number of the value where a signal starts; None for a forward program.
        back_to: The numbers of the values that the signal is brought back to.
        rule: What a ReLU does to the signal s on its way back: ``"gradient"`` s [x > 0]; ``"deconvnet"`` max(s, 0);
            ``"guided"`` max(s, 0) [x > 0].
        given: The numbers of the values that are handed in, after the inputs, in place of what layers make.
    """

    values: tuple[int, ...] = ()
    of: int | None = None
    back_to: tuple[int, ...] = ()
    rule: str = "gradient"
    given: tuple[int, ...] = ()


class _Rectifier:
    """A ReLU with another rule for the way back; for the reverse sweep it stands in the place of the operation."""

    name, broadcasts = "relu", False

    def __init__(self, rule: str) -> None:
        self._masked = rule == "guided"

    def operand_name(self, index: int) -> str:
        """What errors call the operand."""
        return "x"

    def rule(self, index: int) -> Callable[..., Any]:
        """The rule of the only operand."""

        def back(signal: Any, out: Any, x: Any) -> Any:
            kept = where(greater(signal, 0), signal, 0)
            return where(greater(out, 0), kept, 0) if self._masked else kept

        return back


class Program:
    """A request, compiled for batches of one size.

    Args:
        wiring: The model's calls.
        request: What to compute.
        batch: Samples per call.
    """

    def __init__(self, wiring: Wiring, request: Request, batch: int) -> None:
        self.batch = batch
        self._parameters = list(wiring.model.parameters)
        inputs = [wiring.spec(number, batch) for number in wiring.inputs]
        given = [wiring.spec(number, batch) for number in request.given]
        signal = [] if request.of is None else [wiring.spec(request.of, batch)]

        def compute(x: list, inside: list, start: list) -> list:
            with phase(training=False):
                values = wiring.run(x, dict(zip(request.given, inside, strict=True)))
            found = [values[number] for number in request.values]
            if request.of is not None:
                ends = [values[number] for number in request.back_to]
                found += _brought_back(values[request.of], start[0], ends, request.rule)
            return found

        graph = trace(compute, inputs, given, signal, bind=self._parameters, name="probe").graph
        self._executable = wiring.model.backend.compile(rewrite(rewrite(graph, FORWARD_PASSES)))

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The values, then the signals; they may be views that the next call overwrites."""
        parameters = [np.ascontiguousarray(p.numpy()) for p in self._parameters]
        return self._executable.run([*arrays, *parameters])


def _brought_back(result: Any, signal: Any, ends: list[Any], rule: str) -> list[Any]:
    if rule != "gradient":
        for record in dependents([result], ends)[0]:
            if record.op is RELU:
                # The graph keeps the true operation; only the sweep sees the other rule.
                record.output.record = replace(record, op=_Rectifier(rule))
    found = sweep([result], [signal], ends)
    return [mul(end, 0) if part is None else part for end, part in zip(ends, found, strict=True)]


_programs: weakref.WeakKeyDictionary[Any, OrderedDict[Hashable, Program]] = weakref.WeakKeyDictionary()


def program(wiring: Wiring, request: Request, batch: int) -> Program:
    """The compiled program of a request, made on first use and kept while the model lives and stays as it is."""
    model = wiring.model
    kept = _programs.setdefault(model, OrderedDict())
    # The key of a model of a class of the user's own would be the model, and keep it alive.
    structure = of_model(model) if is_own(type(model)) else None
    key = (request, batch, id(model.backend), structure, tuple(id(p) for p in model.parameters))
    if key not in kept:
        kept[key] = Program(wiring, request, batch)
        while len(kept) > _KEPT:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]


class Probe:
    """A model together with data to look at, checked once.

    Args:
        owner: Who asks, for errors.
        model: The model, built.
        x: Inputs as for ``predict``.
        batch_size: The most samples per batch; fewer where a layer's output is large.

    Attributes:
        wiring: The model's calls.
        arrays: One array per input.
        count: The number of samples.
        batch: Samples per batch that programs are compiled for.
    """

    def __init__(self, owner: str, model: Any, x: Any, batch_size: int = 256) -> None:
        require(owner, "batch_size", batch_size, Integer(1))
        self.owner = owner
        self.wiring = Wiring(model)
        self.arrays = model.checks().x(x)
        self.count = len(self.arrays[0])
        self.batch = self.at_most(batch_size, self.count)

    def at_most(self, batch_size: int, count: int) -> int:
        """Samples per batch for so many: a power of two where that is less than asked for, to compile few sizes."""
        widest = max(size(shape) for shape, _ in self.wiring.values)
        room = max(_NUMBERS // widest, 1)
        return min(batch_size, 1 << (count - 1).bit_length(), 1 << (room.bit_length() - 1))

    def parts(self) -> Iterator[slice]:
        """The rows of each batch."""
        for start in range(0, self.count, self.batch):
            yield slice(start, min(start + self.batch, self.count))

    def rows(self, part: slice) -> list[np.ndarray]:
        """The inputs of a batch, in the model's own types."""
        dtypes = self.wiring.model.input_dtypes
        return [np.ascontiguousarray(a[part], dtype) for a, dtype in zip(self.arrays, dtypes, strict=True)]

    def forward(self, *numbers: int) -> Iterator[tuple[slice, list[np.ndarray]]]:
        """The rows and the values of each batch."""
        run = program(self.wiring, Request(numbers), self.batch)
        for part in self.parts():
            yield part, self.call(run, self.rows(part))

    def backward(self, request: Request) -> Callable[[Sequence[np.ndarray], np.ndarray], list[np.ndarray]]:
        """A function from the inputs of a batch and the signal to start with, to values and signals.

        Raises:
            ConfigurationError: Something to differentiate by is not real.
        """
        for number in request.back_to:
            if not is_float(self.wiring.values[number][1]):
                names = [step.name for step in self.wiring.steps if isinstance(step.layer, Embedding)]
                raise ConfigurationError(
                    f"{self.owner}: the input holds integers, which have no gradient.",
                    hint=f"the output of a layer has one: gradients(..., wrt={names[0]!r})" if names else None,
                )
        run = program(self.wiring, request, self.batch)
        return lambda inputs, signal: self.call(run, [*inputs, signal])

    def call(self, run: Program, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The results of one batch, which may hold fewer rows than the program was compiled for."""
        count = len(arrays[0])
        if count < run.batch:
            # Rows do not see each other at inference: the missing ones are any, here the first again.
            arrays = [np.concatenate([a, np.repeat(a[:1], run.batch - count, axis=0)]) for a in arrays]
        return [result[:count] for result in run(*arrays)]
