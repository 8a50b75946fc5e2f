"""Small instructions that every thread makes for itself, where that saves a wait.

Between two large products a small network computes little. Threads that share it wait for each other longer than the
work takes, and fetch from each other's caches what each of them then reads as a whole. So each thread makes such
instructions alone, in memory of its own, with small parts of the state of its own, too: biases, the weights of a small
layer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

from pellucid.plan.barriers import Access, Touch, phases

# Plans with more phases are not looked at: what is won for one of them is little.
_MOST_PHASES = 8


@dataclass(frozen=True)
class Small:
    """An instruction as it is judged here.

    Attributes:
        access: What it touches.
        work: About how many numbers it computes, each by one operation; None where threads had better share it.
    """

    access: Access
    work: int | None


@dataclass(frozen=True)
class Repeats:
    """What threads make each for themselves.

    Attributes:
        numbers: The instructions.
        own: The temporaries, and the state, of which each thread has one for itself.
    """

    numbers: frozenset[int] = frozenset()
    own: frozenset[int] = frozenset()

    def access(self, number: int, given: Access) -> Access:
        """What an instruction touches now."""
        return own_access(given, self.own, whole=number in self.numbers)


def own_access(access: Access, own: Collection[int], *, whole: bool) -> Access:
    """What an instruction touches, if each thread has some of its buffers for itself.

    Args:
        access: What it touches if threads share everything.
        own: Those buffers.
        whole: Whether each thread makes the instruction alone.
    """

    def changed(touches: tuple[Touch, ...]) -> tuple[Touch, ...]:
        found = (
            _of_its_own(t.buffer) if t.buffer in own else replace(t, rows=None, each=False) if whole else t
            for t in touches
        )
        return tuple(dict.fromkeys(found))

    return Access(changed(access.reads), changed(access.writes))


def _of_its_own(buffer: int) -> Touch:
    return Touch(buffer, (0, 0), each=True)


def repeats(
    chain: Sequence[Small], temporaries: Collection[int], state: Collection[int], limit: int, flags: Collection[int]
) -> Repeats:
    """The instructions that each thread had better make for itself; none where that saves no wait.

    Of all runs of phases whose small instructions are not too much work, one is taken that leaves the fewest waits;
    of several, one in which the most is repeated.

    Args:
        chain: The instructions in order.
        temporaries: The buffers that exist in a step alone.
        state: The state of which threads may have copies.
        limit: The most work that each thread shall do for itself.
        flags: Buffers that several threads may write, who would all write the same.
    """
    found = phases([small.access for small in chain])
    best, waits = Repeats(), len(found)
    if not 1 < len(found) <= _MOST_PHASES:
        return best
    possible, tried = {*temporaries, *state}, {frozenset[int]()}
    for first, last in combinations_with_replacement(range(len(found)), 2):
        small = frozenset(n for part in found[first : last + 1] for n in part if (chain[n].work or limit + 1) <= limit)
        numbers = small if small in tried else _closed(chain, small, possible, flags)
        if numbers in tried or sum(chain[n].work or 0 for n in numbers) > limit:
            continue
        tried |= {small, numbers}
        trial = Repeats(numbers, _written(chain, numbers, flags))
        left = _waits(chain, trial, state)
        if left < waits or (left == waits and best.numbers < numbers and best.numbers):
            best, waits = trial, left
    return best


def _closed(
    chain: Sequence[Small], numbers: frozenset[int], possible: Collection[int], flags: Collection[int]
) -> frozenset[int]:
    """Those of some instructions that can be repeated: they write what threads may have, and nothing else writes."""
    while True:
        shared = _written(chain, frozenset(range(len(chain))) - numbers, flags)
        good = lambda buffer, shared=shared: buffer in possible and buffer not in shared  # noqa: E731
        left = frozenset(n for n in numbers if all(map(good, _written(chain, frozenset([n]), flags))))
        if left == numbers:
            return numbers
        numbers = left


def _written(chain: Sequence[Small], numbers: frozenset[int], flags: Collection[int]) -> frozenset[int]:
    """The buffers that some instructions write, but for flags."""
    return frozenset(t.buffer for n in numbers for t in chain[n].access.writes) - frozenset(flags)


def _waits(chain: Sequence[Small], trial: Repeats, state: Collection[int]) -> int:
    """The number of phases with the instructions repeated."""
    names = {buffer: -1 - buffer for buffer in trial.own if buffer in state}
    both = [copies(buffer, name) for buffer, name in names.items()]
    own = [trial.access(number, small.access).renamed(names) for number, small in enumerate(chain)]
    return len(phases([*(first for first, _ in both), *own, *(last for _, last in both)]))


def copies(state: int, own: int) -> tuple[Access, Access]:
    """What the copy of state into each thread's own memory touches, and the copy of it back."""
    return Access((Touch(state),), (_of_its_own(own),)), Access((_of_its_own(own),), (Touch(state),))
