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
    assert set(ours) - set(theirs) <= {"loss", "dropout", "class_weight", "callbacks", "record"}


def test_every_parameter_is_checked():
    unchecked = {"loss", "class_weight", "callbacks"}  # where they are used
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


def test_what_training_is_judged_by_may_change_from_fit_to_fit(data):
    x, y = data["iris"]
    found = MLPClassifier(warm_start=True, max_iter=3, random_state=0).fit(x, y)
    first = found.loss_curve_[:]
    found.set_params(early_stopping=True).fit(x, y)
    assert len(found.validation_scores_) == len(found.validation_loss_curve_) == found.n_iter_
    assert found.best_validation_score_ == max(found.validation_scores_)
    assert found.loss_curve_[:3] == first
    found.set_params(early_stopping=False).fit(x, y).partial_fit(x, y)
    assert found.best_loss_ == min(found.loss_curve_)
    assert len(found.loss_curve_) == 10


def test_epochs_follow_lbfgs_and_lbfgs_follows_epochs(data):
    x, y = data["iris"]
    found = MLPClassifier(solver="lbfgs", warm_start=True, max_iter=20, random_state=0).fit(x, y)
    reached = found.loss_
    found.set_params(solver="adam", max_iter=5).fit(x, y)
    assert found.loss_curve_[0] < 1.5 * reached
    assert found.set_params(solver="lbfgs", max_iter=50).fit(x, y).loss_ < found.loss_curve_[-1]
