import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, r2_score
from tests.analysis.diagnosis.runs import breast_cancer, diagnosed, digits, fit, network, plain

from pellucid.analysis.diagnosis.setup import Setup
from pellucid.analysis.diagnosis.trial import ACCURACY, BALANCED_ACCURACY, R_SQUARED, Measure, predicted_labels
from pellucid.nn import Dense
from pellucid.optim import SGD


@pytest.fixture(scope="module")
def retry():
    return diagnosed(plain(optimizer=SGD(1e-4)), *digits().train, epochs=10, validation_split=0.2)[0].retry()


def test_as_it_was_repeats_the_training_bit_for_bit(retry):
    model = plain(optimizer=SGD(1e-4))
    history = model.fit(*digits().train, epochs=10, validation_split=0.2, seed=0, verbose=0)
    assert retry.before["loss"] == pytest.approx(history["loss"])
    assert retry.before["val_loss"] == pytest.approx(history["val_loss"])


def test_the_picture_has_both_trainings_with_their_validation(retry):
    ax = retry.plot()
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert list(lines) == ["as it was", "as it was, validation", "with the change", "with the change, validation"]
    assert lines["with the change"] == pytest.approx(retry.after["loss"])
    assert ax.get_title() == "Learning rate too low: the change helps"
    assert retry.plot(ax=ax) is ax


def test_the_text_says_what_was_compared_and_whether_it_helped(retry):
    first, second = str(retry).splitlines()
    assert first == "Learning rate too low: the change helps."
    assert second.startswith(f"  training loss: {retry.before_value:.4g} as it was, {retry.after_value:.4g} with")
    assert retry.model.evaluate(*Setup.of(retry.model, *digits().train, validation_split=0.2).validation) > 0


def test_a_retry_of_few_epochs_or_no_time_is_short():
    finding = diagnosed(plain(optimizer=SGD(1e-4)), *digits().train, epochs=10)[0]
    assert len(finding.retry(epochs=2).after) == 2
    hurried = finding.retry(seconds=1e-6)
    assert len(hurried.before) == len(hurried.after) == 1


@pytest.mark.parametrize(
    ("before", "after", "smaller", "better"),
    [
        (1.0, 0.5, True, True),
        (1.0, 0.995, True, False),
        (0.5, 0.9, False, True),
        (0.5, 0.4, False, False),
        (math.nan, 0.5, True, True),
        (0.5, math.nan, True, False),
        (math.nan, math.inf, True, False),
    ],
)
def test_better_means_by_a_margin_and_finite(before, after, smaller, better):
    assert Measure("number", lambda model, setup: 0.0, smaller).better(before, after) is better


def test_scores_are_those_of_scikit_learn():
    s = breast_cancer()
    for layer, loss in (
        (Dense(2, "softmax"), "categorical_crossentropy"),
        (Dense(1, "sigmoid"), "binary_crossentropy"),
    ):
        model = fit(network(Dense(8, "relu"), layer, loss=loss, inputs=(30,)), *s.train)
        setup = Setup.of(model, *s.train, validation=s.test)
        predicted = predicted_labels(model, s.x_test)
        assert ACCURACY.of(model, setup) == pytest.approx((predicted == s.y_test).mean())
        assert BALANCED_ACCURACY.of(model, setup) == pytest.approx(balanced_accuracy_score(s.y_test, predicted))
    y = s.x_train[:, 0] ** 2
    model = fit(network(Dense(8, "relu"), Dense(1), loss="mse", inputs=(30,)), s.x_train, y)
    expected = r2_score(y, model.predict(s.x_train)[:, 0])
    assert R_SQUARED.of(model, Setup.of(model, s.x_train, y)) == pytest.approx(expected, rel=1e-5)


def test_the_same_seed_gives_the_same_retry():
    finding = diagnosed(plain(optimizer=SGD(20.0)), *digits().train)["learning_rate_too_high"]
    first, again = finding.retry(), finding.retry()
    assert np.array_equal(first.after["loss"], again.after["loss"])
    assert (first.before_value, first.after_value) == (again.before_value, again.after_value)
