"""The statistics of batch normalisation where a model was never trained: between weights, and around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid import ops
from pellucid.errors import ConfigurationError
from pellucid.graph import Graph, trace
from pellucid.nn import BatchNorm, Dropout, GaussianNoise
from pellucid.nn.layer import Parameter, phase
from pellucid.op import Spec


class Statistics:
    """The statistics that batch normalisation would have at any weights, from one pass over the data in training.

    Each batch gives its means and variances; together they are the means and variances over all batches.

    Args:
        surface: The ModelSurface whose model they belong to; its dropout and noise are switched off for good.

    Raises:
        ConfigurationError: Another layer than BatchNorm assigns to parameters in training.
    """

    def __init__(self, surface: Any) -> None:
        self._surface = surface
        for layer in surface.model.sublayers():
            if isinstance(layer, Dropout):
                layer.rate = 0.0
            elif isinstance(layer, GaussianNoise):
                layer.std = 0.0
        self._assigned: list[Parameter] = []
        graphs = {segment.batch: self._trace(segment.specs()) for segment in surface.segments}
        own = {
            id(p): (layer, p is layer.moving_variance)
            for layer in surface.model.sublayers()
            if isinstance(layer, BatchNorm) and layer.built
            for p in (layer.moving_mean, layer.moving_variance)
        }
        strange = [str(p.name) for p in self._assigned if id(p) not in own]
        if strange:
            raise ConfigurationError(
                f"The statistics {strange} cannot be recomputed: only those of BatchNorm are understood.",
                hint="batch_norm='kept' leaves them as they are",
            )
        number = {id(p): len(surface.trained) + i for i, p in enumerate(surface.others)}
        # A statistic that never moves (momentum 1) has no share of the batch in it.
        self._places = [
            (i, number[id(p)], 1 - own[id(p)][0].momentum, own[id(p)][1])
            for i, p in enumerate(self._assigned)
            if own[id(p)][0].momentum < 1
        ]
        self._loops = {batch: surface.loop(graph, by_points=True) for batch, graph in graphs.items()}

    def _trace(self, specs: tuple) -> Graph:
        surface = self._surface

        def batch(xs: tuple, ys: tuple, weights: tuple, share: Any) -> Any:
            with phase(training=True, key=np.asarray(ops.random_key(0))):
                surface.model.outputs_of(xs)
            return []

        weights = () if specs[2] is None else (specs[2],)
        bound = [*surface.trained, *surface.others]
        traced = trace(batch, specs[0], specs[1], weights, Spec((), surface.dtype), bind=bound, name="statistics")
        self._assigned = [p for p in traced.assigned if isinstance(p, Parameter)]
        return traced.graph

    def put_in(self, series: list[np.ndarray]) -> list[np.ndarray]:
        """The series of all parameters with the statistics at each point."""
        if not self._places:
            return series
        blank = list(series)
        for _, place, _, _ in self._places:
            blank[place] = np.zeros_like(series[place])
        first: dict[int, Any] = {}
        second: dict[int, Any] = {}
        for weight, logs in self._surface.batches(self._loops, blank, []):
            for number, place, share, is_variance in self._places:
                found = logs[number].astype(np.float64) / share  # the old value was 0
                first[place] = first.get(place, 0.0) + weight * found
                if not is_variance:
                    second[place] = second.get(place, 0.0) + weight * found**2
        for mean, variance in _pairs(self._places):
            # The variance over all samples: the mean one of the batches, and that of their means.
            first[variance] = first[variance] + np.maximum(second[mean] - first[mean] ** 2, 0.0)
        for place, value in first.items():
            blank[place] = np.ascontiguousarray(value, self._surface.dtype)
        return blank


def _pairs(places: list[tuple[int, int, float, bool]]) -> list[tuple[int, int]]:
    """The places of mean and variance of each layer, which come one after the other."""
    means = [place for _, place, _, is_variance in places if not is_variance]
    return list(zip(means, [place for _, place, _, is_variance in places if is_variance], strict=True))
