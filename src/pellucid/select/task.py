"""What is to be trained and what became of it: members, their outcomes, and the task that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.select.folds import Fold
from pellucid.select.grid import Configuration
from pellucid.select.preparing import Inputs
from pellucid.select.scoring import Score
from pellucid.train import History, Recorder, Recording


@dataclass(frozen=True, eq=False)
class Member:
    """One fit: a configuration (by its number), a fold and a seed."""

    configuration: int
    fold: Fold
    seed: int


@dataclass(eq=False)
class Outcome:
    """What became of a member.

    Attributes:
        train, test: Loss and scores on the training rows and on the test rows.
        outputs: What the model gives for the test rows, or None.
        history: The numbers of every epoch, or None.
        recording: What was recorded of the fit, or None; also of one that failed.
        epochs, seconds, score_seconds: Trained epochs, and the time of training and of scoring.
        best_epoch: The epoch that early stopping chose, counted from 1; 0 where nothing was chosen.
        stopped_by: What ended the fit early.
        failure: Why there is no score.
        model: The model, where models are kept.
    """

    train: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    outputs: np.ndarray | None = None
    history: History | None = None
    recording: Recording | None = None
    epochs: int = 0
    seconds: float = 0.0
    score_seconds: float = 0.0
    best_epoch: int = 0
    stopped_by: str | None = None
    failure: str | None = None
    model: Any = None


#: Called with a member, an epoch from 0 and its numbers; a text ends the member.
EpochListener = Callable[[Member, int, Mapping[str, float]], "str | None"]


@dataclass(frozen=True)
class Task:
    """What all members share; the arguments of ``cross_validate``.

    Attributes:
        source: The model, building function or estimator.
        inputs: The samples, by fold.
        y, sample_weight: Targets and weights.
        count: The number of rows.
        configurations: By number.
        scores: Scores beside the model's own metrics.
        validation_split: Share of a member's training rows set apart to watch.
        watch: Whether the test rows are watched after each epoch.
        callbacks: A list that each member gets copies of, or a function from the member to its callbacks.
        train_scores, keep_models: Whether training rows are scored, and models kept.
        recorder: What is recorded of each fit, or None.
        on_epoch: Called in the user's own process after every epoch of every model, whatever executor trains it, with
            the member, the epoch (from 0) and its numbers; a text that it returns ends the member, and becomes its
            ``stopped_by``. It is called from several threads at once, and the member waits for the answer. A member
            whose worker was lost begins again, from epoch 0.
    """

    source: Any
    inputs: Inputs
    y: Any
    count: int
    configurations: Sequence[Configuration]
    scores: tuple[Score, ...] = ()
    epochs: int = 1
    batch_size: int | None = 32
    shuffle: bool = True
    sample_weight: Any = None
    validation_split: float = 0.0
    watch: bool = False
    callbacks: Any = ()
    train_scores: bool = True
    keep_models: bool = False
    on_epoch: EpochListener | None = None
    recorder: Recorder | None = None


#: Called with a member and its outcome as soon as it is there.
Listener = Callable[[Member, Outcome], None]

#: Trains members in this process: ``train(task, members, listener)``.
Trainer = Callable[[Task, Sequence[Member], "Listener | None"], list[Outcome]]
