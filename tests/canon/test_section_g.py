"""Section G of the lectures' canon: the older relatives of networks, boosting with a cascade and the kernel."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from pellucid import data
from pellucid.classic import AdaBoostStumps, Cascade, CascadeTrainer, HaarFeatures, Perceptron, Windows, integral_image

SIZE = 12


def blobs(count: int, seed: int) -> np.ndarray:
    """A window with two dark eyes above a bright mouth, in noise."""
    r = np.random.default_rng(seed)
    windows = r.integers(60, 140, (count, SIZE, SIZE)).astype("uint8")
    windows[:, 2:5, 2:5] -= 60
    windows[:, 2:5, 7:10] -= 60
    windows[:, 8:10, 3:9] += 90
    return windows


def noise(seed: int, side: int = 60) -> np.ndarray:
    """An image without one: patches of several sizes."""
    r = np.random.default_rng(seed)
    coarse = np.kron(r.integers(-60, 60, (side // 6, side // 6)), np.ones((6, 6), int))
    return (r.integers(60, 140, (side, side)) + coarse).clip(0, 255).astype("uint8")


@pytest.fixture(scope="module")
def trained() -> tuple[Cascade, list, CascadeTrainer]:
    reports: list = []
    trainer = CascadeTrainer(stages=4, pool=600, negatives=300, features=30, seed=0)
    return trainer.train(blobs(120, 0), [noise(seed) for seed in range(8)], report=reports.append), reports, trainer


def test_any_rectangles_sum_is_four_looks_into_the_integral_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (17, 23))
    table = integral_image(image)
    for top, left, bottom, right in ((0, 0, 17, 23), (3, 5, 4, 6), (2, 7, 15, 20)):
        four = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
        assert four == image[top:bottom, left:right].sum()


def test_there_are_162336_features_of_two_three_and_four_rectangles_in_a_window_of_24() -> None:
    features = HaarFeatures((24, 24))  # Viola and Jones, 2001, with both orientations of three rectangles
    assert len(features) == 162_336
    assert {len(features[i].rectangles) for i in range(0, len(features), 97)} == {2, 3, 4}


def test_a_features_value_is_its_filter_laid_over_the_window() -> None:
    windows = blobs(6, 1)
    features = HaarFeatures((SIZE, SIZE)).sample(200, np.random.default_rng(0))
    found = features.values(Windows(windows))
    masks = np.stack([feature.mask((SIZE, SIZE)) for feature in features])
    deviations = windows.reshape(len(windows), -1).std(axis=1)
    np.testing.assert_allclose(found, np.tensordot(masks, windows, ([1, 2], [1, 2])) / deviations, rtol=1e-5, atol=1e-5)


def test_boosted_stumps_are_scikit_learns_and_better_than_one() -> None:
    cancer = data.load("breast_cancer")
    ours = AdaBoostStumps(40, criterion="gini").fit(*cancer.train)
    theirs = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1, random_state=0), n_estimators=40)
    theirs.fit(*cancer.train)
    assert np.array_equal(ours.predict(cancer.x_test), theirs.predict(cancer.x_test))
    assert ours.score(*cancer.test) > AdaBoostStumps(1).fit(*cancer.train).score(*cancer.test)


def test_each_stage_of_the_cascade_meets_both_of_its_targets(trained: tuple[Cascade, list, CascadeTrainer]) -> None:
    cascade, reports, trainer = trained
    kept = 1.0
    for number, (stage, report) in enumerate(zip(cascade.stages, reports, strict=True), 1):
        kept *= stage.detection_rate
        assert kept >= trainer.detection_rate**number - 1e-9
        assert stage.false_positive_rate <= trainer.false_positive_rate
        assert report.met
    assert cascade.predict(blobs(300, 5)).mean() > 0.9  # of objects that the training has never seen


def test_the_cascade_drops_most_windows_after_a_few_features(trained: tuple[Cascade, list, CascadeTrainer]) -> None:
    cascade, _, _ = trained
    image = noise(99, 120)
    image[40:52, 70:82] = blobs(1, 7)[0]
    found, report = cascade.detect_with_report(image, neighbours=1)
    best = max(found, key=lambda detection: detection.confidence)
    assert (abs(best.top - 40), abs(best.left - 70)) <= (2, 2)
    assert list(report.entered) == sorted(report.entered, reverse=True)
    assert report.entered[-1] < 0.01 * report.windows
    assert report.features_per_window < 0.5 * sum(report.stage_features)


@pytest.mark.parametrize("name", ["non_linearly_separable", "circles", "xor"])
def test_the_kernel_is_the_other_non_linear_map(name: str) -> None:
    points = data.load(name)
    assert Perceptron(0.1, 200).fit(*points.train).score(*points.test) < 0.9
    assert SVC(kernel="linear").fit(*points.train).score(*points.test) < 0.9
    assert SVC(C=1000).fit(*points.train).score(*points.test) > 0.95
