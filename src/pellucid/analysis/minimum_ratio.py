"""The minimum ratio against the training loss: at which losses do many runs of a network end, and in what places?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.critical import KINDS, CriticalPoint, judge
from pellucid.analysis.critical_search import find_critical_point
from pellucid.analysis.drawing import COLOURS, MARKERS, axes_for, quiet
from pellucid.analysis.model_surface import ModelSurface
from pellucid.analysis.surface import FULL_HESSIAN, calm_blas
from pellucid.errors import ConfigurationError
from pellucid.fields import Integer, positive, require
from pellucid.train import Callback, Model, Population


@dataclass(frozen=True)
class MinimumRatios:
    """Where many runs ended; one number per run and attribute, ``columns()`` has them as a data frame's columns.

    Attributes:
        seeds: What drew each run's first weights and ordered its batches.
        trained_loss: float64, after training, before the search.
        loss: float64, at the place that is judged.
        minimum_ratio: float64, positive eigenvalues of the full Hessian over all eigenvalues.
        negative_ratio: float64, negative ones over all; the rest counts as 0.
        gradient_norm: float64, |g|: how critical the place is.
        hessian_gradient_ratio: float64, |H g| / |g|: near 0 where only the Hessian's null space holds the gradient.
        smallest, largest: float64, the extreme eigenvalues.
        kinds: What each place is, see ``CriticalPoint``.
        failures: Runs whose loss became NaN or infinite; they are in no other attribute.
    """

    seeds: tuple[int, ...]
    trained_loss: np.ndarray
    loss: np.ndarray
    minimum_ratio: np.ndarray
    negative_ratio: np.ndarray
    gradient_norm: np.ndarray
    hessian_gradient_ratio: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray
    kinds: tuple[str, ...]
    failures: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.seeds)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.counts().items())
        lost = f"; {len(self.failures)} failed" if self.failures else ""
        if not len(self):
            return f"no run ended at a finite loss{lost}"
        return (
            f"{len(self)} runs: {kinds}{lost}; loss {self.loss.min():.4g} to {self.loss.max():.4g}, minimum ratio "
            f"{self.minimum_ratio.min():.3f} to {self.minimum_ratio.max():.3f}"
        )

    def columns(self) -> dict[str, Any]:
        """The columns of a data frame with a row per run: ``pandas.DataFrame(ratios.columns())``."""
        names = (
            "trained_loss", "loss", "minimum_ratio", "negative_ratio", "gradient_norm", "hessian_gradient_ratio",
            "smallest", "largest",
        )  # fmt: skip
        return {"seed": np.array(self.seeds), **{n: getattr(self, n) for n in names}, "kind": np.array(self.kinds)}

    def counts(self) -> dict[str, int]:
        """How many runs ended in each kind of place, the most frequent first."""
        found, counts = np.unique(np.array(self.kinds), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {str(found[i]): int(counts[i]) for i in order}

    def plot(self, ax: Any = None) -> Any:
        """Draw the minimum ratio over the loss, a marker per run and kind of place.

        Returns:
            The axes.
        """
        ax = axes_for("MinimumRatios.plot", ax, (5.6, 4.0))
        for kind, count in self.counts().items():
            number, own = KINDS.index(kind), np.array(self.kinds) == kind
            style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
            label = f"{kind} ({count})"
            ax.scatter(self.loss[own], self.minimum_ratio[own], s=30, alpha=0.75, linewidths=0, label=label, **style)
        ax.set_xlabel("training loss")
        ax.set_ylabel("minimum ratio")
        ax.legend(frameon=False, fontsize=8)
        quiet(ax)
        return ax


def minimum_ratios(
    model: Model,
    x: Any,
    y: Any,
    *,
    runs: int = 50,
    epochs: int | Sequence[int] = 100,
    search: str | None = "newton",
    search_steps: int = 300,
    tolerance: float = 1e-4,
    zero: float = 1e-6,
    batch_size: int | None = 32,
    learning_rate: Any = None,
    seed: int = 0,
    limit: int = FULL_HESSIAN,
    verbose: str | int = 0,
) -> MinimumRatios:
    """Train a network many times, look for a critical point where each run ends, and judge it by its full Hessian.

    Training alone seldom ends where the gradient is 0, and a minimum ratio means little elsewhere: so a search goes on
    from the last weights, and the gradient's norm and |H g| / |g| are reported beside each ratio.

    Args:
        model: A compiled model; its copies are trained, not itself.
        x, y: The data; the loss over all of them is what is looked at.
        runs: How many.
        epochs: Of all runs, or of each: runs that stop early end at larger losses.
        search: How a critical point is looked for, see ``find_critical_point``; None judges the trained weights.
        search_steps: At most so many.
        tolerance: The largest |g| of a critical point.
        zero: An eigenvalue counts as 0 up to this share of the largest one in size.
        batch_size, learning_rate: Of training; learning rates may differ between runs.
        seed: Of the first run; the others count up.
        limit: The most parameters.
        verbose: 1 shows a bar while the runs train.

    Raises:
        ConfigurationError: The network has more parameters than ``limit``, or ``epochs`` does not fit ``runs``.

    Source: the lectures' first deck, "Saddle point vs local minima".

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((1,)), Dense(3, "tanh"), Dense(1)])
    >>> model.compile("mse", "adam")
    >>> x = np.linspace(-1, 1, 32)[:, None]
    >>> ratios = minimum_ratios(model, x, np.sin(3 * x), runs=3, epochs=5, search_steps=50)
    >>> len(ratios), bool((ratios.minimum_ratio <= 1).all())
    (3, True)
    """
    owner = "minimum_ratios"
    require(owner, "runs", runs, Integer(1))
    require(owner, "search_steps", search_steps, Integer(1))
    for name, value in (("tolerance", tolerance), ("zero", zero)):
        require(owner, name, value, positive)
    lengths = _lengths(owner, epochs, runs)
    surface = _small_enough(ModelSurface(model, x, y), limit)
    population = Population(model, runs, seed=seed, learning_rate=learning_rate)
    population.fit(
        x, y, epochs=max(lengths), batch_size=batch_size, callbacks=lambda number: [_Until(lengths[number])],
        verbose=verbose,
    )  # fmt: skip
    seeds, trained, places = [], [], []
    with calm_blas():
        for number, member in enumerate(population):
            if number not in population.failures:
                here = surface.moved_to(member)
                seeds.append(population.seeds[number])
                trained.append(here.value())
                places.append(_place(here, search, search_steps, tolerance, zero, limit))
    return _collected(seeds, trained, places, tuple(sorted(population.failures)))


def _small_enough(surface: ModelSurface, limit: int) -> ModelSurface:
    if surface.point.size > limit:
        raise ConfigurationError(
            f"minimum_ratios: the network has {surface.point.size:,} parameters, the limit of full Hessians is "
            f"{limit:,}.",
            hint="take a smaller network, or raise limit=",
        )
    return surface


def _place(
    here: ModelSurface, search: str | None, steps: int, tolerance: float, zero: float, limit: int
) -> CriticalPoint:
    """What a search finds from a run's last weights."""
    point = here.point
    if search is not None:
        point = find_critical_point(here, method=search, steps=steps, tolerance=tolerance, limit=limit).point
    return judge(here, point, tolerance, zero, limit=limit)


