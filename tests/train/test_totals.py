from itertools import pairwise

import numpy as np
import pytest

from pellucid.nn import losses
from pellucid.train.metrics import MeanAbsoluteError
from pellucid.train.step import Objective, StepLogs
from pellucid.train.totals import EpochTotals


def logs(sums, penalty=0.0, statistics=()):
    """The numbers of one batch."""
    rows = [np.array([s], np.float32) for s in (0.0, *sums, penalty, *statistics)]
    return StepLogs.of(rows, len(sums))


def test_the_loss_is_the_mean_over_samples_not_over_batches():
    totals = EpochTotals(Objective((losses.MeanSquaredError(),), (1.0,), ((),)), ("out",))
    totals.add(logs([8.0]), 4)
    totals.add(logs([1.0]), 1)
    assert totals.result() == {"loss": 9 / 5}


def test_a_summed_loss_is_the_sum_over_samples():
    totals = EpochTotals(Objective((losses.SumSquaredError(),), (1.0,), ((),)), ("out",))
    totals.add(logs([8.0]), 4)
    totals.add(logs([1.0]), 1)
    assert totals.result() == {"loss": 9.0}


def test_penalties_are_averaged_by_samples():
    totals = EpochTotals(Objective((losses.MeanSquaredError(),), (1.0,), ((),)), ("out",))
    totals.add(logs([0.0], penalty=3.0), 3)
    totals.add(logs([0.0], penalty=1.0), 1)
    assert totals.result("val_") == {"val_loss": 10 / 4}


def test_outputs_are_weighted_and_listed():
    objective = Objective(
        (losses.MeanSquaredError(), losses.SumSquaredError()), (2.0, 0.5), ((), (MeanAbsoluteError(),))
    )
    totals = EpochTotals(objective, ("a", "b"))
    totals.add(logs([4.0, 6.0], statistics=[5.0, 2.0]), 2)
    totals.add(logs([2.0, 4.0], statistics=[1.0, 2.0]), 1)
    found = totals.result("val_")
    assert found == {"val_loss": 2 * 2 + 0.5 * 10, "val_a_loss": 2.0, "val_b_loss": 10.0, "val_b_mae": 6 / 4}
    assert list(found) == ["val_loss", "val_a_loss", "val_b_loss", "val_b_mae"]


def test_sums_are_kept_in_double_precision():
    totals = EpochTotals(Objective((losses.MeanSquaredError(),), (1.0,), ((),)), ("out",))
    totals.add(logs([2.0**24]), 1)
    for _ in range(64):
        totals.add(logs([1.0]), 1)  # each would vanish in float32
    assert totals.result()["loss"] == pytest.approx((2**24 + 64) / 65, rel=1e-15)


def test_batches_may_come_in_any_pieces():
    objective = Objective((losses.MeanSquaredError(),), (1.0,), ((MeanAbsoluteError(),),))
    rows = [np.random.default_rng(k).random(7).astype(np.float32) for k in range(5)]
    results = set()
    for cuts in ((0, 7), (0, 1, 7), (0, 3, 4, 7)):
        totals = EpochTotals(objective, ("out",))
        for start, stop in pairwise(cuts):
            totals.add(StepLogs.of(rows, 1).part(start, stop), 3)
        results.add(tuple(totals.result().items()))
    assert len(results) == 1
