"""Gates and states of recurrent layers in recordings: against the cells' equations, and training stays as it was."""

import numpy as np
import pytest
from scipy.special import expit

from pellucid import Input, Model, Population, Sequential, set_seed
from pellucid.nn import GRU, LSTM, Dense, Layer, SimpleRNN
from pellucid.optim import SGD
from pellucid.train import Recorder

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])
KINDS = pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
R = np.random.default_rng(0)
BATCH, TIME, UNITS = 6, 4, 5
X, Y = R.normal(size=(BATCH, TIME, 3)), R.normal(size=(BATCH, 1))

PARTS = {
    SimpleRNN: ["hidden state"],
    LSTM: ["forget gate", "input gate", "candidate", "cell state", "output gate", "hidden state"],
    GRU: ["update gate", "reset gate", "candidate", "hidden state"],
}


def fitted(kind, backend="cpu", x=X, **arguments):
    settings = arguments.pop("settings", {})
    set_seed(2)
    row = [
        Input((TIME, 3)),
        kind(UNITS, bias_initializer="random_normal", name="cell", **settings),
        Dense(1, name="out"),
    ]
    model = Sequential(row, dtype="float64")
    model.compile("mse", SGD(0.1), backend=backend)
    return model, model.fit(
        x, Y, **{"epochs": 2, "batch_size": BATCH, "seed": 1, "shuffle": False, "verbose": 0} | arguments
    )


def blocks(array, count):
    return np.split(array, count, axis=-1)


def before(states):
    """The state that each time step began with."""
    return np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)


@BACKENDS
@KINDS
@pytest.mark.parametrize("level", ["stats", "full"])
def test_recording_the_parts_changes_no_bit(kind, backend, level):
    plain, history = fitted(kind, backend)
    recorded, other = fitted(kind, backend, record=Recorder(level, every=1))
    assert history["loss"] == other["loss"]
    assert all(np.array_equal(value, recorded.get_weights()[name]) for name, value in plain.get_weights().items())
    data = other.recording.frame("stats", "numpy")
    chosen = (data["layer"] == "cell") & (data["quantity"] == "activation") & (data["step"] == 1)
    assert data["name"][chosen].tolist() == ["", *PARTS[kind]]


@BACKENDS
def test_the_gates_of_an_lstm_are_those_of_its_equations(backend):
    _, history = fitted(LSTM, backend, record="full")
    r = history.recording
    a = {name: r.activations(1, "cell", name) for name in PARTS[LSTM]}
    w = r.weights(1, "cell")
    h, c = before(a["hidden state"]), before(a["cell state"])
    z = X @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"]
    for name, own in zip(("input gate", "forget gate", "candidate", "output gate"), blocks(z, 4), strict=True):
        np.testing.assert_allclose(r.preactivations(1, "cell", name), own, rtol=1e-12)
        np.testing.assert_allclose(a[name], np.tanh(own) if name == "candidate" else expit(own), rtol=1e-12)
    new = a["forget gate"] * c + a["input gate"] * a["candidate"]
    np.testing.assert_allclose(a["cell state"], new, rtol=1e-12)
    np.testing.assert_allclose(a["hidden state"], a["output gate"] * np.tanh(new), rtol=1e-12)
    np.testing.assert_array_equal(a["hidden state"][:, -1], r.activations(1, "cell"))


@BACKENDS
def test_the_gates_of_a_gru_are_those_of_its_equations(backend):
    _, history = fitted(GRU, backend, record="full")
    r = history.recording
    a = {name: r.activations(1, "cell", name) for name in PARTS[GRU]}
    w = r.weights(1, "cell")
    h = before(a["hidden state"])
    x_z, x_r, x_n = blocks(X @ w["kernel"] + w["bias"], 3)
    h_z, h_r, h_n = blocks(h @ w["recurrent_kernel"] + w["recurrent_bias"], 3)
    np.testing.assert_allclose(a["update gate"], expit(x_z + h_z), rtol=1e-12)
    np.testing.assert_allclose(a["reset gate"], expit(x_r + h_r), rtol=1e-12)
    np.testing.assert_allclose(a["candidate"], np.tanh(x_n + a["reset gate"] * h_n), rtol=1e-12)
    z = a["update gate"]
    np.testing.assert_allclose(a["hidden state"], z * h + (1 - z) * a["candidate"], rtol=1e-12)


