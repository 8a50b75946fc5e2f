import pytest
from tests.select.executors.jobs import small_task

from pellucid.select.executors.base import Work
from pellucid.select.executors.remote import Ledger, cannot_travel
from pellucid.select.executors.worker import Done
from pellucid.select.members import train_populations
from pellucid.select.task import Outcome


@pytest.fixture
def ledger():
    task, members = small_task()
    told = []
    work = Work(train_populations, task, members[:4], [0, 0, 0, 1])
    found = Ledger(work, lambda member, outcome: told.append((members.index(member), outcome)), workers=2, lanes=2)
    found.told = told
    return found


def test_outcomes_that_came_are_told_and_the_others_were_interrupted(ledger):
    part = ledger.send(ledger.dealer.next)
    assert [number for number, _, _ in part] == [0, 1]
    assert [fold for _, fold, _ in part] == [0, 0]  # two seeds of one fold
    assert ledger.away == {0: [0, 1]}
    outcomes = [Outcome(epochs=3), Outcome(failure="diverged")]
    ledger.arrived(Done([0, 1], outcomes, 0.1))
    assert ledger.told == [(0, outcomes[0]), (1, outcomes[1])]
    assert [o.failure for o in ledger.outcomes] == [None, "diverged", "interrupted", "interrupted"]
    assert not ledger.away


def test_a_member_whose_worker_is_always_lost_fails_at_the_third_time(ledger):
    ledger.send(ledger.dealer.next)
    ledger.lost(0)
    while (part := ledger.send(ledger.dealer.next)) is not None:
        numbers = [number for number, _, _ in part]
        if numbers == [1]:
            ledger.lost(1)
        else:
            ledger.arrived(Done(numbers, [Outcome() for _ in numbers], 0.1))
    assert [number for number, _, _ in ledger.send(ledger.dealer.next_alone)] == [1]
    assert ledger.outcomes[1].failure == "interrupted"
    ledger.lost(1)
    assert ledger.told[-1][0] == 1
    assert ledger.outcomes[1].failure == "its worker was lost 3 times while it trained: killed, or out of memory"
    assert [o.failure for o in ledger.outcomes if o is not ledger.outcomes[1]] == [None] * 3


def test_the_reason_why_something_cannot_travel_is_the_last_line_of_the_cause():
    error = TypeError("Could not serialize the argument")
    error.__cause__ = RuntimeError('\n"""\nTraceback:\n  somewhere\nTypeError: cannot pickle a lock\n"""')
    assert "another process: TypeError: cannot pickle a lock.\n" in str(cannot_travel(error))
    assert "another process: ValueError.\n" in str(cannot_travel(ValueError()))
