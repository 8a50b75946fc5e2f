"""Losses: values against scikit-learn and torch, gradients, stability, and what targets may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as peers
from tests.nn.pulling import draws

from pellucid import Sequential, Tensor, grad, ops
from pellucid.data import one_hot
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense, Input, losses
from pellucid.nn.losses import (
    LOSSES,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Hinge,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    SparseCategoricalCrossentropy,
    SumSquaredError,
)
from pellucid.optim import SGD

N, K = 6, 4
PREDICTED, TRUE = draws(N, K), draws(N, K, seed=1)
LOGITS = draws(N, K, seed=2) * 3
CLASSES = np.array([0, 3, 1, 1, 2, 0])
ROWS = one_hot(CLASSES, K).astype("float64")
BITS = (draws(N, K, seed=3) > 0).astype("float64")
PROBABILITIES = special.softmax(LOGITS, axis=-1)
SIGMOIDS = special.expit(LOGITS)


def gradient(loss: Any, y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return np.asarray(grad(lambda p: loss(y, p))(prediction))


# Values and gradients.


@pytest.mark.parametrize(
    ("loss", "y", "prediction", "expected"),
    [
        (MeanSquaredError(), TRUE, PREDICTED, peers.mean_squared_error(TRUE, PREDICTED)),
        (MeanAbsoluteError(), TRUE, PREDICTED, peers.mean_absolute_error(TRUE, PREDICTED)),
        (SumSquaredError(), TRUE, PREDICTED, ((TRUE - PREDICTED) ** 2).sum()),
        (SumSquaredError(half=True), TRUE, PREDICTED, ((TRUE - PREDICTED) ** 2).sum() / 2),
        (Hinge(), 2 * BITS[:, 0] - 1, PREDICTED[:, 0], peers.hinge_loss(BITS[:, 0], PREDICTED[:, 0])),
        (CategoricalCrossentropy(), CLASSES, PROBABILITIES, peers.log_loss(CLASSES, PROBABILITIES)),
        (SparseCategoricalCrossentropy(), CLASSES, PROBABILITIES, peers.log_loss(CLASSES, PROBABILITIES)),
        (
            BinaryCrossentropy(),
            BITS,
            SIGMOIDS,
            np.mean([peers.log_loss(BITS[:, k], SIGMOIDS[:, k], labels=[0, 1]) for k in range(K)]),
        ),
    ],
    ids=lambda v: repr(v) if isinstance(v, losses.Loss) else "",
)
def test_values_are_scikit_learns_or_the_formulas(loss: Any, y: Any, prediction: Any, expected: float) -> None:
    np.testing.assert_allclose(loss(y, prediction).item(), expected, rtol=1e-12)


def torch_cases() -> list[Any]:
    def binary(F: Any, p: Any, y: Any) -> Any:
        return F.binary_cross_entropy(p, y)

    return [
        (MeanSquaredError(), TRUE, PREDICTED, lambda F, p, y: F.mse_loss(p, y)),
        (MeanAbsoluteError(), TRUE, PREDICTED, lambda F, p, y: F.l1_loss(p, y)),
        (Huber(), TRUE, PREDICTED, lambda F, p, y: F.huber_loss(p, y)),
        (Huber(0.3), TRUE, PREDICTED, lambda F, p, y: F.huber_loss(p, y, delta=0.3)),
        (Poisson(), BITS * 3, SIGMOIDS, lambda F, p, y: F.poisson_nll_loss(p, y, log_input=False, eps=0)),
        (BinaryCrossentropy(), BITS, SIGMOIDS, binary),
        (BinaryCrossentropy(), SIGMOIDS[::-1].copy(), SIGMOIDS, binary),
        (
            BinaryCrossentropy(from_logits=True),
            BITS,
            LOGITS,
            lambda F, p, y: F.binary_cross_entropy_with_logits(p, y),
        ),
        (
            BinaryCrossentropy(label_smoothing=0.2),
            BITS,
            SIGMOIDS,
            lambda F, p, y: F.binary_cross_entropy(p, y * 0.8 + 0.1),
        ),
        (CategoricalCrossentropy(from_logits=True), CLASSES, LOGITS, lambda F, p, y: F.cross_entropy(p, y)),
        (CategoricalCrossentropy(from_logits=True), PROBABILITIES, LOGITS, lambda F, p, y: F.cross_entropy(p, y)),
        (
            CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            CLASSES,
            LOGITS,
            lambda F, p, y: F.cross_entropy(p, y, label_smoothing=0.1),
        ),
        (
            CategoricalCrossentropy(label_smoothing=0.3),
            ROWS,
            PROBABILITIES,
            lambda F, p, y: F.nll_loss(p.log(), y.argmax(1)) * 0.7 - 0.3 * p.log().mean(),
        ),
        (
            SparseCategoricalCrossentropy(),
            CLASSES,
            PROBABILITIES,
            lambda F, p, y: F.nll_loss(p.log(), y),
        ),
    ]


@pytest.mark.parametrize(
    ("loss", "y", "prediction", "peer"),
    torch_cases(),
    ids=lambda v: repr(v) if isinstance(v, losses.Loss) else "",
)
def test_values_and_gradients_are_torchs(loss: Any, y: np.ndarray, prediction: np.ndarray, peer: Any) -> None:
    torch = pytest.importorskip("torch")
    p = torch.tensor(prediction, requires_grad=True)
    value = peer(torch.nn.functional, p, torch.tensor(y))
    value.backward()
    np.testing.assert_allclose(loss(y, prediction).item(), value.item(), rtol=1e-11)
    np.testing.assert_allclose(gradient(loss, y, prediction), p.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_a_loss_gives_one_number_per_sample() -> None:
    y, p = draws(5, 2, 3), draws(5, 2, 3, seed=1)
    np.testing.assert_allclose(MeanSquaredError().call(Tensor(y), Tensor(p)), ((y - p) ** 2).mean(axis=(1, 2)))
    np.testing.assert_allclose(SumSquaredError().call(Tensor(y), Tensor(p)), ((y - p) ** 2).sum(axis=(1, 2)))
    steps = CategoricalCrossentropy(from_logits=True).call(Tensor(np.zeros((5, 2), "int32")), Tensor(p))
    np.testing.assert_allclose(steps, -special.log_softmax(p, axis=-1)[:, :, 0].mean(axis=1))


def test_half_the_sum_of_squares_has_the_gradient_prediction_minus_target() -> None:
    np.testing.assert_allclose(gradient(SumSquaredError(half=True), TRUE, PREDICTED), PREDICTED - TRUE, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("from_logits", [False, True])
def test_one_hot_rows_and_class_numbers_are_the_same(from_logits: bool, smoothing: float) -> None:
    loss = CategoricalCrossentropy(from_logits=from_logits, label_smoothing=smoothing)
    prediction = LOGITS if from_logits else PROBABILITIES
    np.testing.assert_allclose(loss(ROWS, prediction).item(), loss(CLASSES, prediction).item(), rtol=1e-13)
    np.testing.assert_allclose(
        gradient(loss, ROWS, prediction), gradient(loss, CLASSES, prediction), rtol=1e-12, atol=1e-16
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_logits_and_their_probabilities_give_the_same_loss(smoothing: float) -> None:
    for kind, y, squash in (
        (CategoricalCrossentropy, CLASSES, ops.softmax),
        (BinaryCrossentropy, BITS, ops.sigmoid),
    ):
        logits = kind(from_logits=True, label_smoothing=smoothing)
        plain = kind(label_smoothing=smoothing)
        np.testing.assert_allclose(logits(y, LOGITS).item(), plain(y, squash(LOGITS)).item(), rtol=1e-12)
        through = np.asarray(grad(lambda z, f=plain, s=squash, y=y: f(y, s(z)))(LOGITS))
        np.testing.assert_allclose(gradient(logits, y, LOGITS), through, rtol=1e-9, atol=1e-13)


def test_with_softmax_the_gradient_is_prediction_minus_target() -> None:
    loss = CategoricalCrossentropy(from_logits=True)
    np.testing.assert_allclose(gradient(loss, CLASSES, LOGITS), (PROBABILITIES - ROWS) / N, rtol=1e-11, atol=1e-15)


def test_with_sigmoid_the_gradient_is_prediction_minus_target() -> None:
    loss = BinaryCrossentropy(from_logits=True)
    np.testing.assert_allclose(gradient(loss, BITS, LOGITS), (SIGMOIDS - BITS) / (N * K), rtol=1e-11, atol=1e-15)


def test_smoothed_targets_move_the_gradients_target() -> None:
    loss = CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    target = 0.8 * ROWS + 0.2 / K
    np.testing.assert_allclose(gradient(loss, CLASSES, LOGITS), (PROBABILITIES - target) / N, rtol=1e-11, atol=1e-15)


# Compiled training.


def one_step(
    activation: str, loss: Any, kernel: list[float], y: np.ndarray, dtype: str
) -> tuple[np.ndarray, np.ndarray, float]:
    """The kernel before and after one update with rate 1 on x = 1, and the loss."""
    layer = Dense(len(kernel), activation=activation, use_bias=False)
    model = Sequential([Input((1,)), layer], dtype=dtype)
    layer.kernel.assign(np.array([kernel]))
    model.compile(loss=loss, optimizer=SGD(1.0))
    before = layer.kernel.numpy().copy()
    logs = model.train_on_batch(np.ones((1, 1)), y)
    return before[0], layer.kernel.numpy()[0], logs["loss"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("y", [np.array([2]), np.array([[0.0, 0.0, 1.0]])], ids=["number", "one-hot"])
@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([0.5, -1.0, 2.0], None),
        ([1000.0, 0.0, -1000.0], [1, 0, -1]),
        ([-1000.0, 0.0, 1000.0], [0, 0, 0]),
        ([1e30, 0.0, 0.0], [1, 0, -1]),
    ],
    ids=str,
)
def test_training_through_softmax_moves_the_logits_by_prediction_minus_target(
    logits: list[float], expected: list[float] | None, y: np.ndarray, dtype: str
) -> None:
    before, after, loss = one_step("softmax", "categorical_crossentropy", logits, y, dtype)
    wanted = special.softmax(logits) - [0, 0, 1] if expected is None else np.array(expected)
    if logits[0] < 1e30:  # a step of 1 is below the spacing of numbers near 1e30
        np.testing.assert_allclose(before - after, wanted, rtol=1e-6, atol=1e-6)
    assert loss == pytest.approx(special.logsumexp(logits) - logits[2], rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("logit", "y", "step", "loss"),
    [
        (0.7, 1.0, special.expit(0.7) - 1, np.log1p(np.exp(-0.7))),
        (500.0, 0.0, 1.0, 500.0),
        (-500.0, 1.0, -1.0, 500.0),
        (500.0, 1.0, 0.0, 0.0),
        (500.0, 0.25, 0.75, 375.0),
    ],
)
def test_training_through_a_sigmoid_moves_the_logit_by_prediction_minus_target(
    logit: float, y: float, step: float, loss: float, dtype: str
) -> None:
    before, after, measured = one_step("sigmoid", "binary_crossentropy", [logit], np.array([y]), dtype)
    assert before[0] - after[0] == pytest.approx(step, rel=1e-6, abs=2e-5 if dtype == "float32" else 1e-12)
    assert measured == pytest.approx(loss, rel=1e-6)


def test_probabilities_of_exactly_0_and_1_give_a_finite_loss_eagerly() -> None:
    certain = np.array([[1.0, 0.0], [0.0, 1.0]], "float32")
    wrong = CategoricalCrossentropy()(np.array([1, 0]), certain)
    assert 80 < wrong.item() < 90  # -log of the smallest probability that is told from 0
    assert np.isfinite(gradient(CategoricalCrossentropy(), np.array([1, 0]), certain)).all()
    assert 80 < BinaryCrossentropy()(np.array([0.0, 1.0]), np.array([1.0, 0.0], "float32")).item() < 90


# Targets.


def prepared(loss: Any, y: Any, shape: tuple[int, ...]) -> np.ndarray:
    return losses.get(loss).prepare(np.asarray(y), shape, "y")


def test_columns_and_plain_vectors_are_the_same_targets() -> None:
    assert prepared("mse", [1.0, 2.0], (1,)).shape == (2, 1)
    assert prepared("mse", [[1.0], [2.0]], ()).shape == (2,)
    assert prepared("binary_crossentropy", [True, False], (1,)).tolist() == [[True], [False]]
    assert prepared("mse", np.zeros((2, 3)), (3,)).shape == (2, 3)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("y", [[0, 2], [0.0, 2.0], [[0], [2]], np.array([0, 2], "uint8")], ids=str)
def test_class_numbers_of_any_type_become_int32(loss: str, y: Any) -> None:
    got = prepared(loss, y, (3,))
    assert (got.dtype, got.tolist()) == (np.int32, [0, 2])


def test_rows_of_integers_become_floats() -> None:
    got = prepared("categorical_crossentropy", [[0, 1], [1, 0]], (2,))
    assert (got.dtype, got.tolist()) == (np.float32, [[0, 1], [1, 0]])


def test_class_numbers_per_time_step_are_allowed() -> None:
    assert prepared("categorical_crossentropy", np.zeros((4, 5), int), (5, 3)).shape == (4, 5)


def test_the_hinge_takes_both_ways_of_writing_two_classes() -> None:
    assert prepared("hinge", [0, 1, 0], (1,)).tolist() == [[-1], [1], [-1]]
    assert prepared("hinge", [-1, 1, -1], (1,)).tolist() == [[-1], [1], [-1]]
    assert prepared("hinge", [1, 1], (1,)).tolist() == [[1], [1]]


ONE_HOT_HINT = "\nHint: for class numbers use a categorical loss, or turn them into rows with data.one_hot(y)"


@pytest.mark.parametrize(
    ("loss", "y", "shape", "message"),
    [
        ("mse", np.ones(3), (2,), "y has shape [?] but the predictions have [?, 2]." + ONE_HOT_HINT),
        ("mse", np.ones((3, 1)), (3,), "y has shape [?, 1] but the predictions have [?, 3]." + ONE_HOT_HINT),
        ("mse", np.ones((3, 3)), (1,), "y has shape [?, 3] but the predictions have [?, 1]."),
        ("mae", np.ones((3, 2)), (), "y has shape [?, 2] but the predictions have [?]."),
        ("mse", np.ones((4, 2, 1)), (2,), "y has shape [?, 2, 1] but the predictions have [?, 2]."),
        ("mse", np.array(["a"]), (1,), "y must hold numbers, not <U1."),
        (
            "categorical_crossentropy",
            [0, 3],
            (3,),
            "y: the label 3 in row 1 lies outside the classes 0..2.\n"
            "Hint: the last layer has 3 units; labels must start at 0",
        ),
        (
            "categorical_crossentropy",
            [0, 1, -1],
            (3,),
            "y: the label -1 in row 2 lies outside the classes 0..2.\n"
            "Hint: the last layer has 3 units; labels must start at 0",
        ),
        (
            "categorical_crossentropy",
            [0.0, 0.5],
            (3,),
            "y must hold class numbers 0..2, but 0.5 is no whole number.",
        ),
        ("categorical_crossentropy", [np.nan], (3,), "y must hold class numbers 0..2, but nan is no whole number."),
        ("categorical_crossentropy", ["cat"], (3,), "y must hold class numbers 0..2, not <U3."),
        (
            "categorical_crossentropy",
            [[0.5, 0.5], [1.5, -0.5]],
            (2,),
            "y: each row must hold probabilities that add up to 1, but row 1 is [1.5, -0.5].\n"
            "Hint: for several labels at once use binary_crossentropy with sigmoid outputs",
        ),
        (
            "categorical_crossentropy",
            [[1, 0], [1, 1]],
            (2,),
            "y: each row must hold probabilities that add up to 1, but row 1 is [1, 1].\n"
            "Hint: for several labels at once use binary_crossentropy with sigmoid outputs",
        ),
        (
            "categorical_crossentropy",
            np.zeros((4, 5), int),
            (3,),
            "y has shape [?, 5], but the model's output [?, 3] takes class numbers [?] or rows [?, 3].",
        ),
        (
            "sparse_categorical_crossentropy",
            [[1, 0], [0, 1]],
            (2,),
            "y has shape [?, 2], but the model's output [?, 2] takes class numbers [?].\n"
            "Hint: for one-hot rows use categorical_crossentropy",
        ),
        (
            "categorical_crossentropy",
            [0, 1],
            (1,),
            "y: categorical cross-entropy needs one output per class, but there are [1].\n"
            "Hint: for one sigmoid output use binary_crossentropy",
        ),
        (
            "binary_crossentropy",
            [0, 2],
            (1,),
            "y: binary cross-entropy takes targets between 0 and 1, but they run from 0 to 2.\n"
            "Hint: for more than two classes use categorical_crossentropy and one output per class",
        ),
        ("hinge", [0, 2], (1,), "y: the hinge loss takes labels -1 and 1 (or 0 and 1), but [0, 2] are there."),
        ("poisson", [0, -2], (1,), "y: the Poisson loss takes counts of at least 0, but -2 is there."),
    ],
)
def test_targets_that_do_not_fit_are_explained(loss: str, y: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError) as error:
        prepared(loss, y, shape)
    assert str(error.value) == message


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "hinge", "poisson", "binary_crossentropy", "sse"])
def test_no_loss_silently_stretches_a_vector_over_the_outputs(loss: str) -> None:
    model = Sequential([Input((2,)), Dense(3, activation="sigmoid")])
    model.compile(loss=loss, optimizer="sgd")
    for y in (np.ones(3), np.ones((3, 1))):
        with pytest.raises(DataError, match="but the predictions have"):
            model.fit(np.ones((3, 2)), y, verbose=0)


def test_fit_names_the_targets_and_trains_nothing() -> None:
    model = Sequential([Input((2,)), Dense(3, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer="sgd")
    before = model.get_weights()
    with pytest.raises(DataError) as error:
        model.fit(np.ones((3, 2)), np.array([0, 1, 3]), verbose=0)
    assert str(error.value) == (
        "y: the label 3 in row 2 lies outside the classes 0..2.\n"
        "Hint: the last layer has 3 units; labels must start at 0"
    )
    for name, value in model.get_weights().items():
        np.testing.assert_array_equal(value, before[name])


# Losses of the user's own, and names.


def test_a_function_is_a_loss_per_sample_or_for_the_batch() -> None:
    def per_output(y: Any, p: Any) -> Any:
        return (y - p) ** 4

    def for_the_batch(y: Any, p: Any) -> Any:
        return ops.mean((y - p) ** 4)

    expected = np.mean((TRUE - PREDICTED) ** 4)
    for function in (per_output, for_the_batch):
        np.testing.assert_allclose(losses.get(function)(Tensor(TRUE), Tensor(PREDICTED)).item(), expected, rtol=1e-12)


def test_a_function_trains_like_the_loss_it_computes() -> None:
    def squares(y: Any, p: Any) -> Any:
        return ops.mean(ops.square(y - p), -1)

    weights = []
    for loss in (squares, "mse"):
        layer = Dense(2, kernel_initializer="ones")
        model = Sequential([Input((3,)), layer], dtype="float64")
        model.compile(loss=loss, optimizer=SGD(0.1))
        model.fit(draws(8, 3), draws(8, 2, seed=1), epochs=3, seed=0, verbose=0)
        weights.append(layer.kernel.numpy())
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-12)


def test_every_name_makes_its_loss() -> None:
    assert {name: type(losses.get(name)).__name__ for name in LOSSES} == {
        "mse": "MeanSquaredError",
        "mean_squared_error": "MeanSquaredError",
        "sse": "SumSquaredError",
        "mae": "MeanAbsoluteError",
        "mean_absolute_error": "MeanAbsoluteError",
        "huber": "Huber",
        "hinge": "Hinge",
        "poisson": "Poisson",
        "binary_crossentropy": "BinaryCrossentropy",
        "bce": "BinaryCrossentropy",
        "categorical_crossentropy": "CategoricalCrossentropy",
        "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: losses.get("mes"),
            "Unknown loss 'mes'; known are: bce, binary_crossentropy, categorical_crossentropy, hinge, huber, mae, "
            "mean_absolute_error, mean_squared_error, mse, poisson, sparse_categorical_crossentropy, sse.\n"
            "Hint: did you mean 'mse'?",
        ),
        (lambda: losses.get(3), "loss must be a name or a Loss, not 3."),
        (lambda: losses.get(Huber), "loss must be a name or a Loss, not <class 'pellucid.nn.losses.Huber'>."),
        (lambda: Huber(0), "Huber: delta must be a finite number above 0, not 0."),
        (
            lambda: CategoricalCrossentropy(label_smoothing=1.5),
            "CategoricalCrossentropy: label_smoothing must be a number in [0, 1], not 1.5.",
        ),
        (
            lambda: BinaryCrossentropy(from_logit=True),  # type: ignore[call-arg]
            "BinaryCrossentropy has no argument 'from_logit'; it takes: from_logits, label_smoothing.\n"
            "Hint: did you mean 'from_logits'?",
        ),
    ],
)
def test_wrong_losses_are_explained(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make()
    assert str(error.value) == message
