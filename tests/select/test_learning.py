import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.select.nets import X, Y, line, net, regression

from pellucid.errors import ConfigurationError, DataError
from pellucid.select import cross_validate, learning_curve
from pellucid.select.learning import _spread_out


def test_the_largest_size_is_the_cross_validation_itself():
    curve = learning_curve(net(), X, Y, sizes=[30, 120], epochs=3, seeds=2)
    whole = cross_validate(net(), X, Y, cv=5, epochs=3, seeds=2)
    assert curve.sizes.tolist() == [30, 120]
    assert np.array_equal(curve.scores.cube("loss")[1], whole.scores.cube("loss")[0])
    assert len(curve.results) == 2 * 5 * 2
    assert set(curve.results["samples"]) == {30, 120}


def test_more_samples_help():
    x, y = regression(200)
    means = learning_curve(line(), x, y, sizes=[0.05, 1.0], epochs=60, batch_size=8).scores.mean("loss")
    assert means[1] < means[0]


def test_every_beginning_of_the_rows_holds_the_classes_in_their_proportions():
    labels = np.repeat([0, 1], [80, 20])
    order = _spread_out(np.arange(100), labels, 3)
    assert sorted(order) == list(range(100))
    for count in (10, 25, 50):
        assert abs(labels[order[:count]].sum() - count / 5) <= 1


def test_estimators_have_learning_curves_too():
    curve = learning_curve(LogisticRegression(), X, Y, sizes=[0.2, 1.0])
    assert curve.scores.mean()[1] > 0.9
    assert "LearningCurve(accuracy of 24: 0." in repr(curve)


def test_both_curves_are_drawn():
    curve = learning_curve(net(), X, Y, sizes=[0.5, 1.0])
    ax = curve.plot()
    assert [drawn.get_label() for drawn in ax.lines] == ["training rows", "test rows"]
    assert np.allclose(ax.lines[1].get_ydata(), curve.scores.mean())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([0], "0 training rows are not between 1 and the 120"),
        ([121], "121 training rows"),
        ("all", "must be a list of"),
        ([float("nan"), 0.5], "must be a list of"),
    ],
)
def test_sizes_beyond_a_fold_are_refused(sizes, message):
    with pytest.raises(ConfigurationError, match=message):
        learning_curve(net(), X, Y, sizes=sizes)


def test_there_is_a_target_for_every_sample():
    with pytest.raises(DataError, match="x has 150 samples but y has 149"):
        learning_curve(net(), X, Y[:-1])
