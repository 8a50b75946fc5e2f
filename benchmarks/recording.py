"""``python -m benchmarks.recording``: what does it cost to record a training run, and to watch it for NaN?

Fits that differ in one thing alone take turns: without recording, with ``record="stats"`` at its default, with
``record="stats"`` of every tenth step, and with ``record="full"`` at its default; and one whose numbers nobody watches.
A ratio is the median, over the rounds, of a fit's time by that of the plain fit of the same round. Fits have as many
steps as take some hundredths of a second at least; shorter ones (``--steps 500``) show what a recording costs once, so
that what a fit takes longer than the plain one is given in microseconds, too. Other networks can be given. On a
machine that others use too, ``--processor`` compares the processor time of fits on one thread, which hardly depends
on them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from benchmarks.crowded import prepared
from pellucid import Sequential, set_num_threads
from pellucid.train.running import TrainingRun

#: Network -> steps of a fit.
NETWORKS = {
    "784-100-10, batch 256": 500,
    "LeNet-5, batch 128": 500,
    "64-100-10, batch 128": 2_000,
    "784-100-10, batch 32": 1_000,
    "784-32-10, batch 16": 5_000,
    "16-8-10, batch 16": 50_000,
}
#: Steps of a fit of any other network, and the epochs of all.
STEPS, EPOCHS = 500, 10


@contextmanager
def unwatched() -> Iterator[None]:
    """In the block, nobody looks whether losses and parameters stay finite."""
    watch = TrainingRun._watch
    TrainingRun._watch = lambda self, logs: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        TrainingRun._watch = watch  # type: ignore[method-assign]


@dataclass(frozen=True)
class Candidate:
    """A way to fit: what it is called, the arguments of ``fit``, and whether its numbers are watched."""

    name: str
    arguments: dict[str, Any]
    watched: bool = True


PLAIN = Candidate("plain", {})
CANDIDATES = (
    PLAIN,
    Candidate("off", {"record": "off"}),
    Candidate("stats", {"record": "stats"}),
    Candidate("stats, every 10", {"record": "stats", "every": 10}),
    Candidate("full", {"record": "full"}),
    Candidate("unwatched", {}, watched=False),
)


@dataclass(frozen=True)
class Result:
    """A fit of a network: its seconds, how many steps it recorded, and its time less and by that of the plain one."""

    name: str
    seconds: float
    recorded: int
    more: float
    ratio: float
    spread: tuple[float, float]


def timed(
    model: Sequential, x: Any, y: Any, batch: int, how: Candidate, clock: Callable[[], float]
) -> tuple[float, int]:
    """Seconds of one fit, and the number of recorded steps."""
    with nullcontext() if how.watched else unwatched():
        started = clock()
        history = model.fit(x, y, batch_size=batch, epochs=EPOCHS, verbose=0, seed=0, **how.arguments)
        seconds = clock() - started
    return seconds, 0 if history.recording is None else len(history.recording.steps)


def compare(
    network: str, rounds: int, clock: Callable[[], float] = time.perf_counter, steps: int = STEPS
) -> list[Result]:
    """All ways to fit a network, in turns; the first round, which compiles, does not count."""
    model, x, y, batch = prepared(network, steps // EPOCHS)
    times: dict[str, list[float]] = {how.name: [] for how in CANDIDATES}
    recorded: dict[str, int] = {}
    for turn in range(-1, rounds):
        order = CANDIDATES if turn % 2 else CANDIDATES[::-1]
        for how in order:
            seconds, recorded[how.name] = timed(model, x, y, batch, how, clock)
            if turn >= 0:
                times[how.name].append(seconds)
    return [summed(name, own, times[PLAIN.name], recorded[name]) for name, own in times.items()]


def summed(name: str, own: list[float], plain: list[float], recorded: int) -> Result:
    """The median of the rounds, and that of the ratios with its quartiles."""
    ratios = sorted(a / b for a, b in zip(own, plain, strict=True))
    quartiles = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    more = statistics.median(a - b for a, b in zip(own, plain, strict=True))
    return Result(name, statistics.median(own), recorded, more, statistics.median(ratios), quartiles)


def main(rounds: int, networks: Iterable[str] = NETWORKS, *, steps: int | None = None, processor: bool = False) -> None:
    """Print a row for every network and way to fit; ``steps`` in place of those that a network has by default."""
    clock = time.process_time if processor else time.perf_counter
    set_num_threads(1 if processor else None)
    kind = "processor time on one thread" if processor else "wall-clock time"
    print(f"{rounds} rounds, {kind}; quartiles in brackets")
    print(f"{'network':24} {'steps':>7} {'fit':16} {'recorded':>8} {'step':>12} {'more':>12} {'by plain':>9}")
    for network in networks:
        count = (steps or NETWORKS.get(network, STEPS)) // EPOCHS * EPOCHS
        for r in compare(network, rounds, clock, count):
            step, more = f"{r.seconds / count * 1e6:,.1f} us", f"{r.more * 1e6:,.0f} us"
            numbers = f"{r.recorded:>8} {step:>12} {more:>12} {r.ratio:9.3f} ({r.spread[0]:.3f} to {r.spread[1]:.3f})"
            print(f"{network:24} {count:>7,} {r.name:16} {numbers}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recording", description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS, help='such as "784-32-10, batch 16"')
    parser.add_argument("--rounds", type=int, default=15, help="rounds that count")
    parser.add_argument("--steps", type=int, help=f"steps of every fit, a multiple of its {EPOCHS} epochs")
    parser.add_argument("--processor", action="store_true", help="compare processor time on one thread")
    chosen = parser.parse_args()
    main(chosen.rounds, chosen.networks, steps=chosen.steps, processor=chosen.processor)
