"""Model selection: every cross-validation of the lectures, and searches that train hundreds of models at once."""

from __future__ import annotations

import importlib
from typing import Any

#: Public name -> the module that has it; loaded when it is asked for.
_WHERE: dict[str, str] = {
}

__all__ = sorted(_WHERE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
