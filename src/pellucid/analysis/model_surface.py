"""The loss of a model over a data set by its trainable parameters: compiled once, run in native loops."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from pellucid import backends, dtypes, ops
from pellucid.analysis.batch_statistics import Statistics
from pellucid.analysis.surface import LossSurface
from pellucid.backends.loop import Loop, LoopData, LoopForm
from pellucid.dtypes import is_float
from pellucid.errors import BackendError, ConfigurationError
from pellucid.graph import FORWARD_PASSES, Graph, gradient, inline, rewrite, trace
from pellucid.nn.layer import Parameter, phase
from pellucid.nn.symbol import Input
from pellucid.op import Spec
from pellucid.tensor import Tensor, recording
from pellucid.train import Model
from pellucid.train.feed import ArrayFeed, check_batch_size

#: Numbers of a series of vectors that lie in memory at once.
_SERIES = 1 << 22


class ModelSurface(LossSurface):
    """The loss that a model is trained to make small, over all samples at once, penalties included.

    L(w) = 1/N sum_n factor · loss(y_n, f(x_n; w)) + penalties(w), for losses that add up without the 1/N.

    The layers run at inference: no unit is dropped, and normalisation takes its moving statistics, which are no
    parameters here. With ``training=True`` they run as in a training step on the whole batch, with one random key, so
    that dropout drops the same units wherever the surface is asked.

    Args:
        model: A compiled model; it is copied, so that later training does not move the surface.
        x, y: The data.
        batch_size: Samples at once. Results do not depend on it but for rounding.
        sample_weight: The weight of each sample's loss.
        dtype: What is computed in.
        training: Run the layers as in training.
        seed: The random key of a surface in training.
        batch_norm: ``"kept"``: moving statistics stay as they are wherever the loss is asked for; ``"recomputed"``:
            ``values`` takes at each point those that the data have there.

    Raises:
        NotBuiltError: The model is not compiled.
        DataError: The data do not fit it.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="ones")])
    >>> model.compile("mse")
    >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([3.0, 5.0])
    >>> ModelSurface(model, x, y).value_and_gradient()
    (2.0, array([6., 8., 2.]))
    """

    def __init__(
        self,
        model: Model,
        x: Any,
        y: Any,
        *,
        batch_size: int | None = 1024,
        sample_weight: Any = None,
        dtype: Any = "float64",
        training: bool = False,
        seed: int = 0,
        batch_norm: str = "kept",
    ) -> None:
        model.require_compiled()
        check_batch_size(batch_size)
        model._build_for(x)
        self.dtype = dtypes.dtype(dtype)
        if not is_float(self.dtype):
            raise ConfigurationError(f"A loss surface is computed in floats, not in {self.dtype.name}.")
        self.model = twin_of(model, self.dtype)
        self._training, self._seed = training, seed
        self.trained = list(self.model.trainable_parameters)
        if not self.trained:
            raise ConfigurationError(f'The model "{model.label}" has no trainable parameter, and so no loss surface.')
        chosen = {id(p) for p in self.trained}
        self.others = [p for p in self.model.parameters if id(p) not in chosen]
        self._read(model, x, y, sample_weight, None if training else batch_size)
        names, shapes = [str(p.name) for p in self.trained], [p.shape for p in self.trained]
        super().__init__(names, shapes, np.concatenate([np.asarray(p, np.float64).reshape(-1) for p in self.trained]))
        self._others = [np.array(p.numpy()) for p in self.others]
        self._statistics = Statistics(self) if batch_norm == "recomputed" else None

    def _read(self, model: Model, x: Any, y: Any, sample_weight: Any, batch_size: int | None) -> None:
        """The data, checked, and in the precision of the surface."""
        wide = [Input(s.sample_shape, self.dtype if is_float(s.dtype) else s.dtype, s.name) for s in self.model.inputs]
        checks = replace(model.checks(), inputs=tuple(wide))
        xs, ys = checks.both(x, y)
        ys = tuple(part.astype(self.dtype) if is_float(part.dtype) else part for part in ys)
        weights = None if sample_weight is None else checks.weights(sample_weight, len(xs[0]))
        kinds = tuple(symbol.dtype for symbol in wide)
        feed = ArrayFeed(xs, ys, weights, kinds, batch_size=batch_size, shuffle=False, seed=0)
        self.segments = list(feed.epoch(0))
        self.samples = feed.count

    # The computation, compiled for each size of batch.

    @cached_property
    def _forward(self) -> dict[int, Graph]:
        """Batch size -> the loss's part of a batch, by rows, 1/N, trained parameters, others."""
        return {segment.batch: self._trace(segment.specs()) for segment in self.segments}

    def _trace(self, specs: tuple) -> Graph:
        def part(xs: tuple, ys: tuple, weights: tuple, share: Any) -> Any:
            key = np.asarray(ops.random_key(self._seed))
            with phase(training=self._training, key=key):
                return self._part(xs, ys, weights[0] if weights else None, share)

        weights = () if specs[2] is None else (specs[2],)
        traced = trace(
            part, specs[0], specs[1], weights, Spec((), self.dtype), bind=[*self.trained, *self.others], name="loss"
        )
        return rewrite(only(traced.graph, 1), FORWARD_PASSES)

    def _part(self, xs: Sequence, ys: Sequence, weights: Any, share: Any) -> Any:
        """What a batch adds to the loss."""
        outputs, found = self.model.outputs_of(xs), self.model.objective
        total: Any = None
        for loss, factor, target, output in zip(found.losses, found.loss_weights, ys, outputs, strict=True):
            each = loss.call(target, output)
            summed = ops.sum(each if weights is None else each * ops.cast(weights, each.spec.dtype))
            term = factor * (summed if loss.reduction == "sum" else summed * ops.cast(share, summed.spec.dtype))
            total = term if total is None else total + ops.cast(term, total.spec.dtype)
        for parameter in self.model.parameters:
            if parameter.regularizer is not None:
                count = float(xs[0].spec.shape[0])
                total = total + parameter.regularizer.penalty(parameter) * (share * count)
        return total

    @cached_property
    def _gradient(self) -> dict[int, Graph]:
        """Batch size -> the part and its gradient by the trained parameters."""
        return {batch: gradient(graph, self._positions(graph)) for batch, graph in self._forward.items()}

    def _positions(self, graph: Graph) -> range:
        """Where the trained parameters are among a graph's inputs."""
        start = len(graph.inputs) - len(self.others) - len(self.trained)
        return range(start, start + len(self.trained))

    @cached_property
    def _values_loops(self) -> dict[int, Loop]:
        return {batch: self.loop(graph, by_points=True) for batch, graph in self._forward.items()}

    @cached_property
    def _gradient_loops(self) -> dict[int, Loop]:
        return {batch: self.loop(graph, by_points=True) for batch, graph in self._gradient.items()}

    @cached_property
    def _product_loops(self) -> dict[int, Loop]:
        return {batch: self.loop(self._product(graph), by_points=False) for batch, graph in self._gradient.items()}

    def _product(self, graph: Graph) -> Graph:
        """H v as the gradient of <gradient, v>, by rows, 1/N, v, trained parameters, others."""
        first = self._positions(graph).start

        def along(rows: list, vectors: list, parameters: list) -> Any:
            parts = inline(graph, *rows, *parameters)[1:]
            terms = [ops.sum(part * vector) for part, vector in zip(parts, vectors, strict=True)]
            return sum(terms[1:], start=terms[0])

        specs = [var.spec for var in graph.inputs]
        traced = trace(along, specs[:first], [p.spec for p in self.trained], specs[first:], name="along")
        start = first + len(self.trained)
        found = gradient(traced.graph, range(start, start + len(self.trained)))
        return Graph("product", found.inputs, found.constants, found.nodes, found.outputs[1:])

    def loop(self, graph: Graph, *, by_points: bool) -> Loop:
        """The graph over a series of points (all parameters), or of vectors."""
        rows = len(self.segments[0].arrays)
        series = len(graph.inputs) - rows - 1 if by_points else len(self.trained)
        form = LoopForm(rows=rows, fixed=1, series=series)
        try:
            return self.model.backend.compile_loop(rewrite(graph), form)
        except BackendError:  # an operation of the user's own: the specification runs every one
            return backends.get("reference").compile_loop(rewrite(graph), form)

    def lend_statistics(self, other: ModelSurface) -> None:
        """Take at every point the statistics of batch normalisation that another surface's data have there."""
        self._statistics = other._statistics

    def moved_to(self, model: Model) -> ModelSurface:
        """The surface at the weights of another model of the same structure; what is compiled is shared."""
        _ = self._values_loops, self._gradient_loops, self._product_loops
        moved = copy.copy(self)
        own = {str(p.name): p.numpy() for p in model.parameters}
        moved.point = self.join({name: own[name] for name in self.names})
        moved._others = [np.array(own[str(p.name)], o.dtype) for p, o in zip(self.others, self._others, strict=True)]
        return moved

    # Running it.

    def batches(
        self, loops: dict[int, Loop], series: Sequence[np.ndarray], state: Sequence[np.ndarray]
    ) -> Iterator[tuple[float, list[np.ndarray]]]:
        """For each batch its share of the samples, and the logs for a series of points or vectors."""
        share = np.asarray(1.0 / self.samples, self.dtype)
        for segment in self.segments:
            for rows in segment.order.reshape(-1, segment.batch):
                order = np.tile(rows, len(series[0]))
                run = loops[segment.batch].start(LoopData(segment.arrays, order, [share], series, state))
                while run.done < run.steps:
                    run.advance(run.steps - run.done)
                yield segment.batch / self.samples, run.logs

    def _run(self, loops: dict[int, Loop], series: Sequence[np.ndarray], state: Sequence[np.ndarray]) -> list:
        """The sum of the logs over all batches."""
        totals: list[np.ndarray] = []
        for _, logs in self.batches(loops, series, state):
            exact = [log.astype(np.float64, copy=False) for log in logs]
            totals = [a + b for a, b in zip(totals, exact, strict=True)] if totals else exact
        return totals

    def _series(self, vectors: np.ndarray) -> list[np.ndarray]:
        parts = self.split(vectors).values()
        return [np.ascontiguousarray(part, self.dtype) for part in parts]

    def _everywhere(self, points: np.ndarray) -> list[np.ndarray]:
        """The points with the other parameters, which are the same at each but for recomputed statistics."""
        series = self._series(points) + [np.repeat(other[None], len(points), axis=0) for other in self._others]
        return series if self._statistics is None else self._statistics.put_in(series)

    def values(self, points: np.ndarray) -> np.ndarray:
        """The losses at points [k, n], on all cores."""
        loops = self._values_loops
        return self._concurrently(lambda part: self._run(loops, self._everywhere(part), [])[0], points)

    def value_and_gradient(self, point: Any = None) -> tuple[float, np.ndarray]:
        """The loss and its gradient [n]."""
        value, *parts = self._run(self._gradient_loops, self._everywhere(self.at(point)[None]), [])
        return float(value[0]), np.concatenate([part.reshape(-1) for part in parts])

    def gradients(self, points: np.ndarray) -> np.ndarray:
        """The gradients [k, n] at points [k, n], on all cores."""
        loops = self._gradient_loops

        def some(part: np.ndarray) -> np.ndarray:
            found = self._run(loops, self._everywhere(part), [])[1:]
            return np.concatenate([one.reshape(len(part), -1) for one in found], axis=1)

        return self._concurrently(some, points)

    def products(self, vectors: np.ndarray, point: Any = None) -> np.ndarray:
        """The Hessian times each of some vectors [k, n], on all cores."""
        here = [part[0] for part in self._everywhere(self.at(point)[None])]
        loops = self._product_loops

        def some(part: np.ndarray) -> np.ndarray:
            found = self._run(loops, self._series(part), here)
            return np.concatenate([one.reshape(len(part), -1) for one in found], axis=1)

        return self._concurrently(some, np.asarray(vectors, np.float64))

    def step_by_step(self, point: np.ndarray, *, slope: bool) -> tuple[float, np.ndarray | None]:
        """The loss, and its gradient if asked for, computed eagerly, operation by operation, as a check or a clock."""
        for parameter, part in zip(self.trained, self.split(point).values(), strict=True):
            parameter.replace(np.array(part, self.dtype))
            parameter.grad = None
        total: Any = None
        share = np.asarray(1.0 / self.samples, self.dtype)
        key = np.asarray(ops.random_key(self._seed))
        with phase(training=self._training, key=key), recording(slope):
            for segment in self.segments:
                for rows in segment.order.reshape(-1, segment.batch):
                    arrays = [array[rows] for array in segment.arrays]
                    inputs = len(segment.x)
                    xs = [Tensor(a, kind) for a, kind in zip(arrays[:inputs], segment.dtypes, strict=True)]
                    ys = [Tensor(a) for a in arrays[inputs : inputs + len(segment.y)]]
                    part = self._part(xs, ys, Tensor(arrays[-1]) if segment.weights else None, share)
                    total = part if total is None else total + part
        if not slope:
            return total.item(), None
        total.backward()
        parts = [np.zeros(p.shape) if p.grad is None else np.asarray(p.grad, np.float64) for p in self.trained]
        return total.item(), np.concatenate([part.reshape(-1) for part in parts])

    def _concurrently(self, compute: Callable[[np.ndarray], np.ndarray], items: np.ndarray) -> np.ndarray:
        # Each item costs its numbers, and the row numbers of its batches.
        return concurrently(compute, items, max(1, _SERIES // max(self.point.size, self.segments[0].batch)))

    def weights(self, point: Any = None) -> dict[str, np.ndarray]:
        """What ``model.set_weights`` takes, for a point of the surface."""
        own = self.split(self.at(point)) | {
            str(p.name): value for p, value in zip(self.others, self._others, strict=True)
        }
        return {name: own[name] for name in (str(p.name) for p in self.model.parameters)}


def only(graph: Graph, outputs: int) -> Graph:
    """The graph of the first outputs."""
    return Graph(graph.name, graph.inputs, graph.constants, graph.nodes, graph.outputs[:outputs])


def twin_of(model: Model, dtype: np.dtype) -> Model:
    """A copy of a model whose float parameters are of another type."""
    twin = model.clone()
    for parameter in twin.parameters:
        if is_float(parameter.dtype) and parameter.dtype != dtype:
            _retype(parameter, dtype)
    return twin


def _retype(parameter: Parameter, dtype: np.dtype) -> None:
    parameter.replace(parameter.numpy().astype(dtype))
    parameter.spec = Spec(parameter.shape, dtype)


def concurrently(compute: Callable[[np.ndarray], np.ndarray], items: np.ndarray, most: int) -> np.ndarray:
    """The results for rows of items [k, ...], in parts of at most so many rows that run beside each other.

    Each part uses one core: that is as fast as one part on all cores, and for small networks much faster.
    """
    threads = backends.num_threads()
    count = max(1, -(-len(items) // most))
    if len(items) >= 4 * threads:
        count = max(count, threads)
    parts = np.array_split(items, count)
    if count == 1 or threads == 1:
        return np.concatenate([compute(part) for part in parts])

    def alone(part: np.ndarray) -> np.ndarray:
        with backends.alone():
            return compute(part)

    first = compute(parts[0][:1])  # whatever is compiled on first use is compiled once
    rest = [part for part in (parts[0][1:], *parts[1:]) if len(part)]
    with ThreadPoolExecutor(threads, "pellucid-surface") as pool:
        return np.concatenate([first, *pool.map(alone, rest)])
