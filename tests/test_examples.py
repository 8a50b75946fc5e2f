"""The examples do what they say, and save the picture that they promise."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.canon.mnist_files import FOLDER, mnist_or_skip

from pellucid import data
from pellucid.classic import Box
from pellucid.errors import DataError
from pellucid.select import test_sets

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(tmp_path):
    """Runs an example by its name: what its ``main`` returns, after a look at its picture."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")

    def call(name, *arguments):
        path = tmp_path / f"{name}.png"
        found = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](str(path), *arguments)
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


def no_data():
    raise DataError("there are no files")


def test_every_example_is_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path.name


def test_one_unit_does_not_do_xor_and_a_hidden_layer_learns_it(run, capsys):
    assert run("gates_and_xor") >= 18
    assert capsys.readouterr().out.count("one unit does it") == 3


def test_the_perceptron_on_iris_makes_the_decks_errors(run, capsys):
    assert run("iris_linear_units") == [2, 2, 3, 2, 1, 0]
    out = capsys.readouterr().out
    assert "[-0.4  -0.68  1.82]" in out
    assert "where Adaline's threshold makes it [-1  1]" in out


def test_one_unit_separates_one_of_three_data_sets_and_a_kernel_and_a_hidden_layer_all(run):
    found = run("three_data_sets")
    assert [perceptron == 1 for perceptron, _, _ in found.values()] == [True, False, False]
    assert min(kernel for _, kernel, _ in found.values()) > 0.95
    assert min(network for _, _, network in found.values()) == 1


@pytest.mark.slow
def test_numerical_gradients_take_several_times_longer_than_back_propagation(run):
    assert 4 < run("iris_two_mlp") < 40


def test_on_the_five_digits_relu_learns_what_sigmoid_does_not(run):
    loss = run("five_by_five")
    assert max(loss["ReLU"], loss["ReLU, dropout"]) < 0.1
    assert min(loss["sigmoid"], loss["sigmoid, dropout"]) > 1.4


def test_a_step_is_explained_and_its_printed_code_does_the_same(run, capsys):
    found = run("explain_step")
    gradients = found["gradients"]
    assert [float(g) for g in gradients["buying apples (deck 000)"].values()] == pytest.approx([3.3, 110, 300])
    assert found["difference"] < 1e-12
    assert "delta^1 = sigma'(z^1) * (W^2)^T delta^2" in capsys.readouterr().out


def test_a_loop_takes_many_times_as_long_as_a_product_of_arrays_for_the_same_numbers(run):
    found = run("vectorisation")
    assert min(found["dot"], found["logistic"]) > 5
    assert found["apart"] < 1e-12


