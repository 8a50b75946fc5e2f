import numpy as np
import pytest

from pellucid.data import Dataset
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Normalization, Rescaling
from pellucid.train.recipe import TrainingOptions, build, compile_for, make_optimizer, preferred, read_recipe

RNG = np.random.default_rng(0)


def examples(shape=(4,), task="classification", count=20):
    x = RNG.normal(5.0, 3.0, (count, *shape)).astype(np.float32)
    if task == "classification":
        y, names = (np.arange(count) % 3).astype(np.int32), ("a", "b", "c")
    else:
        y, names = RNG.normal(1000.0, 50.0, count).astype(np.float32), ()
    return Dataset("toy", task, (x, y), (x[:5], y[:5]), target_names=names)


def kinds(model):
    return [type(layer) for layer in model.layers]


@pytest.fixture
def recipe(tmp_path):
    def write(text):
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_table_gets_a_network_of_two_hidden_layers():
    model, options = build("mlp", examples())
    assert kinds(model) == [Normalization, Dense, Dropout, Dense, Dropout, Dense]
    assert [layer.units for layer in model.layers if isinstance(layer, Dense)] == [32, 32, 3]
    assert model.output_names == ("output",)
    assert model.name == "toy"
    assert options == TrainingOptions(200, 16, 0.001, "adam", 30)


def test_images_are_flattened_for_dense_layers():
    model, _ = build("mlp", examples((8, 8, 1)))
    assert kinds(model) == [Normalization, Flatten, Dense, Dropout, Dense, Dropout, Dense]
    assert model.layers[2].units == 128


def test_inputs_are_standardised_by_the_training_data():
    data = examples()
    model, _ = build("mlp", data)
    standardised = model.layers[0](data.x_train).numpy()
    assert np.allclose(standardised.mean(0), 0, atol=1e-5)
    assert np.allclose(standardised.std(0), 1, atol=1e-5)


def test_all_pixels_of_images_share_one_scale():
    model, _ = build("mlp", examples((8, 8, 1)))
    assert model.layers[0].mean.size == model.layers[0].deviation.size == 1


def test_a_regression_predicts_in_the_unit_of_the_target():
    data = examples(task="regression")
    model, _ = build("mlp", data)
    assert kinds(model)[-2:] == [Dense, Rescaling]
    assert model.layers[-1].scale == pytest.approx(data.y_train.std(dtype=float))
    assert model.layers[-1].offset == pytest.approx(data.y_train.mean(dtype=float))


def test_a_constant_target_of_a_regression_is_no_division_by_zero():
    x = np.ones((4, 2), np.float32)
    y = np.full(4, 7.0, np.float32)
    model, _ = build("mlp", Dataset("flat", "regression", (x, y), (x, y)))
    assert (model.layers[-1].scale, model.layers[-1].offset) == (1.0, 7.0)


@pytest.mark.parametrize(("size", "second"), [(28, (None, 14, 14, 16)), (8, (None, 4, 4, 16))])
def test_lenet_fits_large_and_small_images(size, second):
    model, _ = build("lenet5", examples((size, size, 1)))
    expected = [Normalization, Conv2D, MaxPool2D, Conv2D, MaxPool2D, Flatten, Dense, Dense, Dense]
    assert kinds(model) == expected
    assert [layer.units for layer in model.layers if isinstance(layer, Dense)] == [120, 84, 3]
    inner = model.network.calls[3].outputs[0].shape
    assert inner == (second if size == 8 else (None, 10, 10, 16))


def test_lenet_needs_images():
    with pytest.raises(DataError) as error:
        build("lenet5", examples())
    assert str(error.value) == (
        "lenet5 takes images [height, width, channel], but a sample of 'toy' has the shape [4].\nHint: use --model mlp"
    )


def test_unknown_models_get_the_nearest_spelling():
    with pytest.raises(ConfigurationError) as error:
        build("lenet", examples())
    assert str(error.value) == (
        "Unknown model 'lenet'; known are: a path ending in .toml, lenet5, mlp.\nHint: did you mean 'lenet5'?"
    )


@pytest.mark.parametrize(
    ("count", "epochs", "batch_size", "patience"),
    [(999, 200, 16, 30), (1000, 40, 32, 10), (19_999, 40, 32, 10), (20_000, 10, 128, 3)],
)
def test_the_length_of_training_follows_from_the_number_of_samples(count, epochs, batch_size, patience):
    assert preferred(count) == TrainingOptions(epochs, batch_size, 0.001, "adam", patience)


