"""Estimators in scikit-learn's habits: fit, predict, get_params, and fitted state with a trailing underscore.

They work wherever scikit-learn's own do: in pipelines, searches, cross-validation and calibration. A fitted estimator
is plain data - parameters and arrays - and can be pickled and copied; its network is compiled on first use.

>>> from sklearn.datasets import load_wine
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> X, y = load_wine(return_X_y=True)
>>> pipeline = make_pipeline(StandardScaler(), MLPClassifier((32,), alpha=0.01, max_iter=500, random_state=0))
>>> pipeline.fit(X, y).score(X, y)
1.0
"""

from pellucid.estimators.checks import DivergedError
from pellucid.estimators.cnn import CNNClassifier
from pellucid.estimators.mlp import MLPClassifier, MLPRegressor
from pellucid.estimators.neural_net import NeuralNetClassifier, NeuralNetRegressor
from pellucid.estimators.solvers import PaperAdam
from pellucid.estimators.wrapping import Problem

__all__ = [
    "CNNClassifier", "DivergedError", "MLPClassifier", "MLPRegressor", "NeuralNetClassifier", "NeuralNetRegressor",
    "PaperAdam", "Problem",
]  # fmt: skip
