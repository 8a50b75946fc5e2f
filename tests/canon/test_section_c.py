"""Section C of the lectures' canon: networks and training, with the numbers of the decks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.canon.mnist_files import mnist_or_skip

from pellucid import BatchReport, Callback, EarlyStopping, Model, Sequential, Tensor, data, set_seed
from pellucid.nn import Activation, Dense, Dropout, Input, Layer, initializers, losses, phase
from pellucid.nn.activations import ACTIVATIONS
from pellucid.nn.initializers import Constant, RandomNormal
from pellucid.nn.regularizers import L2
from pellucid.optim import SGD, Adam, CosineDecay

# The five images of deck 002, "ReLU and Dropout".
IMAGES = """
01100 11110 11110 00010 11111
00100 00001 00001 00110 10000
00100 01110 01110 01010 11110
00100 10000 00001 11111 00001
01110 11111 11110 00010 11110
"""
ROWS = [line.split() for line in IMAGES.split("\n") if line]
DIGITS = np.array([[[int(pixel) for pixel in ROWS[row][n]] for row in range(5)] for n in range(5)], float)
CLASSES = np.arange(5)


def five_digit_network(activation: str, dropout: float = 0.0) -> Sequential:
    """25 inputs, three hidden layers of 20, softmax over five classes; weights N(0, 1 / rows)."""
    layers: list[Layer] = []
    for _ in range(3):
        layers.append(Dense(20, activation, kernel_initializer="lecun_normal"))
        if dropout:
            layers.append(Dropout(dropout, exact=True))
    return Sequential([Input((25,)), *layers, Dense(5, "softmax", kernel_initializer="lecun_normal")])


def learn_digits(activation: str, dropout: float = 0.0, seed: int = 0) -> tuple[list[float], float]:
    """The loss curve of 500 updates with rate 0.1, and the accuracy after them."""
    set_seed(seed)
    model = five_digit_network(activation, dropout)
    model.compile(loss="categorical_crossentropy", optimizer=SGD(0.1), metrics=["accuracy"])
    x = DIGITS.reshape(5, 25)
    history = model.fit(x, CLASSES, batch_size=None, epochs=500, seed=seed, verbose=0)
    return history["loss"], model.evaluate(x, CLASSES)[1]


def test_the_images_are_the_decks() -> None:
    assert DIGITS[0].tolist() == [[0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0, 1, 1, 1, 0]]
    assert DIGITS[4].tolist() == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 0]]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_on_the_five_digits_relu_learns_what_sigmoid_hardly_begins(seed: int) -> None:
    relu, relu_accuracy = learn_digits("relu", seed=seed)
    sigmoid, sigmoid_accuracy = learn_digits("sigmoid", seed=seed)
    assert relu_accuracy == 1.0
    assert relu[-1] < 0.01
    assert sigmoid_accuracy < 1.0
    assert sigmoid[-1] > 0.75 * sigmoid[0]  # fails slowly: most of the loss is still there
    assert sigmoid[-1] > 100 * relu[-1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_dropout_variant_learns_the_five_digits_with_a_restless_curve(seed: int) -> None:
    curve, accuracy = learn_digits("relu", dropout=0.2, seed=seed)
    plain, _ = learn_digits("relu", seed=seed)
    assert accuracy == 1.0

    def rises(losses_: list[float]) -> int:
        return int((np.diff(losses_) > 0).sum())

    assert rises(curve) > 10 * (rises(plain) + 1)


def gradient_norms(activation: str, initializer: str, depth: int = 8) -> np.ndarray:
    """The norm of each layer's kernel gradient, from the input to the output."""
    set_seed(0)
    hidden = [Dense(20, activation, kernel_initializer=initializer) for _ in range(depth)]
    model = Sequential([Input((25,)), *hidden, Dense(5, "softmax")], dtype="float64")
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(50, 25)), generator.integers(0, 5, 50)
    with phase(training=True):
        losses.get("categorical_crossentropy")(Tensor(y), model(x)).backward()
    return np.array([np.linalg.norm(layer.kernel.grad) for layer in model.layers])


def test_gradients_vanish_through_sigmoids_and_not_through_relus() -> None:
    sigmoid, relu = gradient_norms("sigmoid", "lecun_normal"), gradient_norms("relu", "he_normal")
    # A sigmoid passes at most a quarter of the gradient: through eight of them less than 1e-4 is left.
    assert sigmoid[0] < 1e-4 * sigmoid[-1]
    assert (np.diff(np.log(sigmoid)) > 0).all()
    assert relu[0] > 0.1 * relu[-1]


# Full batch, mini-batch, online.


