from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import Input, Sequential, ops
from pellucid.errors import ConfigurationError, DataError, ShapeError
from pellucid.nn import Lambda
from pellucid.train import metrics
from pellucid.train.metrics import Accumulator

RNG = np.random.default_rng(0)
COUNT = 53  # no multiple of a batch size
Y3 = RNG.integers(0, 3, COUNT)
P3 = RNG.dirichlet(np.ones(3), COUNT) * 0.6 + 0.4 * np.eye(3)[np.where(RNG.random(COUNT) < 0.6, Y3, 0)]
Y1 = RNG.integers(0, 2, COUNT)
P1 = np.round(0.35 * Y1 + 0.65 * RNG.random(COUNT), 1)  # with ties


def measured(names, x, y, loss, batch_size=7):
    """Metrics of the "predictions" x over several batches, the last one smaller."""
    model = Sequential([Input(x.shape[1:], x.dtype.name), Lambda(lambda x: x)], dtype=x.dtype.name)
    model.compile(loss, metrics=names)
    logs = model.evaluate(x, y, batch_size=batch_size, return_dict=True)
    logs.pop("loss")
    return logs


def multiclass(names, **options):
    return measured(names, P3, Y3, "categorical_crossentropy", **options)


def binary(names, **options):
    return measured(names, P1[:, None], Y1, "binary_crossentropy", **options)


def one(logs):
    (value,) = logs.values()
    return value


@pytest.fixture
def sk():
    from sklearn import metrics as sklearn_metrics

    return sklearn_metrics


def test_accuracy_is_the_share_of_right_classes(sk):
    assert one(multiclass(["accuracy"])) == pytest.approx(sk.accuracy_score(Y3, P3.argmax(1)), abs=1e-12)
    assert one(binary(["accuracy"])) == pytest.approx(sk.accuracy_score(Y1, P1 > 0.5), abs=1e-12)
    for name in ("accuracy", "categorical_accuracy"):
        assert one(measured([name], P3, np.eye(3)[Y3], "categorical_crossentropy")) == one(multiclass(["accuracy"]))


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@pytest.mark.parametrize("average", ["macro", "micro", "none"])
def test_scores_of_several_classes_are_those_of_scikit_learn(sk, name, average):
    metric = metrics.METRICS[name](average=average)
    reference = getattr(sk, f"{name}_score")
    expected = reference(Y3, P3.argmax(1), average=None if average == "none" else average, zero_division=0)
    assert np.allclose(one(multiclass([metric])), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_scores_of_one_output_are_of_the_class_1(sk, name):
    expected = getattr(sk, f"{name}_score")(Y1, P1 > 0.5)
    assert one(binary([name])) == pytest.approx(expected, abs=1e-12)


def test_the_threshold_decides_for_one_output(sk):
    found = binary([metrics.F1(threshold=0.3), metrics.ConfusionMatrix(threshold=0.3)])
    assert found["f1"] == pytest.approx(sk.f1_score(Y1, np.float32(P1) > np.float32(0.3)), abs=1e-12)
    assert found["confusion_matrix"].sum() == COUNT


@pytest.mark.parametrize("from_logits", [False, True])
def test_logits_and_margins_are_cut_at_zero(sk, from_logits):
    from pellucid.nn.losses import BinaryCrossentropy

    z = (P1 - 0.5)[:, None] * 8
    names = ["accuracy", "f1", "binary_accuracy"]
    loss = BinaryCrossentropy(from_logits=True) if from_logits else "hinge"
    found = measured(names, z, Y1 if from_logits else 2 * Y1 - 1, loss)
    right = sk.accuracy_score(Y1, z[:, 0] > 0)
    assert found == pytest.approx({"accuracy": right, "f1": sk.f1_score(Y1, z[:, 0] > 0), "binary_accuracy": right})


def test_the_confusion_matrix_counts_true_classes_by_row(sk):
    matrix = one(multiclass(["confusion_matrix"]))
    assert np.array_equal(matrix, sk.confusion_matrix(Y3, P3.argmax(1)))
    assert matrix.dtype == np.int64
    assert np.array_equal(one(binary(["confusion_matrix"])), sk.confusion_matrix(Y1, P1 > 0.5))


def test_auc_is_that_of_scikit_learn(sk):
    assert one(binary(["auc"])) == pytest.approx(sk.roc_auc_score(Y1, P1), abs=1e-12)
    expected = sk.roc_auc_score(Y3, P3 / P3.sum(1, keepdims=True), multi_class="ovr", average="macro")
    assert one(multiclass(["auc"])) == pytest.approx(expected, abs=1e-12)


def test_auc_of_every_position_counts_all_positions(sk):
    y = RNG.integers(0, 3, (COUNT, 4))
    p = RNG.dirichlet(np.ones(3), (COUNT, 4))
    expected = sk.roc_auc_score(y.reshape(-1), p.reshape(-1, 3), multi_class="ovr")
    found = measured(["auc"], p, y, "categorical_crossentropy")
    assert one(found) == pytest.approx(expected, abs=1e-12)


def test_auc_of_one_class_alone_is_unknown():
    assert np.isnan(metrics.AUC()(np.ones(4), np.arange(4.0)))
    found = metrics.AUC()(np.array([0, 1, 0, 1]), RNG.dirichlet(np.ones(3), 4))
    assert 0 <= found <= 1  # the mean over the classes that occur


@pytest.mark.parametrize("k", [1, 2])
def test_top_k_accuracy_is_that_of_scikit_learn(sk, k):
    expected = sk.top_k_accuracy_score(Y3, P3, k=k)
    assert one(multiclass([metrics.TopKAccuracy(k)])) == pytest.approx(expected, abs=1e-12)


def test_errors_of_regression_are_those_of_scikit_learn(sk):
    y, p = RNG.normal(100, 3, COUNT), RNG.normal(100, 3, COUNT)
    found = measured(["mse", "mae", "r2"], p[:, None], y, "mse")
    expected = {
        "mse": sk.mean_squared_error(y, p),
        "mae": sk.mean_absolute_error(y, p),
        "r2": sk.r2_score(y, p),
    }
    assert found == pytest.approx(expected, rel=1e-6)


def test_r2_of_several_outputs_is_their_mean(sk):
    y, p = RNG.normal(size=(COUNT, 3)), RNG.normal(size=(COUNT, 3))
    assert one(measured(["r2"], p, y, "mse")) == pytest.approx(sk.r2_score(y, p), rel=1e-9)
    assert metrics.R2()(np.full(3, 2.0), np.full(3, 2.0)) == 1.0
    assert metrics.R2()(np.full(3, 2.0), np.array([2.0, 2.0, 3.0])) == 0.0


@pytest.mark.parametrize("batch_size", [1, 10, COUNT, None])
def test_metrics_do_not_depend_on_the_batch_size(batch_size):
    names = ["accuracy", "precision", "recall", "f1", "auc", "top_k_accuracy"]
    assert multiclass(names, batch_size=batch_size) == pytest.approx(multiclass(names), rel=1e-12)


def test_a_function_is_a_metric_of_its_name():
    def worst(y_true, y_pred):
        return ops.abs(y_pred - y_true)

    y, p = np.arange(COUNT, dtype=float), np.zeros(COUNT)
    found = measured([worst, metrics.FunctionMetric(worst, name="again")], p[:, None], y, "mse")
    assert found == {"worst": (COUNT - 1) / 2, "again": (COUNT - 1) / 2}


def test_scores_without_any_member_are_zero():
    nobody = np.zeros(4)
    for name in ("precision", "recall", "f1"):
        assert metrics.METRICS[name]()(nobody, nobody) == 0.0


def test_a_class_that_occurs_nowhere_has_no_share_in_the_mean():
    y, p = np.array([0, 1]), np.eye(3)[[0, 1]]
    assert metrics.F1()(y, p) == 1.0
    assert metrics.Recall(average="none")(y, p).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ["mse", "mae", "r2", "binary_accuracy"])
