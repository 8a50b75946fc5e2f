"""The printed NumPy code of a training step gives the numbers of the step itself."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid import Input, Model, Sequential, errors, nn, ops, optim, set_seed
from pellucid.nn import losses
from pellucid.nn.activations import ACTIVATIONS
from pellucid.train.source import StepSource

RNG = np.random.default_rng(0)


def compiled(text):
    """The functions of some printed code."""
    names = {"__name__": "printed"}
    exec(text, names)  # our own text
    return names


def assert_same_training(model, x, y, *, steps=3, seed=5, sample_weight=None, tolerance=1e-6):
    """Train the model and the printed code side by side, and compare losses and weights; the code."""
    text = model.source(y=y, sample_weight=sample_weight is not None)
    code = compiled(text)
    train = code["train_step"]
    wanted = inspect.signature(train).parameters
    p = model.get_weights()
    inputs, targets = model.checks().both(x, y)
    inputs = [a.astype(d) for a, d in zip(inputs, model.input_dtypes, strict=True)]
    batch = [*inputs, *targets, *([np.asarray(sample_weight, inputs[0].dtype)] if sample_weight is not None else [])]
    state = [code["initial_state"](p)] if "state" in wanted else []
    for t in range(1, steps + 1):
        more = {"t": t} if "t" in wanted else {}
        more |= {"seed": seed} if "seed" in wanted else {}
        rate = model.optimizer.current_learning_rate()
        loss = train(p, *state, *batch, **more, learning_rate=rate)
        logs = model.train_on_batch(x, y, sample_weight, seed=seed)
        assert loss == pytest.approx(logs["loss"], rel=tolerance, abs=tolerance)
    for name, value in model.get_weights().items():
        assert p[name].dtype == value.dtype, name
        np.testing.assert_allclose(p[name], value, rtol=tolerance, atol=tolerance, err_msg=f"{name}\n{text}")
    return text


def network(*layers, shape=(4,), loss="mse", optimizer=None, dtype="float64", backend="reference"):
    """A compiled model of layers in a row."""
    set_seed(1)
    model = Sequential([Input(shape), *layers], dtype=dtype)
    model.compile(loss=loss, optimizer=optimizer or optim.SGD(0.1), backend=backend)
    return model


LAYERS = {
    "dense": ([nn.Dense(5, activation="tanh"), nn.Dense(2)], (4,)),
    "dense of three axes": ([nn.Dense(5, activation="tanh"), nn.Flatten(), nn.Dense(2)], (3, 4)),
    "activation layers": ([nn.Dense(5), nn.Activation("sigmoid"), nn.Dense(3), nn.LeakyReLU(0.1), nn.ELU(0.7)], (4,)),
    "softmax layer": ([nn.Dense(6), nn.Reshape((2, 3)), nn.Softmax(1)], (4,)),
    "dropout": ([nn.Dense(8, activation="relu"), nn.Dropout(0.5), nn.Dense(2)], (4,)),
    "two dropouts": ([nn.Dropout(0.25), nn.Dense(8), nn.Dropout(0.5), nn.Dense(2)], (4,)),
    "exact dropout": ([nn.Dense(8, activation="relu"), nn.Dropout(0.5, exact=True), nn.Dense(2)], (4,)),
    "noise": ([nn.GaussianNoise(0.3), nn.Dense(2)], (4,)),
    "batch norm": ([nn.Dense(5), nn.BatchNorm(), nn.Activation("relu"), nn.Dense(2)], (4,)),
    "batch norm of images": ([nn.Conv2D(3, 3), nn.BatchNorm(), nn.Flatten(), nn.Dense(2)], (5, 5, 1)),
    "layer norm": ([nn.Dense(5), nn.LayerNorm(), nn.Dense(2)], (4,)),
    "standardisation": ([nn.Normalization(), nn.Dense(2)], (4,)),
    "rescaling": ([nn.Rescaling(1 / 255, 0.5), nn.Dense(2)], (4,)),
    "conv": ([nn.Conv2D(3, 3, activation="relu"), nn.Conv2D(2, 2), nn.Flatten(), nn.Dense(2)], (6, 6, 2)),
    "conv with strides and padding": ([nn.Conv2D(4, 3, 2, "same"), nn.GlobalAveragePool(), nn.Dense(2)], (7, 6, 3)),
    "conv with groups and dilation": (
        [nn.Conv2D(4, 3, dilation_rate=2, groups=2), nn.Conv2D(6, 1, groups=2, use_bias=False), nn.GlobalMaxPool()],
        (8, 8, 4),
    ),
    "conv along time": ([nn.Conv1D(3, 3, activation="tanh"), nn.MaxPool1D(2), nn.Flatten(), nn.Dense(2)], (9, 2)),
    "max pooling": ([nn.Conv2D(3, 3), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(2)], (8, 8, 1)),
    "overlapping max pooling": ([nn.Conv2D(3, 1), nn.MaxPool2D(3, 2, "same"), nn.Flatten(), nn.Dense(2)], (7, 7, 1)),
    "average pooling": ([nn.Conv2D(3, 3), nn.AvgPool2D(2), nn.Flatten(), nn.Dense(2)], (8, 8, 1)),
    "padded average pooling": ([nn.Conv2D(2, 1), nn.AvgPool2D(3, 2, 1), nn.Flatten(), nn.Dense(2)], (5, 5, 1)),
    "average pooling along time": ([nn.Conv1D(3, 3), nn.AvgPool1D(2), nn.Flatten(), nn.Dense(2)], (9, 2)),
    "rnn": ([nn.SimpleRNN(3), nn.Dense(2)], (4, 2)),
    "lstm": ([nn.LSTM(3), nn.Dense(2)], (4, 2)),
    "gru": ([nn.GRU(3, return_sequences=True, go_backwards=True), nn.Flatten(), nn.Dense(2)], (4, 2)),
    "lambda": ([nn.Dense(3), nn.Lambda(lambda x: ops.sin(x) * ops.exp(-ops.abs(x))), nn.Dense(2)], (4,)),
    "frozen layer": ([nn.Dense(5, activation="tanh", trainable=False), nn.Dense(2)], (4,)),
    "names that are functions": ([nn.Dense(5, name="softmax"), nn.Dense(3, name="np"), nn.Dense(2, name="1/x")], (4,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name):
    layers, shape = LAYERS[name]
    model = network(*layers, shape=shape)
    x, y = RNG.normal(size=(6, *shape)), RNG.normal(size=(6, *model.outputs[0].sample_shape))
    assert_same_training(model, x, y)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    model = network(nn.Dense(5, activation=activation), nn.Dense(2))
    assert_same_training(model, RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2)))


ROWS, CLASSES, BITS = (
    np.eye(3)[[0, 2, 1, 1, 0, 2]],
    np.array([0, 2, 1, 1, 0, 2]),
    np.array([[0], [1], [1], [0], [1], [0]]),
)
LOSSES = {
    "mse": ("mse", "tanh", ROWS),
    "sse": ("sse", "sigmoid", ROWS),
    "half sse": (losses.SumSquaredError(half=True), None, ROWS),
    "mae": ("mae", None, ROWS),
    "huber": (losses.Huber(0.5), None, 3 * ROWS),
    "hinge": ("hinge", None, ROWS),
    "poisson": ("poisson", "softplus", 2 * ROWS),
    "binary": ("binary_crossentropy", "sigmoid", ROWS),
    "binary, smoothed": (losses.BinaryCrossentropy(label_smoothing=0.1), "sigmoid", ROWS),
    "binary, logits": (losses.BinaryCrossentropy(from_logits=True), None, ROWS),
    "binary, of a tanh": (losses.BinaryCrossentropy(), "hard_sigmoid", ROWS),
    "classes": ("categorical_crossentropy", "softmax", CLASSES),
    "rows": ("categorical_crossentropy", "softmax", ROWS),
    "logits": (losses.CategoricalCrossentropy(from_logits=True), None, CLASSES),
    "smoothed": (losses.CategoricalCrossentropy(label_smoothing=0.2), "softmax", CLASSES),
    "sparse": ("sparse_categorical_crossentropy", "softmax", CLASSES),
    "function": (lambda y, p: ops.mean(ops.square(p - y) * 2.0, -1), None, ROWS),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name):
    loss, activation, y = LOSSES[name]
    model = network(nn.Dense(5, activation="tanh"), nn.Dense(3, activation=activation), loss=loss)
    x = RNG.normal(size=(6, 4))
    assert_same_training(model, x, y)
    assert_same_training(model, x, y, sample_weight=RNG.random(6))


OPTIMIZERS = [
    optim.SGD(0.1), optim.SGD(0.1, momentum=0.9), optim.SGD(0.1, momentum=0.9, nesterov=True), optim.Momentum(0.1),
    optim.Momentum(0.1, form="ema"), optim.Momentum(0.1, form="ema", nesterov=True), optim.Adagrad(0.1),
    optim.Adagrad(0.1, form="mean"), optim.RMSProp(0.01), optim.RMSProp(0.01, momentum=0.5, centered=True),
    optim.RMSProp(0.01, start="gradient"), optim.Adadelta(), optim.Adam(0.01), optim.AdamW(0.01, weight_decay=0.1),
    optim.AdamW(0.01, weight_decay=0.1, decay_biases=True), optim.Nadam(), optim.SGD(0.1, weight_decay=0.1),
    optim.SGD(0.1, clip_norm=0.1), optim.Adam(0.01, clip_value=0.05, clip_norm=0.2, weight_decay=0.01),
    optim.Adam(optim.StepDecay(0.1, 0.5, 2)),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimiser(optimizer, dtype):
    model = network(nn.Dense(5, activation="tanh"), nn.Dense(2), optimizer=optimizer.copy(), dtype=dtype)
    assert_same_training(model, RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2)), steps=5)


@pytest.mark.parametrize("regularizer", ["l1", "l2", "l1_l2"])
def test_every_regulariser(regularizer):
    model = network(nn.Dense(5, kernel_regularizer=regularizer, bias_regularizer=regularizer), nn.Dense(2))
    assert_same_training(model, RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2)))


def test_embeddings():
    set_seed(1)
    tokens = Input((5,), dtype="int32", name="tokens")
    model = Model(tokens, nn.Dense(2)(nn.GlobalAveragePool()(nn.Embedding(7, 3)(tokens))))
    model.compile(loss="mse", optimizer="adam", backend="cpu")
    assert_same_training(model, RNG.integers(0, 7, (6, 5)), RNG.normal(size=(6, 2)), tolerance=2e-6)


def test_several_inputs_and_outputs_and_every_merging_layer():
    set_seed(2)
    a, b = Input((3,), dtype="float64", name="a"), Input((2,), dtype="float64", name="lambda")
    u, v = nn.Dense(4, activation="tanh")(a), nn.Dense(4, activation="sigmoid")(b)
    merged = [layer()(u, v) for layer in (nn.Add, nn.Subtract, nn.Multiply, nn.Maximum, nn.Average)]
    joined = nn.Concatenate()(*merged)
    model = Model([a, b], [nn.Dense(1, name="price")(joined), nn.Dense(3, activation="softmax", name="kind")(joined)])
    model.compile(
        loss={"price": "mse", "kind": "categorical_crossentropy"}, optimizer=optim.SGD(0.1), loss_weights=[0.5, 2.0]
    )
    x = [RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))]
    assert_same_training(model, x, [RNG.normal(size=6), CLASSES])


def test_shared_layers_and_models_in_models():
    set_seed(3)
    inner = Sequential([Input((3,)), nn.Dense(4, activation="tanh"), nn.Dense(2)], dtype="float64", name="tower")
    a, b = Input((3,), dtype="float64", name="a"), Input((3,), dtype="float64", name="b")
    model = Model([a, b], nn.Dense(1)(nn.Subtract()(inner(a), inner(b))))
    model.compile(loss="mse", optimizer=optim.SGD(0.1), backend="cpu")
    text = assert_same_training(model, [RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3))], RNG.normal(size=6))
    assert "tower_dense_kernel" in text


def test_a_parameter_that_the_loss_does_not_depend_on():
    class Idle(nn.Layer):
        def build(self, shape):
            self.idle = self.add_parameter("idle", (2,))

        def call(self, x):
            return x

    text = assert_same_training(network(Idle(), nn.Dense(2)), RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2)))
    assert '"idle.idle": np.zeros_like(idle_idle)' in text


@pytest.mark.parametrize("count", [1, 2, 11, 30])
def test_batches_of_any_size(count):
    layers = [
        nn.Conv2D(3, 3),
        nn.BatchNorm(),
        nn.MaxPool2D(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Dense(3, activation="softmax"),
    ]
    model = network(*layers, shape=(6, 6, 1), loss="categorical_crossentropy")
    assert_same_training(model, RNG.normal(size=(count, 6, 6, 1)), RNG.integers(0, 3, count), tolerance=1e-6)


@settings(max_examples=25)
@given(st.data())
def test_random_architectures(data):
    draw = data.draw
    functions = st.sampled_from(["relu", "sigmoid", "tanh", "softplus", "linear", "elu"])
    image = draw(st.booleans())
    layers = []
    if image:
        for _ in range(draw(st.integers(1, 2))):
            kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
            padding = draw(st.sampled_from(["valid", "same"]))
            layers.append(nn.Conv2D(draw(st.integers(1, 3)), kernel, stride, padding, activation=draw(functions)))
        layers += [nn.Flatten()]
    for _ in range(draw(st.integers(0, 2))):
        layers.append(nn.Dense(draw(st.integers(1, 4)), activation=draw(functions)))
        layers += draw(st.sampled_from([[], [nn.Dropout(0.3)], [nn.BatchNorm()], [nn.LayerNorm()]]))
    kind = draw(st.sampled_from(["mse", "binary_crossentropy", "categorical_crossentropy"]))
    units = draw(st.integers(2, 3))
    last = {"mse": None, "binary_crossentropy": "sigmoid", "categorical_crossentropy": "softmax"}[kind]
    shape, count = (7, 6, 2) if image else (draw(st.integers(1, 4)),), draw(st.integers(1, 5))
    optimizer = draw(st.sampled_from([optim.SGD(0.05), optim.Adam(0.001), optim.Momentum(0.05)])).copy()
    model = network(*layers, nn.Dense(units, activation=last), shape=shape, loss=kind, optimizer=optimizer)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    y = rng.integers(0, units, count) if units > 1 and last == "softmax" else rng.integers(0, 2, (count, units))
    assert_same_training(model, rng.normal(size=(count, *shape)), y, steps=2)


def test_single_precision_to_one_millionth():
    layers = [nn.Dense(32, activation="sigmoid"), nn.Dense(10, activation="softmax")]
    model = network(
        *layers, shape=(64,), loss="categorical_crossentropy", dtype="float32", optimizer=optim.SGD(0.5), backend="cpu"
    )
    text = assert_same_training(model, RNG.random((32, 64)), RNG.integers(0, 10, 32), steps=20, tolerance=2e-6)
    assert "float64" not in text


def test_a_whole_fit():
    model = network(
        nn.Dense(5, activation="tanh"), nn.Dropout(0.5), nn.Dense(2), optimizer=optim.Adam(0.01), backend="cpu"
    )
    x, y = RNG.normal(size=(20, 4)), RNG.normal(size=(20, 2))
    code = compiled(model.source())
    p = model.get_weights()
    state = code["initial_state"](p)
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, seed=9, verbose=0)
    batches = [slice(0, 8), slice(8, 16), slice(16, 20)] * 2
    for t, rows in enumerate(batches, start=1):
        code["train_step"](p, state, x[rows], y[rows], t, seed=9)
    for name, value in model.get_weights().items():
        np.testing.assert_allclose(p[name], value, rtol=1e-6, atol=1e-8, err_msg=name)


def test_the_code_of_a_classifier_reads_like_the_lectures():
    layers = [nn.Dense(5, activation="sigmoid"), nn.Dense(3, activation="softmax")]
    text = network(*layers, loss="categorical_crossentropy").source()
    body = text.split("# ---- Forward pass ----")[1].split("gradients = {")[0]
    code = [line.split("#")[0].strip() for line in body.splitlines()]
    assert [line for line in code if line] == [
        "z1 = x @ dense_kernel + dense_bias",
        "a1 = sigmoid(z1)",
        "z2 = a1 @ dense_1_kernel + dense_1_bias",
        "a2 = softmax(z2)",
        "loss = cross_entropy(z2, y).mean()",
        "delta2 = (a2 - one_hot(y, classes=3)) / n",
        "grad_dense_1_bias = delta2.sum(axis=0)",
        "grad_dense_1_kernel = a1.T @ delta2",
        "delta1 = (delta2 @ dense_1_kernel.T) * a1 * (1 - a1)",
        "grad_dense_bias = delta1.sum(axis=0)",
        "grad_dense_kernel = x.T @ delta1",
    ]
    assert "# dense: z^1 = W^1 a^0 + b^1; a^1 = sigma(z^1)" in text
    assert "delta^1 = sigma'(z^1) * (W^2)^T delta^2" in text


def test_the_file_runs_on_its_own_and_learns(tmp_path):
    layers = [
        nn.Conv2D(2, 3, activation="gelu"),
        nn.MaxPool2D(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Dense(3, activation="softmax"),
    ]
    model = network(*layers, shape=(6, 6, 1), loss="categorical_crossentropy", optimizer=optim.Adam(0.05))
    path = tmp_path / "step.py"
    assert model.source(path) == path.read_text()
    run = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, check=True)
    values = [float(line.split()[-1]) for line in run.stdout.splitlines()]
    assert len(values) == 5
    assert values[-1] < values[0]
    assert [line for line in path.read_text().splitlines() if "import" in line] == [
        "import itertools",
        "import numpy as np",
        "from scipy.special import erf",
    ] or "itertools" not in path.read_text()


def test_lines_are_short_enough_to_be_read():
    layers = [nn.Conv2D(2, 3), nn.BatchNorm(), nn.MaxPool2D(2), nn.Flatten(), nn.Dropout(0.2), nn.Dense(3)]
    text = network(*layers, shape=(6, 6, 1), optimizer="nadam").source()
    assert max(map(len, text.splitlines())) <= 122


def test_a_model_that_is_not_compiled_is_refused():
    model = Sequential([Input((3,)), nn.Dense(2)])
    with pytest.raises(errors.NotBuiltError, match="not compiled"):
        model.source()
    waiting = Sequential([nn.Dense(2)])
    waiting.compile(loss="mse")
    with pytest.raises(errors.NotBuiltError, match="does not know the shape of its input yet"):
        waiting.source()


def test_printing_changes_nothing():
    model = network(nn.Dense(5), nn.BatchNorm(), nn.Dense(2), optimizer="adam")
    before = model.get_weights()
    assert StepSource(model).text() == model.source()
    assert all(np.array_equal(before[name], value) for name, value in model.get_weights().items())
    assert model.optimizer.iterations == 0


def test_names_cannot_leave_their_strings_and_comments(tmp_path):
    set_seed(0)
    names = ['x"""\nraise SystemExit(3)\n"""', 'y"]\nraise SystemExit(4)\n#', "back\\slash % {braces}"]
    model = Sequential(
        [Input((3,), "float64"), *(nn.Dense(2, "tanh", name=name) for name in names)], name='n"""\nexit(5)'
    )
    model.compile("mse", optim.Adam(), backend="reference")
    text = assert_same_training(model, RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2)))
    path = tmp_path / "step.py"
    path.write_text(text, encoding="utf-8")
    ran = subprocess.run([sys.executable, "-I", "-W", "error", path], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_statements_of_a_layer_stand_together():
    text = network(nn.Dense(5), nn.Dense(4, name="maximum"), nn.Dense(3), nn.Dense(2)).source()
    captions = [line.split(":")[0].strip() for line in text.splitlines() if line.startswith("    # ") and ": " in line]
    assert captions == [
        "# dense", "# maximum", "# dense_1", "# dense_2", "# dense_2", "# dense_1", "# maximum", "# dense",
    ]  # fmt: skip


def test_a_layer_that_is_called_like_a_function_of_numpy():
    x = Input((4,), "float64")
    first = nn.Dense(4, "relu", name="exp")(x)
    model = Model(x, nn.Dense(2, name="where")(nn.Maximum(name="maximum")(nn.Dense(4, name="sum")(first), first)))
    model.compile("mse", backend="reference")
    assert_same_training(model, RNG.normal(size=(5, 4)), RNG.normal(size=(5, 2)))


def test_the_captions_of_a_shared_layer_name_its_one_matrix():
    a, b = Input((3,), "float64", "a"), Input((3,), "float64", "b")
    shared = nn.Dense(2, "tanh", name="shared")
    model = Model([a, b], nn.Dense(1)(nn.Subtract()(shared(a), shared(b))))
    model.compile("mse", backend="reference")
    text = assert_same_training(model, [RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))], RNG.normal(size=(5, 1)))
    assert "# shared: z^1 = W^1 a + b^1; a^1 = tanh(z^1); z^2 = W^1 b + b^1; a^2 = tanh(z^2)" in text
    assert "dL/dW^1 = delta^2 (b)^T + delta^1 (a)^T" in " ".join(text.replace("\n    #", "").split())


def test_factors_of_an_optimiser_are_decimals():
    text = network(nn.Dense(2), optimizer=optim.Adam()).source()
    assert "m = 0.9 * m + 0.1 * g" in text
    assert "v = 0.999 * v + 0.001 * g * g" in text
