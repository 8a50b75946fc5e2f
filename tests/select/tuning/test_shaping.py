import pickle

import numpy as np
import pytest

from pellucid import data
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Dropout
from pellucid.select.grid import sort_out
from pellucid.select.makers import Maker
from pellucid.select.tuning.shaping import Shaper, default_space
from pellucid.train import recipe
from pellucid.train.recipe import TrainingOptions

IRIS, DIGITS = data.load("iris"), data.load("digits")


def shaper(*names, model="mlp", examples=IRIS, **options):
    return Shaper(model, examples, TrainingOptions(**options), "auto", names)


def units(network):
    return [layer.units for layer in network.layers if isinstance(layer, Dense)]


def test_a_network_of_nothing_else_is_that_of_the_recipe():
    plain, _ = recipe.build("mlp", DIGITS)
    found = shaper(examples=DIGITS)()
    assert [repr(layer) for layer in found.layers] == [repr(layer) for layer in plain.layers]


def test_it_does_not_carry_the_samples_to_the_workers():
    assert len(pickle.dumps(shaper("units", examples=DIGITS))) < 20_000 < DIGITS.x_train.nbytes


def test_it_takes_the_names_that_shape_a_network_and_no_others():
    assert Maker(shaper("units", "learning_rate", "units_2", "epochs")).arguments == ("units", "units_2")


def test_every_hidden_layer_has_the_units_that_were_asked_for():
    assert units(shaper("units")(units=5)) == [5, 5, 3]
    assert units(shaper("units_1", "units_2")(units_1=4, units_2=6)) == [4, 6, 3]
    assert units(shaper("units", "units_2")(units=5, units_2=6)) == [5, 6, 3]


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_hidden_layers_are_as_many_as_were_asked_for_each_with_its_dropout(layers):
    found = shaper("layers", "units")(layers=layers, units=7)
    assert units(found) == [7] * layers + [3]
    assert sum(isinstance(layer, Dropout) for layer in found.layers) == layers
    found.fit(IRIS.x_train, IRIS.y_train, epochs=1, verbose=0)
    assert found.predict(IRIS.x_test).shape == (30, 3)


def test_images_and_numbers_keep_their_ends():
    assert shaper("layers", examples=DIGITS)(layers=1).predict(DIGITS.x_test).shape == (359, 10)
    r = np.random.default_rng(0)
    x = r.normal(size=(40, 3)).astype("float32")
    line = data.Dataset("line", "regression", (x, 5 + x[:, 0]), (x, 5 + x[:, 0]))
    found = shaper("layers", examples=line)(layers=3)
    assert found.predict(x).mean() == pytest.approx(5, abs=2)  # the targets' unit


def test_activation_and_optimizer_are_those_of_the_space():
    found = shaper("activation", "optimizer", learning_rate=0.5)(activation="tanh", optimizer="sgd")
    assert [layer.config()["activation"] for layer in found.layers if isinstance(layer, Dense)][:2] == ["tanh"] * 2
    assert (type(found.optimizer).__name__, found.optimizer.config()["learning_rate"]) == ("SGD", 0.5)


def test_a_recipe_has_the_layers_that_it_has(tmp_path):
    (tmp_path / "small.toml").write_text('[model]\nlayers = [{ layer = "Dense", units = 9 }]\n')
    model = str(tmp_path / "small.toml")
    assert units(shaper("units", model=model)(units=4)) == [4, 3]
    with pytest.raises(ConfigurationError, match=r"--space layers=\.\.\. goes with --model mlp"):
        shaper("layers", model=model)
    with pytest.raises(ConfigurationError, match=r"units_2=\.\.\.: .*small.toml has 1 hidden Dense layer\."):
        shaper("units_2", model=model)
    (tmp_path / "none.toml").write_text('[model]\nlayers = [{ layer = "Dropout", rate = 0.1 }]\n')
    with pytest.raises(ConfigurationError, match=r"units=\.\.\.: .*none.toml has no hidden Dense layer"):
        shaper("units", model=str(tmp_path / "none.toml"))


@pytest.mark.parametrize("model", ["mlp", "lenet5"])
def test_the_usual_space_fits_its_model(model):
    options = recipe.preferred(len(DIGITS.x_train))
    space = default_space(model, DIGITS, TrainingOptions(), options)
    assert ("layers" in space, "units" in space, "dropout" in space) == (model == "mlp",) * 3
    assert space["batch_size"] == [16, 32, 64]
    maker = Maker(Shaper(model, DIGITS, options, "auto", space))
    assert set(sort_out(dict.fromkeys(space), maker.arguments).build) == set(space) & {"layers", "units"}


def test_what_was_given_is_not_searched_for():
    given = TrainingOptions(batch_size=8, learning_rate=0.1)
    assert set(default_space("lenet5", DIGITS, given, given)) == set()
    assert default_space("mlp", IRIS, TrainingOptions(), TrainingOptions(optimizer="sgd"))["learning_rate"][1] == 1.0
    assert default_space("mlp", IRIS, TrainingOptions(), TrainingOptions())["units"] == [8, 16, 32, 64]
