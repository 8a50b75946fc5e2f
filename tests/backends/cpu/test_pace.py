"""How many steps are made at once, and on how many threads, by what they cost: with invented costs."""

import math
from itertools import pairwise

import numpy as np

from pellucid.backends.cpu.pace import Pace


def undisturbed():
    """A pace on a machine whose other cores look idle."""
    return Pace(lambda: math.inf)


def paced(pace, cost, runs, may_share=True):
    """What a pace chooses, when a step costs so many seconds alone (False) and shared (True)."""
    chosen = []
    for _ in range(runs):
        shared, steps = pace.choose(10_000, may_share)
        pace.note(shared, steps, cost[shared] * steps)
        chosen.append((shared, steps))
    return chosen


def test_a_plan_keeps_to_the_faster_way_and_tries_the_other_now_and_then():
    pace, cost = undisturbed(), {True: 3e-4, False: 1e-4}
    chosen = paced(pace, cost, 200)
    assert chosen[0][0] is True
    slower = [steps for shared, steps in chosen[6:] if shared]  # tried again: to wake the workers, and to measure
    assert len(slower) >= 2
    assert cost[True] * sum(slower) < 0.03 * sum(cost[shared] * steps for shared, steps in chosen)
    paced(pace, {True: 1e-5, False: 1e-4}, 300)
    later = paced(pace, {True: 1e-5, False: 1e-4}, 100)
    assert sum(steps for shared, steps in later if shared) > 0.99 * sum(steps for _, steps in later)


def test_a_run_is_as_long_as_a_turn_and_a_trial_of_the_slower_way_is_short():
    chosen = paced(undisturbed(), {True: 3e-4, False: 1e-4}, 200)
    alone = [steps for shared, steps in chosen[10:] if not shared]
    assert max(alone) == round(Pace.TURN / 1e-4)
    assert alone.count(max(alone)) > 0.9 * len(alone)
    assert max(steps for shared, steps in chosen[10:] if shared) <= round(Pace.TRIAL / 3e-4)


def test_trials_of_long_steps_are_rare():
    """A step longer than a turn is a run of its own: tried every so many runs it would cost a good part of the time."""
    chosen = paced(undisturbed(), {True: 0.05, False: 0.1}, 1000)
    alone = sum(not shared for shared, _ in chosen[6:])
    assert alone >= 2
    early = np.log2(Pace.RETRY)  # each of the first trials comes after twice as long as the one before
    assert alone <= early + len(chosen) / Pace.RETRY


def test_the_first_run_after_a_change_does_not_count():
    pace, last = undisturbed(), None
    for _ in range(8):  # both ways, until each was tried for a while; waking takes a second here
        shared, steps = pace.choose(1, True)
        pace.note(shared, steps, 1.0 if shared is not last else 1e-3 if shared else 2e-3)
        last = shared
    assert pace.choose(1, True)[0] is True
    for factor in (2, 4, 8):  # at most twice as long as what is known of it, up to a turn
        shared, steps = pace.choose(10_000, True)
        assert shared is True
        assert 1 < steps <= factor * Pace.TRIAL / 1e-3 * 3
        pace.note(shared, steps, steps * 1e-3)
    for _ in range(3):
        pace.note(True, 10, 0.01)
    assert pace.choose(10_000, True) == (True, round(Pace.TURN / 1e-3))


def test_a_short_run_that_was_lucky_is_soon_forgotten():
    pace, last, lost = undisturbed(), None, 0.0
    for _ in range(400):  # all threads take half the time in short runs, and half as much again in long ones
        shared, steps = pace.choose(10_000, True)
        cost = (0.5e-4 if steps * 0.5e-4 < 2 * pace.TRIAL else 1.5e-4) if shared else 1e-4
        lost += steps * (1.5e-4 - 1e-4) if shared and cost > 1e-4 else 0.0
        pace.note(shared, steps, cost * steps)
        last = (last or 0.0) + cost * steps
    assert lost < 0.05 * last


def test_a_trial_of_all_threads_costs_what_it_took():
    pace, spent = undisturbed(), {True: 0.0, False: 0.0}
    for _ in range(1000):  # others have a core: short runs of all threads wait for a slice of time
        shared, steps = pace.choose(10_000, True)
        seconds = max(steps * 1.2e-4, 8e-3) if shared else steps * 1e-4
        spent[shared] += seconds
        pace.note(shared, steps, seconds)
    assert 0 < spent[True] < 0.03 * spent[False]


def test_a_core_that_becomes_fast_after_a_while_is_found_soon():
    pace, spent = undisturbed(), 0.0
    for _ in range(1000):
        shared, steps = pace.choose(10_000, True)
        cost = (4e-4 if spent < 0.05 else 1e-4) if shared else 2e-4
        pace.note(shared, steps, cost * steps)
        spent += cost * steps
        if shared and spent > 0.05 and steps * 1e-4 > Pace.TRIAL * 2:
            break
    assert spent < 0.25


def test_the_slower_way_is_tried_less_often_where_it_is_clearly_slower():
    clear = paced(undisturbed(), {True: 1e-4, False: 2e-4}, 40)
    close = paced(undisturbed(), {True: 1e-4, False: 1.2e-4}, 40)
    alone = [sum(not shared for shared, _ in chosen[6:]) for chosen in (clear, close)]
    assert 0 < alone[0] < alone[1]


