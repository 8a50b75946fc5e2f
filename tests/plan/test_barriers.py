"""Phases: no instruction meets another's memory inside one, and nothing overtakes what it depends on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.dtypes import float32
from pellucid.plan.barriers import Access, Touch, access_of, by_each, by_first, by_rows, flow, part, phases
from pellucid.plan.layout import View

touches = st.builds(
    Touch,
    st.integers(0, 5),
    st.sampled_from([None, None, (16, 64), (16, 128), (8, 64)]),
    st.sampled_from([None, (0, 1024), (1024, 2048), (512, 1536)]),
)
accesses = st.builds(
    lambda reads, writes: Access(tuple(reads), tuple(writes)),
    st.lists(touches, max_size=3),
    st.lists(touches, min_size=1, max_size=2),
)


def same_memory(first: Access, second: Access) -> list[tuple[Touch, Touch]]:
    """The touches of the same bytes of which one is a write."""
    pairs = [(a, b) for a in first.writes for b in second.touches]
    pairs += [(a, b) for a in first.reads for b in second.writes]

    def overlap(a, b):
        return a.span is None or b.span is None or max(a.span[0], b.span[0]) < min(a.span[1], b.span[1])

    return [(a, b) for a, b in pairs if a.buffer == b.buffer and overlap(a, b)]


@given(st.lists(accesses, max_size=40))
def test_every_instruction_is_in_one_phase(chain):
    assert sorted(n for part in phases(chain) for n in part) == list(range(len(chain)))


@given(st.lists(accesses, max_size=40))
def test_inside_a_phase_memory_is_shared_by_equal_rows_alone(chain):
    for phase in phases(chain):
        for place, number in enumerate(phase):
            for other in phase[:place]:
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


def view(offset, shape, strides, buffer=7):
    return View(buffer, offset, shape, strides, float32)


def test_a_matrix_is_cut_by_rows_where_each_row_is_a_run_of_memory():
    assert by_rows(view(0, (16, 4), (16, 4))) == Touch(7, (16, 16), (0, 256))
    assert by_rows(view(32, (16, 4), (64, 4))) == Touch(7, (16, 64), (0, 1024))  # some columns of a wider matrix
    assert by_rows(view(128, (16, 4), (64, 4))) == Touch(7, (16, 64), (128, 1152))  # from its third row on
    assert by_rows(view(0, (16, 4), (4, 64))) == Touch(7, None, (0, 256))  # transposed: a row is spread over all of it
    assert by_rows(view(0, (16, 4), (0, 4))) == Touch(7, None, (0, 16))  # the same row for all


PAIRS = [st.tuples(*[st.integers(low, high)] * 2) for low, high in ((1, 5), (-9, 9))]


@given(st.integers(0, 64), *PAIRS)
def test_a_part_spans_all_elements_of_a_view(offset, shape, steps):
    strides = tuple(4 * step for step in steps)
    places = [offset + i * strides[0] + j * strides[1] for i in range(shape[0]) for j in range(shape[1])]
    assert part(view(offset, shape, strides)).span == (min(places), max(places) + 4)


def test_parts_of_a_buffer_that_do_not_overlap_need_no_wait():
    first, second = part(view(0, (4, 4), (16, 4))), part(view(64, (4, 4), (16, 4)))
    assert phases([Access((), (first,)), Access((second,), (Touch(1),))]) == [[0, 1]]
    assert phases([Access((), (first,)), Access((first,), (Touch(1),))]) == [[0], [1]]


def test_parts_that_overlap_and_are_cut_differently_count_as_all_of_the_buffer():
    rows, other = by_rows(view(0, (16, 4), (16, 4))), by_rows(view(0, (8, 4), (32, 4)))
    behind = by_rows(view(256, (16, 4), (16, 4)))
    assert access_of([7], [], [rows, other]).reads == (Touch(7),)
    assert access_of([7], [7], [rows, behind, rows]).writes == (rows, behind)
    assert access_of([7, 8], [8], [rows]) == Access((rows,), (Touch(8),))


def test_memory_of_each_thread_s_own_is_no_share_of_rows():
    own = view(0, (16, 4), (16, 4))
    assert len(phases([Access((), (by_each(own),)), Access((by_rows(own),), ())])) == 2
    assert len(phases([Access((), (by_first(own),)), Access((by_first(own),), ())])) == 1


MATRIX = View(3, 0, (16, 4), (16, 4), float32)


@pytest.mark.parametrize(
    ("before", "after", "flows"),
    [
        (Access((), (by_rows(MATRIX),)), Access((by_rows(MATRIX),), ()), True),
        (Access((), (by_rows(MATRIX),)), Access((part(MATRIX),), ()), False),
        (Access((part(MATRIX),), ()), Access((), (by_rows(MATRIX),)), False),
        (Access((part(MATRIX),), ()), Access((part(MATRIX),), ()), True),
        (Access((), (by_first(MATRIX),)), Access((), (by_first(MATRIX),)), True),
        (Access((), (by_each(MATRIX),)), Access((by_each(MATRIX),), ()), True),
    ],
)
def test_a_phase_flows_into_the_next_one_where_threads_keep_to_their_own(before, after, flows):
    assert flow([before], [after]) == flows
