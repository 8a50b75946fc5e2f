from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Perceptron as Reference

from pellucid.classic import McCullochPitts, Perceptron, binary_inputs
from pellucid.errors import ConfigurationError


@given(st.integers(0, 1000), st.sampled_from([0.01, 0.1, 0.5]))
def test_the_errors_are_those_of_the_rule_written_out(seed: int, rate: float) -> None:
    r = np.random.default_rng(seed)
    x, y = r.normal(size=(12, 3)), r.permutation([-1, 1] * 6)
    w, b, errors = np.zeros(3), 0.0, []
    for _ in range(7):
        count = 0
        for xi, target in zip(x, y, strict=True):
            update = rate * (target - (1 if w @ xi + b >= 0 else -1))
            w, b, count = w + update * xi, b + update, count + (update != 0)
        errors.append(count)
        if count == 0:
            break
    model = Perceptron(rate, 7).fit(x, y)
    assert model.errors_ == errors
    assert model.coef_[0] == pytest.approx(w)
    assert model.intercept_[0] == pytest.approx(b)


def test_it_solves_what_scikit_learns_perceptron_solves() -> None:
    r = np.random.default_rng(1)
    x = np.concatenate([r.normal(-2, 0.5, (30, 2)), r.normal(2, 0.5, (30, 2))])
    y = np.repeat([0, 1], 30)
    ours = Perceptron(0.5, 100).fit(x, y)
    theirs = Reference(eta0=1.0, max_iter=100, shuffle=False, tol=None).fit(x, y)
    assert ours.score(x, y) == theirs.score(x, y) == 1.0


@given(st.integers(0, 1000))
def test_it_converges_wherever_a_unit_separates_with_a_margin(seed: int) -> None:
    """Novikoff: at most (R / margin)² updates, with the bias as a weight of an input 1."""
    r = np.random.default_rng(seed)
    w = r.normal(size=3)
    w /= np.linalg.norm(w)
    x = r.uniform(-1, 1, (40, 2))
    signed = np.column_stack([x, np.ones(40)]) @ w
    kept = np.abs(signed) > 0.1
    y = np.where(signed > 0, 1, -1)[kept]
    if len(set(y.tolist())) < 2:
        return
    model = Perceptron(0.5, 1000).fit(x[kept], y)
    assert model.converged_
    assert sum(model.errors_) <= 3 / 0.1**2
    assert np.array_equal(model.predict(x[kept]), y)


@pytest.mark.parametrize("outputs", [[0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0]])
def test_a_gate_is_learnt_and_is_then_a_neuron(outputs: list[int]) -> None:
    x = binary_inputs(2)
    model = Perceptron(0.1).fit(x, outputs)
    unit = McCullochPitts.from_bias(tuple(model.coef_[0]), float(model.intercept_[0]))
    assert unit(x).tolist() == outputs


def test_xor_is_never_learnt() -> None:
    model = Perceptron(0.1, epochs=200).fit(binary_inputs(2), [0, 1, 1, 0])
    assert not model.converged_
    assert model.n_iter_ == 200
    assert min(model.errors_) > 0


def test_the_learning_rate_only_scales_the_weights() -> None:
    r = np.random.default_rng(2)
    x, y = r.normal(size=(20, 2)), r.permutation([0, 1] * 10)
    small, large = Perceptron(0.25, 5).fit(x, y), Perceptron(2.0, 5).fit(x, y)
    assert small.errors_ == large.errors_
    assert np.array_equal(8 * small.coef_, large.coef_)


def test_random_first_weights_follow_the_seed_and_their_deviation() -> None:
    r = np.random.default_rng(4)
    x, y = r.normal(size=(4, 2000)), [0, 1, 0, 1]
    first = Perceptron(1e-12, 1, initial_std=0.5, seed=1).fit(x, y).coef_
    assert first.std() == pytest.approx(0.5, rel=0.05)
    assert np.array_equal(first, Perceptron(1e-12, 1, initial_std=0.5, seed=1).fit(x, y).coef_)
    assert not np.allclose(first, Perceptron(1e-12, 1, initial_std=0.5, seed=2).fit(x, y).coef_)
    # Now the learning rate matters: steps too small for the first weights take longer.
    small, large = (Perceptron(rate, 500, initial_std=1.0).fit(x, y) for rate in (1e-4, 1.0))
    assert small.n_iter_ > large.n_iter_


def test_shuffling_follows_the_seed() -> None:
    r = np.random.default_rng(3)
    x, y = r.normal(size=(30, 2)), r.permutation([0, 1] * 15)
    models = [Perceptron(0.1, 4, shuffle=True, seed=seed).fit(x, y) for seed in (0, 0, 1)]
    assert np.array_equal(models[0].coef_history_, models[1].coef_history_)
    assert not np.array_equal(models[0].coef_history_, models[2].coef_history_)
    with pytest.raises(ConfigurationError, match=r"^Perceptron: seed must be a whole number of at least 0, not -1\.$"):
        Perceptron(shuffle=True, seed=-1).fit(x, y)
    with pytest.raises(ConfigurationError, match=r"^Perceptron: shuffle must be True or False, not 'yes'\.$"):
        Perceptron(shuffle="yes").fit(x, y)  # type: ignore[arg-type]
