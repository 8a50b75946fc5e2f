"""Every setting and every environment variable of Pellucid, in one place.

A setting is read from its environment variable at the moment of use, so that a test or a notebook can change it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import ConfigurationError


@dataclass(frozen=True)
class Setting:
    """One setting: its environment variable, its default, and what it does."""

    variable: str
    default: str
    meaning: str

    def read(self) -> str:
        """The value in force: the environment's, or the default."""
        return os.environ.get(self.variable, "").strip() or self.default


DATA = Setting("PELLUCID_DATA", "", "folder with data files that the user already has, such as the MNIST IDX files")
CACHE = Setting("PELLUCID_CACHE", "", "folder for downloads and caches; by default the user's cache folder")
BACKEND = Setting("PELLUCID_BACKEND", "auto", "backend that runs compiled graphs: auto, cpu or reference")
THREADS = Setting("PELLUCID_NUM_THREADS", "", "threads of the CPU engine; by default every core that may be used")
OPENMP_THREADS = Setting(
    "OMP_NUM_THREADS", "", "most threads by default, as for other libraries; pools of processes set it"
)
VERIFY = Setting("PELLUCID_VERIFY", "0", "1 verifies every graph after every pass (the tests do)")
PROGRESS = Setting(
    "PELLUCID_PROGRESS", "auto", "progress display of fit: auto, bar, lines or off (which also hushes the CPU engine)"
)
CPU_FEATURES = Setting(
    "PELLUCID_CPU_FEATURES",
    "all",
    "instructions that the CPU engine may use: all, avx512 (no matrix unit), avx2 or sse; read once per process",
)

SETTINGS = (DATA, CACHE, BACKEND, THREADS, OPENMP_THREADS, VERIFY, PROGRESS, CPU_FEATURES)


def flag(setting: Setting) -> bool:
    """The value of an on/off setting.

    Raises:
        ConfigurationError: The variable holds something else than 0, 1, false, true, off or on.
    """
    value = setting.read().lower()
    if value in {"1", "true", "on", "yes"}:
        return True
    if value in {"0", "false", "off", "no"}:
        return False
    raise ConfigurationError(f"{setting.variable} must be 0 or 1, not {value!r}.")


def data_folder() -> Path | None:
    """The folder of ``PELLUCID_DATA``, or None where it is not set."""
    value = DATA.read()
    return Path(value).expanduser() if value else None


def cache_folder() -> Path:
    """The user's own cache folder (not created here)."""
    value = CACHE.read()
    if value:
        return Path(value).expanduser()
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pellucid"
