"""The topology of models: sharing, several inputs and outputs, nesting, order, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.nn.pulling import draws

from pellucid import Model, Sequential, set_seed
from pellucid.errors import ConfigurationError, DataError, NotBuiltError
from pellucid.nn import Activation, Add, Concatenate, Dense, Input, Layer
from pellucid.optim import SGD

X = draws(6, 4).astype("float32")


def dense(layer: Dense, x: np.ndarray) -> np.ndarray:
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def test_a_shared_layer_has_one_set_of_parameters_and_one_gradient() -> None:
    shared = Dense(3, use_bias=False)
    a, b = Input((4,), name="a", dtype="float64"), Input((4,), name="b", dtype="float64")
    model = Model([a, b], Add()(shared(a), shared(b)))
    assert model.count_parameters() == 12
    assert len(model.network.calls) == 3
    assert model.layers[0] is shared
    kernel = shared.kernel.numpy().copy()
    u, v, y = draws(5, 4), draws(5, 4, seed=1), draws(5, 3, seed=2)
    model.compile(loss="sse", optimizer=SGD(0.1))
    model.train_on_batch([u, v], y)
    error = (u + v) @ kernel - y
    np.testing.assert_allclose(shared.kernel, kernel - 0.1 * 2 * (u + v).T @ error, rtol=1e-10)


def test_a_layer_applied_to_its_own_output_is_recurrent() -> None:
    layer = Dense(4)
    x = Input((4,))
    model = Model(x, layer(layer(x)))
    np.testing.assert_allclose(model.predict(X), dense(layer, dense(layer, X)), rtol=1e-5, atol=1e-6)
    assert model.count_parameters() == 20


def test_several_inputs_and_outputs_have_names_and_orders() -> None:
    a, b = Input((4,), name="a"), Input((2,), name="b")
    joined = Concatenate()(a, b)
    model = Model([a, b], [Dense(1, name="price")(joined), Dense(3, name="kind")(joined)])
    assert model.output_names == ("price", "kind")
    assert [s.name for s in model.inputs] == ["a", "b"]
    second = draws(6, 2, seed=3)
    price, kind = model.predict([X, second])
    by_name = model.predict({"b": second, "a": X})
    assert (price.shape, kind.shape) == ((6, 1), (6, 3))
    np.testing.assert_array_equal(by_name[0], price)
    np.testing.assert_array_equal(by_name[1], kind)


def test_two_outputs_of_one_layer_are_numbered() -> None:
    layer = Dense(2, name="head")
    a, b = Input((4,)), Input((4,))
    assert Model([a, b], [layer(a), layer(b)]).output_names == ("head", "head_2")


def test_an_input_can_be_an_output() -> None:
    x = Input((4,), name="raw")
    model = Model(x, [x, Dense(2)(x)])
    assert model.output_names == ("raw", "dense")
    np.testing.assert_array_equal(model.predict(X)[0], X)


def test_residual_connections_add_their_input() -> None:
    inner = Dense(4, activation="tanh")
    x = Input((4,))
    model = Model(x, x + inner(x))
    np.testing.assert_allclose(model.predict(X), X + np.tanh(dense(inner, X)), rtol=1e-5, atol=1e-6)


def test_a_deep_residual_network_is_ordered_without_recursion() -> None:
    x = Input((4,))
    y = x
    for _ in range(600):
        y = y + x
    network = Model(x, y).network
    assert len(network.calls) == 600
    np.testing.assert_allclose(network.run([X])[0], 601 * X, rtol=1e-4)


def test_calls_run_after_what_they_need() -> None:
    x = Input((4,))
    first = Dense(3, name="first")(x)
    second = Dense(3, name="second")(first)
    model = Model(x, Add()(second, first))
    assert [layer.label for layer in model.layers] == ["first", "second", "add"]


def test_layers_off_the_path_are_left_out() -> None:
    x = Input((4,))
    used, unused = Dense(2, name="used"), Dense(2, name="unused")
    y = used(x)
    unused(x)
    assert Model(x, y).layers == [used]


def test_models_nest_in_sequential_models() -> None:
    encoder = Sequential([Dense(3, activation="tanh"), Dense(2)], name="encoder")
    model = Sequential([Input((4,)), encoder, Dense(1)])
    assert list(model.get_weights()) == [
        "encoder.dense.kernel", "encoder.dense.bias", "encoder.dense_1.kernel", "encoder.dense_1.bias",
        "dense.kernel", "dense.bias",
    ]  # fmt: skip
    np.testing.assert_allclose(model.predict(X), dense(model.layers[1], encoder.predict(X)), rtol=1e-5, atol=1e-6)


def test_a_nested_model_is_trained_with_the_outer_one() -> None:
    set_seed(0)
    encoder = Sequential([Input((4,)), Dense(3)], name="encoder")
    before = encoder.layers[0].kernel.numpy().copy()
    outer = Sequential([encoder, Dense(1)])
    outer.compile(loss="mse", optimizer=SGD(0.1))
    outer.fit(X, draws(6, 1, seed=4), epochs=2, verbose=0)
    assert not np.array_equal(encoder.layers[0].kernel, before)


@pytest.mark.parametrize("as_list", [True, False])
def test_models_of_several_inputs_nest_and_run_on_lists_or_arguments(as_list: bool) -> None:
    a, b = Input((4,)), Input((4,))
    inner = Model([a, b], Dense(2)(Add()(a, b)), name="inner")

    def call(*values: Any) -> Any:
        return inner(list(values)) if as_list else inner(*values)

    c, d = Input((4,)), Input((4,))
    outer = Model([c, d], Activation("tanh")(call(c, d)))
    expected = dense(inner.layers[1], X + 2 * X)
    np.testing.assert_allclose(outer.predict([X, 2 * X]), np.tanh(expected), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(call(X, 2 * X), expected, rtol=1e-4, atol=1e-5)


def test_a_nested_model_of_several_outputs_gives_several_symbols() -> None:
    a = Input((4,))
    inner = Model(a, [Dense(2, name="p")(a), Dense(3, name="q")(a)])
    x = Input((4,))
    p, q = inner(x)
    assert (p.shape, q.shape) == ((None, 2), (None, 3))
    assert Model(x, Concatenate()(q, p)).predict(X).shape == (6, 5)


def test_a_submodel_can_end_at_a_hidden_layer() -> None:
    x = Input((4,))
    hidden = Dense(3, activation="relu")(x)
    model = Model(x, Dense(2)(hidden))
    features = Model(x, hidden)
    assert features.predict(X).shape == (6, 3)
    np.testing.assert_allclose(dense(model.layers[1], features.predict(X)), model.predict(X), rtol=1e-5, atol=1e-6)


def expect(make: Any, message: str, error: type = ConfigurationError) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_an_output_that_needs_a_missing_input_is_refused() -> None:
    a, b = Input((3,), name="a"), Input((3,), name="b")
    expect(
        lambda: Model(a, Add()(a, b)),
        "The outputs need Symbol(float32[?, 3] input 'b'), which is not among the model's inputs.\n"
        "Hint: list every Input(...) in Model(inputs=[...], outputs=...)",
    )


def test_inputs_of_one_name_are_refused() -> None:
    a, b = Input((3,), name="a"), Input((3,), name="a")
    expect(lambda: Model([a, b], Add()(a, b)), "Two inputs have the same name: ['a', 'a'].")


def test_a_model_of_numbers_is_refused() -> None:
    expect(
        lambda: Model(3, 4),  # type: ignore[arg-type]
        "Model takes symbols, not 3.\nHint: start with x = Input(shape) and call layers on it",
    )


def test_a_wrong_number_of_inputs_is_explained() -> None:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    model = Model([a, b], Add()(a, b))
    message = "The model has 2 inputs ('a', 'b'), but was given 1."
    expect(lambda: model(X), message)
    expect(lambda: model([X]), message)
    expect(lambda: model(Input((4,))), message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Sequential(Dense(3)),
            "Sequential takes a list of layers, not Dense(units=3).\nHint: write [...] around it",
        ),
        (lambda: Sequential([Dense(3), Input((4,))]), "Sequential: Input(...) can only come first."),
        (lambda: Sequential([Input((4,)), Input((4,))]), "Sequential: Input(...) can only come first."),
        (lambda: Sequential([Dense(2)(Input((3,)))]), "Sequential: Input(...) can only come first."),
        (lambda: Sequential([Dense]), "Sequential: Dense is a class.\nHint: write Dense(...)"),
        (
            lambda: Sequential(["relu"]),
            "Sequential takes layers, not 'relu'.\nHint: wrap a function in Lambda(f) or Activation(f)",
        ),
        (
            lambda: Sequential([Input((3,)), Dense(3)]).add(Dense(2)),
            "Sequential: the model is built; no layer can be added any more.",
        ),
        (
            lambda: Sequential([layer := Dense(3), layer]),
            "Sequential: the layer 'dense' occurs twice.\nHint: share layers in a functional Model",
        ),
    ],
)
def test_misuse_of_sequential_is_explained(make: Any, message: str) -> None:
    expect(make, message)


def test_a_sequential_model_without_layers_or_shape_says_what_is_missing() -> None:
    expect(
        lambda: Sequential([]).predict(X),
        'The model "sequential" has no layers.\nHint: add layers first',
        NotBuiltError,
    )
    expect(
        lambda: Sequential([Dense(2)], name="m").summary(show=False),
        'The model "m" does not know the shape of its input yet.\n'
        "Hint: begin it with Input(shape), call build(shape), or fit it",
        NotBuiltError,
    )
    expect(
        lambda: Sequential([Dense(2)]).predict(np.ones(3)),
        "x has shape [3], but a batch of samples has at least 2 axes [sample, features].\n"
        "Hint: one feature per sample still needs an axis: x[:, None]",
        DataError,
    )


def test_a_sequential_model_takes_the_shape_of_its_first_data() -> None:
    model = Sequential()
    model.add(Dense(3))
    model.add(Dense(2))
    assert model.predict(X).shape == (6, 2)
    assert [layer.kernel.shape for layer in model.layers] == [(4, 3), (3, 2)]


def test_an_input_takes_the_precision_of_a_sequential_model() -> None:
    model = Sequential([Input((1,)), Activation("linear")], dtype="float64")
    third = np.array([[1 / 3]])
    assert model.predict(third).tolist() == third.tolist()


def test_a_sequential_model_of_user_defined_layers_asks_for_the_right_layer() -> None:
    class Plain(Layer):
        def call(self, x: Any) -> Any:
            return x

    model = Sequential([Input((4,)), Plain(), Dense(2)])
    assert [layer.label for layer in model.layers] == ["plain", "dense"]
    expect(
        lambda: model.get_layer("dens"),
        "Unknown layer 'dens'; known are: dense, plain.\nHint: did you mean 'dense'?",
    )
