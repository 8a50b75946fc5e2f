import numpy as np
import pytest
from matplotlib.figure import Figure

from pellucid import Input, Sequential, analysis, set_seed
from pellucid.analysis.recording import Recording, plot_recording
from pellucid.errors import ConfigurationError
from pellucid.nn import LSTM, Dense


@pytest.fixture(scope="module")
def recording():
    """A deep net of sigmoids, whose gradients vanish."""
    set_seed(0)
    hidden = [Dense(8, activation="sigmoid", name=f"hidden_{k}") for k in range(4)]
    model = Sequential([Input((3,)), *hidden, Dense(1, name="out")])
    model.compile("mse", "sgd")
    x = np.random.default_rng(0).normal(size=(40, 3))
    return model.fit(x, x[:, 0], epochs=4, seed=0, batch_size=8, record="stats", every=4, verbose=0).recording


def test_recordings_are_found_in_the_analysis():
    assert analysis.Recording is Recording
    assert analysis.plot_recording is plot_recording


def test_every_layer_has_a_line_with_its_numbers(recording):
    ax = plot_recording(recording, "gradient")
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines) == recording.layers
    steps, norms = recording.series("hidden_2", "gradient", "norm", "kernel")
    np.testing.assert_array_equal(lines["hidden_2"].get_xdata(), steps)
    np.testing.assert_array_equal(lines["hidden_2"].get_ydata(), norms)
    assert ax.get_yscale() == "log"
    first, *_, last = (line.get_ydata()[0] for line in lines.values())
    assert first < last / 100  # the vanishing gradient


def test_layers_without_the_column_have_no_line_and_shares_a_linear_axis(recording):
    ax = plot_recording(recording, "activation", "saturated")
    assert [line.get_label() for line in ax.get_lines()] == recording.layers[:4]
    assert ax.get_yscale() == "linear"
    assert ax.get_ylabel() == "share of the activation: saturated"


def test_it_draws_on_given_axes_and_chosen_layers(recording):
    ax = Figure().add_subplot()
    assert plot_recording(recording, "update", "ratio", layers=["out", "hidden_0"], ax=ax) is ax
    assert [line.get_label() for line in ax.get_lines()] == ["out", "hidden_0"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"quantity": "gradients"}, "Unknown quantity 'gradients'"),
        ({"column": "kind"}, "Unknown column of numbers 'kind'"),
        ({"layers": ["ou"]}, "Unknown recorded layer 'ou'"),
        ({"quantity": "delta", "column": "ratio"}, "The recording has no 'ratio' of any 'delta' in these layers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(recording, arguments, text):
    with pytest.raises(ConfigurationError) as error:
        plot_recording(recording, **arguments)
    assert str(error.value).startswith(text)


def test_gates_of_recurrent_layers_have_lines_of_their_own():
    set_seed(0)
    model = Sequential([Input((4, 3)), LSTM(2, name="cell"), Dense(1, "sigmoid", name="out")])
    model.compile("mse", "sgd")
    r = model.fit(np.ones((6, 4, 3)), np.ones(6), epochs=3, record="stats", every=1, verbose=0).recording
    labels = [line.get_label() for line in plot_recording(r, "activation", "saturated").get_lines()]
    gates = ["cell.forget gate", "cell.input gate", "cell.candidate", "cell.output gate"]
    assert labels == ["cell", *gates, "out"]