def test_class_numbers_are_not_stretched_to_several_outputs(name):
    # Three samples of three classes: broadcasting would compare the wrong numbers.
    with pytest.raises(ShapeError) as error:
        measured([name], P3[:3], Y3[:3], "categorical_crossentropy")
    assert str(error.value) == (
        f"The metric {name!r} needs one target per prediction, not [3] for [3, 3].\n"
        "Hint: for class numbers use accuracy, f1, auc or top_k_accuracy"
    )


@pytest.mark.parametrize("name", ["accuracy", "mse", "mae", "r2", "auc", "f1"])
def test_a_column_of_predictions_and_a_row_of_targets_are_compared_one_by_one(name):
    metric = metrics.get(name)
    assert metric(Y1, P1[:, None]) == metric(Y1, P1)


def test_sums_of_batches_are_kept_in_double_precision():
    total = Accumulator(metrics.MeanAbsoluteError())
    total.add([np.array([2**24], np.float32), np.array([1], np.float32)])
    for _ in range(100):
        total.add([np.array([1], np.float32), np.array([1], np.float32)])
    assert total.result() == pytest.approx((2**24 + 100) / 101, rel=1e-15)


@pytest.mark.parametrize("metric", [metrics.Accuracy(), metrics.AUC()])
def test_a_metric_that_has_seen_nothing_says_so(metric):
    with pytest.raises(DataError) as error:
        Accumulator(metric).result()
    assert str(error.value) == f"The metric {metric.label!r} has seen no data."


def test_unknown_metrics_get_the_nearest_spelling():
    with pytest.raises(ConfigurationError) as error:
        metrics.get("acuracy")
    assert str(error.value).endswith("Hint: did you mean 'accuracy'?")
    with pytest.raises(ConfigurationError, match="average must be one of 'macro', 'micro', 'none', not 'weighted'"):
        metrics.F1(average="weighted")


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=4),
    seed=st.integers(0, 99),
)
def test_any_partition_into_batches_gives_the_same_metric(labels, cuts, seed):
    y = np.array(labels)
    p = np.random.default_rng(seed).random((len(y), 4))
    bounds = sorted({0, len(y), *(cut for cut in cuts if cut < len(y))})
    for metric in (metrics.Accuracy(), metrics.F1(), metrics.ConfusionMatrix(), metrics.AUC()):
        accumulator = Accumulator(metric)
        for start, stop in pairwise(bounds):
            statistics = metric.statistics(ops.identity(y[start:stop]), ops.identity(p[start:stop]))
            accumulator.add([np.asarray(s)[np.newaxis] for s in statistics])
        assert np.array_equal(accumulator.result(), metric(y, p), equal_nan=True)
