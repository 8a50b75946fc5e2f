import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.plot.pictures import check_differs, check_picture
from tests.select.searches import grid, study

from pellucid.errors import ConfigurationError, DataError
from pellucid.select import plot_curves, plot_history, plot_importance, plot_parallel_coordinates

DRAWINGS = {
    "search_parallel_coordinates": plot_parallel_coordinates,
    "search_history": plot_history,
    "search_curves": plot_curves,
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_picture_of_a_search_is_the_stored_one(name, tmp_path):
    check_picture(DRAWINGS[name](study()).figure, name, tmp_path)
    check_differs(DRAWINGS[name](study(23)).figure, name, tmp_path)


@pytest.mark.parametrize("draw", [*DRAWINGS.values(), plot_importance])
def test_it_draws_on_the_axes_given_and_refuses_others(draw):
    ax = Figure().add_subplot()
    assert draw(study(), ax=ax) is ax
    with pytest.raises(ConfigurationError, match="ax must be Matplotlib axes, not str"):
        draw(study(), ax="left")
    with pytest.raises(ConfigurationError, match="not dict"):
        draw({})


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_parallel_coordinates_have_the_scales_of_the_search():
    ax = plot_parallel_coordinates(study())
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["learning rate", "units", "layers", "optimizer", "momentum", "value"]
    assert {"0.01", "0.1", "sgd", "adam", "1", "2", "3", "none"} <= set(texts(ax))
    best = next(line for line in ax.lines if line.get_label().startswith("best: trial"))
    assert best.get_ydata()[-1] == 1
    assert best.get_marker() == "*"
    styles = [line.get_linestyle() for line in ax.lines if len(line.get_xdata()) == 6]
    states = [trial.state.name for trial in study().trials]
    assert styles.count("--") == states.count("PRUNED")
    assert styles.count("-") == states.count("COMPLETE") + 1  # the best once more


def test_a_trial_without_a_parameter_passes_below_its_scale():
    ax = plot_parallel_coordinates(study(), ["momentum", "optimizer"])
    lines = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 3]
    for momentum, optimizer, _ in lines:
        assert (momentum < 0) == (optimizer == 1)  # adam has none


def test_a_search_for_the_smallest_has_it_below_and_a_grid_its_own_values():
    ax = plot_parallel_coordinates(study(direction="minimize"))
    best = next(line for line in ax.lines if line.get_label().startswith("best"))
    assert best.get_ydata()[-1] == 0
    ax = plot_parallel_coordinates(grid())
    assert {"0.001", "0.01", "0.1", "2", "4", "sgd", "adam"} <= set(texts(ax))
    assert any(line.get_label().startswith("best: configuration") for line in ax.lines)


def test_parameters_that_do_not_exist_or_vary_are_not_drawn():
    with pytest.raises(ConfigurationError, match="no parameter 'batch'"):
        plot_parallel_coordinates(study(), ["batch"])
    alike = study(1)
    with pytest.raises(DataError, match="differ in no parameter"):
        plot_parallel_coordinates(alike)
    assert texts(plot_parallel_coordinates(alike, ["units"]))


def test_importances_are_bars_with_the_largest_on_top():
    ax = plot_importance(study(60, conditional=False))
    assert ax.get_yticklabels()[0].get_text() == "learning rate"
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == sorted(widths, reverse=True)
    assert ax.yaxis_inverted()
    assert ax.get_xlabel() == "importance for value (fANOVA)"
    assert texts(ax)[0] == f"{widths[0]:.2f}"


def line(ax, label):
    return next(drawn for drawn in ax.lines if drawn.get_label() == label)


def test_the_history_marks_every_state_and_the_best_so_far():
    given = study()
    ax = plot_history(given)
    done = [t for t in given.trials if t.state.name == "COMPLETE"]
    assert line(ax, "complete").get_xdata().tolist() == [t.number for t in done]
    assert line(ax, "complete").get_ydata().tolist() == [t.value for t in done]
    assert line(ax, "pruned").get_xdata().tolist() == [t.number for t in given.trials if t.state.name == "PRUNED"]
    assert line(ax, "failed").get_xdata().tolist() == [7, 18]
    best = line(ax, "best so far").get_ydata()
    assert best[-1] == given.best_value
    assert (np.diff(best) >= 0).all()
    assert (np.diff(line(plot_history(study(direction="minimize")), "best so far").get_ydata()) <= 0).all()
    assert plot_history(grid()).get_xlabel() == "configuration"


def test_every_trial_that_reported_has_a_curve_and_the_best_is_named():
    given = study()
    ax = plot_curves(given, top=3)
    curves = [drawn for drawn in ax.lines if len(drawn.get_xdata())]
    assert len(curves) == sum(bool(t.intermediate_values) for t in given.trials)
    best = line(ax, f"best: trial {given.best_trial.number}")
    assert best.get_ydata().tolist() == list(given.best_trial.intermediate_values.values())
    assert best.get_xdata()[0] == 1
    assert [drawn.get_linestyle() for drawn in curves].count("--") == 4
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [f"best: trial {given.best_trial.number}", "next best 2", "others", "pruned"]


def test_curves_are_of_trials_that_reported():
    with pytest.raises(ConfigurationError, match="draws the trials of a search, not a CrossValidation"):
        plot_curves(grid())
    optuna = pytest.importorskip("optuna")
    silent = optuna.create_study()
    silent.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(DataError, match="no trial reported a value"):
        plot_curves(silent)


def test_pruned_trials_far_away_lie_at_the_edge_and_squeeze_nothing():
    optuna = pytest.importorskip("optuna")
    found = optuna.create_study(direction="maximize")
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}

    def add(value, state):
        kind = optuna.trial.TrialState[state]
        found.add_trial(optuna.trial.create_trial(state=kind, value=value, params={"x": 0.5}, distributions=space))

    for value in (0.95, 0.96, 0.97):
        add(value, "COMPLETE")
    add(0.94, "PRUNED")
    assert "pruned, below" not in plot_history(found).get_legend_handles_labels()[1]
    add(0.1, "PRUNED")
    add(5.0, "PRUNED")
    ax = plot_history(found)
    assert ax.get_ylim() == pytest.approx((0.93, 0.99))
    assert line(ax, "pruned").get_xdata().tolist() == [3]
    assert line(ax, "pruned, below").get_xydata().tolist() == [[4, pytest.approx(0.93)]]
    assert line(ax, "pruned, above").get_xydata().tolist() == [[5, pytest.approx(0.99)]]
