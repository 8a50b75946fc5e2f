"""Losses on outputs that they do not go with, and targets that cannot be learned from the inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.analysis.diagnosis.case import Case, SkipError
from pellucid.analysis.diagnosis.finding import Finding, percent
from pellucid.analysis.diagnosis.probe import leaves, name_of_activation
from pellucid.analysis.diagnosis.setup import Setup
from pellucid.analysis.diagnosis.trial import Remedy, predicted_labels, r_squared, score_of
from pellucid.nn.losses import BinaryCrossentropy, CategoricalCrossentropy
from pellucid.seeds import generator

#: Orders that labels are put in by chance, the probability below which a result is none, and the fewest samples of
#: other classes than the most frequent for it to say anything.
_ORDERS, _CHANCE, _OTHERS = 999, 0.01, 10
#: The most training samples whose own neighbours are asked.
_AMONG = 2000
#: The numbers that an output can take.
_RANGE = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_RANGE |= {"relu": (0.0, np.inf), "softplus": (0.0, np.inf)}


def wrong_output(case: Case) -> list[Finding]:
    """A last activation function that does not go with the loss or the targets."""
    if not case.setup.single:
        raise SkipError("the model has several inputs or outputs")
    label, layer = list(leaves(case.model))[-1]
    function = name_of_activation(layer)
    if not function:
        raise SkipError(f'the last layer "{label}" has no activation function that is known')
    loss = case.model.objective.losses[0]
    units = case.model.outputs[0].shape[-1] or 1
    for judge in (_logits_twice, _softmax_of_one, _not_probabilities, _out_of_range):
        found = judge(case, loss, function, int(units))
        if found is None:
            continue
        evidence, suggestion, code, wanted, from_logits = found

        def change(setup: Setup, wanted: str | None = wanted, from_logits: bool | None = from_logits) -> Setup:
            return setup.with_model(lambda model: _repair(model, wanted, from_logits))

        remedy = Remedy(case.setup, change, score_of(case.setup))
        evidence = f'The last layer "{label}" ends in {function}, and the loss is {type(loss).__name__}: {evidence}'
        return [Finding("wrong_output", "error", evidence, suggestion, code, {}, label, None, remedy)]
    return []


_Fault = tuple[str, str, str, "str | None", "bool | None"]


def _logits_twice(case: Case, loss: Any, function: str, units: int) -> _Fault | None:
    if not getattr(loss, "from_logits", False) or function not in ("softmax", "sigmoid", "hard_sigmoid"):
        return None
    name = type(loss).__name__
    evidence = f"with from_logits=True it applies {'softmax' if 'Cat' in name else 'sigmoid'} once more."
    return evidence, "Leave out one of the two.", f"model.compile({name}(from_logits=False), ...)", None, False


def _softmax_of_one(case: Case, loss: Any, function: str, units: int) -> _Fault | None:
    if function != "softmax" or units > 1:
        return None
    evidence = "the softmax of one unit is 1 whatever the input, so that its gradient is 0."
    wanted = "sigmoid" if case.setup.labels is not None else "linear"
    code = f'Dense(1, activation="{wanted}")'
    return evidence, "Use a sigmoid for two classes, or one softmax unit for each class.", code, wanted, None


def _not_probabilities(case: Case, loss: Any, function: str, units: int) -> _Fault | None:
    if isinstance(loss, CategoricalCrossentropy) and not loss.from_logits and function != "softmax":
        evidence = f"the {units} outputs do not add up to 1, and those of the wrong classes cost nothing."
        return evidence, "Use softmax.", f'Dense({units}, activation="softmax")', "softmax", None
    wanted = isinstance(loss, BinaryCrossentropy) and not loss.from_logits
    if wanted and function not in ("sigmoid", "hard_sigmoid", "softmax"):
        evidence = "the outputs are no probabilities, of which the loss takes the logarithm."
        return evidence, "Use a sigmoid.", f'Dense({units}, activation="sigmoid")', "sigmoid", None
    return None


def _out_of_range(case: Case, loss: Any, function: str, units: int) -> _Fault | None:
    if function not in _RANGE or isinstance(loss, (CategoricalCrossentropy, BinaryCrossentropy)):
        return None
    y = np.asarray(case.setup.y, float)
    low, high = _RANGE[function]
    outside = float(((y < low) | (y > high)).mean())
    if outside < 0.02 or type(loss).__name__ in ("Hinge", "CustomLoss"):
        return None
    reach = f"at least {low:g}" if high == np.inf else f"between {low:g} and {high:g}"
    evidence = (
        f"its outputs are {reach}, but {percent(outside)} of the targets, which run from {y.min():.4g} to "
        f"{y.max():.4g}, lie outside."
    )
    return evidence, "Leave out the last activation function.", f"Dense({units})", "linear", None


def _repair(model: Any, wanted: str | None, from_logits: bool | None) -> None:
    _, layer = list(leaves(model))[-1]
    if wanted is not None and type(layer).__name__ != "Softmax":
        layer.activation = wanted
    if from_logits is not None:
        _, weights, metrics = model._objective_request
        settings = model.objective.losses[0].config() | {"from_logits": from_logits}
        model.compile(type(model.objective.losses[0])(**settings), model.optimizer, metrics, loss_weights=weights)


def no_signal(case: Case) -> list[Finding]:
    """Neither the network nor the nearest neighbours predict held-out targets better than chance."""
    x = case.flat
    if x is None or not case.setup.single or case.setup.validation is None or not case.trained:
        raise SkipError("it takes a trained model of one input and one output, and validation data")
    held_x, held_y = case.setup.validation
    if len(held_x) < 20 or len(x) < 50:
        raise SkipError("it takes 50 training and 20 validation samples")
    held = np.asarray(held_x).reshape(len(held_x), -1)
    labels, truth = case.setup.labels, case.setup.labels_of(held_y)
    if labels is not None and truth is not None:
        text = _classes_are_noise(case, x, held, labels, truth)
    elif not case.setup.is_regression:
        raise SkipError("there are several classes to a sample")
    else:
        text = _numbers_are_noise(case, x, held, held_y)
    if text is None:
        return []
    suggestion = (
        "Look whether x and y still belong together: both shuffled or sorted in the same way, the right column, the "
        "right join."
    )
    code = "order = np.random.default_rng(0).permutation(len(x))\nx, y = x[order], y[order]   # one order for both"
    return [Finding("no_signal", "error", text, suggestion, code)]


def _classes_are_noise(case: Case, x: np.ndarray, held: np.ndarray, labels: Any, truth: np.ndarray) -> str | None:
    chance = float(np.bincount(truth).max() / len(truth))
    if len(truth) * (1 - chance) < _OTHERS:
        raise SkipError(f"fewer than {_OTHERS} validation samples are of another class than the most frequent")
    outputs = np.asarray(case.model.predict(case.setup.validation[0]), float)  # type: ignore[index]
    network = predicted_labels(case.model, case.setup.validation[0]) == truth  # type: ignore[index]
    if tells_apart(outputs.reshape(len(truth), -1), truth):
        return None
    classes = np.eye(int(max(labels.max(), truth.max())) + 1)
    votes = _neighbours(x, held, classes[labels])
    near = votes.argmax(axis=1) == truth
    # The training samples are many more than the validation samples: what is weak shows among them first.
    some = _among(len(x))
    if tells_apart(votes, truth) or tells_apart(_neighbours(x[some], None, classes[labels[some]]), labels[some]):
        return None
    return (
        f"Of {len(truth)} validation samples the network gets {percent(network.mean(), 1)} right and the 15 nearest "
        f"training samples {percent(near.mean(), 1)}; always naming the most frequent class gets {percent(chance, 1)}."
    )


def tells_apart(outputs: np.ndarray, truth: np.ndarray) -> bool:
    """Whether outputs are larger for the samples of their own class than chance brings about.

    With r the ranks of an output among all samples, the statistic is the sum of r over the samples of its class, each
    class weighted by 1 / size; it is compared with that of the same labels in other orders. A rare class that is never
    the largest output, but larger where it is true, counts so too.

    Args:
        outputs: A number per class [N, classes], or the one of class 1 [N, 1].
        truth: The classes [N].

    >>> truth = np.arange(60) % 2
    >>> tells_apart(0.1 * truth[:, None], truth), tells_apart(np.sin(np.arange(60.0))[:, None], truth)
    (True, False)
    """
    outputs = np.column_stack([-outputs, outputs]) if outputs.shape[1] == 1 else outputs
    rank = outputs.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable").astype(float)
    # Equal outputs have equal ranks: the mean of those that they take.
    for column, values in zip(rank.T, outputs.T, strict=True):
        _, group = np.unique(values, return_inverse=True)
        column[:] = (np.bincount(group, column) / np.bincount(group))[group]
    weight = 1 / np.maximum(np.bincount(truth, minlength=outputs.shape[1]), 1)
    every = np.arange(len(truth))

    def statistic(labels: np.ndarray) -> float:
        return float((rank[every, labels] * weight[labels]).sum())

    found, draw = statistic(truth), generator(0, 19)
    above = sum(statistic(draw.permutation(truth)) >= found for _ in range(_ORDERS))
    return (above + 1) / (_ORDERS + 1) < _CHANCE


def _numbers_are_noise(case: Case, x: np.ndarray, held: np.ndarray, held_y: Any) -> str | None:
    network = r_squared(case.model, case.setup.validation[0], held_y)  # type: ignore[index]
    if network > 0.05:
        return None
    y = np.asarray(case.setup.y, float).reshape(len(x), -1)
    truth = np.asarray(held_y, float).reshape(len(held), -1)
    guess = _neighbours(x, held, y)
    near = _explained(truth, guess)
    some = _among(len(x))
    if near > 0.05 or _explained(y[some], _neighbours(x[some], None, y[some])) > 0.05:
        return None
    return (
        f"On {len(held)} validation samples the R² of the network is {network:.2g} and that of the mean of the 15 "
        f"nearest training samples {near:.2g}; always naming the mean has 0."
    )


def _among(count: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, _AMONG)).astype(int)


def _explained(truth: np.ndarray, guess: np.ndarray) -> float:
    return float(1 - ((truth - guess) ** 2).sum() / max(((truth - truth.mean(axis=0)) ** 2).sum(), 1e-300))


def _neighbours(x: np.ndarray, held: np.ndarray | None, y: np.ndarray) -> np.ndarray:
    """The mean of what the 15 nearest of at most 5,000 training rows say, in standardised features.

    For ``held`` None it is that of the training rows themselves, none of which is its own neighbour.
    """
    rows = np.sort(generator(0, 13).permutation(len(x))[:5000])
    a = x[rows].astype(np.float64)
    mean, std = a.mean(axis=0), a.std(axis=0)
    std = np.where(std > 0, std, 1.0)
    a = (a - mean) / std
    b = a if held is None else (held.astype(np.float64) - mean) / std
    count = min(15, len(a) - 1)
    found = []
    squares = (a * a).sum(axis=1)
    for start in range(0, len(b), 512):
        between = squares - 2 * b[start : start + 512] @ a.T
        if held is None:
            own = np.arange(len(between))
            between[own, start + own] = np.inf
        near = np.argpartition(between, count - 1, axis=1)[:, :count]
        found.append(y[rows][near].mean(axis=1))
    return np.concatenate(found)
