"""The linear models pass all of scikit-learn's own checks of estimators; none is expected to fail."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from pellucid.classic import AdalineGD, AdalineSGD, LinearRegressionGD, LogisticRegressionGD, Perceptron

ESTIMATORS = [
    Perceptron(), AdalineGD(), AdalineSGD(), LinearRegressionGD(), LogisticRegressionGD(),
    LogisticRegressionGD(epochs=20, batch_size=32, optimizer="adam"), LogisticRegressionGD(epochs=5, form="loop"),
]  # fmt: skip


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
