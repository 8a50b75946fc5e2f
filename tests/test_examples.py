"""The examples do what they say, and save the picture that they promise."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from tests.canon.mnist_files import FOLDER, mnist_or_skip

from pellucid.classic import Box

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path):
    """Runs an example by its name: what its ``main`` returns, after a look at its picture."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")

    def call(name):
        path = tmp_path / f"{name}.png"
        found = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](str(path))
        pyplot.close("all")
        picture = pyplot.imread(path)
        assert min(picture.shape[:2]) > 300
        assert len(np.unique(picture[..., :3].reshape(-1, 3), axis=0)) > 50  # more than an empty frame
        return found

    return call


def data_or_skip(monkeypatch, folder):
    """Reads the data of ../shared/data, without a download."""
    if not (FOLDER / folder).is_dir():
        pytest.skip(f"the files are not in ../shared/data/{folder}")
    monkeypatch.setenv("PELLUCID_DATA", str(FOLDER))


def test_every_example_is_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path.name


def test_one_unit_does_not_do_xor_and_a_hidden_layer_learns_it(run, capsys):
    assert run("gates_and_xor") >= 18
    assert capsys.readouterr().out.count("one unit does it") == 3


def test_the_perceptron_on_iris_makes_the_decks_errors(run, capsys):
    assert run("iris_linear_units") == [2, 2, 3, 2, 1, 0]
    assert "[-0.4  -0.68  1.82]" in capsys.readouterr().out


def test_one_unit_separates_one_of_three_data_sets_and_a_hidden_layer_all(run):
    found = run("three_data_sets")
    assert [perceptron == 1 for perceptron, _ in found.values()] == [True, False, False]
    assert min(network for _, network in found.values()) == 1


@pytest.mark.slow
def test_numerical_gradients_take_several_times_longer_than_back_propagation(run):
    assert 4 < run("iris_two_mlp") < 40


def test_on_the_five_digits_relu_learns_what_sigmoid_does_not(run):
    loss = run("five_by_five")
    assert max(loss["ReLU"], loss["ReLU, dropout"]) < 0.1
    assert min(loss["sigmoid"], loss["sigmoid, dropout"]) > 1.4


@pytest.mark.slow
def test_mnist_784_100_10_reaches_the_decks_accuracy(run, monkeypatch):
    mnist_or_skip(monkeypatch)
    whole, second_half = run("mnist_mlp")
    assert whole >= 0.97
    assert second_half >= 0.98


@pytest.mark.slow
def test_lenet5_reaches_99_per_cent_on_the_test_images(run, monkeypatch, capsys):
    mnist_or_skip(monkeypatch)
    assert run("mnist_lenet5") >= 0.99
    assert " s of training" in capsys.readouterr().out


@pytest.mark.slow
def test_momentum_and_adam_get_further_than_plain_descent(run):
    loss = run("optimizers")
    assert max(loss["momentum 0.9"], loss["Adam"]) < loss["gradient descent"]


def test_per_epoch_online_is_ahead_of_mini_batches_and_these_of_the_full_batch(run):
    losses = run("batch_sizes")
    online, mini, batch = losses["online"], losses["mini-batches of 3"], losses["batch of 99"]
    assert [len(each) - 1 for each in (online, mini, batch)] == [990, 330, 10]
    assert online[-1] < mini[-1] < batch[-1]
    assert (np.diff(batch) < 0).all()
    assert (np.diff(online) > 0).mean() > 0.05


@pytest.mark.slow
def test_the_gradient_vanishes_through_sigmoids_only(run):
    ratio = run("vanishing_gradient")
    assert ratio["sigmoid"] < 1e-4
    assert min(ratio["tanh"], ratio["relu"]) > 0.1


@pytest.mark.slow
def test_twice_the_units_halve_the_error_of_a_network_built_by_hand(run):
    errors = run("universality")
    built = np.array(list(errors["built"].values()))
    assert built[2:-1] / built[3:] == pytest.approx(2, rel=0.05)
    assert errors["trained"][1] > 1 > 0.1 > max(errors["trained"][width] for width in (8, 16, 32, 64))


def test_a_learning_rate_may_be_too_small_or_too_large_and_the_saddle_has_a_way_down(run, capsys):
    small, right, large = run("error_surface").values()
    assert right < 1e-9 < small < large > 3.24
    out = capsys.readouterr().out
    assert "eigenvalue -2: the loss is 0.99 at" in out
    assert "eigenvalue +2: the loss is 1.01 at" in out


def test_parity_takes_exponentially_many_gates_in_two_layers_and_few_in_many(run):
    units = run("parity")
    assert units["two layers of gates"] == [2 ** (bits - 1) + 1 for bits in range(2, 13)]
    assert max(np.array(units["deep: a tree of XORs"]) / np.arange(2, 13)) < 4


@pytest.mark.slow
def test_two_layers_beat_one_with_as_many_parameters(run):
    for size, errors in (found := run("fat_or_tall")).items():
        assert errors[1] < errors[0], size
    assert found[300][1] < found[3000][0]


@pytest.mark.slow
def test_two_heads_name_pairs_that_were_never_shown(run):
    found = run("multi_task")
    assert found["two heads of 10"][0] > found["one head of 100"][0]
    assert found["one head of 100"][1] == 0
    assert found["two heads of 10"][1] > 0.7


@pytest.mark.slow
def test_words_tell_spam(run, monkeypatch):
    data_or_skip(monkeypatch, "sms_spam")
    for numbers in run("spam").values():
        assert numbers["accuracy"] > 0.97
        assert min(numbers["precision"], numbers["recall"]) > 0.8


@pytest.mark.slow
def test_the_waveform_comes_near_the_spectrum_on_known_voices(run, monkeypatch):
    data_or_skip(monkeypatch, "spoken_digits")
    found = run("spoken_digits")
    assert found["log-mel"][0] > 0.97
    assert 0.85 < found["waveform"][0] < found["log-mel"][0]
    for known, new in found.values():
        assert 0.4 < new < known


@pytest.mark.slow
def test_the_cascade_finds_the_astronauts_face_and_nothing_else(run, capsys):
    pytest.importorskip("skimage", reason="the faces come with scikit-image")
    found, report = run("face_cascade")
    assert [detection.iou(Box(72, 178, 100, 95)) > 0.5 for detection in found] == [True]
    assert report.features_per_window < 10
    assert "stage 10:" in capsys.readouterr().out