def test_others_that_leave_a_core_late_are_noticed_in_a_fifth_of_a_second():
    pace, cost = undisturbed(), {True: 4e-4, False: 2e-4}
    paced(pace, cost, 200)  # so long that trials are as rare as they become
    spent = 0.0
    while True:
        shared, steps = pace.choose(10_000, True)
        own = 1e-4 if shared else 2e-4
        pace.note(shared, steps, own * steps)
        if shared and own * steps > 2 * Pace.TRIAL:
            break
        spent += own * steps
    assert spent < 0.3


def test_a_plan_that_is_not_worth_sharing_stays_alone():
    assert not any(shared for shared, _ in paced(undisturbed(), {True: 1e-9, False: 1e-3}, 100, may_share=False))


class Machine:
    """Runs with invented costs, and how long the other cores are idle meanwhile."""

    def __init__(self, busy):
        self.busy = busy  # in what share of one thread's time others have the cores
        self.pace = Pace(self.look)
        self._idle = 0.0

    def look(self):
        idle, self._idle = self._idle, 0.0
        return idle

    def run(self, alone, shared, least=0.0):
        """One run, with these seconds for a step and for a run of all threads: whether it was shared, and its time."""
        chosen, steps = self.pace.choose(10_000, True)
        seconds = max(steps * shared, least) if chosen else steps * alone
        self._idle += 0.0 if chosen else seconds * (1 - self.busy)
        self.pace.note(chosen, steps, seconds)
        return chosen, seconds


def share_of_all_threads(busy):
    """What share of the time goes to all threads, twice as slow as one, and the longest time between two visits."""
    machine, spent, since, longest = Machine(busy), {True: 0.0, False: 0.0}, 0.0, 0.0
    for run in range(1000):
        shared, seconds = machine.run(1e-4, 2e-4, least=4e-3)
        if run > 500:
            spent[shared] += seconds
            since = 0.0 if shared else since + seconds
            longest = max(longest, since)
    return spent[True] / sum(spent.values()), longest


def test_all_threads_are_hardly_tried_where_the_system_says_that_others_have_the_cores():
    (taken, rarest), (free, often) = share_of_all_threads(0.9), share_of_all_threads(0.3)
    assert 0 < 5 * taken < free < 0.03
    assert often < 1 < rarest < 5  # the system may be wrong: they are not given up


def test_that_no_core_was_idle_while_all_threads_worked_does_not_count_as_others():
    machine, spent = Machine(0.0), 0.0
    for _ in range(200):
        machine.run(2e-4, 1e-4)
    while machine.run(2e-4, 8e-4)[0]:  # all threads become slow; one is chosen, beside idle cores
        pass
    while not (last := machine.run(2e-4, 8e-4))[0]:
        spent += last[1]
    assert 0 < spent < 0.3


def test_a_visit_that_the_system_has_stopped_for_a_second_does_not_put_off_the_next_one_for_long():
    machine, spent, visits = Machine(0.0), 0.0, 0
    for _ in range(600):
        shared, seconds = machine.run(1e-4, 2e-4, least=1.0)
        spent += 0.0 if shared else seconds
        visits += shared
    assert spent < 30
    assert visits > 5


def test_hundredths_of_seconds_in_which_cores_were_idle_say_nothing_of_a_shorter_time():
    machine, visits, spent = Machine(1.0), 0, 0.0
    while spent < 0.9 * Pace.SEEN:
        shared, seconds = machine.run(1e-4, 1.5e-4)
        visits += shared
        spent += 0.0 if shared else seconds
    assert visits > 4  # two to begin with; each later visit is two runs


def test_other_cores_are_looked_at_when_one_thread_is_chosen_after_all():
    looks = []
    pace = Pace(lambda: looks.append(1) or 0.0)
    paced(pace, {True: 1e-4, False: 1e-4}, 10, may_share=False)
    assert not looks  # a plan that is never shared asks for nothing
    pace.note(True, 1, 0.05)
    pace.note(True, 1, 0.05)
    assert not looks
    pace.note(False, 1, 0.05)
    assert looks == [1]


def test_a_clock_that_stands_still_does_no_harm():
    assert len(paced(undisturbed(), {True: 0.0, False: 0.0}, 50)) == 50


def test_short_calls_keep_to_the_faster_way_although_their_times_vary():
    """As fits of a few steps in a loop: no run is longer than a trial."""
    pace, r = undisturbed(), np.random.default_rng(0)
    spent, chosen = {True: 0.0, False: 0.0}, []
    for _ in range(5000):
        shared, steps = pace.choose(10, True)
        seconds = steps * (1e-4 if shared else 1.3e-4) * (1 + 0.3 * r.random())
        pace.note(shared, steps, seconds)
        spent[shared] += seconds
        chosen.append(shared)
    assert spent[False] < 0.02 * spent[True]
    changes = sum(a is not b for a, b in pairwise(chosen))
    assert changes < 40


def test_a_short_run_that_is_clearly_faster_counts_at_once():
    pace = undisturbed()
    paced(pace, {True: 2e-4, False: 1e-4}, 100)
    while not pace.choose(10_000, True)[0]:
        pace.note(False, 500, 0.05)
    for _ in range(2):
        pace.note(True, 40, 40 * 5e-5)
    assert pace.choose(10_000, True)[0] is True