def _collected(
    seeds: list[int], trained: list[float], places: list[CriticalPoint], failures: tuple[int, ...]
) -> MinimumRatios:
    return MinimumRatios(
        seeds=tuple(seeds),
        trained_loss=np.array(trained),
        loss=np.array([p.loss for p in places]),
        minimum_ratio=np.array([p.minimum_ratio for p in places]),
        negative_ratio=np.array([p.negative / len(p.eigenvalues) for p in places]),
        gradient_norm=np.array([p.gradient_norm for p in places]),
        hessian_gradient_ratio=np.array([p.hessian_gradient_ratio for p in places]),
        smallest=np.array([p.eigenvalues[0] for p in places]),
        largest=np.array([p.eigenvalues[-1] for p in places]),
        kinds=tuple(p.kind for p in places),
        failures=failures,
    )


class _Until(Callback):
    """Ends a run after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop where it is time."""
        if epoch + 1 >= self._epochs:
            self.model.stop_training = f"{self._epochs} epochs"


def _lengths(owner: str, epochs: Any, runs: int) -> list[int]:
    """The epochs of each run."""
    given = [epochs] * runs if np.ndim(epochs) == 0 else list(epochs)
    if len(given) != runs:
        raise ConfigurationError(f"{owner}: epochs has {len(given)} numbers for {runs} runs.")
    for one in given:
        require(owner, "epochs", one, Integer(1))
    return [int(one) for one in given]
