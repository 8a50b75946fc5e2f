"""Recurrent layers against torch, with their weights and gradients mapped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.nn.pulling import built, draws, pull

from pellucid import Sequential, set_seed
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.nn import GRU, LSTM, Dense, Embedding, Input, Layer, SimpleRNN, phase
from pellucid.optim import Adam

SHAPE = (3, 5, 2)
UNITS = 4

#: Our blocks in torch's order: torch's GRU has r, z, n, ours z, r, n.
ORDER = {SimpleRNN: [0], LSTM: [0, 1, 2, 3], GRU: [1, 0, 2]}


def rows(kind: type, array: np.ndarray) -> np.ndarray:
    """Our [..., gates * units] as torch's [gates * units, ...], and back where the order is its own inverse."""
    blocks = np.split(array, len(ORDER[kind]), axis=-1)
    return np.concatenate([blocks[i] for i in ORDER[kind]], axis=-1).T


def torch_layer(layer: Any, torch: Any) -> Any:
    kind = type(layer)
    peer = {SimpleRNN: torch.nn.RNN, LSTM: torch.nn.LSTM, GRU: torch.nn.GRU}[kind](
        SHAPE[-1], UNITS, batch_first=True, bias=layer.use_bias, dtype=torch.float64
    )
    with torch.no_grad():
        peer.weight_ih_l0.copy_(torch.tensor(rows(kind, layer.kernel.numpy())))
        peer.weight_hh_l0.copy_(torch.tensor(rows(kind, layer.recurrent_kernel.numpy())))
        if layer.use_bias:
            peer.bias_ih_l0.copy_(torch.tensor(rows(kind, layer.bias.numpy())))
            peer.bias_hh_l0.zero_()
        if layer.use_bias and kind is GRU:
            peer.bias_hh_l0.copy_(torch.tensor(rows(kind, layer.recurrent_bias.numpy())))
    return peer


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("kind", ORDER)
def test_outputs_and_gradients_are_torchs(
    kind: Any, return_sequences: bool, go_backwards: bool, use_bias: bool
) -> None:
    torch = pytest.importorskip("torch")
    layer = kind(UNITS, return_sequences=return_sequences, go_backwards=go_backwards, use_bias=use_bias)
    built(layer, SHAPE)
    x = draws(*SHAPE)
    got = pull(layer, x)
    peer = torch_layer(layer, torch)
    sequence = torch.tensor(x, requires_grad=True)
    states, _ = peer(sequence.flip(1) if go_backwards else sequence)
    y = states if return_sequences else states[:, -1]
    (y * torch.tensor(got.cotangent)).sum().backward()
    np.testing.assert_allclose(got.output, y.detach(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.inputs[0], sequence.grad, rtol=1e-9, atol=1e-12)
    names = {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0"}
    if use_bias:
        names |= {"bias": "bias_ih_l0"} | ({"recurrent_bias": "bias_hh_l0"} if kind is GRU else {})
    assert set(names) == set(got.parameters)
    for own, other in names.items():
        gradient = getattr(peer, other).grad.numpy()
        np.testing.assert_allclose(rows(kind, got.parameters[own]), gradient, rtol=1e-9, atol=1e-12)


def test_a_simple_cell_is_its_formula_step_by_step() -> None:
    layer: Any = built(SimpleRNN(UNITS, activation="sigmoid", return_sequences=True), SHAPE)
    x = draws(*SHAPE)
    h = np.zeros((3, UNITS))
    states = []
    for t in range(5):
        z = x[:, t] @ layer.kernel.numpy() + h @ layer.recurrent_kernel.numpy() + layer.bias.numpy()
        h = 1 / (1 + np.exp(-z))
        states.append(h)
    np.testing.assert_allclose(layer(x), np.stack(states, 1), rtol=1e-12)


@pytest.mark.parametrize("kind", ORDER)
def test_the_last_state_is_the_last_of_the_sequence(kind: Any) -> None:
    sequence, last = kind(UNITS, return_sequences=True), kind(UNITS)
    x = draws(*SHAPE)
    built(sequence, SHAPE), built(last, SHAPE)
    np.testing.assert_array_equal(np.asarray(sequence(x))[:, -1], last(x))


@pytest.mark.parametrize("kind", ORDER)
def test_other_activations_take_effect(kind: Any) -> None:
    plain, other = built(kind(UNITS), SHAPE), built(kind(UNITS, activation="relu"), SHAPE)
    assert not np.allclose(plain(draws(*SHAPE)), other(draws(*SHAPE)))
    if kind is not SimpleRNN:
        hard = built(kind(UNITS, recurrent_activation="hard_sigmoid"), SHAPE)
        assert not np.allclose(plain(draws(*SHAPE)), hard(draws(*SHAPE)))


@pytest.mark.parametrize(
    ("layer", "count"),
    [(SimpleRNN(4), 4 * (2 + 4 + 1)), (LSTM(4), 4 * 4 * (2 + 4 + 1)), (GRU(4), 3 * 4 * (2 + 4 + 2))],
)
def test_parameter_counts(layer: Layer, count: int) -> None:
    layer.ensure_built(SHAPE)
    assert layer.count_parameters() == count


def test_the_forget_gate_of_an_lstm_starts_open() -> None:
    layer = LSTM(2)
    layer.ensure_built(SHAPE)
    assert layer.bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    closed = LSTM(2, unit_forget_bias=False)
    closed.ensure_built(SHAPE)
    assert closed.bias.tolist() == [0] * 8


def test_the_recurrent_kernel_starts_orthogonal() -> None:
    layer = SimpleRNN(6)
    with phase(training=False, dtype="float64"):
        layer.ensure_built(SHAPE)
    u = layer.recurrent_kernel.numpy()
    np.testing.assert_allclose(u @ u.T, np.eye(6), atol=1e-12)


def test_stacked_layers_need_sequences_between_them() -> None:
    model = Sequential([Input((5, 2)), GRU(4, return_sequences=True), LSTM(3), Dense(1)])
    assert model.predict(draws(*SHAPE)).shape == (3, 1)
    with pytest.raises(ShapeError) as error:
        Sequential([Input((5, 2)), GRU(4), LSTM(3)])
    assert str(error.value) == (
        'layer "lstm": LSTM takes inputs of 3 axes [batch, time, features], but was given 2: [2, 4]'
    )


def test_sequences_of_other_lengths_use_the_same_weights() -> None:
    layer = LSTM(3)
    assert layer(draws(2, 4, 2)).shape == layer(draws(2, 9, 2)).shape == (2, 3)


@pytest.mark.parametrize("kind", ORDER)
def test_a_sequence_that_must_be_remembered_is_learned(kind: Any) -> None:
    set_seed(1)
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2, (64, 6))
    model = Sequential([Embedding(2, 3), kind(8), Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer=Adam(0.05), metrics=["accuracy"])
    model.fit(x, x[:, 0], epochs=40, batch_size=16, seed=0, verbose=0)
    assert model.evaluate(x, x[:, 0])[1] == 1.0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LSTM(0), ConfigurationError, "LSTM: units must be a whole number of at least 1, not 0."),
        (
            lambda: GRU(3, return_sequences=1),
            ConfigurationError,
            "GRU: return_sequences must be True or False, not 1.",
        ),
        (
            lambda: SimpleRNN(3, name="r")(np.zeros((2, 4))),
            ShapeError,
            'layer "r": SimpleRNN takes inputs of 3 axes [batch, time, features], but was given 2: [2, 4]',
        ),
        (
            lambda: SimpleRNN(3, name="r")(np.zeros((2, 0, 4))),
            ShapeError,
            'layer "r": the sequences [2, 0, 4] have no time step',
        ),
    ],
)
def test_wrong_settings_and_inputs_are_explained(make: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message
