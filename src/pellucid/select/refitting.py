"""The last training: a configuration on all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.select.estimator_members import made
from pellucid.select.folds import Fold
from pellucid.select.grid import Configuration, sort_out
from pellucid.select.makers import Maker, is_estimator
from pellucid.select.preparing import first_normalizations
from pellucid.select.refitted import Refitted
from pellucid.select.task import Member, Task


def refit_on_all(
    task: Task, configuration: Configuration, seed: int, last: Callable[[int], tuple[int, list[Any]]]
) -> Refitted:
    """A configuration trained on every row, with its preprocessing.

    Args:
        task: What the members of the selection shared.
        configuration: Its values.
        seed: Draws parameters and orders.
        last: From the epochs of the configuration to those of this training, and its callbacks.
    """
    rows = np.arange(task.count)
    prepared, x = task.inputs.fitted(rows) if task.inputs.prepares else (None, task.inputs.x)
    if is_estimator(task.source):
        alone = Task(task.source, task.inputs, task.y, task.count, [configuration])
        return Refitted(made(alone, Member(0, Fold(0, 0, rows, rows), seed)).fit(x, task.y), prepared)
    maker = Maker(task.source)
    kind = sort_out(configuration, maker.arguments)
    model = maker.numbered(kind, seed, x)
    for layer, number in first_normalizations(model):
        layer.adapt(np.asarray(model.checks().x(x)[number]))
    epochs, callbacks = last(kind.fitting.get("epochs", task.epochs))
    model.fit(
        x, task.y, epochs=epochs, batch_size=kind.fitting.get("batch_size", task.batch_size), shuffle=task.shuffle,
        sample_weight=task.sample_weight, callbacks=callbacks, validation_split=task.validation_split, seed=seed,
        verbose=0,
    )  # fmt: skip
    return Refitted(model, prepared)
