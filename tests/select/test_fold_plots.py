import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from tests.plot.pictures import check_differs, check_picture

from pellucid.errors import ConfigurationError, DataError
from pellucid.select import SCHEMES, Bootstrap, Nested, plot_folds, splitter
from pellucid.select.axes import ORANGE
from pellucid.select.folds import folds_of, targets_of

Y = np.repeat([0, 1, 2], [20, 15, 10])
GROUPS = np.random.default_rng(0).integers(0, 8, 45)


def picture(ax):
    (mesh,) = ax.collections
    return mesh.get_array()


def names(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_is_drawn_with_its_test_rows(name):
    groups = GROUPS if "group" in name else None
    cv = splitter(name, folds=3) if name == "nested" else name
    ax = plot_folds(cv, Y, groups=groups)
    tested = (np.asarray(picture(ax)).reshape(-1, 45, 3) == to_rgb(ORANGE)).all(axis=2).sum(axis=1)
    folds = folds_of(cv, targets_of(45, Y, Y, groups))
    drawn = [len(fold.test) for fold in folds]
    lines = [line for line in tested.tolist() if line]
    assert lines[: min(len(drawn), 20)] == drawn[:20]
    assert names(ax)[-1] == ("group" if groups is not None else "class")


def test_stratified_test_rows_are_a_staircase_in_every_class():
    found = np.asarray(picture(plot_folds(splitter("stratified", folds=5), Y))).reshape(-1, 45, 3)
    columns = [np.flatnonzero((row == to_rgb(ORANGE)).all(axis=1)).tolist() for row in found[:5]]
    assert columns[0] == [0, 1, 2, 3, 20, 21, 22, 35, 36]
    assert columns[4] == [16, 17, 18, 19, 32, 33, 34, 43, 44]


def test_lines_have_the_names_of_their_folds():
    assert names(plot_folds(3, rows=9)) == ["fold 1", "fold 2", "fold 3"]
    assert names(plot_folds("holdout", rows=9)) == ["holdout"]
    assert names(plot_folds(Bootstrap(2), rows=9)) == ["sample 1", "sample 2"]
    assert names(plot_folds(splitter("repeated", folds=2, repeats=2), rows=9))[2] == "repeat 2, fold 1"
    assert names(plot_folds(Nested(2, 2), rows=9)) == ["outer 1", "inner 1", "inner 2", "outer 2", "inner 1", "inner 2"]
    assert names(plot_folds("leave_one_out", rows=40))[-2:] == ["...", "fold 40"]


def test_the_legend_names_what_occurs():
    def legend(cv):
        return [text.get_text() for text in plot_folds(cv, rows=30).get_legend().get_texts()]

    assert legend(3) == ["training", "test"]
    assert legend("bootstrap")[1:3] == ["training, twice", "training, three times and more"]
    assert legend("nested") == ["training", "test", "inner validation", "test rows, kept from the choice"]


def test_it_draws_on_the_axes_given_and_refuses_others():
    ax = Figure().add_subplot()
    assert plot_folds(3, Y, ax=ax) is ax
    with pytest.raises(ConfigurationError, match="ax must be Matplotlib axes, not str"):
        plot_folds(3, Y, ax="left")
    with pytest.raises(ConfigurationError, match="rows must be a whole number"):
        plot_folds(3)
    with pytest.raises(DataError, match="one target per row"):
        plot_folds(3, np.eye(9))


def test_the_rows_of_a_holdout_lie_together_in_every_class():
    found = np.asarray(picture(plot_folds("holdout", Y))).reshape(-1, 45, 3)
    tested = (found[0] == to_rgb(ORANGE)).all(axis=1)
    for first, last in ((0, 20), (20, 35), (35, 45)):
        assert (np.diff(tested[first:last].astype(int)) <= 0).all()  # first those of the test


@pytest.mark.parametrize("name", ["stratified", "bootstrap", "nested"])
def test_the_picture_of_a_scheme_is_the_stored_one(name, tmp_path):
    draw = {"stratified": 5, "bootstrap": Bootstrap(6), "nested": Nested(3, 2)}
    check_picture(plot_folds(draw[name], Y).figure, f"folds_{name}", tmp_path)
    check_differs(plot_folds(draw[name], Y[:40]).figure, f"folds_{name}", tmp_path)


def test_more_groups_than_colours_have_other_colours_than_their_neighbours():
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(24), 3))
    ax = plot_folds("leave_one_group_out", rows=72, groups=groups)
    colours = np.asarray(picture(ax)).reshape(-1, 72, 3)[-1]
    assert all((colours[k] == colours[k + 1]).all() == ((k + 1) % 3 > 0) for k in range(71))


def test_a_nested_scheme_is_called_so():
    assert plot_folds(Nested(3, 2), rows=12).get_title() == "nested: 3 folds"
