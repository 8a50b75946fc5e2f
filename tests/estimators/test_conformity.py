"""Every estimator passes all of scikit-learn's own checks; none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from pellucid.estimators import CNNClassifier, MLPClassifier, MLPRegressor, NeuralNetClassifier, NeuralNetRegressor

ESTIMATORS = [
    MLPClassifier(), MLPRegressor(), NeuralNetClassifier(), NeuralNetRegressor(), CNNClassifier(filters=(8,)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([MLPRegressor(solver="lbfgs"), MLPClassifier(solver="rmsprop", dropout=0.1, random_state=0)])
def test_scikit_learns_checks_with_other_solvers(estimator, check):
    name = getattr(getattr(check, "func", check), "__name__", "")
    if "sample_weight_equivalence" in name and getattr(estimator, "dropout", 0):
        pytest.skip("dropout draws for each row of a batch, so that batches of other rows give another network")
    check(estimator)
