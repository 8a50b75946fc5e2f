"""What only a fresh process shows. Run as a program, it is that process: it prints one number."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# At the top only what the interpreter has loaded anyhow or loads in no time: an import is to be timed.
if TYPE_CHECKING:
    from benchmarks.candidates import Candidate
    from benchmarks.results import Row
    from benchmarks.work import Fresh

_PATIENCE = 240
_ROOT = Path(__file__).parents[1]
#: Where each library keeps what it has compiled.
_CACHES = ("PELLUCID_CACHE", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")


def measure(fresh: Fresh, candidates: Sequence[Candidate], rounds: int) -> Iterator[Row]:
    """A row for each part: ours in several rounds; peers once, which is enough to see the order of magnitude."""
    import tempfile

    from benchmarks.results import OURS, Figure, Row

    values: dict[str, list[list[float]]] = {}
    failures: dict[str, str] = {}
    for candidate in taking_part(fresh, candidates):
        for _ in range(rounds if candidate.name == OURS else 1):
            with tempfile.TemporaryDirectory() as folder:
                answers = [_number(fresh, candidate, folder) for _ in fresh.parts]
            if words := [answer for answer in answers if isinstance(answer, str)]:
                failures[candidate.name] = words[0]
            if numbers := [answer for answer in answers if isinstance(answer, float)]:
                values.setdefault(candidate.name, []).append(numbers)
    for place, part in enumerate(fresh.parts):
        figures = {
            name: Figure(tuple(numbers[place] for numbers in rounds_of))
            for name, rounds_of in values.items()
            if all(len(numbers) == len(fresh.parts) for numbers in rounds_of)
        }
        yield Row("fresh", fresh.name + part.title, fresh.unit_name, figures, failures, part.targets)


def taking_part(fresh: Fresh, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that can train the network; for an import, one of each library."""
    if fresh.task == "import":
        by_library = {c.library: c for c in reversed(candidates) if c.library != "peak"}
        return [c for c in candidates if by_library.get(c.library) is c]
    return [c for c in candidates if c.takes(fresh.work)]


def _number(fresh: Fresh, candidate: Candidate, folder: str) -> float | str:
    """What a fresh process prints, or why it does not."""
    import subprocess

    environment = {
        **os.environ,
        **dict.fromkeys(_CACHES, folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
        **candidate.environment,
    }
    subject = candidate.module if fresh.task == "import" else candidate.name
    command = [sys.executable, "-m", "benchmarks.fresh", fresh.task, subject, fresh.name]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except subprocess.TimeoutExpired:
        return f"no answer within {_PATIENCE} s"
    except subprocess.CalledProcessError as error:
        return error.stderr[-2000:]
    return float(done.stdout.split()[-1])


# In the fresh process.


def _import_seconds(module: str) -> float:
    import importlib

    started = time.perf_counter()
    importlib.import_module(module)
    return time.perf_counter() - started


def _first_fit_seconds(candidate: Candidate, fresh: Fresh) -> float:
    """From nothing but imported libraries and data to the end of a short first fit."""
    import pkgutil

    make = next(iter(pkgutil.resolve_name(candidate.entry)(fresh.work).values()))
    started = time.perf_counter()
    make()(1)
    return time.perf_counter() - started


def _peak_megabytes(candidate: Candidate, fresh: Fresh) -> float:
    """The most memory that the process ever held, after a fit of one pass."""
    _first_fit_seconds(candidate, fresh)
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    # Where /proc is missing, this may be the parent's figure; macOS counts bytes, others kilobytes.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main(task: str, subject: str, fresh_name: str) -> None:
    """Print the number for a module or a candidate."""
    if task == "import":
        print(_import_seconds(subject))
        return
    from benchmarks.candidates import CANDIDATES
    from benchmarks.work import FRESH

    candidate = next(c for c in CANDIDATES if c.name == subject)
    fresh = next(f for f in FRESH if f.name == fresh_name)
    print({"first fit": _first_fit_seconds, "memory": _peak_megabytes}[task](candidate, fresh))


if __name__ == "__main__":
    main(*sys.argv[1:])
