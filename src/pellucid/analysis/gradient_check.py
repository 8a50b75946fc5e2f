"""Gradient checking: back-propagation against central differences, entry by entry, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pellucid.analysis.differences import Differences, best_step
from pellucid.analysis.surface import LossSurface
from pellucid.analysis.surfaces import surface_of
from pellucid.errors import DifferentiationError
from pellucid.fields import Integer, optional, positive, require
from pellucid.train import Model

Verdict = Literal["right", "wrong", "kink"]

#: A derivative of so many times the rounding of the differences is known to six digits.
_RESOLVED = 1e6


@dataclass(frozen=True)
class CheckedEntry:
    """One derivative, computed both ways.

    Attributes:
        parameter, index: Which one.
        backprop, numerical: The two numbers.
        relative_error: |backprop - numerical| / max(|backprop|, |numerical|); of derivatives so small that differences
            cannot resolve six digits of them, relative to the smallest of which they can.
        uncertainty: By how much the numerical one may be wrong: its own truncation and rounding.
        verdict: "right", "wrong", or "kink" where the loss has no derivative (a ReLU at 0, two equal maxima of a
            pool, the edge of where it is defined): there any number between the slopes on both sides is as good as
            another.
    """

    parameter: str
    index: tuple[int, ...]
    backprop: float
    numerical: float
    relative_error: float
    uncertainty: float
    verdict: Verdict

    @property
    def name(self) -> str:
        """Parameter and index, as one would write it."""
        return self.parameter + (f"[{', '.join(map(str, self.index))}]" if self.index else "")


@dataclass(frozen=True)
class GradientCheck:
    """What a gradient check found; ``print`` shows it as a table.

    Attributes:
        entries: Every entry that was compared, parameter by parameter.
        sizes: How many entries each parameter has.
        step: The h of (L(w + h) - L(w - h)) / 2h.
        step_errors: h -> the error that nine in ten differences with it stay below, estimated on some entries:
            truncation, which falls with h², plus rounding, which grows with 1/h.
        tolerance: The largest relative error of a right derivative.
        loss: The loss at this place.
    """

    entries: tuple[CheckedEntry, ...]
    sizes: dict[str, int]
    step: float
    step_errors: dict[float, float]
    tolerance: float
    loss: float

    @property
    def passed(self) -> bool:
        """Whether no derivative is wrong."""
        return not self.wrong

    def __bool__(self) -> bool:
        return self.passed

    @property
    def wrong(self) -> list[CheckedEntry]:
        """The wrong derivatives, the worst first."""
        return [entry for entry in self.worst(len(self.entries)) if entry.verdict == "wrong"]

    @property
    def kinks(self) -> list[CheckedEntry]:
        """The entries at which the loss has no derivative."""
        return [entry for entry in self.entries if entry.verdict == "kink"]

    @property
    def suspect(self) -> str | None:
        """The last parameter, in the order of the network, with a wrong derivative.

        Back-propagation goes from the loss to the input, and what it gets wrong stays wrong: the fault lies behind this
        parameter, before those that are right.
        """
        return next((entry.parameter for entry in reversed(self.entries) if entry.verdict == "wrong"), None)

    @property
    def max_relative_error(self) -> float:
        """The largest relative error, kinks left out."""
        return max((e.relative_error for e in self.entries if e.verdict != "kink"), default=0.0)

    def worst(self, count: int = 5, parameter: str | None = None) -> list[CheckedEntry]:
        """The entries with the largest errors: wrong ones first, then kinks."""
        rank = {"wrong": 0, "kink": 1, "right": 2}
        own = [entry for entry in self.entries if parameter in (None, entry.parameter)]
        return sorted(own, key=lambda e: (rank[e.verdict], -e.relative_error))[:count]

    def columns(self) -> dict[str, list[Any]]:
        """Every entry as a row of a data frame: ``pandas.DataFrame(check.columns())``."""
        names = ("parameter", "index", "backprop", "numerical", "relative_error", "uncertainty", "verdict")
        return {name: [getattr(entry, name) for entry in self.entries] for name in names}

    def require(self) -> None:
        """Refuse to go on where a derivative is wrong.

        Raises:
            DifferentiationError: It names the worst entries.
        """
        if self.wrong:
            raise DifferentiationError(
                f"{len(self.wrong)} of {len(self.entries)} derivatives differ from central differences.",
                details=[_sentence(entry) for entry in self.wrong[:5]],
                hint=f"look at the derivatives of what {self.suspect}, the last wrong parameter, goes through first",
            )

    def table(self) -> str:
        """A row per parameter: how much was checked, the worst error and where."""
        rows = [("parameter", "checked", "worst entry", "back-propagation", "numerical", "rel. error", "")]
        for name, size in self.sizes.items():
            own = [e for e in self.entries if e.parameter == name]
            kinks = sum(e.verdict == "kink" for e in own)
            wrong = sum(e.verdict == "wrong" for e in own)
            note = ", ".join([f"{wrong} wrong"] * (wrong > 0) + [f"{kinks} at a kink"] * (kinks > 0)) or "right"
            counted = f"{len(own):,}" + ("" if len(own) == size else f" of {size:,}")
            judged = [e for e in self.worst(len(self.entries), name) if e.verdict != "kink"] or own
            rows.append((name, counted, *_numbers(judged[0]), note))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        sides = (str.ljust, str.rjust, str.ljust, str.rjust, str.rjust, str.rjust, str.ljust)
        lines = [
            "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)) for row in rows
        ]
        lines.insert(1, "-" * max(map(len, lines)))
        return "\n".join(line.rstrip() for line in lines)

    def __str__(self) -> str:
        count = len(self.entries)
        verdict = f"all {count:,} right" if self.passed else f"{len(self.wrong):,} of {count:,} WRONG"
        if self.kinks:
            verdict += f", {len(self.kinks):,} at kinks of the loss"
        lines = [
            f"Back-propagation against central differences, h = {self.step:.0e}, float64: {verdict}.",
            self.table(),
        ]
        lines += ["wrong: " + _sentence(entry) for entry in self.wrong[:5]]
        if self.suspect and len(self.sizes) > 1:
            lines.append(f"The fault lies where the loss depends on {self.suspect}, the last parameter that is wrong.")
        return "\n".join(lines)


def _numbers(entry: CheckedEntry) -> tuple[str, str, str, str]:
    where = f"[{', '.join(map(str, entry.index))}]"
    return where, f"{entry.backprop:.8g}", f"{entry.numerical:.8g}", f"{entry.relative_error:.1e}"


def _sentence(entry: CheckedEntry) -> str:
    return (
        f"{entry.name}: back-propagation {entry.backprop:.8g}, numerical {entry.numerical:.8g}, "
        f"relative error {entry.relative_error:.1e}"
    )


def check_gradients(
    target: Any,
    *at: Any,
    tolerance: float = 1e-5,
    samples: int | None = 100,
    step: float | None = None,
    training: bool = True,
    seed: int = 0,
) -> GradientCheck:
    """Compare back-propagation with central differences: ``check_gradients(model, x, y)``.

    dL/dw ≈ (L(w + h) - L(w - h)) / 2h. Everything runs in float64, whatever the model's type, in training (with one
    random key, so that dropout drops the same units every time). The step h is the one of several at which truncation
    and rounding together are smallest; an entry that then looks wrong is looked at with all of them, so that a kink
    nearby is no error, and a kink at the very place is called one.

    Args:
        target: A compiled model, or a function f(w) of an array or a nest of them.
        at: For a model, x and y; for a function, w.
        tolerance: The largest relative error of a right derivative.
        samples: Entries of each parameter, drawn by ``seed``; None for all.
        step: h, where it is not to be chosen.
        training: Whether a model's layers run as in training; False leaves out dropout and takes moving statistics.
        seed: Of the entries and of the layers' random key.

    Returns:
        The check: true where no derivative is wrong; ``print`` shows a row per parameter.

    Raises:
        ConfigurationError: An argument is outside its range.

    Source: the lectures' first and fifth deck, "numerical gradient" and "gradient checking".

    >>> from pellucid import Input, Sequential, set_seed
    >>> from pellucid.nn import Dense
    >>> set_seed(0)
    >>> model = Sequential([Input((4,)), Dense(2, "sigmoid"), Dense(3, "softmax")])
    >>> model.compile("categorical_crossentropy")
    >>> r = np.random.default_rng(0)
    >>> check = check_gradients(model, r.normal(size=(30, 4)), r.integers(0, 3, 30))
    >>> check.passed, len(check.entries), check.max_relative_error < 1e-7
    (True, 19, True)
    >>> check_gradients(lambda theta: theta**3, 1.0, step=0.01).entries[0].numerical
    3.0001
    """
    owner = "check_gradients"
    require(owner, "tolerance", tolerance, positive)
    require(owner, "samples", samples, optional(Integer(1)))
    require(owner, "step", step, optional(positive))
    require(owner, "seed", seed, Integer(0))
    settings: dict[str, Any] = {"training": training, "seed": seed} if isinstance(target, Model) else {}
    surface = surface_of(owner, target, at, **settings)
    loss, gradient = surface.require_finite(owner)
    chosen = _entries(surface, samples, seed)
    differences = Differences(surface, loss)
    chosen_step, errors = best_step(differences, chosen, seed) if step is None else (float(step), {})
    found = differences.central(chosen, chosen_step)
    rows = [
        (int(n), float(gradient[n]), float(value), float(doubt)) for n, value, doubt in zip(chosen, *found, strict=True)
    ]
    entries = [_judged(surface, differences, row, tolerance, step is not None) for row in rows]
    sizes = {name: part.size for name, part in surface.split(gradient).items()}
    return GradientCheck(tuple(entries), sizes, chosen_step, errors, tolerance, loss)


def _entries(surface: LossSurface, samples: int | None, seed: int) -> np.ndarray:
    """The numbers of the entries that are compared, in order."""
    draws, start, chosen = np.random.default_rng(seed), 0, []
    for part in surface.split(surface.point).values():
        own = np.arange(start, start + part.size)
        if samples is not None and part.size > samples:
            own = np.sort(draws.choice(own, samples, replace=False))
        chosen.append(own)
        start += part.size
    return np.concatenate(chosen)


def _judged(
    surface: LossSurface,
    differences: Differences,
    entry: tuple[int, float, float, float],
    tolerance: float,
    chosen: bool,
) -> CheckedEntry:
    """The verdict on an entry (number, back-propagation, difference, uncertainty); ``chosen``: the step is the user's.

    What looks wrong is looked at again with every step.
    """
    number, backprop, numerical, uncertainty = entry
    resolved = _RESOLVED * uncertainty
    verdict: Verdict = "right"
    if not _agree(backprop, numerical, uncertainty, tolerance):
        better, doubt = differences.refined(number)
        if not np.isfinite(better) or differences.is_jump(number):
            verdict = "kink"
        elif not _agree(backprop, better, doubt, tolerance):
            verdict = "kink" if differences.is_kink(number, backprop) else "wrong"
        # The difference with a step that was asked for is shown as it is.
        keep = chosen and np.isfinite(numerical)
        numerical, uncertainty = (numerical, abs(numerical - better) + doubt) if keep else (better, doubt)
    name, index = surface.place(number)
    size = max(abs(backprop), abs(numerical), resolved)
    relative = abs(backprop - numerical) / size if size and np.isfinite(numerical) else 0.0
    return CheckedEntry(name, index, backprop, numerical, relative, uncertainty, verdict)


def _agree(backprop: float, numerical: float, uncertainty: float, tolerance: float) -> bool:
    return abs(backprop - numerical) <= tolerance * max(abs(backprop), abs(numerical)) + uncertainty
