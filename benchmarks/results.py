"""What comes out: figures, rows, and the arithmetic of medians, ratios and targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.work import Limit, Target

OURS = "ours"


@dataclass(frozen=True)
class Figure:
    """What one candidate took for one piece of work.

    Attributes:
        rounds: One figure per round, in the unit of the row.
        variant: Which of its ways was the quickest in the trial.
        trials: What each way took in the trial.
        burnt: The most processor seconds that it used while it waited for a turn.
        threads: Threads of its process.
        others: The share of all cores that other processes of the machine had during its turns.
        score: How good what it makes is: the mean accuracy or R^2 on held-out folds.
    """

    rounds: tuple[float, ...]
    variant: str = ""
    trials: Mapping[str, float] = field(default_factory=dict)
    burnt: float = 0.0
    threads: int = 0
    others: float = 0.0
    score: float | None = None

    @property
    def median(self) -> float:
        """The median over rounds."""
        return statistics.median(self.rounds)


@dataclass(frozen=True)
class Row:
    """One piece of work and what every candidate took for it.

    Attributes:
        section: ``"training"``, ``"inference"``, ``"kernels"``, ``"estimators"`` or ``"fresh"``.
        unit: ``"us"``, ``"ms"``, ``"s"`` or ``"MB"``.
        failures: Why a candidate has no figure, by name; of a way that does not work too.
        flops: Operations behind a figure, where a rate is shown.
        apart: Nanoseconds in which a cache line goes between two cores and back, before the turns and after them.
    """

    section: str
    name: str
    unit: str
    figures: Mapping[str, Figure]
    failures: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    flops: float | None = None
    apart: tuple[float, ...] = ()

    def median(self, candidate: str) -> float | None:
        """A candidate's median, or None where it has no figure."""
        figure = self.figures.get(candidate)
        return figure.median if figure else None

    def best(self, candidates: Sequence[str]) -> float | None:
        """The best median of some candidates."""
        return min((figure.median for name, figure in self.figures.items() if name in candidates), default=None)

    def ratio(self, candidates: Sequence[str]) -> float | None:
        """How many times as long as ours the best of some candidates took."""
        best, ours = self.best(candidates), self.median(OURS)
        return None if best is None or ours is None else best / ours

    @property
    def others(self) -> float:
        """The largest share of the cores that others had while a candidate was measured."""
        return max((figure.others for figure in self.figures.values()), default=0.0)

    def verdicts(self) -> list[Verdict]:
        """Every target, and whether it was reached."""
        return [self._verdict(target) for target in self.targets]

    def _verdict(self, target: Target) -> Verdict:
        if isinstance(target, Limit):
            ours = self.median(OURS)
            reached = None if ours is None else ours < target.bound
            return Verdict(f"under {target.bound:g} {self.unit}", ours, target.bound, reached)
        ratio = self.ratio(target.against)
        reached = None if ratio is None else ratio >= target.bound
        return Verdict(f"against {target.title}", ratio, target.bound, reached)

    def as_record(self) -> dict[str, Any]:
        """The row as it lies in the file of results."""
        figures = {
            name: {
                "median": figure.median,
                "rounds": list(figure.rounds),
                "variant": figure.variant,
                "trials": dict(figure.trials),
                "waiting_cpu_seconds": figure.burnt,
                "threads": figure.threads,
                "others": figure.others,
                "score": figure.score,
            }
            for name, figure in self.figures.items()
        }
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "figures": figures,
            "failures": dict(self.failures),
            "flops": self.flops,
            "cores_apart_ns": list(self.apart),
            "targets": [vars(verdict) for verdict in self.verdicts()],
        }


@dataclass(frozen=True)
class Verdict:
    """A target, what was measured, and whether that is enough; None where it was not measured."""

    title: str
    measured: float | None
    bound: float
    reached: bool | None

    @property
    def word(self) -> str:
        """For a table."""
        return {True: "reached", False: "missed", None: "not measured"}[self.reached]
