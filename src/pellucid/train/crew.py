"""Crews: the threads that train the members of one or several populations, each member on one of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Protocol

from pellucid import backends


class Trained(Protocol):
    """Whose members a crew trains."""

    def interrupt(self) -> None:
        """End all fits as soon as their present steps are done."""
        ...

    def finish(self) -> None:
        """Called when all fits have ended."""
        ...


class Crew:
    """Trains the members of several populations side by side, as many at a time as there are threads.

    Populations differ in their plans, and one of few members leaves cores idle; together they keep all of them busy.
    ``Population.fit(..., crew=crew)`` hands its members over, and :meth:`work` trains them.

    >>> import numpy as np
    >>> from pellucid import Input, Population, Sequential
    >>> from pellucid.nn import Dense
    >>> x, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
    >>> crew, populations = Crew(), []
    >>> for units in (4, 8):
    ...     model = Sequential([Input((3,)), Dense(units, activation="tanh"), Dense(2, activation="softmax")])
    ...     model.compile("categorical_crossentropy", "sgd")
    ...     populations.append(Population(model, 2, seed=0))
    ...     _ = populations[-1].fit(x, y, epochs=3, crew=crew)
    >>> crew.work()
    True
    >>> [len(history) for population in populations for history in population.histories]
    [3, 3, 3, 3]
    """

    def __init__(self) -> None:
        self._populations: list[Trained] = []
        self._tasks: list[Callable[[], None]] = []

    def add(self, population: Trained, tasks: Sequence[Callable[[], None]]) -> None:
        """Take the fits of a population's members over."""
        self._populations.append(population)
        self._tasks += tasks

    def work(self, verbose: str | int = 0) -> bool:
        """Train all members; False where Ctrl-C ended it.

        Args:
            verbose: 1 shows a bar that counts members.
        """
        from tqdm import tqdm  # only when it is used: importing it takes time

        threads = min(backends.num_threads(), len(self._tasks))
        with tqdm(total=len(self._tasks), unit="member", disable=verbose in (0, "auto")) as bar, _set_apart():
            try:
                self._train(threads, bar.update)
            except KeyboardInterrupt:
                return False
            finally:
                for population in self._populations:
                    population.finish()
        return True

    def _train(self, threads: int, tell: Callable[[int], object]) -> None:
        if threads < 2:  # nobody works beside it: a single fit may use every thread
            with self._ending_all():
                for task in self._tasks:
                    task()
                    tell(1)
            return
        with ThreadPoolExecutor(threads, "pellucid-member") as pool, self._ending_all(pool):
            for future in as_completed([pool.submit(_alone, task) for task in self._tasks]):
                tell(1)
                future.result()

    @contextmanager
    def _ending_all(self, pool: ThreadPoolExecutor | None = None) -> Iterator[None]:
        """In the block, an error ends all fits before it goes on."""
        try:
            yield
        except BaseException:
            for population in self._populations:
                population.interrupt()
            if pool is not None:
                pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _set_apart() -> Iterator[None]:
    """In the block, the garbage collector leaves alone what is there already.

    A thousand models are many objects, and it would look through all of them again and again while they train.
    """
    if gc.get_freeze_count():  # somebody else has set something apart, and unfreeze() knows no owners
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _alone(task: Callable[[], None]) -> None:
    with backends.alone():
        task()
