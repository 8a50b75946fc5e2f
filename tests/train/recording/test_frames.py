import sys

import numpy as np
import pytest

from pellucid import Input, Sequential, set_seed
from pellucid.errors import ConfigurationError, FileFormatError, MissingDependencyError
from pellucid.nn import Dense
from pellucid.train import Recording


@pytest.fixture(scope="module")
def recordings():
    """A recording of each level."""
    found = {}
    for level in ("stats", "full"):
        set_seed(0)
        layers = [Dense(4, activation="relu", name="hidden"), Dense(1, use_bias=False, name="out")]
        model = Sequential([Input((3,)), *layers])
        model.compile("mse", "sgd")
        x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
        found[level] = model.fit(x, x[:, 0], epochs=5, seed=0, batch_size=5, record=level, every=8, verbose=0).recording
    return found


def test_a_frame_comes_in_the_form_that_was_asked_for(recordings):
    r = recordings["stats"]
    arrow, numpy = r.frame("stats"), r.frame("stats", "numpy")
    pandas, polars = r.frame("stats", "pandas"), r.frame("stats", "polars")
    assert type(pandas).__module__.startswith("pandas")
    assert type(polars).__module__.startswith("polars")
    assert list(pandas.columns) == polars.columns == arrow.column_names == list(numpy)
    assert pandas["norm"].tolist() == polars["norm"].to_list() == arrow["norm"].to_pylist() == numpy["norm"].tolist()
    assert arrow["ratio"].null_count == np.isnan(numpy["ratio"]).sum() > 0


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named(recordings, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=f"needs the library '{library}'"):
        recordings["stats"].frame("stats", library)


def test_a_series_is_one_number_over_the_steps(recordings):
    steps, values = recordings["full"].series("hidden", "gradient", "norm", "kernel")
    assert steps.tolist() == [1, 9, 17, 20]
    expected = [np.linalg.norm(recordings["full"].gradients(step, "hidden")["kernel"]) for step in steps]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda r: r.frame("stat"), "Unknown table of a recording 'stat'; known are: stats, steps."),
        (lambda r: r.frame(to="excel"), "Unknown form of a table 'excel'; known are: arrow, numpy, pandas, polars."),
        (lambda r: r.series("hiden", "delta"), "Unknown layer of the recording 'hiden'; known are: hidden, out."),
        (lambda r: r.series("hidden", "delta", "size"), "Unknown column of the statistics 'size'"),
        (lambda r: r.series("hidden", "weight"), "Unknown name of the recording ''; known are: bias, kernel."),
        (lambda r: r.weights(2, "hidden"), "Step 2 was not recorded; recorded were 1, 9, 17, 20."),
        (lambda r: r.weights(1, "hiden"), "Unknown layer of the recording 'hiden'; known are: hidden, out."),
        (lambda r: r.preactivations(1, "out"), "There is no preactivation of layer 'out' in step 1; recorded were"),
        (lambda r: r.rows(3), "Step 3 was not recorded; recorded were 1, 9, 17, 20."),
    ],
)
def test_what_was_not_recorded_is_refused(recordings, ask, text):
    with pytest.raises(ConfigurationError) as error:
        ask(recordings["full"])
    assert str(error.value).startswith(text)


def test_a_frozen_layer_is_said_to_have_no_gradients():
    model = Sequential([Input((2,)), Dense(3, "tanh", name="first"), Dense(1, name="last")])
    model.layers[0].trainable = False
    model.compile("mse", "sgd")
    recording = model.fit(np.eye(2), [0, 1], record="full", verbose=0).recording
    with pytest.raises(ConfigurationError) as error:
        recording.gradients(1, "first")
    assert str(error.value) == (
        "There is no gradient of layer 'first' in step 1; recorded were: activation, preactivation, weight.\n"
        "Hint: layers that are frozen, and those without parameters, have none"
    )


def test_statistics_hold_no_arrays(recordings):
    for ask in (lambda r: r.activations(1, "hidden"), lambda r: r.rows(1)):
        with pytest.raises(ConfigurationError) as error:
            ask(recordings["stats"])
        assert str(error.value) == (
            'The recording holds statistics only (level "stats"), no arrays.\n'
            'Hint: record them: fit(..., record="full")'
        )


def test_the_summary_has_a_line_per_layer_and_quantity_with_first_and_last_numbers(recordings):
    r = recordings["stats"]
    lines = r.summary().splitlines()
    assert lines[0] == 'recording "stats" of 4 steps (1, 9, 17, 20); first -> last'
    assert lines[1].split() == ["layer", "quantity", "mean", "std", "zeros", "saturated", "norm", "ratio"]
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["hidden", "preactivation"], ["hidden", "activation"], ["hidden", "delta"],
    ]  # fmt: skip
    assert len(lines) == 2 + 9 + 5
    _, values = r.series("hidden", "activation", "std")
    assert f"{values[0]:.3g} -> {values[-1]:.3g}" in lines[3]
    assert str(r) == r.summary()
    assert repr(r) == "Recording('stats', 4 steps, 2 layers)"


def test_a_recording_without_steps_says_so():
    model = Sequential([Input((3,)), Dense(1)])
    model.compile("mse", "sgd")
    recording = model.fit(np.ones((4, 3)), np.ones(4), epochs=0, record="stats", verbose=0).recording
    assert str(recording) == "recording: no step was recorded"
    assert (recording.steps, recording.layers) == ([], [])


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"is not the folder of a recording: it has no recording\.json"):
        Recording.load(tmp_path)
