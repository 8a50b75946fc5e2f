"""Curves over the epochs."""

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.plot.pictures import check_differs, check_picture

from pellucid import History, plot
from pellucid.classic import Perceptron
from pellucid.errors import ConfigurationError, DataError

WRONG: Any = [1.0]
EPOCHS = np.arange(1, 21)
LOSSES = {"loss": 2 / EPOCHS, "val_loss": 2 / EPOCHS + 0.004 * EPOCHS**1.5, "accuracy": 1 - 0.5 / EPOCHS}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_training_and_validation_are_drawn_and_the_best_epoch_is_marked():
    (loss, accuracy) = plot.error_curves(LOSSES)
    training, validation, line, star = loss.get_lines()
    np.testing.assert_array_equal(training.get_ydata(), LOSSES["loss"])
    np.testing.assert_array_equal(validation.get_ydata(), LOSSES["val_loss"])
    np.testing.assert_array_equal(training.get_xdata(), EPOCHS)
    best = int(np.argmin(LOSSES["val_loss"])) + 1
    assert list(line.get_xdata()) == [best, best]
    assert (list(star.get_xdata()), list(star.get_ydata())) == ([best], [LOSSES["val_loss"].min()])
    assert legend(loss) == ["training", "validation", f"best: epoch {best}"]
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "loss")
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()
    assert accuracy.get_ylabel() == "accuracy"
    assert len(accuracy.get_lines()) == 1
    assert accuracy.get_legend() is None


def test_the_picture_is_the_stored_one(tmp_path):
    check_picture(plot.error_curves(LOSSES)[0].figure, "error_curves", tmp_path)


def test_another_best_epoch_is_another_picture(tmp_path):
    other = {**LOSSES, "val_loss": 2 / EPOCHS + 0.008 * EPOCHS**1.5}
    check_differs(plot.error_curves(other)[0].figure, "error_curves", tmp_path)


def test_an_early_stop_is_named_and_every_panel_marks_the_same_epoch():
    made = History()
    for epoch, (loss, accuracy) in enumerate([(3.0, 0.5), (1.0, 0.7), (2.0, 0.8)]):
        made.append(epoch, {"loss": loss, "val_loss": loss, "accuracy": accuracy, "val_accuracy": accuracy}, 0.1)
    made.stopped_by = "early stopping: no progress"
    loss, accuracy = plot.error_curves(made)
    assert legend(loss)[-1] == legend(accuracy)[-1] == "best: epoch 2, stopped: 3"
    assert list(accuracy.get_lines()[-1].get_ydata()) == [0.7]
    _, accuracy = plot.error_curves(made, monitor="val_accuracy")
    assert legend(accuracy)[-1] == "best: epoch 3, stopped: 3"


def test_a_perceptrons_errors_are_one_curve_of_whole_numbers():
    model = Perceptron().fit([[0.0], [1.0], [2.0]], [0, 0, 1])
    (ax,) = plot.error_curves(model)
    assert list(ax.get_lines()[0].get_ydata()) == model.errors_
    assert ax.get_ylabel() == "errors"
    assert all(float(tick).is_integer() for tick in ax.get_yticks())


def test_keys_scale_and_axes_can_be_chosen():
    ax = Figure().add_subplot()
    (drawn,) = plot.error_curves(LOSSES, "loss", log=True, ax=ax)
    assert drawn is ax
    assert ax.get_yscale() == "log"
    loss, accuracy = plot.error_curves(LOSSES, log=True)
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    assert [a.get_ylabel() for a in plot.error_curves(LOSSES, ["accuracy", "loss"])] == ["accuracy", "loss"]


