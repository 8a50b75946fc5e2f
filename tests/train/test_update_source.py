"""The printed update reads like the optimiser's formula."""

import pytest

from pellucid import Input, Sequential, nn, optim
from pellucid.train.step import Trained
from pellucid.train.update_source import UpdateSource


def printed(optimizer):
    model = Sequential([Input((3,)), nn.Dense(2)])
    model.compile(loss="mse", optimizer=optimizer)
    return UpdateSource(Trained(model, model.optimizer), model.optimizer)


@pytest.mark.parametrize(
    ("optimizer", "lines"),
    [
        (optim.SGD(), ["return w - learning_rate * g"]),
        (optim.Momentum(momentum=0.8), ["m = 0.8 * m - learning_rate * g", "return w + m, m"]),
        (optim.Adagrad(), ["s = s + g**2", "return w - learning_rate * g / (np.sqrt(s) + 1e-10), s"]),
    ],
    ids=repr,
)
def test_the_code_is_the_formula(optimizer, lines):
    (function,) = printed(optimizer).functions()
    assert [line.strip() for line in function.split('"""')[-1].strip().splitlines()] == lines


def test_parameters_that_decay_and_others_have_rules_of_their_own():
    source = printed(optim.SGD(weight_decay=0.1))
    assert source.rule_of == {"dense.kernel": "sgd", "dense.bias": "sgd_without_decay"}
    assert any("rules = {" in line for line in source.loop())


def test_clipping_comes_first():
    first, *_ = printed(optim.SGD(clip_value=0.5, clip_norm=1.0)).clipping()
    assert first == "gradients = {name: np.clip(g, -0.5, 0.5) for name, g in gradients.items()}"
    assert printed(optim.SGD()).clipping() == []


def test_plain_descent_has_no_state():
    assert printed(optim.SGD()).initial_state() is None
    assert "np.float64(1.0)" in str(printed(optim.Nadam()).initial_state())
