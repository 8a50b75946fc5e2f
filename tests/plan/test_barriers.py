"""Phases: no instruction meets another's memory inside one, and nothing overtakes what it depends on."""

from hypothesis import given
from hypothesis import strategies as st

from pellucid.dtypes import float32
from pellucid.plan.barriers import Access, Touch, by_rows, phases
from pellucid.plan.layout import View

touches = st.builds(Touch, st.integers(0, 5), st.sampled_from([None, None, (16, 64), (16, 128), (8, 64)]))
accesses = st.builds(
    lambda reads, writes: Access(tuple(reads), tuple(writes)),
    st.lists(touches, max_size=3),
    st.lists(touches, min_size=1, max_size=2),
)


def same_memory(first: Access, second: Access) -> list[tuple[Touch, Touch]]:
    """The touches of the same buffer of which one is a write."""
    pairs = [(a, b) for a in first.writes for b in (*second.reads, *second.writes)]
    pairs += [(a, b) for a in first.reads for b in second.writes]
    return [(a, b) for a, b in pairs if a.buffer == b.buffer]


@given(st.lists(accesses, max_size=40))
def test_every_instruction_is_in_one_phase(chain):
    assert sorted(n for part in phases(chain) for n in part) == list(range(len(chain)))


@given(st.lists(accesses, max_size=40))
def test_inside_a_phase_memory_is_shared_by_equal_rows_alone(chain):
    for part in phases(chain):
        for place, number in enumerate(part):
            for other in part[:place]:
                assert all(a.rows is not None and a == b for a, b in same_memory(chain[other], chain[number]))


@given(st.lists(accesses, max_size=40))
def test_what_depends_on_each_other_keeps_its_order(chain):
    place = {n: i for i, n in enumerate(n for part in phases(chain) for n in part)}
    for number in range(len(chain)):
        for other in range(number):
            if same_memory(chain[other], chain[number]):
                assert place[other] < place[number]


def test_independent_instructions_share_a_phase():
    chain = [Access((Touch(n),), (Touch(n + 10),)) for n in range(5)]
    assert phases(chain) == [[0, 1, 2, 3, 4]]


def test_a_chain_of_rows_needs_no_wait_until_another_thread_s_rows_are_read():
    first, second = Touch(1, (32, 64)), Touch(2, (32, 8))
    chain = [Access((), (first,)), Access((first,), (second,)), Access((Touch(2),), (Touch(3),))]
    assert phases(chain) == [[0, 1], [2]]


def test_rows_that_are_cut_otherwise_need_a_wait():
    assert len(phases([Access((), (Touch(1, (32, 64)),)), Access((Touch(1, (64, 32)),), (Touch(2),))])) == 2


def test_a_matrix_is_cut_by_rows_where_each_row_is_a_run_of_memory():
    def view(offset, shape, strides):
        return View(7, offset, shape, strides, float32)

    assert by_rows(view(0, (16, 4), (16, 4))) == Touch(7, (16, 16))
    assert by_rows(view(32, (16, 4), (64, 4))) == Touch(7, (16, 64))  # some columns of a wider matrix
    assert by_rows(view(0, (16, 4), (4, 64))) == Touch(7)  # transposed: a row is spread over all of it
    assert by_rows(view(64, (16, 4), (64, 4))) == Touch(7)  # its first row is the second one of the memory
    assert by_rows(view(0, (16, 4), (0, 4))) == Touch(7)  # the same row for all
