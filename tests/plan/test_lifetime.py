from hypothesis import given
from hypothesis import strategies as st

from pellucid.alignment import ALIGNMENT
from pellucid.plan.lifetime import Lifetime, aligned, place

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
