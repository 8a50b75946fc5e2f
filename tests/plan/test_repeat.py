"""Small instructions that each thread makes for itself: fewer waits, and nobody reads what is not there."""

from hypothesis import given
from hypothesis import strategies as st

from pellucid.plan.barriers import Access, Touch, phases
from pellucid.plan.repeat import Repeats, Small, copies, own_access, repeats

STATE, TEMPORARIES, FLAG = (0, 1, 2), (3, 4, 5, 6), 9
LIMIT = 20

buffers = st.integers(0, 6)
rows = st.sampled_from([None, None, (16, 64)])
touches = st.builds(Touch, buffers, rows)
some = lambda least, most: st.lists(touches, min_size=least, max_size=most, unique_by=lambda t: t.buffer)  # noqa: E731
smalls = st.builds(
    lambda reads, writes, work: Small(Access(tuple(reads), tuple(writes)), work),
    some(0, 3),
    some(1, 2),
    st.sampled_from([None, 1, 2, 5, 30]),
)


def without_leftovers(chain):
    """The chain without reads of temporaries that the step has not written before: they hold nothing."""
    written, result = set(STATE), []
    for small in chain:
        reads = tuple(t for t in small.access.reads if t.buffer in written)
        result.append(Small(Access(reads, small.access.writes), small.work))
        written |= {t.buffer for t in small.access.writes}
    return result


chains = st.lists(smalls, max_size=12).map(without_leftovers)


def found_in(chain):
    return repeats(chain, TEMPORARIES, STATE, LIMIT, (FLAG,))


def sequence_of(chain, found):
    """Instructions as threads make them: number, what it touches; copies of state have names instead."""
    names = {buffer: -1 - buffer for buffer in STATE if buffer in found.own}
    ends = [copies(buffer, own) for buffer, own in names.items()]
    own = [found.access(n, small.access).renamed(names) for n, small in enumerate(chain)]
    middle = list(enumerate(own))
    return [("in", first) for first, _ in ends] + middle + [("out", last) for _, last in ends]


def steps_alone(chain, count):
    """What state holds after some steps of one thread: each instruction writes a number that all it reads goes into."""
    memory = {}
    for _ in range(count):
        for number, small in enumerate(chain):
            made = hash((number, *(memory.get(t.buffer, 0) for t in small.access.reads)))
            memory.update(dict.fromkeys((t.buffer for t in small.access.writes), made))
    return {buffer: memory.get(buffer, 0) for buffer in STATE}


class Threads:
    """Two threads that make a phase one after the other, where shared instructions are the last one's to write."""

    def __init__(self, chain, found, order):
        self.found, self.order = found, order
        sequence = sequence_of(chain, found)
        self.phases = [[sequence[n] for n in part] for part in phases([access for _, access in sequence])]
        self.shared, self.own = {}, [{}, {}]

    def place(self, thread, touch):
        return self.own[thread] if touch.each else self.shared

    def make(self, thread, number, access):
        values = tuple(self.place(thread, t).get(t.buffer, 0) for t in access.reads)
        made = values[0] if number in ("in", "out") else hash((number, *values))
        for touch in access.writes:
            self.place(thread, touch)[touch.buffer] = made

    def steps(self, count):
        for step in range(count):
            for part in self.phases:
                for thread in self.order:
                    for number, access in part:
                        skipped = (number == "in" and step > 0) or (number == "out" and step < count - 1)
                        alone = number == "in" or number in self.found.numbers
                        if not skipped and (alone or thread == 0):
                            self.make(thread, number, access)
        return {buffer: self.shared.get(buffer, 0) for buffer in STATE}


@given(chains)
def test_what_is_repeated_is_small_and_leaves_fewer_waits(chain):
    found = found_in(chain)
    assert sum(chain[n].work for n in found.numbers) <= LIMIT
    if found.numbers:
        assert len(phases([access for _, access in sequence_of(chain, found)])) < len(phases([s.access for s in chain]))


@given(chains)
def test_memory_of_its_own_is_written_by_what_each_thread_makes_and_by_nothing_else(chain):
    found = found_in(chain)
    assert found.own <= {*STATE, *TEMPORARIES}
    for number, small in enumerate(chain):
        written = {t.buffer for t in small.access.writes}
        assert (written <= found.own) if number in found.numbers else not (written & found.own)


@given(chains, st.sampled_from([(0, 1), (1, 0)]), st.integers(1, 3))
def test_threads_give_the_state_that_one_gives(chain, order, count):
    found = found_in(chain)
    assert Threads(chain, found, order).steps(count) == steps_alone(chain, count)


def mlp():
    """A product shared, a small layer, the product of its gradient: bias 0, weights 1, small weights 2."""
    rows = lambda buffer: Touch(buffer, (16, 64))  # noqa: E731
    return [
        Small(Access((Touch(1),), (Touch(3),)), None),
        Small(Access((Touch(3), Touch(0)), (rows(4),)), 4),
        Small(Access((rows(4), Touch(2)), (rows(5),)), 4),
        Small(Access((Touch(5),), (Touch(1),)), None),
        Small(Access((Touch(4), Touch(5)), (Touch(2),)), 4),
        Small(Access((Touch(5),), (Touch(0),)), 4),
    ]


def test_a_small_layer_between_two_products_is_repeated_with_its_state():
    assert found_in(mlp()) == Repeats(frozenset({1, 2, 4, 5}), frozenset({0, 2, 4, 5}))


def test_what_is_too_much_work_is_shared():
    chain = [Small(s.access, s.work and 10 * s.work) for s in mlp()]
    assert found_in(chain) == Repeats()


def test_a_chain_without_waits_stays_as_it_is():
    assert found_in([Small(Access((), (Touch(n),)), 1) for n in TEMPORARIES]) == Repeats()


def test_each_thread_alone_touches_all_that_threads_shared():
    access = Access((Touch(1, (16, 64), (0, 1024)),), (Touch(3, (16, 64)),))
    assert own_access(access, {3}, whole=True) == Access((Touch(1, None, (0, 1024)),), (Touch(3, (0, 0), each=True),))
