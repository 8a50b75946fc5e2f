import numpy as np
import pytest

from pellucid.estimators import MLPClassifier, MLPRegressor
from pellucid.estimators.multilayer import PARAMETERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_parameters_and_defaults_are_scikit_learns(kind):
    from sklearn import neural_network

    theirs, ours = getattr(neural_network, kind.__name__)().get_params(), kind().get_params()
    assert theirs.items() <= ours.items()
    assert set(ours) - set(theirs) <= {"loss", "dropout", "class_weight"}


def test_every_parameter_is_checked():
    unchecked = {"random_state", "loss", "class_weight"}  # where they are used
    assert set(PARAMETERS) == set(MLPClassifier().get_params()) - unchecked


def test_positions_of_arguments_are_scikit_learns():
    assert MLPClassifier((5,), "tanh").get_params()["activation"] == "tanh"
    assert MLPRegressor("poisson", (5,), "tanh").get_params()["hidden_layer_sizes"] == (5,)


def test_a_penalty_shrinks_the_kernels(data):
    x, y = data["iris"]
    small, large = (MLPClassifier(solver="lbfgs", alpha=a, random_state=0).fit(x, y) for a in (1e-4, 10.0))
    assert sum((c**2).sum() for c in large.coefs_) < 0.1 * sum((c**2).sum() for c in small.coefs_)


def test_warm_starts_go_on_and_others_begin_anew(data):
    x, y = data["iris"]
    warm = MLPClassifier(warm_start=True, max_iter=5, random_state=0).fit(x, y)
    first = [c.copy() for c in warm.coefs_]
    warm.fit(x, y)
    assert len(warm.loss_curve_) == 10
    assert warm.n_iter_ == 5
    assert warm.t_ == 10 * len(x)
    cold = MLPClassifier(max_iter=5, random_state=0).fit(x, y).fit(x, y)
    assert all(np.array_equal(a, b) for a, b in zip(cold.coefs_, first, strict=True))


def test_weights_that_are_all_zero_together_are_refused(data):
    x, y = data["iris"]
    with pytest.raises(ValueError, match="all products are zero"):
        MLPClassifier(class_weight={0: 0, 1: 1, 2: 1}).fit(x, y, sample_weight=(y == 0).astype(float))
