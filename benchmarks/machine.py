"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from benchmarks.work import cores

_LIBRARIES = (
    "pellucid", "numpy", "llvmlite", "torch", "jax", "jaxlib", "keras", "scikit-learn", "onnxruntime", "onnx",
)  # fmt: skip
_THREAD_VARIABLES = (
    "PELLUCID_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY",
    "KMP_BLOCKTIME", "XLA_FLAGS",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """A computer with its software.

    Attributes:
        cores: Those that this process may use.
        threads: Variables about threads that are set; where none is, every library uses its default.
        load: The load average over a minute before the measurement: above 0, others were at work.
    """

    processor: str
    cores: int
    vector_bits: int
    memory_gb: float
    system: str
    python: str
    versions: dict[str, str]
    threads: dict[str, str]
    load: float


def describe() -> Machine:
    """This machine, now."""
    return Machine(
        processor=_processor(),
        cores=cores(),
        vector_bits=_vector_bits(),
        memory_gb=_memory(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions=_versions(),
        threads={name: os.environ[name] for name in _THREAD_VARIABLES if name in os.environ},
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
    )


def busy_seconds() -> float:
    """Seconds that the cores which we may use have been at work for anybody; 0 where that is not told."""
    totals = Path("/proc/stat")
    if not totals.exists():
        return 0.0
    ticks = 0
    for line in totals.read_text().splitlines():
        name, *numbers = line.split()
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in os.sched_getaffinity(0):
            user, nice, system, _, _, irq, softirq = map(int, numbers[:7])
            ticks += user + nice + system + irq + softirq
    return ticks / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    """The processor's model; AMD and Intel servers in a cloud often say little more than a family."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in info.read_text().splitlines())
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    name = fields.get("model name", platform.machine())
    numbers = [
        f"{title} {fields[key]}" for title, key in (("family", "cpu family"), ("model", "model")) if key in fields
    ]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _vector_bits() -> int:
    from benchmarks.peak import registers

    return 32 * registers()[0]


def _memory() -> float:
    info = Path("/proc/meminfo")
    return round(int(info.read_text().split()[1]) / 2**20, 1) if info.exists() else 0.0


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