@BACKENDS
@pytest.mark.parametrize(
    ("kind", "gates"),
    [(SimpleRNN, ["hidden state"]), (LSTM, ["input gate", "forget gate", "candidate", "output gate"])],
)
def test_deltas_times_inputs_and_states_are_the_gradients_of_the_weights(kind, gates, backend):
    """z = x W + h U + b, so that dL/dW = x^T delta, dL/dU = h^T delta and dL/db = the sum of delta."""
    r = fitted(kind, backend, record="full")[1].recording
    deltas = np.concatenate([r.deltas(1, "cell", name) for name in gates], axis=-1)
    gradients, h = r.gradients(1, "cell"), before(r.activations(1, "cell", "hidden state"))
    np.testing.assert_allclose(np.einsum("bti,btj->ij", X, deltas), gradients["kernel"], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(np.einsum("bti,btj->ij", h, deltas), gradients["recurrent_kernel"], rtol=1e-9)
    np.testing.assert_allclose(deltas.sum((0, 1)), gradients["bias"], rtol=1e-9)


@BACKENDS
def test_deltas_of_a_gru_are_the_gradients_of_its_biases(backend):
    r = fitted(GRU, backend, record="full")[1].recording
    z, reset, n = (r.deltas(1, "cell", name) for name in ("update gate", "reset gate", "candidate"))
    gradients = r.gradients(1, "cell")
    np.testing.assert_allclose(np.concatenate([z, reset, n], -1).sum((0, 1)), gradients["bias"], rtol=1e-9)
    inner = n * r.activations(1, "cell", "reset gate")
    np.testing.assert_allclose(
        np.concatenate([z, reset, inner], -1).sum((0, 1)), gradients["recurrent_bias"], rtol=1e-9
    )


def test_the_gradient_by_the_hidden_states_shrinks_backwards_in_time_where_the_weights_are_small():
    settings = {"recurrent_initializer": "zeros"}
    r = fitted(SimpleRNN, record="full", settings=settings)[1].recording
    delta = np.abs(r.deltas(1, "cell", "hidden state")).max(axis=(0, 2))
    assert delta[-1] > 0
    np.testing.assert_array_equal(delta[:-1], 0)  # nothing comes through U = 0


def test_saturated_gates_are_counted():
    settings = {"unit_forget_bias": False}
    model, _ = fitted(LSTM, settings=settings, epochs=1)
    bias = model.layers[0].bias
    start = np.zeros(4 * UNITS)
    start[:UNITS], start[UNITS : 2 * UNITS] = -20.0, 20.0  # input gate closed, forget gate open
    bias.replace(start)
    r = model.fit(X, Y, epochs=1, record="full", seed=0, verbose=0).recording
    for name, share in (("input gate", 1.0), ("forget gate", 1.0)):
        for column in ("saturated", "dead"):
            assert r.series("cell", "activation", column, name)[1].tolist() == [share]
    gate = r.activations(r.steps[0], "cell", "output gate")
    found = r.series("cell", "activation", "saturated", "output gate")[1][0]
    assert found == pytest.approx(((gate < 0.01) | (gate > 0.99)).mean())
    assert np.isnan(r.series("cell", "activation", "saturated", "cell state")[1]).all()


def test_gates_of_a_linear_function_have_no_preactivation_and_others_their_own_name():
    settings = {"activation": "linear", "recurrent_activation": "hard_sigmoid"}
    r = fitted(LSTM, record="stats", settings=settings)[1].recording
    data = r.frame("stats", "numpy")
    own = data["layer"] == "cell"
    names = data["name"][own & (data["quantity"] == "preactivation") & (data["step"] == 1)].tolist()
    assert names == ["forget gate", "input gate", "output gate"]
    functions = dict(zip(data["name"][own].tolist(), data["function"][own].tolist(), strict=True))
    assert functions["input gate"] == "hard_sigmoid"
    assert functions["candidate"] == functions["cell state"] == ""


def test_sequences_that_are_read_backwards_are_recorded_in_the_order_of_reading():
    settings = {"go_backwards": True}
    back = fitted(SimpleRNN, x=X[:, ::-1], record="full", settings=settings)[1].recording
    there = fitted(SimpleRNN, record="full")[1].recording
    np.testing.assert_array_equal(
        back.activations(1, "cell", "hidden state"), there.activations(1, "cell", "hidden state")
    )


class Both(Layer):
    """One cell for two inputs."""

    def build(self, *shapes):
        self.cell = GRU(UNITS, name="cell")

    def call(self, left, right):
        return self.cell(left) + self.cell(right)


def test_a_cell_in_a_layer_that_is_called_twice_has_the_parts_of_both_calls():
    left, right = Input((TIME, 3)), Input((2, 3))
    model = Model([left, right], Dense(1)(Both(name="both")(left, right)))
    model.compile("mse", "sgd")
    x = (X.astype("float32"), X[:, :2].astype("float32"))
    r = model.fit(x, Y, record="full", verbose=0).recording
    assert r.activations(1, "both/cell", "reset gate").shape == (BATCH, TIME, UNITS)
    assert r.activations(1, "both/cell", "reset gate 2").shape == (BATCH, 2, UNITS)
    assert r.activations(1, "both/cell", "2").shape == (BATCH, UNITS)


def test_frozen_cells_are_recorded_and_layers_can_be_chosen():
    set_seed(0)
    rows = [Input((TIME, 3)), LSTM(2, return_sequences=True, name="below"), LSTM(UNITS, name="cell"), Dense(1)]
    model = Sequential(rows)
    model.layers[0].trainable = False
    model.compile("mse", "sgd")
    r = model.fit(X, Y, record="full", verbose=0).recording
    assert r.activations(1, "below", "forget gate").shape == (BATCH, TIME, 2)
    chosen = model.fit(X, Y, record=Recorder("stats", layers=["cell"]), verbose=0).recording
    assert chosen.layers == ["cell"]


def test_members_of_a_population_record_their_gates():
    set_seed(0)
    model = Sequential([Input((TIME, 3)), GRU(UNITS, name="cell"), Dense(1)])
    model.compile("mse", "sgd")
    histories = Population(model, 2, seed=0).fit(X, Y, epochs=2, record="stats")
    for history in histories:
        assert len(history.recording.series("cell", "activation", "std", "update gate")[0]) > 0