def test_what_was_not_measured_is_left_out():
    (ax,) = plot.error_curves({"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, math.nan, 2.0]})
    assert list(ax.get_lines()[1].get_xdata()) == [1, 3]
    (ax,) = plot.error_curves({"loss": [3.0, 2.0], "val_loss": [math.nan, math.nan]})
    assert legend(ax) == ["training", "validation"]


def three():
    return {rate: 1 / (1 + rate * EPOCHS) for rate in (0.01, 0.1, 1.0)}


def test_several_trainings_are_one_curve_each_with_a_style_of_its_own():
    ax = plot.compare(three(), setting="learning rate")
    assert legend(ax) == ["0.01", "0.1", "1"]
    assert ax.get_legend().get_title().get_text() == "learning rate"
    assert ax.get_ylabel() == "loss"
    for line, values in zip(ax.get_lines(), three().values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
    for style in ("get_color", "get_marker", "get_linestyle"):
        assert len({getattr(line, style)() for line in ax.get_lines()}) == 3


def test_the_picture_of_several_is_the_stored_one(tmp_path):
    check_picture(plot.compare(three()).figure, "compare", tmp_path)


def test_the_picture_without_one_of_them_differs(tmp_path):
    less = three()
    del less[0.01]
    check_differs(plot.compare(less).figure, "compare", tmp_path)


def test_several_can_be_compared_over_the_seconds_and_by_another_key():
    made = History()
    made.append(0, {"loss": 1.0, "val_accuracy": 0.5}, 2.0)
    made.append(1, {"loss": 0.5, "val_accuracy": 0.75}, 3.0)
    ax = plot.compare({"wide": made, 64: made}, "val_accuracy", against="seconds", log=True)
    assert list(ax.get_lines()[0].get_xdata()) == [2.0, 5.0]
    assert list(ax.get_lines()[1].get_ydata()) == [0.5, 0.75]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("training time (s)", "validation accuracy")
    assert ax.get_yscale() == "log"
    assert legend(ax) == ["wide", "64"]


@pytest.mark.parametrize(
    ("draw", "error", "text"),
    [
        (
            lambda: plot.error_curves(LOSSES, "los"), ConfigurationError,
            "Unknown history key 'los'; known are: accuracy, loss, val_loss.\nHint: did you mean 'loss'?",
        ),
        (
            lambda: plot.error_curves(LOSSES, monitor="val_los"), ConfigurationError,
            "Unknown history key 'val_los'; known are: accuracy, loss, val_loss.\nHint: did you mean 'val_loss'?",
        ),
        (
            lambda: plot.error_curves(LOSSES, log=WRONG), ConfigurationError,
            "error_curves: log must be True or False, not [1.0].",
        ),
        (
            lambda: plot.error_curves(LOSSES, ax=Figure().add_subplot()), ConfigurationError,
            "error_curves: ax must be 2 Matplotlib axes, but 1 were given.",
        ),
        (
            lambda: plot.compare(WRONG), ConfigurationError,
            "compare: sources must be a dict of what differed to its history, not [1.0].",
        ),
        (
            lambda: plot.compare({"a": [1.0]}, against="seconds"), DataError,
            "compare: how long the epochs of 'a' took is not known; pass the History of fit.",
        ),
        (
            lambda: plot.compare({"a": [1.0]}, against="hours"), ConfigurationError,
            "compare: against must be one of 'epoch', 'seconds', 'setting', not 'hours'.",
        ),
        (
            lambda: plot.compare({"a": LOSSES, "b": [1.0]}, "accuracy"), ConfigurationError,
            "compare: 'b' has no 'accuracy', only loss.",
        ),
        (
            lambda: plot.compare({"a": [1.0, -2.0]}, log=True), ConfigurationError,
            "compare: 'loss' goes down to -2: it has no logarithm.",
        ),
        (
            lambda: plot.error_curves(LOSSES, []), ConfigurationError,
            "error_curves: keys must name at least one quantity.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_told(draw, error, text):
    with pytest.raises(error) as caught:
        draw()
    assert str(caught.value) == text


def test_the_loss_of_validation_says_what_is_best_wherever_it_stands():
    _, loss = plot.error_curves(
        {"accuracy": [1, 2], "val_accuracy": [0.5, 0.9], "loss": [2, 1], "val_loss": [0.1, 0.2]}
    )
    assert legend(loss)[-1] == "best: epoch 1"


def test_a_training_that_diverges_says_so():
    ax = plot.compare({0.1: [3.0, 2.0, 1.0], 9.0: [3.0, 1e30, math.inf]}, log=True)
    assert legend(ax) == ["0.1", "9, infinite from epoch 3"]
    (ax,) = plot.error_curves([1.0, math.inf])
    assert legend(ax) == ["training, infinite from epoch 2"]


def test_on_a_logarithmic_scale_zero_keeps_its_place():
    (ax,) = plot.error_curves({"loss": [1.0, 0.1, 0.0]}, log=True)
    assert ax.get_yscale() == "symlog"
    assert ax.get_ylim()[0] == 0
    assert list(ax.get_lines()[0].get_ydata()) == [1.0, 0.1, 0.0]


def test_the_last_numbers_can_be_compared_over_the_setting():
    histories = {100: [3.0, 0.5], 1: [3.0, 2.0], 10: [3.0, 0.25], 1000: [3.0, math.inf]}
    ax = plot.compare(histories, setting="hidden nodes", against="setting", log=True)
    curve, best = ax.get_lines()
    assert list(curve.get_xdata()) == [1, 10, 100, 1000]
    np.testing.assert_array_equal(curve.get_ydata(), [2.0, 0.25, 0.5, math.nan])
    assert (best.get_xdata(), best.get_ydata()) == ([10], [0.25])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("hidden nodes", "loss", "best: 10")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    ax = plot.compare({"SGD": {"accuracy": [0.5]}, "Adam": {"accuracy": [0.75]}}, against="setting")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["SGD", "Adam"]
    assert ax.get_title() == "best: Adam"


@pytest.mark.parametrize(
    ("settings", "labels"),
    [([4, 8, 16, 32], ["4", "8", "16", "32"]), ([8], ["8"]), ([1, 10, 100], ["1", "10", "100"]), ([0, 1], ["0", "1"])],
)
def test_only_the_settings_that_were_tried_are_written_below(settings, labels):
    ax = plot.compare({n: [1.0, 1 / (n + 1)] for n in settings}, setting="batch size", against="setting")
    assert [label.get_text() for label in ax.get_xticklabels()] == labels


def test_settings_too_close_to_be_written_leave_even_numbers():
    ax = plot.compare({n: [1.0, 1 / n] for n in (10.0, 10.1, 20.0)}, setting="rate", against="setting")
    assert "10.1" not in [label.get_text() for label in ax.get_xticklabels()]


def test_the_picture_over_the_setting_is_the_stored_one(tmp_path):
    check_picture(plot.compare(three(), against="setting").figure, "compare_setting", tmp_path)


def test_the_picture_over_another_setting_differs(tmp_path):
    other = dict(zip(three(), reversed(three().values()), strict=True))
    check_differs(plot.compare(other, against="setting").figure, "compare_setting", tmp_path)


def test_the_legend_of_many_is_beside_the_axes_and_fits(tmp_path):
    ax = plot.compare({nodes: [3.0, 2.0] for nodes in range(40)}, setting="hidden nodes")
    ax.figure.savefig(tmp_path / "many.png", dpi=30)  # a layout that does not fit warns
    box = ax.get_legend().get_window_extent()
    assert box.x0 > ax.get_window_extent().x1
    assert box.y0 > 0
    assert box.x1 < ax.figure.bbox.x1


def test_the_axis_of_one_epoch_has_one_tick():
    (ax,) = plot.error_curves({"loss": [0.5]})
    assert [tick for tick in ax.get_xticks() if ax.get_xlim()[0] <= tick <= ax.get_xlim()[1]] == [1]
