"""Settings declared once: name, type, default and the range they must lie in.

Layers, optimisers, schedules, losses and the like are frozen lists of settings plus a body. They declare the settings
as dataclass fields with :func:`param`; checking at construction, ``config()`` for saving and the printed form all
follow from that declaration.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, TypeGuard, TypeVar, dataclass_transform

import numpy as np

from pellucid.errors import ConfigurationError, nearest, unknown_name

Check = Callable[[Any], "str | None"]


@dataclass(frozen=True)
class Interval:
    """Real numbers between two bounds; ``closed`` says which bounds belong to it."""

    low: float
    high: float
    closed: Literal["left", "right", "both", "neither"] = "both"

    def __call__(self, value: Any) -> str | None:
        """None if the value passes, else what it must be."""
        if _is_real(value):
            above = value >= self.low if self.closed in ("left", "both") else value > self.low
            below = value <= self.high if self.closed in ("right", "both") else value < self.high
            if above and below:
                return None
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        return f"a number in {left}{self.low}, {self.high}{right}"


@dataclass(frozen=True)
class Integer:
    """Whole numbers from ``low`` on."""

    low: int = 0

    def __call__(self, value: Any) -> str | None:
        """None if the value passes, else what it must be."""
        if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= self.low:
            return None
        return f"a whole number of at least {self.low}"


class Choice:
    """One of a closed list of values."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __call__(self, value: Any) -> str | None:
        """None if the value passes, else what it must be."""
        return None if value in self.values else "one of " + ", ".join(repr(v) for v in self.values)


def _is_real(value: Any) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def positive(value: Any) -> str | None:
    """A finite number above zero."""
    if _is_real(value) and 0 < value < float("inf"):
        return None
    return "a finite number above 0"


def non_negative(value: Any) -> str | None:
    """A finite number, zero or above."""
    if _is_real(value) and 0 <= value < float("inf"):
        return None
    return "a finite number of at least 0"


def boolean(value: Any) -> str | None:
    """True or False."""
    return None if isinstance(value, (bool, np.bool_)) else "True or False"


def optional(check: Check) -> Check:
    """The same check, but None is allowed too."""

    def checked(value: Any) -> str | None:
        message = None if value is None else check(value)
        return message and f"{message}, or None"

    return checked


def require(owner: str, name: str, value: Any, check: Check) -> None:
    """Check an argument of a function by the same rules, and with the same words, as a setting of a class.

    Raises:
        ConfigurationError: The value does not pass.

    >>> require("circles", "samples", 0, Integer(2))
    Traceback (most recent call last):
    pellucid.errors.ConfigurationError: circles: samples must be a whole number of at least 2, not 0.
    """
    message = check(value)
    if message:
        raise ConfigurationError(f"{owner}: {name} must be {message}, not {value!r}.")


def param(
    *,
    default: Any = dataclasses.MISSING,
    check: Check | None = None,
    factory: Any = None,
    kw_only: bool = False,
    data: bool = False,
) -> Any:
    """A field of a :class:`Configured` class: its default, its check, and whether it is data to a compiled step.

    A number that is data is an input of the step (see :meth:`Configured.number`): another value compiles nothing anew.
    """
    metadata = {"check": check, "data": data}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=metadata, kw_only=kw_only)
    return dataclasses.field(default=default, metadata=metadata, kw_only=kw_only)


class _StandIns(threading.local):
    by_setting: Mapping[tuple[int, str], Any] = {}


_stand_ins = _StandIns()


@contextmanager
def standing_in(values: Mapping[tuple[int, str], Any]) -> Iterator[None]:
    """In the block, ``number(name)`` of an object gives the value of (its id, name)."""
    before, _stand_ins.by_setting = _stand_ins.by_setting, values
    try:
        yield
    finally:
        _stand_ins.by_setting = before


