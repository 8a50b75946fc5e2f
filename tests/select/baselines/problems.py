"""Small networks whose weights are searched for."""

import numpy as np
from sklearn.datasets import load_iris

from pellucid import Input, Sequential, set_seed
from pellucid.nn import Dense
from pellucid.optim import Adam
from pellucid.select.baselines.loss import LossFunction
from pellucid.select.baselines.method import Evaluations, Problem

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32"), np.array([0, 1, 1, 0])


def xor():
    """2-3-1, with its data."""
    set_seed(1)
    model = Sequential([Input((2,)), Dense(3, activation="tanh"), Dense(1, activation="sigmoid")])
    model.compile("binary_crossentropy", Adam(0.1))
    return model, *XOR


def iris():
    """4-8-3, with its data."""
    set_seed(0)
    x, y = load_iris(return_X_y=True)
    model = Sequential([Input((4,)), Dense(8, activation="tanh"), Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", Adam(0.05), ["accuracy"])
    return model, (x - x.mean(axis=0)) / x.std(axis=0), y


def run(method, model, x, y, limit=300, seed=0):
    """What one method asked for."""
    problem = Problem(model, x, y, LossFunction(model, x, y), seed)
    evaluations = Evaluations(problem.loss, problem.loss.start, limit)
    method.minimise(problem, evaluations)
    return evaluations


def bowl(centre=3.0, size=4):
    """A model whose loss is the mean of (w - centre)² over its weights."""
    model = Sequential([Input((size,)), Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile("mse", Adam(0.1))
    return model, np.eye(size), np.full((size, 1), centre)
