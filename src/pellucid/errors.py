"""Every exception that Pellucid raises on purpose, and the form of its text.

The tree::

    PellucidError
    ├── ShapeError              (ValueError)      sizes that do not fit
    ├── DTypeError              (TypeError)       element types that do not fit
    ├── ConfigurationError      (ValueError)      an unknown name or a setting outside its range
    ├── DataError               (ValueError)      the user's data cannot be used as they are
    ├── NotBuiltError           (RuntimeError)    a layer or model is used before its shapes are known
    ├── DifferentiationError    (RuntimeError)    a derivative that does not exist was asked for
    ├── TraceError              (RuntimeError)    a Python function cannot be turned into a graph
    ├── GraphError              (RuntimeError)    a graph breaks a rule of the intermediate representation
    ├── BackendError            (RuntimeError)    a backend cannot run a graph
    ├── NonFiniteError          (ArithmeticError) training met NaN or infinity
    ├── FileFormatError         (ValueError)      a saved file is damaged or of another kind
    └── MissingDependencyError  (ImportError)     an optional library is not installed

A message is a whole sentence that says where, what differed and both operands; ``hint`` says what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class PellucidError(Exception):
    """Base of every error raised on purpose.

    Args:
        message: One whole sentence: where, what differed, both operands.
        details: Further lines, each one fact (an operand, a place in the user's file).
        hint: What to do next.
    """

    def __init__(self, message: str, *, details: Sequence[str] = (), hint: str | None = None) -> None:
        self.message = message
        self.details = tuple(details)
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.details)]
        if self.hint:
            lines.append(f"Hint: {self.hint}")
        return "\n".join(lines)

    def with_context(self, message: str, details: Sequence[str]) -> PellucidError:
        """The same error with a fuller first line and more detail lines."""
        return type(self)(message, details=[*self.details, *details], hint=self.hint)


class ShapeError(PellucidError, ValueError):
    """Sizes that do not fit together."""


class DTypeError(PellucidError, TypeError):
    """Element types that do not fit together."""


class ConfigurationError(PellucidError, ValueError):
    """An unknown name, or a setting outside its range."""


class DataError(PellucidError, ValueError):
    """The user's data cannot be used as they are."""


class NotBuiltError(PellucidError, RuntimeError):
    """A layer or model is used before its shapes are known."""


class DifferentiationError(PellucidError, RuntimeError):
    """A derivative that does not exist, or whose record is gone, was asked for."""


class TraceError(PellucidError, RuntimeError):
    """A Python function cannot be turned into a graph."""


class GraphError(PellucidError, RuntimeError):
    """A graph breaks a rule of the intermediate representation."""


class BackendError(PellucidError, RuntimeError):
    """A backend cannot run a graph."""


@dataclass(frozen=True)
class Operand:
    """What an operation was given: its name or origin, shape and type, extremes, and the elements at fault.

    Attributes:
        name: The name of an input or parameter, or what it is the result of.
        spec: Element type and shape, as text.
        min, max: Its extremes.
        elements: Some elements that led to NaN or infinity: their indices with their values.
    """

    name: str
    spec: str
    min: float
    max: float
    elements: tuple[tuple[tuple[int, ...], float], ...] = ()


@dataclass(frozen=True)
class NonFiniteCause:
    """Where NaN or infinity began: the first operation that made it of finite numbers.

    Attributes:
        op: The operation's name; ``"input"`` where the data hold it already, ``"parameter"``, ``"slot"`` or
            ``"setting"`` where these did before the step; None where it could not be repeated.
        layer: The path of the layer; ``""`` outside of layers, as in losses and updates.
        stage: ``"forward"``, ``"backward"`` or ``"update"``.
        rows: The rows of the data whose samples are concerned, where the result has a row per sample.
        place: The line of the user's code, where it is known.
        formula: The operation as a formula of its operands.
        operands: The last finite numbers.
        derivative_of: In the backward stage, the forward operation whose derivative it belongs to, where that is known.
        growth: Where numbers overflow because an operation such as exp made them so large before: its name and layer,
            and the largest magnitudes before and after it.
        largest: What held the largest magnitude before the step: ``"parameter"`` or ``"input"``, its name, and the
            magnitude.
        losses: The losses of the steps before, oldest first.
    """

    op: str | None
    layer: str = ""
    stage: str = ""
    rows: tuple[int, ...] = ()
    place: str | None = None
    formula: str = ""
    operands: tuple[Operand, ...] = ()
    derivative_of: str | None = None
    growth: tuple[str, str, float, float] | None = None
    largest: tuple[str, str, float] | None = None
    losses: tuple[float, ...] = ()


class NonFiniteError(PellucidError, ArithmeticError):
    """Training met NaN or infinity.

    Attributes:
        cause: Where it began, if that was looked for; its attributes are the error's, too.
        step: The number of the update, from 1.
        epoch: The epoch, from 1; None outside of ``fit``.
    """

    def __init__(
        self,
        message: str,
        *,
        details: Sequence[str] = (),
        hint: str | None = None,
        cause: NonFiniteCause | None = None,
        step: int | None = None,
        epoch: int | None = None,
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.cause = cause
        self.step, self.epoch = step, epoch
        found = cause or NonFiniteCause(None)
        self.op, self.layer, self.stage, self.rows = found.op, found.layer, found.stage, found.rows
        self.values = found.operands


class FileFormatError(PellucidError, ValueError):
    """A saved file is damaged, or of another kind."""


class MissingDependencyError(PellucidError, ImportError):
    """An optional library is not installed."""


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice whose spelling is nearest to ``name``, or None.

    >>> nearest("sigmod", ["relu", "sigmoid"])
    'sigmoid'
    """
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def unknown_name(kind: str, name: object, choices: Iterable[str]) -> ConfigurationError:
    """The error for a name that is not in a closed list, with the nearest spelling.

    >>> print(unknown_name("activation", "sigmod", ["relu", "sigmoid"]))
    Unknown activation 'sigmod'; known are: relu, sigmoid.
    Hint: did you mean 'sigmoid'?
    """
    choices = sorted(choices)
    close = nearest(str(name), choices)
    return ConfigurationError(
        f"Unknown {kind} {name!r}; known are: {', '.join(choices)}.",
        hint=f"did you mean {close!r}?" if close else None,
    )


def missing_dependency(library: str, purpose: str, extra: str) -> MissingDependencyError:
    """The error for an optional library that is not installed."""
    return MissingDependencyError(
        f"{purpose} needs the library {library!r}, which is not installed.",
        hint=f"run: pip install 'pellucid[{extra}]'",
    )
