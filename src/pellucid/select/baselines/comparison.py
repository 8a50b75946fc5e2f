"""Methods without gradients and gradient descent on the same weights, by evaluations and by time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pellucid.errors import ConfigurationError, PellucidError, unknown_name
from pellucid.fields import Choice, Integer, lookup, non_negative, require
from pellucid.select.axes import BLUE, GREEN, GREY, ORANGE, PINK, RED, axes_for, quiet
from pellucid.select.baselines.descent import GradientDescent
from pellucid.select.baselines.differential import DifferentialEvolution
from pellucid.select.baselines.evolution import EvolutionStrategy
from pellucid.select.baselines.genetic import GeneticAlgorithm
from pellucid.select.baselines.loss import LossFunction
from pellucid.select.baselines.method import Evaluations, Method, Problem
from pellucid.select.baselines.particle_filter import ParticleFilter
from pellucid.select.baselines.random_search import RandomSearch
from pellucid.select.table import Table
from pellucid.train import Model

METHODS: dict[str, type[Method]] = {
    "gradient_descent": GradientDescent,
    "random_search": RandomSearch,
    "evolution_strategy": EvolutionStrategy,
    "differential_evolution": DifferentialEvolution,
    "genetic_algorithm": GeneticAlgorithm,
    "particle_filter": ParticleFilter,
}
_COLOURS = (RED, GREY, BLUE, GREEN, PINK, ORANGE)
_LINES = ("-", ":", "--", "-.", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "v", "D", "X")


@dataclass(frozen=True, eq=False)
class MethodRun:
    """What one method found.

    Attributes:
        method: The method, with its settings.
        losses: The loss of each evaluation, in their order.
        seconds: For each, the time from the start until it was known.
        gradients: For each, how many gradients had been computed before it.
        weights: The parameters with the smallest loss, for ``set_weights``.
    """

    method: Method
    losses: np.ndarray
    seconds: np.ndarray
    gradients: np.ndarray
    weights: dict[str, np.ndarray]

    @property
    def best(self) -> np.ndarray:
        """The smallest loss so far, after each evaluation."""
        return np.minimum.accumulate(self.losses)

    @property
    def loss(self) -> float:
        """The smallest loss."""
        return float(self.losses.min())

    def __repr__(self) -> str:
        return f"MethodRun({self.method!r}: loss {self.loss:.4g} after {len(self.losses)} evaluations)"


class OptimizerComparison(Mapping[str, MethodRun]):
    """What ``compare_optimizers`` returns: name -> what the method found.

    Attributes:
        runs: The same as a dict.
        failures: Name -> the error of a method that could not run.
    """

    def __init__(self, runs: dict[str, MethodRun], failures: dict[str, PellucidError], size: int) -> None:
        self.runs, self.failures, self._size = runs, failures, size

    def __getitem__(self, name: str) -> MethodRun:
        if name not in self.runs:
            raise self.failures[name] if name in self.failures else unknown_name("method", name, self.runs)
        return self.runs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def results(self) -> Table:
        """One row per method, the smallest loss first: evaluations, gradients, seconds, loss."""
        runs = dict(sorted(self.runs.items(), key=lambda item: item[1].loss))
        columns = {
            "method": list(runs),
            "library": [run.method.library for run in runs.values()],
            "evaluations": [len(run.losses) for run in runs.values()],
            "gradients": [int(run.gradients[-1]) for run in runs.values()],
            "seconds": [float(run.seconds[-1]) for run in runs.values()],
            "loss": [run.loss for run in runs.values()],
        }
        title = f"the loss over {self._size:,} weights, made small by {len(runs)} methods"
        return Table(columns, title=title, notes=[f"{name}: {e}" for name, e in self.failures.items()])

    def summary(self, *, show: bool = True) -> Table | None:
        """Print the results; with ``show=False`` return them as a table."""
        if not show:
            return self.results
        print(self.results)
        return None

    def plot(self, by: str = "evaluations", *, gradient_cost: float = 0.0, ax: Any = None) -> Any:
        """Draw the smallest loss so far of every method.

        Args:
            by: ``"evaluations"`` or ``"seconds"``.
            gradient_cost: How many evaluations a gradient counts for. 0 counts evaluations alone; 2 is about what
                back-propagation costs: two products of matrices for each one of the forward pass.
            ax: The Matplotlib axes to draw on; new ones by default.

        Returns:
            The axes. Both scales are logarithmic, unless a loss is negative; a line that leaves them below is at 0.
        """
        require("OptimizerComparison.plot", "by", by, Choice("evaluations", "seconds"))
        require("OptimizerComparison.plot", "gradient_cost", gradient_cost, non_negative)
        ax = axes_for("OptimizerComparison.plot", ax)
        for number, (name, run) in enumerate(self.runs.items()):
            _draw(ax, number, name, run, _across(run, by, gradient_cost))
        ax.set(xscale="log", xlabel=_label(by, gradient_cost, self.runs), ylabel="smallest loss so far")
        _scale_losses(ax, [run.best for run in self.runs.values()])
        ax.legend(frameon=False, fontsize=8)
        quiet(ax)
        return ax

    def __repr__(self) -> str:
        return str(self.results)


def _across(run: MethodRun, by: str, gradient_cost: float) -> np.ndarray:
    if by == "seconds":
        return run.seconds
    return np.arange(1, len(run.losses) + 1) + gradient_cost * run.gradients


def _label(by: str, gradient_cost: float, runs: dict[str, MethodRun]) -> str:
    if by == "seconds":
        return "seconds"
    if not any(run.gradients.any() for run in runs.values()):
        return "evaluations of the loss"
    counted = f"a gradient counts as {gradient_cost:g}" if gradient_cost else "gradients are not counted"
    return f"evaluations of the loss ({counted})"


def _scale_losses(ax: Any, curves: list[np.ndarray]) -> None:
    """A logarithmic scale, where no loss is negative."""
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    if len(values) and values.min() >= 0 and values.max() > 0:
        ax.set_yscale("log", nonpositive="clip")
        if values.min() == 0:
            ax.set_ylim(bottom=values[values > 0].min() / 2)


def _draw(ax: Any, number: int, name: str, run: MethodRun, across: np.ndarray) -> None:
    colour = _COLOURS[number % len(_COLOURS)]
    finite = np.isfinite(run.best)
    x, y = across[finite], run.best[finite]
    if not len(x):
        return
    shown = np.unique(np.append(np.searchsorted(x, np.geomspace(x[0], x[-1], 7)[:-1]), len(x) - 1))
    ax.plot(
        x, y, color=colour, linestyle=_LINES[number % len(_LINES)], linewidth=1.6, drawstyle="steps-post",
        marker=_MARKERS[number % len(_MARKERS)], markevery=shown.tolist(), markersize=5, label=name.replace("_", " "),
    )  # fmt: skip


def compare_optimizers(
    model: Model,
    x: Any,
    y: Any,
    methods: Sequence[str | Method] | Mapping[str, str | Method] = tuple(METHODS),
    *,
    evaluations: int = 1000,
    seed: int = 0,
) -> OptimizerComparison:
    """Make the training loss small with and without gradients, all from the weights that the model has now.

    Every method evaluates the loss on all samples exactly so many times. Methods that keep a population ask for a whole
    generation at once, which is one call of the engine. Compiling and loading libraries is not timed.

    Args:
        model: A compiled model; it stays as it is. ``GradientDescent`` uses its optimiser.
        x, y: The training data.
        methods: Names or methods such as ``EvolutionStrategy(sigma=1.0)``; or a dict by the names to be shown.
        evaluations: How often each method may evaluate the loss.
        seed: Fixes all that is random: the same seed, the same losses.

    Returns:
        What each method found. A method whose library is not installed is in ``failures``, and the others go on.

    Raises:
        ConfigurationError: A name is unknown, or there is no method.
        MissingDependencyError: No method could run, as libraries are not installed.

    >>> from sklearn.datasets import load_iris
    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((4,)), Dense(3, activation="softmax")])
    >>> model.compile("categorical_crossentropy", "adam")
    >>> found = compare_optimizers(model, *load_iris(return_X_y=True), ["random_search", "gradient_descent"])
    >>> len(found["random_search"].losses), int(found["gradient_descent"].gradients[-1])
    (1000, 999)
    """
    require("compare_optimizers", "evaluations", evaluations, Integer(2))
    require("compare_optimizers", "seed", seed, Integer(0))
    chosen = _chosen(methods)
    model.require_compiled()
    problem = Problem(model, x, y, LossFunction(model, x, y), int(seed))
    runs: dict[str, MethodRun] = {}
    failures: dict[str, PellucidError] = {}
    for name, method in chosen.items():
        try:
            runs[name] = _run(method, problem, int(evaluations))
        except PellucidError as error:
            failures[name] = error
    if not runs:
        raise next(iter(failures.values()))
    return OptimizerComparison(runs, failures, problem.loss.size)


def _chosen(methods: Any) -> dict[str, Method]:
    if isinstance(methods, (str, Method)):
        methods = [methods]
    if isinstance(methods, Mapping):
        chosen = {str(name): lookup("method", given, Method, METHODS) for name, given in methods.items()}
    else:
        found = [lookup("method", given, Method, METHODS) for given in methods]
        names = [method.title.replace(" ", "_") for method in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(
                f"compare_optimizers: there are two methods called {twice[0]!r}.",
                hint="give them names: methods={'small': ..., 'large': ...}",
            )
        chosen = dict(zip(names, found, strict=True))
    if not chosen:
        raise ConfigurationError("compare_optimizers: there is no method to compare.")
    return chosen


def _run(method: Method, problem: Problem, limit: int) -> MethodRun:
    method.warm_up(problem)
    problem.loss(problem.loss.start[None])
    # Products of small matrices take longer on several threads, and their last bits differ with the number.
    with threadpool_limits(1, user_api="blas"):
        evaluations = Evaluations(problem.loss, problem.loss.start, limit)
        method.minimise(problem, evaluations)
    return MethodRun(
        method, evaluations.losses, evaluations.seconds, evaluations.gradients, problem.loss.weights(evaluations.best)
    )
