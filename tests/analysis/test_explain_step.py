"""Explanations give the lectures' numbers for the lectures' examples, and training's own numbers for models."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from pellucid import Input, Model, Sequential, Tensor, errors, nn, ops, optim, set_seed
from pellucid.analysis import Explanation, explain
from pellucid.nn.activations import ACTIVATIONS
from pellucid.op import REGISTRY

RNG = np.random.default_rng(0)


def network(*layers, shape=(4,), loss="mse", optimizer=None, dtype="float64"):
    """A compiled model of layers in a row."""
    set_seed(1)
    model = Sequential([Input(shape), *layers], dtype=dtype)
    model.compile(loss=loss, optimizer=optimizer or optim.SGD(0.1), backend="reference")
    return model


def assert_same_step(model, x, y, seed=3, **more):
    """The explained step is the one that training makes; the explanation."""
    found = explain(model, x, y, seed=seed, **more)
    before = model.get_weights()
    logs = model.train_on_batch(x, y, *more.values(), seed=seed)
    assert float(found.value) == pytest.approx(logs["loss"], rel=1e-6)
    after = model.get_weights()
    assert set(found.updated) >= {name for name in after if not np.array_equal(before[name], after[name])}
    for name, value in found.updated.items():
        assert value.dtype == after[name].dtype
        np.testing.assert_allclose(value, after[name], rtol=1e-6, atol=1e-9, err_msg=name)
    for detail in found.rows:
        for text in (found.to_text(detail), found.to_html(detail), found.to_latex(detail), found.to_dot(detail)):
            assert text
        assert latex_is_balanced(found.to_latex(detail))
    return found


def latex_is_balanced(text):
    """Whether braces, environments and lines of matrices close."""
    plain = text.replace(r"\{", "").replace(r"\}", "")
    begun, ended = re.findall(r"\\begin\{(\S+?)\}", plain), re.findall(r"\\end\{(\S+?)\}", plain)
    depth = 0
    for letter in plain:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert not re.search(r"\^\{[^{}]*\}\^|_\{[^{}]*\}_", plain), "LaTeX refuses a double superscript or subscript"
    return depth == 0 and sorted(begun) == sorted(ended) and not re.search(r"(?<!\\)[%#$]", plain)


# The lectures' examples.


def test_buying_apples():
    found = explain(lambda apple, number, tax: apple * number * tax, 100, 3, 1.1)
    assert float(found.value) == pytest.approx(330)
    assert found.gradients == {"apple": pytest.approx(3.3), "number": pytest.approx(110), "tax": pytest.approx(300)}
    assert found.row("v1").formula == "v1 = apple * number"
    assert float(found.row("v1").value) == 300
    assert [(s.operand, float(s.value)) for s in found.row("out").slopes] == [("v1", 1.1), ("tax", 300)]
    assert found.edges() == [("apple", "v1"), ("number", "v1"), ("v1", "out"), ("tax", "out")]
    assert str(found).startswith("f(apple, number, tax) = 330\n")


@pytest.mark.parametrize("a", [3.0, -0.5])
def test_the_chain_rule_on_c_of_b_of_a(a):
    found = explain(lambda a: (2 * a) ** 2, a)
    assert found.gradients == {"a": pytest.approx(8 * a)}
    (of_b,), (of_a,) = found.row("out").slopes, found.row("v1").slopes
    assert (float(of_b.value), float(of_a.value)) == (pytest.approx(2 * (2 * a)), 2)


def test_the_linear_graph_of_deck_003():
    found = explain(lambda x, y, z: 4 * (x + y * z), 5, 3, 2)
    assert (float(found.value), found.gradients) == (44, {"x": 4, "y": 8, "z": 12})


def test_the_example_of_two_weights():
    def loss(w1, w2):
        a = w2 * 3
        return (w1 + w2 + a - 17) ** 2  # y_hat = 14 at the deck's numbers

    found = explain(loss, 2, 3)
    assert found.gradients == {"w1": pytest.approx(-6), "w2": pytest.approx(-24)}


def test_the_forward_example_of_deck_001():
    found = explain(lambda W, x, b: ops.sigmoid(W @ x + b), [[1, -2], [-1, 1]], [1, -1], [1, 0])
    np.testing.assert_allclose(found.value, [0.98, 0.12], atol=0.005)
    np.testing.assert_allclose(found.row("v4").value, [4, -2])
    assert "sum of all elements" in found.notes[0]


# Functions.


def test_tensors_that_a_function_uses_are_explained_too():
    w = Tensor(np.array([2.0, 3.0]), requires_grad=True, name="w")
    found = explain(lambda x: (x * w).sum(), [1.0, 5.0])
    np.testing.assert_allclose(found.gradients["w"], [1, 5])


def test_what_cannot_be_explained_is_refused():
    with pytest.raises(errors.ConfigurationError, match="returns 2 results"):
        explain(lambda x: (x, x), 1.0)
    with pytest.raises(errors.ConfigurationError, match="takes a model or a function of tensors, not int"):
        explain(3, 1.0)
    with pytest.raises(errors.ConfigurationError, match="1 arguments but 2 names"):
        explain(lambda x: x * x, 1.0, names=["a", "b"])
    with pytest.raises(errors.ConfigurationError, match=r"takes x and y, but was given 1 argument\."):
        explain(network(nn.Dense(1)), np.ones((2, 4)))
    found = explain(lambda x: x * x, 1.0)
    with pytest.raises(errors.ConfigurationError, match="Unknown level of detail 'layers'"):
        found.to_text("layers")
    with pytest.raises(errors.ConfigurationError, match="did you mean 'out'"):
        found.row("ouut")
    with pytest.raises(errors.NotBuiltError, match="not compiled"):
        explain(Sequential([Input((2,)), nn.Dense(1)]), np.ones((1, 2)), [1])


def test_a_layer_is_a_function_too():
    layer = nn.Dense(2, activation="tanh")
    found = explain(layer, np.ones((1, 3), "float32"))
    assert set(found.gradients) == {"x1", "dense.kernel", "dense.bias"}


def test_labels_stay_whole_numbers():
    found = explain(lambda z, y: ops.cross_entropy(ops.log_softmax(z), y).sum(), np.ones((2, 3)), np.array([0, 2]))
    np.testing.assert_allclose(found.gradients["z"], (np.full((2, 3), 1 / 3) - np.eye(3)[[0, 2]]))
    assert set(found.gradients) == {"z"}


# Models.


def test_a_network_in_the_lectures_notation():
    model = network(
        nn.Dense(5, activation="sigmoid"), nn.Dense(3, activation="softmax"), loss="categorical_crossentropy"
    )
    x, y = RNG.normal(size=(6, 4)), RNG.integers(0, 3, 6)
    found = assert_same_step(model, x, y)
    forward = [row.formula for row in found.table() if row.phase == "forward" and row.formula]
    assert forward == ["z^1 = W^1 a^0 + b^1", "a^1 = sigma(z^1)", "z^2 = W^2 a^1 + b^2", "a^2 = softmax(z^2)"]
    assert [row.formula for row in found.table() if row.phase == "backward"] == [
        "delta^2 = (y_hat - y) / N", "dL/dW^2 = delta^2 (a^1)^T", "dL/db^2 = delta^2",
        "delta^1 = sigma'(z^1) * (W^2)^T delta^2", "dL/dW^1 = delta^1 (a^0)^T", "dL/db^1 = delta^1",
    ]  # fmt: skip
    assert found.row("W^1").phase == "forward"
    assert next(row.formula for row in found.table() if row.phase == "update") == "W^1 <- W^1 - eta dL/dW^1"


def test_every_formula_of_the_layers_holds_for_its_numbers():
    model = network(
        nn.Dense(5, activation="sigmoid"), nn.Dense(3, activation="softmax"), loss="categorical_crossentropy"
    )
    x, y = RNG.normal(size=(6, 4)), RNG.integers(0, 3, 6)
    found = explain(model, x, y)
    value = {row.name: row.value for row in reversed(found.table()) if row.phase != "update"}
    new = {row.name: row.value for row in found.table() if row.phase == "update"}
    np.testing.assert_allclose(value["z^1"], x @ value["W^1"] + value["b^1"])
    np.testing.assert_allclose(value["a^1"], 1 / (1 + np.exp(-value["z^1"])))
    np.testing.assert_allclose(value["L"], -np.log(value["a^2"][np.arange(6), y]).mean())
    np.testing.assert_allclose(value["delta^2"], (value["a^2"] - np.eye(3)[y]) / 6)
    (slope,) = found.row("a^1").slopes
    np.testing.assert_allclose(slope.value, value["a^1"] * (1 - value["a^1"]))
    np.testing.assert_allclose(value["delta^1"], slope.value * (value["delta^2"] @ value["W^2"].T))
    np.testing.assert_allclose(value["dL/dW^1"], x.T @ value["delta^1"])
    np.testing.assert_allclose(value["dL/db^1"], value["delta^1"].sum(0))
    np.testing.assert_allclose(new["W^1"], value["W^1"] - 0.1 * value["dL/dW^1"])


MODELS = {
    "convolution": ([nn.Conv2D(3, 3, activation="relu"), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(2)], (6, 6, 1)),
    "average pooling": ([nn.Conv2D(3, 3), nn.AvgPool2D(2), nn.GlobalAveragePool(), nn.Dense(2)], (6, 6, 1)),
    "dropout": ([nn.Dense(8, activation="relu"), nn.Dropout(0.5), nn.Dense(2)], (4,)),
    "batch norm": ([nn.Dense(5), nn.BatchNorm(), nn.Activation("tanh"), nn.Dense(2)], (4,)),
    "layer norm": ([nn.Dense(5), nn.LayerNorm(), nn.LeakyReLU(), nn.Dense(2)], (4,)),
    "rnn": ([nn.SimpleRNN(3), nn.Dense(2)], (3, 2)),
    "lstm": ([nn.LSTM(3), nn.Dense(2)], (3, 2)),
    "gru": ([nn.GRU(3), nn.Dense(2)], (3, 2)),
    "lambda": ([nn.Dense(3), nn.Lambda(lambda x: ops.sin(x)), nn.Dense(2)], (4,)),
    "activation layers": ([nn.Dense(3), nn.Activation("sigmoid"), nn.Dense(3), nn.Softmax()], (4,)),
    "frozen": ([nn.Dense(3, trainable=False), nn.Dense(2)], (4,)),
    "reshapes": ([nn.Rescaling(0.5), nn.Reshape((2, 2)), nn.Flatten(), nn.Normalization(), nn.Dense(2)], (4,)),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_layer(name):
    layers, shape = MODELS[name]
    model = network(*layers, shape=shape)
    found = assert_same_step(model, RNG.normal(size=(5, *shape)), RNG.normal(size=(5, *model.outputs[0].sample_shape)))
    labels = {layer.label for layer in model.layers}
    assert labels <= {row.layer for row in found.table()} | {"reshape"}
    for row in found.table("operations"):
        assert row.value.dtype == bool or np.isfinite(row.value).all()
        assert row.gradient is None or row.gradient.shape == row.shape


def test_the_gradient_before_a_flatten_is_known_too():
    model = network(nn.Conv2D(2, 3), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(1), shape=(6, 6, 1))
    found = explain(model, RNG.normal(size=(3, 6, 6, 1)), RNG.normal(size=3))
    np.testing.assert_array_equal(found.row("max_pool2d").gradient.reshape(3, -1), found.row("flatten").gradient)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_derivative_of_every_activation(activation):
    model = network(nn.Dense(3, activation=activation), nn.Dense(1))
    found = explain(model, RNG.normal(size=(5, 4)), RNG.normal(size=5))
    if activation in ("linear", "softmax"):
        return
    (slope,) = found.row("a^1").slopes
    assert slope.formula
    z, eps = found.row("z^1").value, 1e-6
    f = ACTIVATIONS[activation]
    numerical = (np.asarray(f(z + eps)) - np.asarray(f(z - eps))) / (2 * eps)
    np.testing.assert_allclose(slope.value, numerical, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("loss", ["mse", "sse", "mae", "huber", "hinge", "poisson", "binary_crossentropy"])
def test_every_loss(loss):
    last = {"poisson": "softplus", "binary_crossentropy": "sigmoid"}.get(loss)
    model = network(nn.Dense(3, activation="tanh"), nn.Dense(1, activation=last), loss=loss)
    found = assert_same_step(model, RNG.normal(size=(6, 4)), np.array([0, 1, 1, 0, 1, 0]))
    expected = {
        "binary_crossentropy": "(y_hat - y) / N",
        "mse": "2 (y_hat - y) / (K N)",
        "sse": "2 (y_hat - y)",
        "mae": "sign(y_hat - y) / (K N)",
        "poisson": "softplus'(z^2) * dL/da^2",
    }
    assert found.row("delta^2").formula == f"delta^2 = {expected.get(loss, 'dL/dz^2')}"


@pytest.mark.parametrize(
    "optimizer",
    [optim.Momentum(), optim.Adagrad(), optim.RMSProp(), optim.Adadelta(), optim.Adam(), optim.AdamW(), optim.Nadam(),
     optim.SGD(0.1, clip_norm=0.1, weight_decay=0.1)],
    ids=repr,
)  # fmt: skip
def test_every_optimiser_in_its_second_step_too(optimizer):
    model = network(nn.Dense(3, activation="tanh"), nn.Dense(2), optimizer=optimizer)
    for _ in range(2):
        found = assert_same_step(model, RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2)))
    assert any("<-" in row.formula for row in found.table())


def test_several_inputs_and_outputs_shared_layers_and_embeddings():
    set_seed(2)
    tokens, b = Input((4,), dtype="int32", name="tokens"), Input((2,), name="b")
    shared = nn.Dense(3, activation="tanh", name="shared")
    u = shared(nn.GlobalAveragePool()(nn.Embedding(7, 2)(tokens)))
    both = nn.Concatenate()(u, shared(b))
    model = Model([tokens, b], [nn.Dense(1, name="price")(both), nn.Dense(3, activation="softmax", name="kind")(both)])
    model.compile(loss={"price": "mse", "kind": "categorical_crossentropy"}, optimizer="adam", backend="reference")
    x = [RNG.integers(0, 7, (5, 4)), RNG.normal(size=(5, 2))]
    found = assert_same_step(model, x, [RNG.normal(size=5), RNG.integers(0, 3, 5)])
    assert {"tokens", "b", "L", "dL/dembedding.embeddings"} <= {row.name for row in found.table()}
    assert "L_price" in found.row("L").formula


def test_sample_weights_and_penalties():
    model = network(nn.Dense(3, kernel_regularizer="l2"), nn.Dense(1))
    found = assert_same_step(model, RNG.normal(size=(5, 4)), RNG.normal(size=5), sample_weight=RNG.random(5))
    assert found.row("L").formula.endswith("penalties of the weights")


def test_single_precision_stays_single():
    found = assert_same_step(network(nn.Dense(3), nn.Dense(1), dtype="float32"), RNG.normal(size=(5, 4)), RNG.random(5))
    assert {row.value.dtype for row in found.table()} == {np.dtype("float32")}


def test_explaining_changes_nothing():
    model = network(nn.Dense(3), nn.BatchNorm(), nn.Dense(1), optimizer="adam")
    before = model.get_weights()
    explain(model, RNG.normal(size=(5, 4)), RNG.random(5))
    assert all(np.array_equal(before[name], value) for name, value in model.get_weights().items())
    assert model.optimizer.iterations == 0


def test_a_network_for_mnist_stays_readable():
    layers = [nn.Dense(100, activation="sigmoid"), nn.Dense(10, activation="softmax")]
    model = network(*layers, shape=(784,), loss="categorical_crossentropy", dtype="float32")
    found = assert_same_step(model, RNG.random((32, 784)), RNG.integers(0, 10, 32))
    for detail in ("layers", "operations"):
        assert len(found.to_text(detail)) < 12_000
        assert len(found.to_html(detail)) < 60_000
        assert len(found.to_latex(detail)) < 30_000
        assert max(map(len, found.to_text(detail).splitlines())) < 260
    assert "[784, 100]: min" in found.to_text()
    assert r"\ddots" in found.to_latex()


# What it looks like.


def test_the_page_needs_nothing_else_and_escapes_names():
    model = network(nn.Dense(2, name="<b>&"), nn.Dense(1))
    page = explain(model, RNG.normal(size=(3, 4)), RNG.random(3)).to_html()
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"(src|href)=|@import|url\((?!#)", page)
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page
    assert explain(lambda x: x * x, 2.0)._repr_html_().count("<svg") == 1


def test_the_picture_is_drawn_on_the_axes_that_are_given():
    found = explain(lambda a, b: a * b + a, 2.0, 3.0)
    ax = Figure().add_subplot()
    assert found.plot(ax) is ax
    assert [text.get_text() for text in ax.texts if text.get_text()][:3] == ["a", "2", "gradient 4"]
    assert found.plot().figure is not ax.figure
    with pytest.raises(errors.ConfigurationError, match="ax must be Matplotlib axes, not str"):
        found.plot("axes")


def test_the_dot_text_has_every_node_and_edge():
    found = explain(lambda a, b: a * b, 2.0, 3.0)
    dot = found.to_dot()
    assert dot.count("->") == 2
    assert '"out" [label="out = a * b\\n6\\ngradient 1"];' in dot


def test_latex_of_the_apples():
    text = explain(lambda apple, number, tax: apple * number * tax, 100, 3, 1.1).to_latex()
    assert r"\text{out} &= v_{1} \odot\ \text{tax}" in text
    assert "&= 330" in text
    assert r"\frac{\partial \text{out}}{\partial \text{apple}} &= 3.3" in text


def test_every_operation_with_a_derivative_has_a_formula_for_it():
    from pellucid.analysis.explain_operations import LOCAL

    without = {name for name, op in REGISTRY.items() if op.vjp is not None} - set(LOCAL) - {"concatenate"}
    assert not without
    assert set(LOCAL) <= set(REGISTRY)


def test_an_explanation_is_what_it_says():
    assert isinstance(explain(lambda x: x * x, 2.0), Explanation)


# Networks in which formulas are easily wrong.


def numbers(found):
    """Name -> value of every row."""
    return {row.name: row.value for row in found.table()}


def test_a_shared_layer_has_one_matrix_whose_gradient_is_the_sum_over_its_calls():
    set_seed(0)
    a, b = Input((3,), "float64", "a"), Input((3,), "float64", "b")
    tower = nn.Dense(2, "tanh", name="tower")
    model = Model([a, b], nn.Dense(1)(nn.Subtract()(tower(a), tower(b))))
    model.compile("mse", backend="reference")
    found = assert_same_step(model, [RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))], RNG.normal(size=(5, 1)))
    given = numbers(found)
    assert found.row("z^2").formula == "z^2 = W^1 b + b^1"
    assert "W^2" not in given
    row = next(row for row in found.table() if row.name == "dL/dW^1")
    assert row.formula == "dL/dW^1 = delta^2 (b)^T + delta^1 (a)^T"
    np.testing.assert_allclose(row.value, given["b"].T @ given["delta^2"] + given["a"].T @ given["delta^1"])
    assert 'The layer "tower" is called 2 times, for l = 1, 2, with the weights W^1' in found.to_text()


def test_a_layer_that_is_called_twice_on_the_same_is_computed_once():
    set_seed(0)
    x, shared = Input((3,), "float64"), nn.Dense(3, "tanh")
    model = Model(x, [nn.Dense(1, name="one")(shared(x)), nn.Dense(1, name="two")(shared(shared(x)))])
    model.compile("mse", backend="reference")
    found = assert_same_step(model, RNG.normal(size=(4, 3)), [RNG.normal(size=(4, 1)), RNG.normal(size=(4, 1))])
    given = numbers(found)
    calls = [row.formula for row in found.table() if row.layer == "dense" and row.name.startswith("z")]
    assert calls == ["z^1 = W^1 a^0 + b^1", "z^3 = W^1 a^1 + b^1"]
    total = given["a^1"].T @ given["delta^3"] + given["a^0"].T @ given["delta^1"]
    np.testing.assert_allclose(given["dL/dW^1"], total)


@pytest.mark.parametrize("penalty", [nn.regularizers.L2(0.3), nn.regularizers.L1(0.2), nn.regularizers.L1L2(0.1, 0.2)])
def test_the_gradient_of_a_penalised_matrix_has_the_slope_of_the_penalty(penalty):
    model = network(nn.Dense(2, kernel_regularizer=penalty))
    found = assert_same_step(model, RNG.normal(size=(5, 4)), RNG.normal(size=(5, 2)))
    given, formula = numbers(found), next(r.formula for r in found.table() if r.name == "dL/dW^1")
    w = found.row("W^1").value
    slopes = {"L2": 0.3 * w, "L1": 0.2 * np.sign(w), "L1L2": 0.1 * np.sign(w) + 0.2 * w}
    written = {"L2": "0.3 W^1", "L1": "0.2 sign(W^1)", "L1L2": "0.1 sign(W^1) + 0.2 W^1"}
    kind = type(penalty).__name__
    assert formula == f"dL/dW^1 = delta^1 (a^0)^T + {written[kind]}"
    np.testing.assert_allclose(given["dL/dW^1"], given["a^0"].T @ given["delta^1"] + slopes[kind])


def test_weights_of_samples_and_of_losses_are_in_the_formulas():
    set_seed(0)
    x = Input((3,), "float64")
    model = Model(x, [nn.Dense(2, "softmax", name="kind")(x), nn.Dense(1, name="price (in $)")(x)])
    model.compile(["categorical_crossentropy", "mse"], loss_weights=[3, 0.25], backend="reference")
    y, s = [np.eye(2)[[0, 1, 1]], RNG.normal(size=(3, 1))], np.array([1.0, 2.0, 0.5])
    found = assert_same_step(model, RNG.normal(size=(3, 3)), y, sample_weight=s)
    given = {row.name: row for row in found.table()}
    assert given["delta^1"].formula == "delta^1 = 3 s (y_hat_kind - y_kind) / N"
    np.testing.assert_allclose(given["delta^1"].value, 3 * s[:, None] * (given["a^1"].value - y[0]) / 3)
    assert given["delta^2"].formula == "delta^2 = 0.5 s (y_hat_price_in - y_price_in) / (K N)"
    np.testing.assert_allclose(given["delta^2"].value, 0.5 * s[:, None] * (given["z^2"].value - y[1]) / 3)
    assert given["L"].formula.startswith("L = 3 L_kind + 0.25 L_price_in; L_kind = mean over the batch of s (-sum_k")


def test_predictions_at_positions_share_the_error():
    model = network(nn.Dense(3, "softmax"), shape=(5, 2), loss="sparse_categorical_crossentropy")
    y = RNG.integers(0, 3, (4, 5))
    found = assert_same_step(model, RNG.normal(size=(4, 5, 2)), y)
    row = next(row for row in found.table() if row.name == "delta^1")
    assert row.formula == "delta^1 = (y_hat - y) / (T N)"
    np.testing.assert_allclose(row.value, (found.row("a^1").value - np.eye(3)[y]) / (5 * 4))
    assert found.row("L").formula.startswith("L = mean over the batch and the positions of")


def test_frozen_batch_normalisation_takes_what_it_has():
    model = network(nn.Dense(3), nn.BatchNorm(trainable=False), nn.Dense(1))
    found = assert_same_step(model, RNG.normal(size=(4, 4)), RNG.normal(size=(4, 1)))
    assert found.row("batch_norm").formula.endswith("beta, mu and v as they have moved so far")


def test_names_with_signs_of_formulas_stay_one_word():
    model = network(nn.Flatten(name="a^b_c_d-<e>"), nn.Dense(2, "tanh", name="$%#"), optimizer=optim.RMSProp())
    found = assert_same_step(model, RNG.normal(size=(3, 4)), RNG.normal(size=(3, 2)))
    assert found.row("a_b_c_d_e").formula == "a_b_c_d_e = vec(a^0)"
    assert found.row("a^1").slopes[0].formula == "1 - (a^1)^2"


def test_a_result_that_needs_no_argument_has_the_gradient_0():
    found = explain(lambda a, b: a * a, 3.0, [1.0, 2.0])
    assert found.gradients["a"] == pytest.approx(6)
    np.testing.assert_array_equal(found.gradients["b"], [0.0, 0.0])
    assert found.row("b").gradient is not None
    assert explain(lambda a: Tensor(3.0), 2.0).gradients["a"] == 0


def test_where_nan_appears_first_is_said():
    model = network(nn.Dense(3, "relu"), nn.Dense(1))
    weights = model.get_weights()
    weights["dense_1.kernel"][2, 0] = np.nan
    model.set_weights(weights)
    text = explain(model, RNG.normal(size=(2, 4)), RNG.normal(size=(2, 1))).to_text()
    assert 'NaN or infinity appears first in W^2 of the layer "dense_1": 1 of 3 numbers.' in text
    assert "first in v1: 1 of 1 numbers" in explain(lambda a: ops.log(a) * 2, -1.0).to_text()


@pytest.mark.parametrize("argument", [{"a": 1.0}, "x", [[1.0], [1.0, 2.0]], 1j])
def test_arguments_that_are_no_numbers_are_refused(argument):
    with pytest.raises(errors.DataError, match="explain: an argument of a function must be numbers, not"):
        explain(lambda a: a, argument)


def test_there_is_no_negative_zero():
    assert "-0" not in explain(lambda a, b: a * b, -1.0, 0.0).to_text().replace("-0.", "")


def test_moving_statistics_do_not_go_into_the_output_of_a_training_step():
    model = Sequential([Input((3,)), nn.BatchNorm(), nn.Dense(2)])
    model.compile("mse")
    explanation = explain(model, np.eye(3), np.zeros((3, 2)))
    into = {source for source, name in explanation.edges() if name == "batch_norm"}
    assert into == {"a^0", "batch_norm.gamma", "batch_norm.beta"}


def test_infinity_is_named_as_nan_is():
    found = explain(lambda a: 1.0 + ops.exp(a), [1.0, 1e4])
    assert "NaN or infinity appears first in v1: 1 of 2 numbers." in found.notes


def test_powers_of_ten_are_written_as_such_in_latex():
    assert r"1.5 \cdot 10^{-12}" in explain(lambda a: a + 0.0, 1.5e-12).to_latex()


def test_the_gradient_before_flatten_is_the_one_behind_it():
    model = network(nn.Conv2D(2, 2, activation="tanh"), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(3), shape=(5, 5, 1))
    found = assert_same_step(model, RNG.normal(size=(2, 5, 5, 1)), RNG.normal(size=(2, 3)))
    behind, before = found.row("flatten").gradient, found.row("max_pool2d").gradient
    assert before.shape == (2, 2, 2, 2)
    np.testing.assert_array_equal(before.reshape(2, -1), behind)
    np.testing.assert_allclose(behind, found.row("delta^2").value @ found.row("W^2").value.T)


def test_the_weights_of_a_shared_layer_come_after_all_of_its_deltas():
    a, b = Input((3,)), Input((3,))
    shared = nn.Dense(2, "tanh", name="shared")
    model = Model([a, b], nn.Dense(1)(nn.Add()([shared(a), shared(b)])))
    model.compile("mse")
    names = [row.name for row in explain(model, [np.eye(3), np.ones((3, 3))], np.ones((3, 1))).table()]
    assert names.index("dL/dW^1") > max(names.index("delta^1"), names.index("delta^2"))
