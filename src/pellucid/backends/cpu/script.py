"""Scripts: steps of several loops in turn, made natively from stop to stop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

from pellucid.backends.cpu.memory import Memory
from pellucid.backends.cpu.runner import LINE_AHEAD, LINE_FIRST, LINE_JOB, LINE_SIZE, LINE_STEPS
from pellucid.backends.cpu.threads import POOL
from pellucid.backends.loop import Script, Stops, first_of, parts_of

# Below so many elementary operations a line is not worth waking a thread for, or letting one wait.
_WORTH_CHANGING = 5_000_000


def run_script(script: Script, stops: Stops, lent: Mapping[int, Memory]) -> None:
    """Make the steps of a script, with calls between; ``lent`` has the memory of each run, by its ``id``.

    Raises:
        DataError: An index lay outside its axis.
    """
    made = _Native(lent)
    for lines, call in parts_of(made.table(script), stops):
        for shared, piece in made.pieces(lines):
            if shared:
                made.share(piece)
            else:
                made.run(piece)
        call()


class _Native:
    """What makes the lines of a script, which are rows of a table as the native loop reads them."""

    def __init__(self, lent: Mapping[int, Memory]) -> None:
        self._lent = lent
        self._of = {memory.job.address: memory for memory in lent.values()}
        self._shares = any(memory.may_share for memory in lent.values())

    def table(self, script: Script) -> np.ndarray:
        """A row for each line."""
        reached = {id(line[0]): line[0].done for line in script}
        addresses = {number: memory.job.address for number, memory in self._lent.items()}
        rows = []
        for line in script:
            run, steps = line[:2]
            number = id(run)
            first = first_of(line, reached[number])
            reached[number] = end = first + steps
            rows.append((addresses[number], first, steps, run.steps - end if run.goes_on else 0))
        return np.array(rows, np.int64).reshape(-1, LINE_SIZE)

    def pieces(self, lines: np.ndarray) -> Iterator[tuple[bool, np.ndarray]]:
        """Consecutive lines with whether threads may share them; a short one is made as its neighbours are."""
        if not self._shares or not len(lines):
            yield False, lines
            return
        own = np.array([self._of[job].may_share for job in lines[:, LINE_JOB].tolist()])
        long = np.flatnonzero(self._work(lines) >= _WORTH_CHANGING)
        if len(long):
            before = np.searchsorted(long, np.arange(len(lines)), side="right") - 1
            own = own[long[np.maximum(before, 0)]]
        else:
            own[:] = own.any()
        edges = [0, *(np.flatnonzero(own[1:] != own[:-1]) + 1).tolist(), len(lines)]
        for start, stop in pairwise(edges):
            yield bool(own[start]), lines[start:stop]

    def run(self, lines: np.ndarray) -> None:
        """Make steps on this thread."""
        POOL.run(lines, 1)
        self._raise_for_indices()

    def share(self, lines: np.ndarray) -> None:
        """Make steps on all threads or on one, as the plan with most of the work has found to be faster lately.

        The time of the others counts by their operations.
        """
        lines = lines[lines[:, LINE_STEPS] > 0]
        work, jobs = self._work(lines), lines[:, LINE_JOB]
        if not len(lines):
            return
        leader = self._of[max(set(jobs.tolist()), key=lambda job: int(work[jobs == job].sum()))]
        while len(lines):
            available = POOL.size()
            left = math.ceil(int(self._work(lines).sum()) / leader.work)
            shared, chosen = leader.pace.choose(left, available > 1)
            now, lines = self._cut(lines, chosen * leader.work)
            leader.timed(now, int(self._work(now).sum()) / leader.work, available if shared else 1)
            self._raise_for_indices()

    def _work(self, lines: np.ndarray) -> np.ndarray:
        """Elementary operations of each line, roughly."""
        return lines[:, LINE_STEPS] * [self._of[job].work for job in lines[:, LINE_JOB].tolist()]

    def _cut(self, lines: np.ndarray, work: int) -> tuple[np.ndarray, np.ndarray]:
        """The lines that hold about so many operations, at least one step, and what comes after them."""
        total = np.cumsum(self._work(lines))
        whole = int(np.searchsorted(total, work, side="right"))
        if whole == len(lines):
            return lines, lines[:0]
        line = lines[whole]
        room = work - (int(total[whole - 1]) if whole else 0)
        count = max(room // self._of[int(line[LINE_JOB])].work, int(whole == 0))
        now, later = lines[: whole + 1].copy(), lines[whole:].copy()
        rest = line[LINE_STEPS] - count
        now[-1, [LINE_STEPS, LINE_AHEAD]] = count, line[LINE_AHEAD] + rest
        later[0, [LINE_FIRST, LINE_STEPS]] = line[LINE_FIRST] + count, rest
        return (now if count else now[:-1]), (later if rest else later[1:])

    def _raise_for_indices(self) -> None:
        errors = [error for memory in self._lent.values() if (error := memory.index_error()) is not None]
        if errors:
            raise errors[0]
