import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from pellucid.errors import ConfigurationError
from pellucid.nn.losses import BinaryCrossentropy, CategoricalCrossentropy, Hinge, MeanSquaredError
from pellucid.select.answers import Answers
from pellucid.select.scoring import larger_is_better, scores_of
from pellucid.train import metrics as own_metrics

R = np.random.default_rng(0)
Y3, OUT3 = R.integers(0, 3, 60), R.dirichlet([1, 1, 1], 60)
Y2, OUT2 = np.arange(60) % 2, R.uniform(size=(60, 1))
THREE = Answers.of(CategoricalCrossentropy(), Y3, 3)
TWO = Answers.of(BinaryCrossentropy(), Y2, 1)


def value(scoring, answers, outputs, y):
    (score,) = scores_of(scoring)
    return score.of(answers, outputs, y)


@pytest.mark.parametrize(
    ("scoring", "expected"),
    [
        ("balanced_accuracy", metrics.balanced_accuracy_score(Y3, OUT3.argmax(1))),
        ("f1_macro", metrics.f1_score(Y3, OUT3.argmax(1), average="macro")),
        ("neg_log_loss", -metrics.log_loss(Y3, OUT3)),
        ("log_loss", metrics.log_loss(Y3, OUT3)),
        ("roc_auc_ovr", metrics.roc_auc_score(Y3, OUT3, multi_class="ovr")),
        ("cohen_kappa_score", metrics.cohen_kappa_score(Y3, OUT3.argmax(1))),
        (metrics.matthews_corrcoef, metrics.matthews_corrcoef(Y3, OUT3.argmax(1))),
        (metrics.make_scorer(metrics.accuracy_score), metrics.accuracy_score(Y3, OUT3.argmax(1))),
        (lambda estimator, x, y: estimator.predict_proba(x)[0, 0], OUT3[0, 0]),
        (own_metrics.get("auc"), own_metrics.get("auc")(Y3, OUT3)),
        ("top_k_accuracy", 1.0),
    ],
)
def test_scores_of_three_classes_are_those_of_their_library(scoring, expected):
    assert value(scoring, THREE, OUT3, Y3) == pytest.approx(expected)


def test_scores_of_one_output_see_both_classes():
    assert value("roc_auc", TWO, OUT2, Y2) == pytest.approx(metrics.roc_auc_score(Y2, OUT2[:, 0]))
    assert value("average_precision", TWO, OUT2, Y2) == pytest.approx(metrics.average_precision_score(Y2, OUT2[:, 0]))
    assert value("accuracy_score", TWO, OUT2, Y2) == metrics.accuracy_score(Y2, OUT2[:, 0] > 0.5)


def test_logits_and_margins_are_read_as_such():
    logits = np.log(OUT2 / (1 - OUT2))
    answers = Answers.of(BinaryCrossentropy(from_logits=True), Y2, 1)
    assert np.array_equal(answers.predicted(logits), TWO.predicted(OUT2))
    assert np.allclose(answers.probabilities(logits), TWO.probabilities(OUT2))
    three = Answers.of(CategoricalCrossentropy(from_logits=True), Y3, 3)
    assert np.allclose(three.probabilities(np.log(OUT3) + 5), OUT3)
    margins = Answers.of(Hinge(), 2 * Y2 - 1, 1)
    assert set(margins.predicted(OUT2 - 0.5).tolist()) == {-1, 1}


def test_one_hot_targets_are_classes_and_numbers_stay_numbers():
    assert np.array_equal(Answers.of(CategoricalCrossentropy(), np.eye(3)[Y3], 3).true(np.eye(3)[Y3]), Y3)
    numbers = Answers.of(MeanSquaredError(), R.normal(size=60), 1)
    assert numbers.classes is None
    assert value("neg_mean_squared_error", numbers, OUT2, OUT2[:, 0] + 1) == pytest.approx(-1)
    assert value("r2", numbers, OUT2, OUT2[:, 0]) == 1


def test_scores_of_estimators_ask_them():
    x, y = make_classification(80, random_state=0)
    fitted = LogisticRegression().fit(x, y)
    found = {s.name: s.scorer(fitted, x, y) for s in scores_of(["roc_auc", "log_loss", "f1", "accuracy", "auc"])}
    assert found["roc_auc"] == pytest.approx(found["auc"]) == metrics.roc_auc_score(y, fitted.decision_function(x))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, fitted.predict_proba(x)))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, fitted.predict(x)))
    assert found["accuracy"] == fitted.score(x, y)


def test_names_say_which_way_is_better():
    better = {s.name: s.larger_is_better for s in scores_of(["mse", "auc", "neg_log_loss", "log_loss", "hamming_loss"])}
    assert better == {"mse": False, "auc": True, "neg_log_loss": True, "log_loss": False, "hamming_loss": False}
    assert larger_is_better("d2_absolute_error_score")


def test_scores_have_the_names_of_a_dict():
    assert [s.name for s in scores_of({"mine": "accuracy", "yours": metrics.f1_score})] == ["mine", "yours"]
    assert scores_of(None) == ()


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ("acuracy", "Unknown score 'acuracy'.*\n.*did you mean 'accuracy'"),
        (["mse", "mse"], "two scores are called 'mse'"),
        (3, "must be a name or a function"),
        ("confusion_matrix", "is not one number"),
    ],
)
def test_what_is_no_score_is_refused(scoring, message):
    with pytest.raises(ConfigurationError, match=message):
        scores_of(scoring)
