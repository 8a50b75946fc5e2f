import numpy as np
import pytest

from pellucid import Input, Sequential, set_seed
from pellucid.errors import ConfigurationError, NotBuiltError
from pellucid.nn import Dense, Embedding, Flatten


def test_the_first_data_give_the_shape():
    model = Sequential([Dense(3), Dense(2)])
    assert not model.built
    assert model.predict(np.zeros((5, 4))).shape == (5, 2)
    assert model.get_layer("dense").kernel.shape == (4, 3)


def test_building_late_gives_the_parameters_of_building_early():
    set_seed(0)
    early = Sequential([Input((4,)), Dense(3), Dense(2)])
    set_seed(0)
    late = Sequential([Dense(3), Dense(2)])
    late.build((None, 4))
    for name, value in early.get_weights().items():
        assert np.array_equal(value, late.get_weights()[name])


def test_layers_can_be_added_until_the_model_is_built():
    model = Sequential()
    model.add(Input((2,)))
    model.add(Dense(3))
    model.add(Dense(1))
    assert model.predict([[1.0, 2.0]]).shape == (1, 1)
    with pytest.raises(ConfigurationError) as error:
        model.add(Dense(1))
    assert str(error.value) == "Sequential: the model is built; no layer can be added any more."


def test_what_cannot_be_added_is_named():
    shared = Dense(3)
    for layers, text in [
        ([Dense], "Sequential: Dense is a class.\nHint: write Dense(...)"),
        ([abs], "Sequential takes layers, not <built-in function abs>.\nHint: wrap a function in Lambda(f) or"),
        ([Dense(3), Input((2,))], "Sequential: Input(...) can only come first."),
        ([Input((2,)), Input((2,))], "Sequential: Input(...) can only come first."),
        ([shared, shared], "Sequential: the layer 'dense' occurs twice.\nHint: share layers in a functional Model"),
        (Dense(3), "Sequential takes a list of layers, not Dense(units=3).\nHint: write [...] around it"),
    ]:
        with pytest.raises(ConfigurationError) as error:
            Sequential(layers)
        assert str(error.value).startswith(text)


def test_a_model_without_layers_cannot_be_built():
    with pytest.raises(NotBuiltError) as error:
        Sequential().predict([[1.0]])
    assert str(error.value) == 'The model "sequential" has no layers.\nHint: add layers first'


def test_a_model_inside_of_a_model_is_built_with_it():
    inner = Sequential([Dense(3), Dense(4)], name="inner")
    model = Sequential([inner, Dense(2)])
    model.compile("mse", "adam")
    model.fit(np.ones((2, 5)), np.ones((2, 2)), verbose=0)
    assert sorted(model.get_weights()) == [
        "dense.bias",
        "dense.kernel",
        "inner.dense.bias",
        "inner.dense.kernel",
        "inner.dense_1.bias",
        "inner.dense_1.kernel",
    ]
    assert inner.predict(np.ones((1, 5))).shape == (1, 4)


def test_integers_are_the_input_of_an_embedding_that_comes_first():
    model = Sequential([Embedding(5, 2), Flatten(), Dense(1)], dtype="float64")
    assert model.predict([[0, 4]]).dtype == np.float64
    assert model.input_dtypes == (np.dtype("int32"),)


def test_losses_may_be_named_by_output_before_the_model_is_built():
    model = Sequential([Dense(2, name="out")])
    model.compile({"out": "mse"}, metrics={"out": ["mae"]})
    assert list(model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0).history) == ["loss", "mae"]
    wrong = Sequential([Dense(2, name="out")])
    wrong.compile({"output": "mse"})
    with pytest.raises(ConfigurationError, match=r"loss has the keys \['output'\], but the outputs are \['out'\]"):
        wrong.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)


def test_a_subclass_without_settings_is_made_like_its_base():
    class Mine(Sequential):
        pass

    model = Mine([Input((2,)), Dense(3, name="only")])
    assert [layer.label for layer in model.layers] == ["only"]
    assert repr(Mine([Input((2,))], name="own")).startswith("Mine('own'")
