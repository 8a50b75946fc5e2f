from hypothesis import given
from hypothesis import strategies as st

from pellucid.alignment import ALIGNMENT
from pellucid.plan.barriers import Access, Touch, phases
from pellucid.plan.lifetime import Lifetime, aligned, chains, place

lifetimes = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 9), st.integers(0, 5)).map(
        lambda drawn: Lifetime(drawn[0], drawn[1], drawn[1] + drawn[2])
    ),
    max_size=12,
)  # fmt: skip


@given(lifetimes)
def test_values_that_live_at_the_same_time_never_overlap(values):
    offsets, total = place(values)
    for i, (a, start_a) in enumerate(zip(values, offsets, strict=True)):
        assert start_a % ALIGNMENT == 0
        assert start_a + aligned(a.size) <= total
        for b, start_b in zip(values[i + 1 :], offsets[i + 1 :], strict=True):
            if a.first <= b.last and b.first <= a.last:
                assert start_a + aligned(a.size) <= start_b or start_b + aligned(b.size) <= start_a


def test_memory_of_dead_values_is_used_again():
    chain = [Lifetime(1000, i, i + 1) for i in range(10)]
    assert place(chain)[1] == 2 * aligned(1000)


def test_the_same_lifetimes_are_placed_alike():
    values = [Lifetime(64, 0, 3), Lifetime(64, 1, 2), Lifetime(64, 2, 5)]
    assert place(values) == place(list(values))


ROWS = Touch(0, (16, 64), (0, 1024))
touches = st.builds(
    lambda buffer, kind: Touch(buffer, kind.rows, kind.span, kind.each),
    st.integers(0, 9),
    st.sampled_from(
        [ROWS, ROWS, ROWS, Touch(0, (16, 64), (1024, 2048)), Touch(0), Touch(0, (8, 128), (0, 1024)),
         Touch(0, (16, 64), (0, 1024), each=True), Touch(0, (16, 64), (64, 1088))]
    ),
)  # fmt: skip
accesses = st.builds(
    lambda reads, writes: Access(tuple(reads), tuple(writes)),
    st.lists(touches, max_size=3),
    st.lists(touches, min_size=1, max_size=2),
)


@given(st.lists(accesses, max_size=30), st.lists(st.sampled_from([1024, 2048]), min_size=10, max_size=10))
def test_temporaries_follow_each_other_in_a_place_where_each_thread_keeps_to_the_same_bytes_of_both(all_of_them, sizes):
    parts = [[all_of_them[n] for n in part] for part in phases(all_of_them)]
    found = chains(parts, dict(enumerate(sizes)))
    assert sorted(buffer for own, _ in found for buffer in own) == list(range(10))
    uses = {buffer: [] for buffer in range(10)}
    for now, part in enumerate(parts):
        for place_, access in enumerate(part):
            for touch in access.touches:
                uses[touch.buffer].append((now, place_, touch))
    for own, lifetime in found:
        assert all(lifetime.first <= now <= lifetime.last for buffer in own for now, _, _ in uses[buffer])
        assert {sizes[buffer] for buffer in own} == {lifetime.size}
        for i, buffer in enumerate(own):
            for other in own[i + 1 :]:
                assert uses[buffer][-1][:2] < uses[other][0][:2]
                together = {now for now, _, _ in uses[buffer]} & {now for now, _, _ in uses[other]}
                ways = {(t.rows, t.each) for b in (buffer, other) for now, _, t in uses[b] if now in together}
                assert len(ways) < 2
                for now in together:
                    for touch in (t for b in (buffer, other) for when, _, t in uses[b] if when == now):
                        assert touch.rows is not None
                        assert touch.span is not None
                        assert touch.span[0] % 1024 == 0


def test_a_chain_of_rows_needs_two_places_in_a_single_phase():
    steps = [Access((Touch(n, (16, 64), (0, 1024)),), (Touch(n + 1, (16, 64), (0, 1024)),)) for n in range(10)]
    assert [own for own, _ in chains([steps], dict.fromkeys(range(11), 1024))] == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9]]


def test_what_threads_do_not_share_by_rows_lies_apart_in_a_phase():
    steps = [Access((Touch(n),), (Touch(n + 1),)) for n in range(4)]
    assert len(chains([steps], dict.fromkeys(range(5), 1024))) == 5


def test_a_temporary_that_nothing_touches_has_a_place():
    assert chains([], {3: 64}) == [([3], Lifetime(64, 0, 0))]