def test_validation_loss_rises_again_and_early_stopping_keeps_what_was_best(run):
    found = run("early_stopping")
    assert found["plain"]["last"] > 1.3 * found["plain"]["best"]
    assert found["L2"]["last"] < 1.25 * found["L2"]["best"]
    for name, numbers in found.items():
        assert numbers["stopped"] > max(numbers["to the end"] - 0.02, 0.88), name


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
def test_momentum_gets_further_than_plain_descent_and_all_get_far_at_their_best_rates(run, capsys):
    loss = run("optimizers")
    assert loss["momentum 0.9"] < loss["gradient descent"]
    assert max(loss.values()) < 0.1
    after_one = [float(line.split("loss ")[1].split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert max(after_one[1:]) < after_one[0]  # plain descent comes first


def test_per_epoch_online_is_ahead_of_mini_batches_and_these_of_the_full_batch(run):
    losses = run("batch_sizes")
    online, mini, batch = losses["online"], losses["mini-batches of 3"], losses["batch of 99"]
    assert [len(each) - 1 for each in (online, mini, batch)] == [990, 330, 10]
    assert online[-1] < mini[-1] < batch[-1]
    assert (np.diff(batch) < 0).all()
    assert (np.diff(online) > 0).mean() > 0.01


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


def test_a_learning_rate_may_be_too_small_or_too_large(run):
    found = run("error_surface")
    for first, (small, right, large) in zip((1.0, 3.24), found.values(), strict=True):
        assert right < 1e-9 < small < first < large
    np.testing.assert_allclose(found["w²"], [(1 - 2 * rate) ** 40 for rate in (0.03, 0.3, 1.03)], rtol=1e-6)


def test_parity_takes_exponentially_many_gates_in_two_layers_and_few_in_many(run):
    units = run("parity")
    assert units["two layers of gates"] == [2 ** (bits - 1) + 1 for bits in range(2, 13)]
    assert max(np.array(units["deep: a tree of XORs"]) / np.arange(2, 13)) < 4


@pytest.mark.slow
def test_two_layers_beat_one_with_as_many_parameters(run):
    for size, errors in (found := run("fat_or_tall")).items():
        assert errors[1] < errors[0], size
    assert found[1000][1] < found[3000][0]


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


@pytest.mark.slow
def test_a_cnn_is_drawn_from_low_to_high_level_and_knows_the_images_made_for_its_classes(run, monkeypatch):
    mnist_or_skip(monkeypatch)
    found = run("cnn_features")
    assert found["accuracy"] > 0.96
    assert found["recognised"] == 1


@pytest.mark.slow
def test_without_mnist_small_digits_are_drawn(run, monkeypatch):
    load = data.load
    monkeypatch.setattr(data, "load", lambda name: load("digits") if name == "digits" else no_data())
    assert run("cnn_features")["accuracy"] > 0.9


@pytest.mark.slow
def test_distorted_digits_teach_more_than_the_same_ones_again(run, monkeypatch):
    mnist_or_skip(monkeypatch)
    wrong = run("augmentation")
    assert wrong["distorted"] < 0.75 * wrong["as they are"]


@pytest.mark.slow
def test_zeros_keep_units_alike_small_weights_lose_the_signal_and_scaled_ones_learn(run):
    found = run("initialisation")
    for activation in ("tanh", "ReLU"):
        cases = {name.split(": ")[1]: case for name, case in found.items() if name.startswith(activation)}
        assert cases["zeros"][2] == 1
        assert cases["N(0, 0.01)"][0] < 1e-4
        for name in ("sqrt(1/rows)", "Glorot", "He", "He, bias 0.1"):
            deviation, _, units, loss = cases[name]
            assert deviation > 0.2, name
            assert units == 50, name
            assert loss < 0.05 < 1 < cases["N(0, 0.01)"][3], name
    assert found["ReLU: He, bias 0.1"][1] > found["ReLU: He"][1]


def test_a_network_is_taken_to_a_saddle_and_leaves_it_downhill(run, capsys):
    loss = run("critical_points")
    assert loss["descended"] < loss["escaped"] < loss["saddle"]
    out = capsys.readouterr().out
    assert "[0.0, 0.0] saddle: loss 1, gradient norm 0," in out
    assert "along [0.71 0.71] (eigenvalue -2): loss 1.0 -> 0.25" in out


@pytest.mark.slow
def test_the_minimum_ratio_is_higher_where_the_loss_is_lower(run):
    found = run("minimum_ratio")
    assert (found.gradient_norm <= 1e-4).sum() >= 15
    assert spearmanr(found.loss, found.minimum_ratio).statistic < -0.7
    assert found.minimum_ratio[np.argmin(found.loss)] > 0.9


def test_each_fault_is_found_and_its_change_helps(run, capsys):
    found = run("diagnosis")
    assert len(found) == 6
    for name, retry in found.items():
        assert retry.helped, name
        assert retry.after_value < 0.2 * retry.before_value, name
    assert "8 layers of sigmoid lie between them and the loss" in " ".join(capsys.readouterr().out.split())


def test_the_flat_estimate_is_no_worse_than_the_nested_one(run, capsys):
    estimates = run("cross_validation")
    assert 0.9 < estimates["nested"] <= estimates["flat"] <= 1
    out = capsys.readouterr().out
    assert "27 configurations x 10 folds x 1 seed" in out
    assert "the best against the second: corrected resampled t-test" in out


def test_gradients_are_ahead_of_what_does_without(run, capsys):
    for library in ("cmaes", "pygad", "filterpy"):
        pytest.importorskip(library)
    loss = run("gradient_free")
    assert loss["gradient_descent"] < 1e-4
    assert max(loss, key=loss.get) == "random_search"
    assert sorted(loss.values())[-2] < 0.1 < loss["random_search"]
    assert capsys.readouterr().out.count("of the test flowers") == 6


@pytest.mark.slow
def test_each_hyperparameter_has_a_best_value_within_its_range(run, capsys):
    best = run("hyperparameters")
    assert 10 <= best["hidden"] <= 300
    assert 0.1 < best["learning_rate"] < 10
    assert 1 < best["batch_size"] < 256
    assert capsys.readouterr().out.count("of the digits of other folds") == 3


@pytest.fixture
def first_look(monkeypatch, tmp_path):
    """Looks at the MNIST test images are written down in the folder of the test."""
    mnist_or_skip(monkeypatch)
    once = test_sets.evaluate_once
    monkeypatch.setattr(test_sets, "evaluate_once", lambda *given: once(*given, folder=tmp_path))


@pytest.mark.usefixtures("first_look")
def test_a_small_search_on_few_images_looks_at_the_test_images_once(run, capsys):
    pytest.importorskip("optuna")
    assert run("homework_10_2", "6", "1800") > 0.85
    out = capsys.readouterr().out
    assert "accuracy (larger is better): 6 trials" in out
    assert "on 10000 test samples, looked at for the first time" in out


@pytest.mark.slow
@pytest.mark.usefixtures("first_look")
def test_hidden_nodes_rate_batch_size_and_epochs_are_found_that_reach_98_per_cent(run):
    pytest.importorskip("optuna")
    assert run("homework_10_2", "8") >= 0.98
