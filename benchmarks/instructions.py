"""``python -m benchmarks.instructions ROW``: where the time of a training step goes, for each thread.

A line for each instruction of the plan: microseconds of a step in its kernel, and in the wait after it, of each thread;
its name, and the sizes that its record begins with. Rows are called as under Training in the benchmarks' page.
"""

from __future__ import annotations

import argparse
import ctypes
import time

import numpy as np

import pellucid
from benchmarks.peers import ours
from benchmarks.work import TRAININGS
from pellucid.backends.cpu import runner
from pellucid.backends.cpu.memory import Memory, watching


def measured(name: str, threads: int | None, seconds: float) -> tuple[Memory, np.ndarray]:
    """The plan of a row, and what its instructions take: microseconds [thread, instruction, kernel or wait] of a step.

    The engine tries now and then whether one thread is faster; these steps count, too.
    """
    work = next(work for work in TRAININGS if work.name == name)
    pellucid.set_num_threads(threads)
    now = ctypes.CFUNCTYPE(ctypes.c_int64)(runner.counter())
    try:
        with watching() as seen:
            run = ours.candidate(work)["fit"]()
            run(1)
        memory = max(seen, key=lambda each: each.work)
        started, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - started < seconds:  # until the engine knows how many threads are best
            run(1)
            count += 1
        memory.job.times[:] = 0
        started, first = time.perf_counter(), now()
        run(count)
        rate = (now() - first) / (time.perf_counter() - started)
    finally:
        pellucid.set_num_threads(None)
    used = memory.job.times.any(axis=(1, 2))
    return memory, memory.job.times[used] / max(rate, 1.0) / (count * work.unit) * 1e6


def lines(memory: Memory, times: np.ndarray, least: float) -> list[str]:
    """What is printed: instructions that take, or wait, so many microseconds at least."""
    head = "".join(f"  thread {n}    wait" for n in range(len(times)))
    found = [f"{head}  instruction"]
    for number, instruction in enumerate(memory.plan.instructions):
        own = times[:, number]
        if own.max() >= least:
            sizes = [entry for entry in instruction.record[:3] if isinstance(entry, int)]
            found.append("".join(f"{work:10.2f}{wait:8.2f}" for work, wait in own) + f"  {instruction.name} {sizes}")
    total = "".join(f"{work:10.2f}{wait:8.2f}" for work, wait in times.sum(axis=1))
    return [*found, f"{total}  the step"]


def main(name: str, threads: int | None, seconds: float, least: float) -> None:
    """Measure a row and print it."""
    print(f"{name}: microseconds of a step")
    print("\n".join(lines(*measured(name, threads, seconds), least)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("row", choices=[work.name for work in TRAININGS], metavar="ROW", help="name of a training row")
    parser.add_argument("--threads", type=int, help="threads (all usable cores)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long it is measured")
    parser.add_argument("--least", type=float, default=0.05, help="least microseconds of what is printed")
    chosen = parser.parse_args()
    main(chosen.row, chosen.threads, chosen.seconds, chosen.least)
