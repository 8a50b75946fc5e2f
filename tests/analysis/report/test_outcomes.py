import re

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, r2_score
from tests.analysis.diagnosis.runs import breast_cancer, digits, fit, network, plain

from pellucid import data
from pellucid.analysis.diagnosis import case_of
from pellucid.analysis.report import outcomes
from pellucid.nn import Dense, Flatten


@pytest.fixture(scope="module")
def case():
    model = fit(plain(), *digits().train, epochs=5)
    return case_of(model, *digits().train, test_data=digits().test, class_names=digits().target_names)


def cells(html):
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh][^>]*>.*?</t[dh]>", row)]
        for row in re.findall(r"<tr>.*?</tr>", html)
    ]


def test_the_matrix_is_that_of_scikit_learn(case):
    predicted = case.model.predict(digits().x_test).argmax(axis=1)
    html = outcomes.confusion(case)
    rows = cells(html.split("</table>")[0])[1:]
    found = np.array([[int(cell or 0) for cell in row[1:]] for row in rows])
    assert np.array_equal(found, confusion_matrix(digits().y_test, predicted))
    assert f"{(predicted == digits().y_test).mean():.1%}" in html


def test_precision_recall_and_f1_are_those_of_scikit_learn(case):
    predicted = case.model.predict(digits().x_test).argmax(axis=1)
    rows = cells(outcomes.confusion(case).split("<h3>By class</h3>")[1].split("</table>")[0])[1:]
    expected = np.array(precision_recall_fscore_support(digits().y_test, predicted)[:3]).T
    found = [[float(cell.rstrip("%")) / 100 for cell in row[2:]] for row in rows]
    assert np.array(found) == pytest.approx(expected, abs=6e-4)


def test_mistakes_are_wrong_and_the_surest_come_first(case):
    html = outcomes.mistakes(case)
    rows = cells(html)[1:]
    probabilities = case.model.predict(digits().x_test)
    margins = []
    for row, predicted, true, sure, share, *_ in rows:
        number = int(row)
        shown = [f"{probabilities[number, int(k)]:.1%}" for k in (predicted, true)]
        assert [sure, share] == shown
        assert int(true) == digits().y_test[number]
        assert int(predicted) == probabilities[number].argmax() != int(true)
        margins.append(probabilities[number].max() - probabilities[number, int(true)])
    assert margins == sorted(margins, reverse=True)
    assert len(rows) == min(24, int((probabilities.argmax(axis=1) != digits().y_test).sum()))


def test_images_are_shown_as_images():
    images = data.load("digits")
    model = fit(network(Flatten(), Dense(10, "softmax"), inputs=(8, 8, 1)), *images.train, epochs=1)
    html = outcomes.mistakes(case_of(model, *images.train, test_data=images.test))
    assert html.count("<img ") == html.count('class="mistake"') > 5


def test_a_faultless_model_has_no_mistakes():
    x = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0) * 2 - 1
    y = np.repeat([0, 1], 20)
    model = network(Dense(2, "softmax"), inputs=(2,))
    model.set_weights({"dense.kernel": np.eye(2, dtype=np.float32), "dense.bias": np.zeros(2, np.float32)})
    assert "Every sample of the training data is right." in outcomes.mistakes(case_of(model, x, y))


@pytest.mark.parametrize(
    ("layer", "loss"),
    [
        (Dense(1, "sigmoid"), "binary_crossentropy"),
        (Dense(1), "hinge"),
        (Dense(2, "softmax"), "categorical_crossentropy"),
    ],
)
def test_two_classes_are_read_from_any_output(layer, loss):
    s = breast_cancer()
    model = fit(network(Dense(8, "relu"), layer, loss=loss, inputs=(30,)), *s.train, epochs=20)
    case = case_of(model, *s.train, test_data=s.test, class_names=s.target_names, feature_names=s.feature_names)
    html = outcomes.confusion(case)
    right = float(re.search(r"\(([\d.]+)%\)", html).group(1))
    assert right > 90
    assert "malignant" in html
    wrong = cells(outcomes.mistakes(case))
    assert len(wrong) - 1 == round((1 - right / 100) * len(s.y_test))


def test_numbers_are_drawn_against_the_true_ones():
    s = breast_cancer()
    y = s.x_train[:, 0] * 2
    model = fit(network(Dense(8, "relu"), Dense(1), loss="mse", inputs=(30,)), s.x_train, y, epochs=10)
    case = case_of(model, s.x_train, y)
    assert f"R² {r2_score(y, model.predict(s.x_train)[:, 0]):.3f}" in outcomes.scatter(case)
    assert outcomes.confusion(case) is None
    worst = int(np.argmax(np.abs(model.predict(s.x_train)[:, 0] - y)))
    assert cells(outcomes.mistakes(case))[1][0] == str(worst)


def test_sounds_are_pictures_of_their_frequencies_and_signals_are_lines():
    r = np.random.default_rng(0)
    y = r.integers(0, 2, 40)
    for channels in (12, 2):
        x = r.normal(size=(40, 20, channels)).astype(np.float32)
        model = fit(network(Flatten(), Dense(2, "softmax"), inputs=(20, channels)), x, y, epochs=1)
        html = outcomes.mistakes(case_of(model, x, y))
        wrong = (model.predict(x).argmax(axis=1) != y).sum()
        assert wrong > 0
        assert "x[" not in html
        if channels == 12:
            assert html.count("<img ") == html.count('class="mistake"') == min(wrong, 24)
        else:
            assert html.count("<img ") == 1
            assert html.count(", row ") == min(wrong, 24)


def test_of_counts_of_words_those_that_are_there_are_shown():
    x, y = np.zeros((30, 100), np.float32), np.arange(30) % 2
    x[:, 7], x[3, 50], x[3, 60] = 1, 2, 1
    model = network(Dense(2, "softmax"), inputs=(100,))
    model.set_weights({"dense.kernel": np.zeros((100, 2), np.float32), "dense.bias": np.array([0, 1], np.float32)})
    words = [f"word{k}" for k in range(100)]
    rows = cells(outcomes.mistakes(case_of(model, x, 1 - y, feature_names=words)))
    assert rows[0][-1] == "features"
    shown = {row[0]: row[-1] for row in rows[1:]}
    assert shown["3"] == "word50 (2), word60, word7"
    assert shown["1"] == "word7"
