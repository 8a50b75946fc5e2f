"""What is computed while others run."""

import gc
import threading
import time

from pellucid.train.ahead import Ahead


def test_it_gives_what_was_asked_for_and_no_more_than_it_has():
    ahead = Ahead(lambda number: 10 * number, range(4, 8))
    assert ahead.take(range(4, 6)) == [40, 50]
    assert ahead.take(range(7, 10)) == [70]
    assert ahead.take(range(8, 10)) == []
    assert ahead.take(range(2, 6)) == []


def test_it_waits_for_no_more_than_is_asked_for():
    go = threading.Event()

    def make(number):
        if number == 2:
            go.wait(30)
        return number

    ahead = Ahead(make, range(5))
    assert ahead.take(range(2)) == [0, 1]
    go.set()
    assert ahead.take(range(2, 9)) == [2, 3, 4]


def test_what_goes_wrong_is_left_to_those_who_ask_again():
    def make(number):
        if number == 2:
            raise MemoryError
        return number

    assert Ahead(make, range(4)).take(range(4)) == [0, 1]


def test_it_ends_when_nobody_uses_it_any_more():
    made, begun = [], threading.Event()

    def make(number):
        begun.set()
        time.sleep(0.01)
        made.append(number)

    ahead = Ahead(make, range(10_000))
    thread = ahead._thread
    begun.wait()
    del ahead
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()
    assert len(made) < 1000
