from hypothesis import given
from hypothesis import strategies as st

from pellucid.select.executors.dealing import MOST_LOSSES, PART_SECONDS, Dealer


def dealt(dealer, seconds=0.01):
    """All parts that a dealer hands out, each of which takes as long as its members."""
    found = []
    while (part := dealer.next()) is not None:
        found.append(part)
        dealer.done(part, seconds * len(part))
    return found


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 5), st.integers(1, 4), st.floats(1e-5, 10))
def test_every_member_is_dealt_once_in_parts_of_one_key(keys, workers, lanes, seconds):
    parts = dealt(Dealer(keys, workers, lanes), seconds)
    assert sorted(number for part in parts for number in part) == list(range(len(keys)))
    assert all(len({keys[number] for number in part}) == 1 for part in parts)


def test_parts_take_about_as_long_as_they_should():
    sizes = [len(part) for part in dealt(Dealer(["a"] * 1000, workers=2), seconds=0.02)]
    assert sizes[0] == 1
    assert sizes[1] == round(PART_SECONDS / 0.02)
    assert sizes[-1] == 1


def test_long_fits_are_dealt_one_by_one_and_as_many_as_a_worker_has_lanes():
    assert {len(part) for part in dealt(Dealer(["a"] * 20, workers=2), seconds=5)} == {1}
    sizes = [len(part) for part in dealt(Dealer(["a"] * 20, workers=2, lanes=4), seconds=5)]
    assert sizes[:3] == [4, 4, 4]


def test_what_was_lost_comes_back_one_by_one_then_alone_then_not():
    dealer = Dealer(["a"] * 8, workers=1, lanes=3)
    assert dealer.next() == [0, 1, 2]
    assert dealer.lost([0, 1, 2]) == []
    assert dealt(dealer)[-3:] == [[0], [1], [2]]
    assert dealer.lost([1]) == []
    assert dealer.next() is None
    assert dealer.next_alone() == [1]
    assert dealer.lost([1]) == [1]
    assert dealer.next() is dealer.next_alone() is None
    assert MOST_LOSSES == 3