def test_options_that_are_given_win():
    mine = TrainingOptions(epochs=5, patience=0)
    theirs = TrainingOptions(epochs=1, batch_size=2, patience=3)
    assert mine.over(theirs) == TrainingOptions(epochs=5, batch_size=2, patience=0)


def test_optimisers_are_made_by_name():
    assert repr(make_optimizer("momentum", 0.5)) == "Momentum(learning_rate=0.5)"
    assert repr(make_optimizer("nadam", None)) == "Nadam()"
    with pytest.raises(ConfigurationError, match="did you mean 'adam'"):
        make_optimizer("adaam", None)


@pytest.mark.parametrize(
    ("task", "loss", "metrics"),
    [
        ("classification", "CategoricalCrossentropy()", ["accuracy"]),
        ("regression", "MeanSquaredError()", ["mae", "r2"]),
    ],
)
def test_loss_and_metrics_follow_from_the_task(task, loss, metrics):
    data = examples(task=task)
    model, options = build("mlp", data)
    compile_for(model, data, options, None)
    assert repr(model.objective.losses[0]) == loss
    assert [metric.label for metric in model.objective.metrics[0]] == metrics


# TOML.


def test_a_recipe_lists_the_hidden_layers(recipe):
    path = recipe(
        """
        [model]
        layers = [
            { layer = "Dense", units = 7, activation = "relu" },
            { layer = "Dropout", rate = 0.25 },
        ]
        [training]
        epochs = 3
        optimizer = "sgd"
        """
    )
    model, options = build(str(path), examples((2, 3)))
    assert kinds(model) == [Normalization, Flatten, Dense, Dropout, Dense]
    assert model.layers[2].units == 7
    assert options == TrainingOptions(3, 16, 0.001, "sgd", 30)


def test_a_recipe_for_images_is_flattened_at_the_end(recipe):
    path = recipe('[model]\nlayers = [{ layer = "Conv2D", filters = 2, kernel_size = 3 }]')
    model, _ = build(str(path), examples((8, 8, 1)))
    assert kinds(model) == [Normalization, Conv2D, Flatten, Dense]


ONE = '[model]\nlayers = [{ layer = "Dense", units = 3 }]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model\n", "The recipe {path} is not TOML: "),
        ("[modell]\n", "{path}: unknown table [modell]; a recipe has [model] and [training]."),
        ("model = 3", "{path}: model must be a table, not 3."),
        (ONE + "[[training]]", "{path}: training must be a table, not [{{}}]."),
        ("", "{path}: [model] needs layers = ["),
        ("[model]\nlayers = []", "{path}: [model] needs layers = ["),
        ("[model]\nlayers = [3]", "{path}: layer 1 is 3, not a table with the key 'layer'."),
        (
            "[model]\nlayers = [{ units = 3 }]",
            "{path}: layer 1 is {{'units': 3}}, not a table with the key 'layer'.",
        ),
        ("[model]\nlayers = [{ layer = [1] }]", "{path}: layer 1 is {{'layer': [1]}}, not a table with the key"),
        ('[model]\nlayers = [{ layer = "Dens" }]', "Unknown layer in {path} 'Dens'; known are: Activation, "),
        (
            '[model]\nlayers = [{ layer = "Dense", units = 3 }, { layer = "Dropout", rate = 2 }]',
            "{path}: layer 2: Dropout: rate must be a number in [0, 1), not 2.",
        ),
        (
            '[model]\nlayers = [{ layer = "Dense", unit = 3 }]',
            "{path}: layer 1: Dense has no argument 'unit'; it takes: units, activation, ",
        ),
        ('[model]\nlayers = [{ layer = "Dense" }]', "{path}: layer 1: Dense: "),
        (ONE + "[training]\nepoch = 3", "Unknown training option in {path} 'epoch'; known are: batch_size, epochs, "),
        (ONE + '[training]\npatience = "long"', "{path}: patience must be a whole number, not 'long'."),
    ],
)
def test_what_is_no_recipe_is_named(recipe, text, message):
    path = recipe(text)
    with pytest.raises(ConfigurationError) as error:
        read_recipe(path)
    assert str(error.value).startswith(message.format(path=path))


def test_a_recipe_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigurationError) as error:
        read_recipe(tmp_path / "none.toml")
    assert str(error.value) == f"The recipe {tmp_path / 'none.toml'} cannot be read: No such file or directory."
    (tmp_path / "latin.toml").write_bytes(b'x = "\xe4"')
    with pytest.raises(ConfigurationError, match="is not TOML"):
        read_recipe(tmp_path / "latin.toml")