@dataclass_transform(field_specifiers=(param,), eq_default=False)
class Configured:
    """Base of classes whose constructor is a list of checked settings.

    A subclass declares ``name: type = param(default=..., check=...)``; it gets an ``__init__`` that names a wrong
    argument, ``config()`` (the settings as plain data) and a readable ``repr``.
    """

    _hidden: ClassVar[tuple[str, ...]] = ()
    _fields: ClassVar[tuple[dataclasses.Field, ...]] = ()
    _data_fields: ClassVar[tuple[str, ...]] = ()
    _own_init: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A class that adds no setting keeps an __init__ that a base class wrote itself.
        own_init = "__init__" in cls.__dict__ or (cls._own_init and not inspect.get_annotations(cls))
        cls._own_init = own_init
        dataclass(eq=False, repr=False, init=not own_init)(cls)
        cls._fields = fields(cls)  # type: ignore[arg-type]
        cls._data_fields = tuple(field.name for field in cls._fields if field.metadata.get("data"))
        if not own_init:
            cls.__init__ = _teaching_init(cls, cls.__init__)  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        for field in self._fields:
            check = field.metadata.get("check")
            message = check(getattr(self, field.name)) if check else None
            if message:
                value = getattr(self, field.name)
                raise ConfigurationError(f"{type(self).__name__}: {field.name} must be {message}, not {value!r}.")
        self.setup()

    def setup(self) -> None:
        """Called once the settings are checked; subclasses derive what they need here."""

    def number(self, name: str) -> Any:
        """A setting to compute with: the traced input that stands for it while a step is compiled, else its value."""
        return _stand_ins.by_setting.get((id(self), name), getattr(self, name))

    def data_names(self) -> tuple[str, ...]:
        """The settings that are data now: those declared so that are not 0, for 0 often means "leave it out"."""
        return tuple(name for name in self._data_fields if getattr(self, name))

    def config(self) -> dict[str, Any]:
        """The settings by name, as they were given."""
        return {field.name: getattr(self, field.name) for field in self._fields}

    def __repr__(self) -> str:
        parts = []
        for field in self._fields:
            value = getattr(self, field.name)
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required or _differs(value, field):
                shown = value.__name__ if inspect.isfunction(value) else repr(value)  # no address of a function
                parts.append(f"{field.name}={shown}")
        return f"{type(self).__name__}({', '.join(parts)})"


def _differs(value: Any, field: dataclasses.Field) -> bool:
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return type(value) is not type(default) or value != default


def _teaching_init(cls: type[Configured], init: Callable[..., None]) -> Callable[..., None]:
    """The dataclass ``__init__``, with errors that name the class, the argument and the nearest spelling."""

    def checked_init(self: Any, *args: Any, **kwargs: Any) -> None:
        # Settings of the class itself first; those that every such class has (kw_only) last.
        names = [f.name for f in sorted(cls._fields, key=lambda f: bool(f.kw_only))]
        for name in kwargs:
            if name not in names:
                close = nearest(name, names)
                raise ConfigurationError(
                    f"{cls.__name__} has no argument {name!r}; it takes: {', '.join(names) or 'none'}.",
                    hint=f"did you mean {close!r}?" if close else None,
                )
        try:
            init(self, *args, **kwargs)
        except TypeError as error:
            if "__init__()" not in str(error):
                raise
            raise ConfigurationError(f"{cls.__name__}: {str(error).split('__init__() ')[-1]}.") from None

    return functools.wraps(init)(checked_init)


T = TypeVar("T")


def lookup(kind: str, given: Any, base: type[T], table: Mapping[str, Callable[..., T]]) -> T:
    """The object of a name in ``table`` (upper or lower case), or the object itself where it already is one.

    Raises:
        ConfigurationError: The name is unknown (with the nearest spelling), or the value is of another kind.
    """
    if isinstance(given, base):
        return given
    if isinstance(given, str):
        by_lower = {name.lower(): make for name, make in table.items()}
        if given.lower() not in by_lower:
            raise unknown_name(kind, given, table)
        return by_lower[given.lower()]()
    raise ConfigurationError(f"{kind} must be a name or a {base.__name__}, not {given!r}.")