class CountUpdates(Callback):
    """Counts the batches of training."""

    def __init__(self) -> None:
        self.updates = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.updates += 1


def slope_data(count: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(count, 2))
    return x, (x @ [1.0, -2.0] > 0).astype(int)


@pytest.mark.parametrize(("epochs", "updates"), [(1, 33), (10, 330)])
def test_99_samples_in_batches_of_3_are_33_updates_per_epoch(epochs: int, updates: int) -> None:
    x, y = slope_data(99)
    model = Sequential([Input((2,)), Dense(1, "sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer=SGD(0.1))
    count = CountUpdates()
    model.fit(x, y, batch_size=3, epochs=epochs, callbacks=[count], verbose=0)
    assert count.updates == model.optimizer.iterations == updates


def test_full_batch_mini_batch_and_online_descent_all_reduce_the_loss_on_the_same_data() -> None:
    x, y = slope_data(99)
    curves = {}
    for batch_size, updates in ((None, 10), (3, 330), (1, 990)):
        set_seed(0)
        model = Sequential([Input((2,)), Dense(4, "tanh"), Dense(1, "sigmoid")])
        model.compile(loss="binary_crossentropy", optimizer=SGD(0.1))
        curves[batch_size] = model.fit(x, y, batch_size=batch_size, epochs=10, seed=0, verbose=0)["loss"]
        assert model.optimizer.iterations == updates
        assert curves[batch_size][-1] < 0.95 * curves[batch_size][0]
    # Per pass over the data, more updates get further.
    assert curves[1][-1] < curves[3][-1] < curves[None][-1]


def test_every_epoch_has_an_order_of_its_own_and_no_sample_twice() -> None:
    class See(Layer):
        def build(self, shape: tuple[int, ...]) -> None:
            self.seen = self.add_parameter("seen", (2, 1), "zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.seen.assign(x)
            return x

    see, order = See(), []

    class Look(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            order.extend(see.seen.numpy()[:, 0].tolist())

    model = Sequential([Input((1,)), see, Dense(1)])
    model.compile(loss="mse", optimizer=SGD(0.0))
    model.fit(np.arange(10.0)[:, None], np.zeros(10), batch_size=2, epochs=2, seed=0, callbacks=[Look()], verbose=0)
    assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
    assert order[:10] != order[10:]


# Initial values.


def test_zeros_keep_all_hidden_units_the_same_and_random_values_do_not() -> None:
    x, y = slope_data(60)
    for initializer, one_unit in (("zeros", True), (RandomNormal(0.1), False)):
        set_seed(0)
        hidden = Dense(6, "sigmoid", kernel_initializer=initializer)
        model = Sequential([Input((2,)), hidden, Dense(1, "sigmoid", kernel_initializer=initializer)], dtype="float64")
        model.compile(loss="binary_crossentropy", optimizer=SGD(1.0))
        model.fit(x, y, batch_size=10, epochs=20, seed=0, verbose=0)
        kernel = hidden.kernel.numpy()
        assert np.abs(kernel).max() > 0.01
        assert bool(np.ptp(kernel, axis=1).max() < 1e-12) is one_unit


@pytest.mark.parametrize(
    ("initializer", "deviation"),
    [
        (RandomNormal(np.sqrt(0.01)), 0.1),
        ("lecun_normal", np.sqrt(1 / 784)),
        ("glorot_normal", np.sqrt(2 / (784 + 100))),
        ("he_normal", np.sqrt(2 / 784)),
    ],
)
def test_the_lectures_initial_weights(initializer: Any, deviation: float) -> None:
    values = initializers.get(initializer).draw((784, 100), np.random.default_rng(0))
    assert abs(values.std() - deviation) < 5 * deviation / np.sqrt(2 * values.size)
    assert abs(values.mean()) < 5 * deviation / np.sqrt(values.size)


def test_a_positive_bias_wakes_relu_units() -> None:
    def share_awake(bias: Any) -> float:
        set_seed(0)
        layer = Dense(500, "relu", kernel_initializer=RandomNormal(0.01), bias_initializer=bias)
        return float((layer(DIGITS.reshape(5, 25)).numpy() > 0).mean())

    assert share_awake(Constant(0.1)) > 0.9
    assert 0.3 < share_awake("zeros") < 0.7


# Regularisation.


def test_l2_as_a_cost_and_as_weight_decay_are_the_same_descent() -> None:
    x, y = slope_data(60)
    kernels, plain = [], None
    for regularizer, decay in ((L2(0.05), 0.0), (None, 0.05), (None, 0.0)):
        set_seed(0)
        layers = [Dense(5, "tanh", kernel_regularizer=regularizer), Dense(1, kernel_regularizer=regularizer)]
        model = Sequential([Input((2,)), *layers], dtype="float64")
        model.compile(loss="mse", optimizer=SGD(0.1, weight_decay=decay))
        model.fit(x, y, batch_size=6, epochs=5, seed=0, verbose=0)
        kernels.append(model.layers[0].kernel.numpy())
    cost, decayed, plain = kernels
    np.testing.assert_allclose(cost, decayed, rtol=1e-10)
    assert np.linalg.norm(cost) < 0.95 * np.linalg.norm(plain)


def test_one_step_of_decay_multiplies_by_one_minus_alpha_lambda() -> None:
    layer = Dense(1, use_bias=False, kernel_initializer=Constant(2.0))
    model = Sequential([Input((1,)), layer], dtype="float64")
    model.compile(loss="mse", optimizer=SGD(0.1, weight_decay=0.5))
    model.train_on_batch(np.zeros((1, 1)), np.zeros(1))
    assert layer.kernel.item() == pytest.approx((1 - 0.1 * 0.5) * 2.0, rel=1e-14)


def test_early_stopping_on_a_validation_split_keeps_the_best_weights() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 8))
    y = np.where(generator.random(60) < 0.25, 1, 0) ^ (x[:, 0] > 0)  # a quarter of the labels is wrong
    set_seed(0)
    model = Sequential([Input((8,)), Dense(64, "tanh"), Dense(64, "tanh"), Dense(1, "sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer=Adam(0.01))
    stop = EarlyStopping(patience=10)
    history = model.fit(x, y, epochs=300, validation_split=0.3, callbacks=[stop], seed=0, verbose=0)
    curve = history["val_loss"]
    assert len(curve) < 300
    assert stop.best_epoch == int(np.argmin(curve)) == len(curve) - 11
    assert history["loss"][-1] < history["loss"][stop.best_epoch]  # it went on learning by heart
    assert curve[-1] > curve[stop.best_epoch]


def test_the_per_batch_report_has_the_decks_form(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = slope_data(30)
    model = Sequential([Input((2,)), Dense(1, "sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer=SGD(0.1), metrics=["accuracy"])
    model.fit(x, y, batch_size=10, epochs=1, callbacks=[BatchReport((x, y), every=2)], seed=0, verbose=0)
    lines = capsys.readouterr().out.strip().split("\n")
    assert [line.split(" > ")[0] for line in lines] == ["0-0", "0-2"]
    assert all(" > Loss: 0." in line and line.endswith("%") for line in lines)


# What networks can do.


def test_one_hidden_layer_fits_a_sine() -> None:
    x = np.linspace(-np.pi, np.pi, 100)[:, None]
    set_seed(0)
    model = Sequential([Input((1,)), Dense(32, "tanh"), Dense(1)])
    model.compile(loss="mse", optimizer=Adam(CosineDecay(0.03, 1500)))
    model.fit(x, np.sin(x), batch_size=None, epochs=1500, seed=0, verbose=0)
    assert np.abs(model.predict(x) - np.sin(x)).max() < 0.05


def bits(count: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.array([[n >> k & 1 for k in range(count)] for n in range(2**count)])
    return 2.0 * x - 1, x.sum(axis=1) % 2


def test_a_hidden_layer_learns_the_parity_of_four_bits_and_none_does_not() -> None:
    x, y = bits(4)
    set_seed(0)
    shallow = Sequential([Input((4,)), Dense(16, "tanh"), Dense(1, "sigmoid")])
    linear = Sequential([Input((4,)), Dense(1, "sigmoid")])
    for model in (shallow, linear):
        model.compile(loss="binary_crossentropy", optimizer=Adam(0.05), metrics=["accuracy"])
        model.fit(x, y, batch_size=None, epochs=300, seed=0, verbose=0)
    assert shallow.evaluate(x, y)[1] == 1.0
    # Every single bit is worthless: the best linear answer is a coin, with the loss log 2.
    assert linear.evaluate(x, y)[0] == pytest.approx(np.log(2), abs=1e-3)


def test_parity_by_hand_is_d_deep_units_against_many_shallow_ones() -> None:
    """x xor y = x + y - 2 x y: a deep net needs one small block per bit."""

    def pair() -> list[Dense]:
        hidden, out = Dense(2, "step"), Dense(1, "step")
        hidden.ensure_built((1, 2)), out.ensure_built((1, 2))
        hidden.kernel.assign(np.ones((2, 2)))
        hidden.bias.assign([-0.5, -1.5])  # or, and
        out.kernel.assign([[1.0], [-1.0]])
        out.bias.assign([-0.5])
        return [hidden, out]

    x, y = bits(6)
    x = ((x + 1) / 2).astype("float32")
    parity, parameters = x[:, :1], 0
    for k in range(1, 6):
        block = pair()
        z = np.concatenate([np.asarray(parity), x[:, k : k + 1]], axis=1)
        parity = block[1](block[0](z))
        parameters += sum(layer.count_parameters() for layer in block)
    assert np.asarray(parity)[:, 0].tolist() == y.tolist()
    assert parameters == 9 * 5  # grows with d; one hidden layer of 2^(d - 1) units grows with its power


def test_a_shared_trunk_serves_two_heads() -> None:
    x, y = slope_data(200)
    size = np.abs(x).sum(axis=1)
    set_seed(0)
    pixels = Input((2,), name="pixels")
    trunk = Dense(24, "tanh", name="trunk")(pixels)
    trunk = Dense(24, "tanh", name="trunk_2")(trunk)
    side, length = Dense(1, "sigmoid", name="side")(trunk), Dense(1, name="length")(trunk)
    model = Model(pixels, [side, length])
    model.compile(
        loss={"side": "binary_crossentropy", "length": "mse"},
        loss_weights={"side": 1.0, "length": 0.5},
        optimizer=Adam(0.01),
        metrics={"side": ["accuracy"]},
    )
    history = model.fit(x, {"side": y, "length": size}, epochs=60, seed=0, verbose=0)
    logs = model.evaluate(x, {"side": y, "length": size}, return_dict=True)
    assert logs["side_accuracy"] > 0.95
    assert logs["length_loss"] < 0.05 * size.var()
    assert logs["loss"] == pytest.approx(logs["side_loss"] + 0.5 * logs["length_loss"], rel=1e-6)
    assert history["loss"][-1] < 0.3 * history["loss"][0]


def test_every_activation_of_the_lectures_trains() -> None:
    x, y = slope_data(60)
    names = ["linear", "sigmoid", "hard_sigmoid", "tanh", "relu", "leaky_relu", "softplus", "softsign"]
    assert {*names, "step", "softmax"} <= set(ACTIVATIONS)
    for name in names:
        set_seed(0)
        model = Sequential([Input((2,)), Dense(8), Activation(name), Dense(2), Activation("softmax")])
        model.compile(loss="categorical_crossentropy", optimizer=Adam(0.02), metrics=["accuracy"])
        model.fit(x, y, epochs=60, batch_size=20, seed=0, verbose=0)
        assert model.evaluate(x, y)[1] > 0.9, name


# MNIST.


def test_mnist_784_500_500_10_runs_in_the_vocabulary_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = mnist_or_skip(monkeypatch)
    x_train, y_train = digits.flat().x_train[:3000], data.one_hot(digits.y_train[:3000])
    x_test, y_test = digits.flat().x_test[:1000], data.one_hot(digits.y_test[:1000])
    set_seed(0)
    model = Sequential()
    model.add(Dense(500))
    model.add(Activation("sigmoid"))
    model.add(Dense(500))
    model.add(Activation("sigmoid"))
    model.add(Dense(10))
    model.add(Activation("softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=100, epochs=4, seed=0, verbose=0)
    score = model.evaluate(x_test, y_test)
    assert [layer.kernel.shape for layer in model.layers if isinstance(layer, Dense)] == [
        (784, 500),
        (500, 500),
        (500, 10),
    ]
    assert score[1] > 0.85
    assert model.predict(x_test).shape == (1000, 10)


@pytest.mark.slow
def test_mnist_784_100_10_reaches_the_decks_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deck 002: sigmoid, batch 256, 10 epochs, rate 1, standardised inputs; its log ends at 98.3 to 98.5 %.

    The deck measures on the second half of the test images alone (``np.split`` of the 10,000), which are easier than
    the first; there 98 % must be reached. On all 10,000 it is 97 % and more.
    """
    digits = mnist_or_skip(monkeypatch).flat()
    mean, deviation = digits.x_train.mean(), digits.x_train.std()
    x_train, x_test = (digits.x_train - mean) / deviation, (digits.x_test - mean) / deviation
    set_seed(0)
    hidden = Dense(100, "sigmoid", kernel_initializer="lecun_normal")
    model = Sequential([Input((784,)), hidden, Dense(10, "softmax", kernel_initializer="lecun_normal")])
    model.compile(loss="categorical_crossentropy", optimizer=SGD(1.0), metrics=["accuracy"])
    model.fit(x_train, digits.y_train, batch_size=256, epochs=10, seed=0, verbose=0)
    assert model.optimizer.iterations == 2350
    assert model.evaluate(x_test, digits.y_test)[1] >= 0.97
    assert model.evaluate(x_test[5000:], digits.y_test[5000:])[1] >= 0.98
