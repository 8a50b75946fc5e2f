"""How many steps of a plan are made at once, and whether on one thread or on all of them."""

from __future__ import annotations

from collections.abc import Callable

from pellucid.backends.cpu import cores


class Pace:
    """How many steps of a plan to make at once, and whether on one thread or on all of them, by what they cost lately.

    On a machine whose cores others use, threads that wait for each other lose more than they gain. The results are the
    same bits either way, so the choice may change from run to run.

    Args:
        idle: For how many seconds the other cores were idle since it was called last.
    """

    #: Seconds after which Python has its turn, roughly; and of a trial of the slower way.
    TURN, TRIAL = 0.05, 0.002
    #: A trial of the slower way may take one part in so many of the time: at first, since a core that was idle takes
    #: some time until it is fast, and in the long run.
    EAGER, RETRY = 2, 300
    #: The latter while one thread is the better way: whoever takes the other cores may leave them soon. NumPy's own
    #: threads, for instance, spin for tens of milliseconds after a product.
    ALONE = 50
    #: Where other cores were idle for less than this part of the time of one thread's runs, others have them, and all
    #: threads are not tried; if so many seconds have been seen, since systems count hundredths. At most so many trials
    #: are left out one after another: the system may be wrong about what is idle.
    FREE, SEEN, LEFT_OUT = 0.5, 0.05, 6
    #: For so many turns, at most, what has been measured weighs against what comes next; and what the latter weighs,
    #: at most, after a change.
    LASTING, WAKING = 4, 0.2
    #: A run that is shorter than half a turn counts at once where it is so many times as fast as what is known.
    CLEARLY = 1.25
    #: Seconds that a trial of all threads counts for, at most: it may have been the beginning of a longer run.
    MOST = 0.02
    #: Where one thread takes so many times as long as all of them, it can hardly be the better way: it is tried so many
    #: times less often, at first. If others take a core away, the time of all threads shows it.
    CLEAR, SURE = 1.5, 16

    def __init__(self, idle: Callable[[], float] | None = None) -> None:
        self._idle = idle or cores.Others().idle
        self._seconds: dict[bool, float] = {}
        self._tried = {True: 0.0, False: 0.0}
        self._known = {True: 0.0, False: 0.0}
        self._patience = self.EAGER
        self._since_trial, self._left_out = 0.0, 0
        self._last: bool | None = None
        self._settling = False
        self._spent, self._trying = 0.0, 0
        self._seen = 0.0

    def choose(self, steps: int, may_share: bool) -> tuple[bool, int]:
        """Whether the next run shall be shared, and how many of the steps it shall make."""
        shared, seconds = False, self.TURN
        if may_share and self._settling:
            shared, seconds = bool(self._last), self.TRIAL
        elif may_share and min(self._tried.values()) < self.TRIAL:
            # First steps are slow for many reasons: both ways are tried for as long before they are compared.
            shared, seconds = self._tried[True] < self.TRIAL, self.TRIAL
        elif may_share:
            shared = self._seconds[True] <= self._seconds[False]
            seconds = min(self.TURN, 2 * max(self._known[shared], self.TRIAL))  # short runs may have been lucky
            if self._is_time_for(not shared):
                shared, seconds = not shared, self.TRIAL
        cost = self._seconds.get(shared, self._seconds.get(not shared))
        return shared, 1 if cost is None else max(1, min(steps, int(seconds / max(cost, 1e-9))))

    def _is_time_for(self, shared: bool) -> bool:
        """Whether the slower way, which is this one, shall be tried again; then it is noted as tried."""
        sure = self._seconds[shared] > self.CLEAR * self._seconds[not shared] and not shared
        patience = min(self._patience * (self.SURE if sure else 1), self.ALONE if shared else self.RETRY)
        if self._since_trial <= patience * self._cost_of_trial(shared):
            return False
        self._since_trial = 0.0
        if shared and self._look() and self._left_out < self.LEFT_OUT:
            self._left_out += 1
            return False
        self._left_out, self._patience = 0, min(2 * self._patience, self.RETRY)
        if shared:
            self._spent, self._trying = 0.0, 2
        return True

    def _look(self) -> bool:
        """Whether others have had the cores since the last look: these were hardly idle while one thread worked."""
        seen, self._seen = self._seen, 0.0
        return self._idle() < self.FREE * seen and seen >= self.SEEN

    def _cost_of_trial(self, shared: bool) -> float:
        """Seconds: of two short runs, or of one step that is longer than both; of all threads what the last one took.

        Where others use a core, threads that wait for each other take several times as long as was planned.
        """
        return max(2 * self.TRIAL, self._seconds[shared], min(self._spent, self.MOST) if shared else 0.0)

    def note(self, shared: bool, steps: float, seconds: float) -> None:
        """Take in what a run has cost.

        The first run after a change does not count where it is short: it wakes workers and fills caches. Another one
        follows it.
        """
        seconds = max(seconds, 1e-9)  # clocks of some systems are coarse
        if self._last and not shared:
            self._look()  # from now on: the plan's own threads had them before
        changed, self._last = shared is not self._last, shared
        self._seen += seconds
        if shared and self._trying:
            self._spent, self._trying = self._spent + seconds, self._trying - 1
        self._settling = changed and (shared not in self._seconds or seconds < 2 * self.TRIAL)
        if not self._settling:
            self._since_trial += seconds
            self._tried[shared] += seconds
            self._take_in(shared, seconds / steps, seconds, changed)

    def _take_in(self, shared: bool, cost: float, seconds: float, changed: bool) -> None:
        """What a step costs, by what is known and by a run of so many seconds.

        Better times count at once, and worse ones, which may be accidents, for their share of what is known. A short
        run that is better may have been lucky: it counts at once if it is clearly better, but then little is known.
        """
        before, known = self._seconds.get(shared, cost), self._known[shared]
        weight = min(seconds / (seconds + known), self.WAKING if changed else 1.0)
        short = seconds < self.TURN / 2
        lucky = short and cost < before / self.CLEARLY
        at_once = cost < before and (lucky or not short)
        self._seconds[shared] = cost if at_once else before + weight * (cost - before)
        self._known[shared] = seconds if lucky else min(known + seconds, self.LASTING * self.TURN)
