import numpy as np
import pytest

from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense, Input, losses
from pellucid.train import metrics
from pellucid.train.targets import check_activations, class_labels, class_weights, objective, split_rows


def test_one_loss_serves_all_outputs():
    made = objective("mse", None, ["mae"], ["a", "b"])
    assert [type(loss) for loss in made.losses] == [losses.MeanSquaredError] * 2
    assert made.loss_weights == (1.0, 1.0)
    assert [[m.label for m in own] for own in made.metrics] == [["mae"], ["mae"]]


def test_losses_weights_and_metrics_by_name():
    made = objective({"b": "mse", "a": "mae"}, {"a": 2, "b": 0.5}, {"b": "r2"}, ["a", "b"])
    assert [type(loss) for loss in made.losses] == [losses.MeanAbsoluteError, losses.MeanSquaredError]
    assert made.loss_weights == (2.0, 0.5)
    assert [[m.label for m in own] for own in made.metrics] == [[], ["r2"]]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (({"a": "mse"}, None, ()), "compile: loss has the keys ['a'], but the outputs are ['a', 'b']."),
        ((["mse"], None, ()), "compile: loss has 1 entries, but the model has 2 outputs: ['a', 'b']."),
        (("mse", [1, 2, 3], ()), "compile: loss_weights has 3 entries, but the model has 2 outputs: ['a', 'b']."),
        (("mse", [1, -1], ()), "compile: a loss weight must be a number of at least 0, not -1."),
        (("mse", [1, "2"], ()), "compile: a loss weight must be a number of at least 0, not '2'."),
        (("mse", None, {"c": "mae"}), "compile: metrics has the key 'c', but the outputs are ['a', 'b']."),
        (("mse", None, ["mae", "mae"]), "Two metrics are called 'mae'.\nHint: give one a name="),
        ((None, None, ()), "loss must be a name or a Loss, not None."),
    ],
)
def test_what_does_not_fit_the_outputs_is_refused(arguments, text):
    with pytest.raises(ConfigurationError) as error:
        objective(*arguments, ["a", "b"])
    assert str(error.value) == text


def test_a_loss_of_probabilities_needs_a_layer_that_gives_them():
    def outputs(**settings):
        return [Dense(3, name="out", **settings)(Input((2,)))]

    for name, activation in (("CategoricalCrossentropy", "softmax"), ("BinaryCrossentropy", "sigmoid")):
        made = objective(getattr(losses, name)(), None, (), ["out"])
        with pytest.raises(ConfigurationError) as error:
            check_activations(made, outputs())
        assert str(error.value) == (
            f"{name} takes probabilities, but the layer 'out' has no activation.\n"
            f"Hint: give it activation={activation!r}, or use {name}(from_logits=True)"
        )
        check_activations(made, outputs(activation=activation))
        check_activations(objective(getattr(losses, name)(from_logits=True), None, (), ["out"]), outputs())


def test_two_metrics_of_a_kind_need_names():
    made = objective("mse", None, ["mae", metrics.MeanAbsoluteError(name="again")], ["a"])
    assert [m.label for m in made.metrics[0]] == ["mae", "again"]


@pytest.mark.parametrize(
    ("loss", "threshold"),
    [
        (losses.Hinge(), 0.0),
        (losses.BinaryCrossentropy(from_logits=True), 0.0),
        (losses.BinaryCrossentropy(), 0.5),
        (losses.MeanSquaredError(), 0.5),
    ],
)
def test_thresholds_follow_from_what_the_loss_takes(loss, threshold):
    given = ["binary_accuracy", "confusion_matrix", metrics.F1(average="micro")]
    (made,) = objective(loss, None, given, ["a"]).metrics
    assert [metric.threshold for metric in made] == [threshold] * 3
    assert made[2].average == "micro"
    (own,) = objective(loss, None, [metrics.BinaryAccuracy(0.7), metrics.Accuracy(0.7)], ["a"]).metrics
    assert [metric.threshold for metric in own] == [0.7, 0.7]


@pytest.mark.parametrize(
    ("loss", "y", "labels"),
    [
        ("categorical_crossentropy", np.array([2, 0], np.int32), [2, 0]),
        ("categorical_crossentropy", np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 0]),
        ("categorical_crossentropy", np.zeros((2, 3), np.int32), None),
        ("binary_crossentropy", np.array([[1.0], [0.0]]), [1, 0]),
        ("binary_crossentropy", np.array([[0.2], [0.0], [0.7]]), None),
        ("binary_crossentropy", np.zeros((2, 2)), None),
        ("hinge", np.array([[-1.0], [1.0]]), [0, 1]),
        ("mse", np.array([0, 1]), None),
    ],
)
def test_labels_are_found_where_targets_are_classes(loss, y, labels):
    found = class_labels(y, losses.get(loss))
    assert found is None if labels is None else found.tolist() == labels


def test_balanced_weights_make_every_class_count_the_same():
    labels = np.array([5, 0, 0, 0, 0, 5, 2, 0])
    weights = class_weights("balanced", labels)
    for k in (0, 2, 5):
        assert weights[labels == k].sum() == pytest.approx(len(labels) / 3)


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_sample_weight

    labels = np.random.default_rng(0).integers(0, 4, 50)
    assert np.allclose(class_weights("balanced", labels), compute_sample_weight("balanced", labels), rtol=1e-12)


def test_classes_that_do_not_occur_need_no_weight_and_do_no_harm():
    labels = np.array([0, 1, 1])
    assert class_weights({0: 2.0, 1: 3.0, -1: 7.0, 9: 8.0}, labels).tolist() == [2.0, 3.0, 3.0]
    assert class_weights({np.int64(0): 2, np.int64(1): 3}, labels).tolist() == [2.0, 3.0, 3.0]


@pytest.mark.parametrize("weights", [np.ones(2), [1.0, 1.0], "even", 3])
def test_other_class_weights_are_refused(weights):
    with pytest.raises(ConfigurationError, match=r"^class_weight must be 'balanced' or a dict of class to weight"):
        class_weights(weights, np.array([0, 1]))


def test_regression_targets_are_split_at_random_and_classes_in_proportion():
    y = np.repeat([0, 1], [90, 10]).astype(np.int32)
    train, held = split_rows(y, losses.get("categorical_crossentropy"), 0.2, seed=0)
    assert np.bincount(y[held]).tolist() == [18, 2]
    assert sorted([*train, *held]) == list(range(100))
    _, first = split_rows(np.arange(10.0), losses.get("mse"), 0.3, seed=0)
    _, second = split_rows(np.arange(10.0), losses.get("mse"), 0.3, seed=1)
    assert len(first) == len(second) == 3
    assert first.tolist() != second.tolist()


def test_one_row_cannot_be_split():
    with pytest.raises(DataError, match="at least 2 rows"):
        split_rows(np.zeros(1), losses.get("mse"), 0.5, seed=0)
