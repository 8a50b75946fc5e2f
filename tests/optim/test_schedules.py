"""Learning rates as functions of the step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Sequential
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Input
from pellucid.optim import (
    SCHEDULES,
    SGD,
    Adam,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    Schedule,
    StepDecay,
    WarmUp,
)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (StepDecay(0.8, 0.5, 10), {0: 0.8, 9: 0.8, 10: 0.4, 19: 0.4, 20: 0.2, 100: 0.8 / 2**10}),
        (ExponentialDecay(0.5, 10, 0.25), {0: 0.5, 5: 0.25, 10: 0.125, 20: 0.03125}),
        (ExponentialDecay(0.5, 10, 0.25, staircase=True), {0: 0.5, 9: 0.5, 10: 0.125, 19: 0.125, 20: 0.03125}),
        (CosineDecay(1.0, 10), {0: 1.0, 5: 0.5, 10: 0.0, 11: 0.0, 1000: 0.0}),
        (CosineDecay(1.0, 6, 0.2), {0: 1.0, 2: 0.8, 3: 0.6, 4: 0.4, 6: 0.2, 7: 0.2}),
        (WarmUp(0.4, 4), {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.4, 50: 0.4}),
        (WarmUp(StepDecay(0.4, 0.5, 2), 2), {0: 0.2, 1: 0.4, 2: 0.4, 3: 0.4, 4: 0.2, 6: 0.1}),
        (OneCycle(1.0, 11, rise=5 / 11, start_divisor=10, end_divisor=10), {0: 0.1, 2: 0.55, 4: 1, 7: 0.505, 10: 0.01}),
    ],
    ids=repr,
)  # fmt: skip
def test_rates_at_named_steps(schedule: Schedule, expected: dict[int, float]) -> None:
    assert {step: schedule(step) for step in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("options", [{}, {"rise": 0.5}, {"start_divisor": 4.0, "end_divisor": 100.0}])
@pytest.mark.parametrize("steps", [10, 33, 100])
def test_one_cycle_is_torchs_with_cosines(steps: int, options: dict[str, float]) -> None:
    torch = pytest.importorskip("torch")
    names = {"rise": "pct_start", "start_divisor": "div_factor", "end_divisor": "final_div_factor"}
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    peer = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=0.5,
        total_steps=steps,
        anneal_strategy="cos",
        cycle_momentum=False,
        **{names[key]: value for key, value in options.items()},
    )
    own = OneCycle(0.5, steps, **options)
    for step in range(steps):
        assert own(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if step < steps - 1:
            peer.step()


def test_cosine_decay_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40, eta_min=0.05)
    own = CosineDecay(0.5, 40, 0.05)
    for step in range(40):
        assert own(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        peer.step()


@given(
    st.sampled_from(
        [
            ExponentialDecay(0.5, 50, 0.5),
            CosineDecay(0.5, 100, 0.01),
            WarmUp(CosineDecay(0.5, 100), 20),
            WarmUp(0.5, 20),
            OneCycle(0.5, 130),
        ]
    ),
    st.integers(0, 300),
)
def test_smooth_schedules_have_no_jumps_and_stay_positive_and_bounded(schedule: Schedule, step: int) -> None:
    assert 0 <= schedule(step) <= 0.5 + 1e-12
    # The steepest is the warm-up: a twentieth of the rate per step; cosines fall by at most pi / 2 / length.
    assert abs(schedule(step + 1) - schedule(step)) <= 0.5 * max(1 / 20, math.pi / 2 / 38) + 1e-12


@given(st.integers(2, 60), st.floats(0.05, 0.95))
def test_one_cycle_rises_once_and_falls_once(steps: int, rise: float) -> None:
    rates = [OneCycle(1.0, steps, rise=rise)(step) for step in range(steps + 5)]
    top = int(np.argmax(rates))
    assert (np.diff(rates[: top + 1]) >= -1e-12).all()
    assert (np.diff(rates[top:]) <= 1e-12).all()
    assert rates[steps - 1] == pytest.approx(1 / 25 / 1e4)
    assert rates[-1] == pytest.approx(1 / 25 / 1e4)  # and stays there


def sum_of_rates(schedule: Any, batches: int, epochs: int) -> float:
    """How far descent of a constant slope moves: the sum of all rates it used."""
    layer = Dense(1, use_bias=False, kernel_initializer="zeros")
    model = Sequential([Input((1,)), layer], dtype="float64")
    model.compile(loss=lambda y, p: p, optimizer=SGD(schedule))
    x = np.ones((batches * 2, 1))
    model.fit(x, x, batch_size=2, epochs=epochs, verbose=0)
    assert model.optimizer.iterations == batches * epochs
    return -layer.kernel.item()


@pytest.mark.parametrize(
    "schedule",
    [StepDecay(0.1, 0.5, 4), CosineDecay(0.1, 9), WarmUp(ExponentialDecay(0.1, 3, 0.5), 5), OneCycle(0.1, 12)],
    ids=repr,
)
def test_fit_uses_the_rate_of_every_update_across_epochs(schedule: Schedule) -> None:
    expected = sum(schedule(step) for step in range(12))
    assert sum_of_rates(schedule, batches=4, epochs=3) == pytest.approx(expected, rel=1e-12)


def test_the_current_rate_is_that_of_the_next_update() -> None:
    optimizer = Adam(StepDecay(0.1, 0.5, 1))
    assert optimizer.current_learning_rate() == 0.1
    optimizer.iterations = 2
    assert optimizer.current_learning_rate() == 0.025
    assert SGD(0.3).current_learning_rate() == 0.3


def test_every_schedule_is_in_the_closed_list() -> None:
    assert list(SCHEDULES) == ["StepDecay", "ExponentialDecay", "CosineDecay", "WarmUp", "OneCycle"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(0), "StepDecay: initial must be a finite number above 0, not 0."),
        (lambda: StepDecay(0.1, factor=1.5), "StepDecay: factor must be a number in (0, 1], not 1.5."),
        (lambda: StepDecay(0.1, every=0), "StepDecay: every must be a whole number of at least 1, not 0."),
        (
            lambda: ExponentialDecay(0.1, decay_rate=0),
            "ExponentialDecay: decay_rate must be a number in (0, 1], not 0.",
        ),
        (lambda: CosineDecay(0.1), "CosineDecay: missing 1 required positional argument: 'decay_steps'."),
        (lambda: CosineDecay(0.1, 5, -1), "CosineDecay: final must be a finite number of at least 0, not -1."),
        (lambda: WarmUp(-1, 3), "WarmUp: after must be a finite number above 0 or a schedule, not -1."),
        (lambda: WarmUp("adam", 3), "WarmUp: after must be a finite number above 0 or a schedule, not 'adam'."),
        (lambda: WarmUp(0.1, 0), "WarmUp: steps must be a whole number of at least 1, not 0."),
        (lambda: OneCycle(0.1, 1), "OneCycle: steps must be a whole number of at least 2, not 1."),
        (lambda: OneCycle(0.1, 10, rise=1.0), "OneCycle: rise must be a number in (0, 1), not 1.0."),
        (lambda: OneCycle(1, 9, start_divisor=0.5), "OneCycle: start_divisor must be a number in [1, inf], not 0.5."),
        (
            lambda: SGD("cosine"),
            "SGD: learning_rate must be a finite number of at least 0 or a schedule, not 'cosine'.",
        ),
        (
            lambda: StepDecay(0.1, factr=0.2),  # type: ignore[call-arg]
            "StepDecay has no argument 'factr'; it takes: initial, factor, every.\nHint: did you mean 'factor'?",
        ),
    ],
)  # fmt: skip
def test_wrong_schedules_are_explained(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make()
    assert str(error.value) == message
