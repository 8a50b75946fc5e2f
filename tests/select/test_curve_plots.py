import numpy as np
import pytest
from sklearn.linear_model import Ridge
from tests.select.nets import X, Y, net, regression

from pellucid import EarlyStopping
from pellucid.errors import ConfigurationError, DataError
from pellucid.optim import SGD
from pellucid.select import cross_validate, error_curves, parameter_curves, plot_scores, validation_curve

GRID = {"learning_rate": [0.0001, 0.001, 0.05], "units": [2, 6]}
FOUND = cross_validate(net, X, Y, cv=3, grid=GRID, epochs=8, watch=True)


def line(ax, label):
    return next(drawn for drawn in ax.lines if drawn.get_label().startswith(label))


def test_a_validation_curve_has_the_best_of_the_other_parameters():
    ax = validation_curve(FOUND, "learning_rate")
    means = FOUND.scores.mean().reshape(3, 2)
    assert ax.get_xscale() == "log"
    assert np.allclose(line(ax, "test rows").get_xdata(), GRID["learning_rate"])
    assert np.allclose(line(ax, "test rows").get_ydata(), means.max(axis=1))
    star = line(ax, "best")
    assert star.get_ydata()[0] == FOUND.best_score_
    assert star.get_label() == f"best: {FOUND.best_params_['learning_rate']:g}"
    with pytest.raises(ConfigurationError, match="did you mean 'units'"):
        validation_curve(FOUND, "unit")


def test_values_that_are_no_numbers_are_evenly_apart():
    found = cross_validate(net(), X, Y, cv=2, grid={"optimizer": ["sgd", "adam"]})
    assert [t.get_text() for t in validation_curve(found, "optimizer").get_xticklabels()] in (
        ["sgd", "adam"],
        ["adam", "sgd"],
    )


def test_error_curves_show_every_fold_and_the_best_epoch_of_their_mean():
    ax = error_curves(FOUND, configuration=5)
    held_out = np.array([o.history["val_loss"] for o in FOUND.scores.outcomes[15:18]])
    assert np.allclose(line(ax, "validation").get_ydata(), held_out.mean(axis=0))
    assert line(ax, "best epoch of the mean").get_label().endswith(f" {held_out.mean(axis=0).argmin() + 1}")
    dots = line(ax, "best epoch of each fit")
    assert np.array_equal(dots.get_xdata(), held_out.argmin(axis=1) + 1)
    assert len([drawn for drawn in ax.lines if drawn.get_alpha() == 0.18]) == 6


def test_curves_of_different_lengths_are_drawn_as_far_as_they_go():
    found = cross_validate(net(), X, Y, cv=3, epochs=40, callbacks=[EarlyStopping(patience=1)], seeds=2,
                           grid={"learning_rate": [0.3]})  # fmt: skip
    lengths = [outcome.epochs for outcome in found.scores.outcomes]
    assert len(set(lengths)) > 1
    assert len(line(error_curves(found, key="accuracy"), "training").get_xdata()) == max(lengths)


def test_what_was_not_measured_is_not_drawn():
    with pytest.raises(ConfigurationError, match="history key 'auc'"):
        error_curves(FOUND, key="auc")
    with pytest.raises(ConfigurationError, match="no configuration 6 among 6"):
        error_curves(FOUND, configuration=6)
    with pytest.raises(DataError, match="there is no history"):
        error_curves(cross_validate(Ridge(), *regression()))


def test_scores_are_drawn_best_first_with_their_interval():
    ax = plot_scores(FOUND, top=4)
    assert len(ax.get_yticklabels()) == 4
    best = FOUND.best_params_
    assert ax.get_yticklabels()[0].get_text() == f"learning rate {best['learning_rate']:g}, units {best['units']}"
    assert ax.get_ylim() == (3.5, -0.5)


def test_each_value_of_a_parameter_has_a_curve_over_the_epochs():
    ax = parameter_curves(FOUND, "learning_rate", key="accuracy")
    assert [drawn.get_label() for drawn in ax.lines] == ["0.0001", "0.001", "0.05"]
    assert ax.get_ylabel() == "accuracy on test rows"
    best = FOUND.scores.mean().reshape(3, 2).argmax(axis=1)  # of the units, for each rate
    for place, drawn in enumerate(ax.lines):
        fits = FOUND.scores.outcomes[3 * (2 * place + best[place]) :][:3]
        assert np.allclose(drawn.get_ydata(), np.mean([o.history["val_accuracy"] for o in fits], axis=0))
    assert len({drawn.get_marker() for drawn in ax.lines}) == 3
    unwatched = cross_validate(net, X, Y, cv=2, grid={"units": [2, 3]}, epochs=2)
    assert parameter_curves(unwatched, "units").get_ylabel() == "loss on training rows"
    with pytest.raises(ConfigurationError, match="parameter of the grid 'rate'"):
        parameter_curves(FOUND, "rate")
    with pytest.raises(DataError, match="parameter_curves: there is no history"):
        parameter_curves(cross_validate(Ridge(), *regression(), grid={"alpha": [1.0, 2.0]}), "alpha")


def test_at_least_one_configuration_is_drawn():
    with pytest.raises(ConfigurationError, match="plot_scores: top must be a whole number of at least 1, not 0"):
        plot_scores(FOUND, top=0)


def test_values_without_a_score_are_named():
    results = cross_validate(net(), X * 1e3, Y, cv=2, grid={"optimizer": ["adam", SGD(1e38)]}, epochs=1)
    ax = validation_curve(results, "optimizer")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["adam", "SGD(learning_rate=1e+38)\n(no score)"]
    assert ax.get_xlim() == (-0.5, 1.5)
    assert plot_scores(results).get_yticklabels()[1].get_text() == "optimizer SGD(learning_rate=1e+38) (no score)"
