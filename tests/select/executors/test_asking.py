import threading
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from pellucid.select.executors.asking import SocketDesk


def test_questions_of_several_threads_are_answered_each_by_itself():
    members, heard = ["a", "b"], []

    def on_epoch(member, epoch, numbers):
        heard.append((member, epoch, numbers))
        return f"{member} ends" if epoch == 2 else None

    answers = {}
    with SocketDesk(on_epoch, members) as desk, desk.line.open() as ask:

        def train(number):
            answers[number] = [ask(number, epoch, {"loss": 0.1 / (epoch + 1)}) for epoch in range(3)]

        threads = [threading.Thread(target=train, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {0: [None, None, "a ends"], 1: [None, None, "b ends"]}
    assert sorted(heard, key=str) == sorted(((m, e, {"loss": 0.1 / (e + 1)}) for m in "ab" for e in range(3)), key=str)


def test_what_an_answer_raises_ends_all_members_and_is_raised_here():
    def on_epoch(member, epoch, numbers):
        raise KeyError(member)

    with SocketDesk(on_epoch, ["a"]) as desk, desk.line.open() as ask:
        desk.check()
        assert [ask(0, 0, {}), ask(0, 1, {})] == ["error", "error"]
        with pytest.raises(KeyError, match="a"):
            desk.check()


def test_a_stranger_without_the_key_is_not_answered_and_disturbs_nobody():
    with SocketDesk(lambda *_: "yes", ["a"]) as desk:
        with pytest.raises(AuthenticationError):
            Client(desk.line.address, authkey=b"guessed")
        with desk.line.open() as ask:
            assert ask(0, 0, {"loss": float("nan")}) == "yes"


def test_a_desk_closes_even_if_its_thread_has_ended_already():
    for _ in range(20):
        with SocketDesk(lambda *_: None, ["a"]) as desk:
            desk._closed = True
            with suppress(OSError, EOFError, AuthenticationError):
                Client(desk.line.address, authkey=desk.line.key).close()
    assert not desk._thread.is_alive()
