"""What an executor is given, and what it promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from pellucid.select.task import Listener, Member, Outcome, Task, Trainer


@dataclass(frozen=True, eq=False)
class Work:
    """Members to train.

    Attributes:
        train: Trains some of them in one process.
        task: What they share.
        members: All of them.
        keys: Of each member; those of equal keys share a plan and are best trained together.
    """

    train: Trainer
    task: Task
    members: Sequence[Member]
    keys: Sequence[Hashable]


class Executor(ABC):
    """Where members train.

    Args:
        jobs: How many workers; None for as many as there are cores.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs

    @abstractmethod
    def run(self, work: Work, listener: Listener | None = None) -> list[Outcome]:
        """Train all members; their outcomes in the order of the members, Ctrl-C or not.

        ``listener`` is called in this process with each member and its outcome as soon as it is there.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.jobs is None else self.jobs})"
