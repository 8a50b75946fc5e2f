"""Every estimator passes all of scikit-learn's own checks; none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from pellucid import Input, Sequential
from pellucid.estimators import CNNClassifier, MLPClassifier, MLPRegressor, NeuralNetClassifier, NeuralNetRegressor
from pellucid.nn import Dense

ESTIMATORS = [
    MLPClassifier(), MLPRegressor(), NeuralNetClassifier(), NeuralNetRegressor(), CNNClassifier(filters=(8,)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


class Built:
    """A function with a name that is the same in every process: scikit-learn names the tests by it."""

    def __call__(self, n_features_in, n_outputs, out_activation, dtype, units=8):
        layers = [Dense(units, activation="tanh"), Dense(n_outputs, activation=out_activation)]
        return Sequential([Input((n_features_in,)), *layers], dtype=dtype)

    def __repr__(self):
        return "built"


built = Built()


OTHERS = [
    MLPRegressor(solver="lbfgs"),
    MLPRegressor(solver="adamw", loss="mae"),
    MLPClassifier(solver="rmsprop", dropout=0.1, random_state=0),
    MLPClassifier((5, 4), "logistic", solver="lbfgs"),
    NeuralNetClassifier(built, units=16, optimizer="rmsprop", learning_rate=0.01),
    NeuralNetRegressor(built, units=4, learning_rate=0.01, epochs=20),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(OTHERS)
def test_scikit_learns_checks_with_other_solvers(estimator, check):
    name = getattr(getattr(check, "func", check), "__name__", "")
    if "sample_weight_equivalence" in name and getattr(estimator, "dropout", 0):
        pytest.skip("dropout draws for each row of a batch, so that batches of other rows give another network")
    check(estimator)
