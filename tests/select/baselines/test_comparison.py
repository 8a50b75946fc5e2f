import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.select.baselines.problems import iris, xor

from pellucid.errors import ConfigurationError, MissingDependencyError
from pellucid.select import EvolutionStrategy, GradientDescent, RandomSearch, compare_optimizers
from pellucid.select.baselines.comparison import METHODS

for name in ("cmaes", "pygad", "filterpy"):
    pytest.importorskip(name)

LIMIT = 700


@pytest.fixture(scope="module", params=["xor", "iris"])
def task(request):
    """A network with its data, and what all methods found."""
    given = {"xor": xor, "iris": iris}[request.param]()
    return given, compare_optimizers(*given, evaluations=LIMIT, seed=5)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_lowers_the_loss_with_exactly_as_many_evaluations(task, name):
    (model, x, y), found = task
    run = found[name]
    assert len(run.losses) == len(run.seconds) == len(run.gradients) == LIMIT
    assert run.losses[0] == pytest.approx(model.evaluate(x, y, return_dict=True)["loss"], rel=1e-5)
    assert run.loss == run.losses.min() < 0.9 * run.losses[0]
    assert (np.diff(run.seconds) >= 0).all()
    assert run.seconds[0] > 0
    assert run.gradients[-1] == (LIMIT - 1 if name == "gradient_descent" else 0)


@pytest.mark.parametrize("name", METHODS)
def test_the_weights_have_the_loss_that_is_told(task, name):
    (model, x, y), found = task
    run, trained = found[name], model.clone()
    trained.set_weights(run.weights)
    assert trained.evaluate(x, y, return_dict=True)["loss"] == pytest.approx(run.loss, rel=1e-4, abs=1e-7)
    outputs = np.clip(trained.predict(x).astype(np.float64), 1e-7, 1 - 1e-7)  # once more, by the formula
    likely = outputs[np.arange(len(y)), y] if outputs.shape[1] > 1 else np.where(y, outputs[:, 0], 1 - outputs[:, 0])
    assert -np.log(likely).mean() == pytest.approx(run.loss, rel=1e-3, abs=1e-6)


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    model, x, y = xor()
    first, again, other = (compare_optimizers(model, x, y, evaluations=150, seed=s) for s in (1, 1, 2))
    for name in METHODS:
        assert np.array_equal(first[name].losses, again[name].losses), name
        assert all(np.array_equal(v, again[name].weights[key]) for key, v in first[name].weights.items()), name
        assert name == "gradient_descent" or not np.array_equal(first[name].losses, other[name].losses), name


def test_gradients_beat_everything_on_iris():
    found = compare_optimizers(*iris(), evaluations=LIMIT)
    table = found.results
    assert table["method"][0] == "gradient_descent"
    assert table["method"][-1] == "random_search"
    assert table.columns == ("method", "library", "evaluations", "gradients", "seconds", "loss")
    assert "67 weights, made small by 6 methods" in str(found)


def test_methods_come_by_name_as_objects_and_by_names_of_ones_own():
    model, x, y = xor()
    assert list(compare_optimizers(model, x, y, "random_search", evaluations=9)) == ["random_search"]
    found = compare_optimizers(model, x, y, [EvolutionStrategy(sigma=1.0), "Gradient_Descent"], evaluations=9)
    assert list(found) == ["evolution_strategy", "gradient_descent"]
    found = compare_optimizers(
        model, x, y, {"near": RandomSearch(spread=0.1), "far": RandomSearch(spread=3.0)}, evaluations=99
    )
    assert found["near"].losses.std() < found["far"].losses.std()
    assert len(found) == 2


@pytest.mark.parametrize(
    ("library", "method"),
    [("cmaes", "evolution_strategy"), ("pygad", "genetic_algorithm"), ("filterpy", "particle_filter")],
)
def test_a_missing_library_does_not_keep_the_others_from_running(monkeypatch, capsys, library, method):
    monkeypatch.setitem(sys.modules, library, None)
    found = compare_optimizers(*xor(), [method, "random_search"], evaluations=9)
    assert list(found) == ["random_search"]
    with pytest.raises(MissingDependencyError, match=f"needs the library '{library}', which is not installed"):
        found[method]
    found.summary()
    assert "pip install 'pellucid[baselines]'" in capsys.readouterr().out
    with pytest.raises(MissingDependencyError, match=library):
        compare_optimizers(*xor(), [method], evaluations=9)


def test_what_cannot_be_compared_is_said():
    model, x, y = xor()
    with pytest.raises(ConfigurationError, match="did you mean 'particle_filter'"):
        compare_optimizers(model, x, y, ["partical_filter"])
    with pytest.raises(ConfigurationError, match="two methods called 'random_search'"):
        compare_optimizers(model, x, y, ["random_search", RandomSearch(spread=2.0)])
    with pytest.raises(ConfigurationError, match="no method to compare"):
        compare_optimizers(model, x, y, [])
    with pytest.raises(ConfigurationError, match="evaluations must be a whole number of at least 2"):
        compare_optimizers(model, x, y, evaluations=1)
    with pytest.raises(ConfigurationError, match="method 'annealing'"):
        compare_optimizers(model, x, y, ["random_search"], evaluations=9)["annealing"]


def drawn(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def test_the_chart_has_the_best_so_far_of_every_method(task):
    _, found = task
    ax = found.plot()
    assert len(ax.lines) == len(METHODS)
    assert ax.get_xlabel() == "evaluations of the loss (gradients are not counted)"
    line = drawn(ax, "particle filter")
    assert np.array_equal(line.get_xdata(), np.arange(1, LIMIT + 1))
    assert np.array_equal(line.get_ydata(), np.minimum.accumulate(found["particle_filter"].losses))
    looks = {(str(each.get_linestyle()), each.get_marker()) for each in ax.lines}
    assert len({marker for _, marker in looks}) == len(METHODS)  # told apart without colour


def test_a_gradient_may_count_as_some_evaluations_and_time_is_another_axis(task):
    _, found = task
    ax = found.plot(gradient_cost=2)
    assert ax.get_xlabel() == "evaluations of the loss (a gradient counts as 2)"
    assert drawn(ax, "gradient descent").get_xdata()[:3].tolist() == [1, 4, 7]
    assert drawn(ax, "random search").get_xdata()[:3].tolist() == [1, 2, 3]
    mine = Figure().add_subplot()
    assert found.plot("seconds", ax=mine) is mine
    assert mine.get_xlabel() == "seconds"
    assert np.array_equal(drawn(mine, "genetic algorithm").get_xdata(), found["genetic_algorithm"].seconds)
    with pytest.raises(ConfigurationError, match="by must be one of 'evaluations', 'seconds'"):
        found.plot("epochs")


def test_a_loss_of_zero_leaves_the_logarithmic_scale_below():
    found = compare_optimizers(*xor(), ["random_search", GradientDescent()], evaluations=9)
    object.__setattr__(found["random_search"], "losses", np.array([1.0, 0.5, 0.0]))
    object.__setattr__(found["random_search"], "seconds", np.array([1.0, 2.0, 3.0]))
    object.__setattr__(found["random_search"], "gradients", np.zeros(3, int))
    ax = found.plot("seconds")
    assert ax.get_yscale() == "log"
    assert 0 < ax.get_ylim()[0] < found["gradient_descent"].loss
