import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.classic.boosting import Stump
from pellucid.classic.cascade import Cascade, ScanReport, Stage
from pellucid.classic.detection import Box
from pellucid.classic.haar import HaarFeatures
from pellucid.errors import ConfigurationError, DataError, FileFormatError


def some_cascade(seed, window=(6, 5), stages=3):
    """Random stages; each lets about half of the windows of noise through."""
    r = np.random.default_rng(seed)
    table = HaarFeatures(window)
    made = []
    for _ in range(stages):
        count = int(r.integers(1, 5))
        stumps = []
        for number in range(count):
            side = int(r.choice([-1, 1]))
            stumps.append(Stump(number, float(r.normal()), side, -side))
        features = tuple(table[int(i)] for i in r.integers(0, len(table), count))
        made.append(Stage(features, tuple(stumps), tuple(r.uniform(0.5, 2, count)), -0.1, 1.0, 0.5))
    return Cascade(window, tuple(made))


def noise(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


#: Dark on the left, bright on the right.
EDGE = Cascade(
    (8, 8),
    (Stage((HaarFeatures((8, 8), ["two-x"])[-1],), (Stump(0, -50.0, 1, -1),), (2.0,), 0.0, 1.0, 0.1),),
)


@given(st.integers(0, 999), st.integers(1, 3))
def test_a_scan_says_of_each_window_what_the_window_alone_says(seed, step):
    cascade, image = some_cascade(seed), noise(seed, (14, 17))
    found, report = cascade.scan(image, step)
    windows = np.lib.stride_tricks.sliding_window_view(image, cascade.window)[::step, ::step]
    alone = cascade.predict(windows.reshape(-1, *cascade.window)).reshape(found.passed.shape)
    np.testing.assert_array_equal(found.passed == len(cascade), alone)
    assert report.windows == alone.size
    assert report.entered[-1] == alone.sum()


@given(st.integers(0, 999))
def test_the_report_counts_the_features_that_were_evaluated(seed):
    cascade = some_cascade(seed)
    found, report = cascade.scan(noise(seed, (20, 20)))
    sizes = [len(stage) for stage in cascade.stages]
    evaluated = [sum(sizes[: passed + 1]) for passed in found.passed.ravel()]
    assert found.features.ravel().tolist() == evaluated
    assert report.features == sum(evaluated)
    assert report.features_per_window == pytest.approx(np.mean(evaluated))
    assert sum(report.features_per_stage) == pytest.approx(report.features_per_window)
    assert report.entered[0] == report.windows


def test_windows_with_too_little_contrast_cost_no_feature():
    image = np.full((20, 40), 90, "uint8")
    image[:, 20:] = noise(0, (20, 20))
    cascade = replace(some_cascade(0), least_contrast=20.0)
    found, report = cascade.scan(image)
    flat = np.lib.stride_tricks.sliding_window_view(image, cascade.window).std(axis=(2, 3)) < 20
    assert 0 < flat.sum() < flat.size
    np.testing.assert_array_equal(found.passed == -1, flat)
    assert found.features[flat].sum() == 0
    assert report.entered[0] == (~flat).sum()
    assert report.windows == flat.size
    assert not cascade.predict(image[None, :6, :5]).any()


def test_a_detection_must_be_as_sure_as_is_asked_for():
    image = np.full((30, 30), 128, "uint8")
    image[:, 15:] = 255
    surest = EDGE.detect(image, neighbours=0)[0].confidence
    assert EDGE.detect(image, neighbours=0, confidence=surest)
    assert EDGE.detect(image, neighbours=0, confidence=surest + 0.01) == []
    shy = replace(EDGE, least_confidence=surest + 0.01)
    assert shy.detect(image, neighbours=0) == []
    assert shy.detect(image, neighbours=0, confidence=0) == EDGE.detect(image, neighbours=0)


def test_half_of_the_neighbours_must_show_a_mirrored_object_in_their_mirror_images_too():
    one_sided = np.full((30, 30), 128, "uint8")
    one_sided[:, 15:] = 255
    seen = EDGE.detect(one_sided, neighbours=3)
    assert seen
    assert replace(EDGE, mirrored=True).detect(one_sided, neighbours=3) == []
    assert replace(EDGE, mirrored=True).detect(one_sided, neighbours=0) == EDGE.detect(one_sided, neighbours=0)

    # Dark in the middle, bright on both sides: its own mirror image.
    bar = Stage((HaarFeatures((9, 9), ["three-x"])[-1],), (Stump(0, 50.0, -1, 1),), (2.0,), 0.0, 1.0, 0.1)
    symmetric = Cascade((9, 9), (bar,), mirrored=True)
    image = np.full((30, 30), 255, "uint8")
    image[:, 13:17] = 0
    assert symmetric.detect(image, neighbours=3) == replace(symmetric, mirrored=False).detect(image, neighbours=3) != []


def test_a_file_without_the_mark_is_of_a_cascade_that_is_not_mirrored(tmp_path):
    replace(EDGE, mirrored=True).save(tmp_path / "c.json")
    assert Cascade.load(tmp_path / "c.json").mirrored
    content = json.loads((tmp_path / "c.json").read_text())
    del content["mirrored"]
    (tmp_path / "c.json").write_text(json.dumps(content))
    assert Cascade.load(tmp_path / "c.json") == EDGE


def test_reports_of_images_add_up():
    total = ScanReport(10, (10, 4, 1), (2, 3), 32) + ScanReport(10, (10, 2, 0), (2, 3), 26)
    assert total == ScanReport(20, (20, 6, 1), (2, 3), 58)
    assert str(total) == (
        "20 windows, 2.90 features each on average\n"
        "stage  1:   2 features, entered by 100.0000%, 2.000 a window\n"
        "stage  2:   3 features, entered by  30.0000%, 0.900 a window\n"
        "passed all: 1 windows"
    )


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_an_object_is_found_where_it_is_at_its_size(backend, monkeypatch):
    monkeypatch.setenv("PELLUCID_BACKEND", backend)
    image = np.full((60, 70), 128, "uint8")
    image[20:44, 30:42] = 0
    image[20:44, 42:54] = 255
    found = EDGE.detect(image, smallest=16, neighbours=0)
    assert found[0].iou(Box(20, 30, 24, 24)) > 0.5
    assert found[0].confidence == max(d.confidence for d in found)
    assert EDGE.detect(image, neighbours=10**6) == []
    assert EDGE.detect(image, smallest=60) == []


def test_a_flat_image_has_nothing_in_it():
    assert EDGE.detect(np.full((40, 40, 3), 0.5), neighbours=0) == []


def test_an_image_smaller_than_the_window_has_nothing_in_it():
    found, report = EDGE.detect_with_report(np.zeros((7, 40)))
    assert found == []
    assert report.windows == report.features_per_window == 0


@given(st.integers(0, 999))
def test_a_saved_cascade_comes_back_exactly(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("cascade") / "some.json"
    cascade = some_cascade(seed)
    cascade.save(path)
    assert Cascade.load(path) == cascade
    with_limits = replace(cascade, least_contrast=1 / 3, least_confidence=-0.1)
    with_limits.save(path)
    assert Cascade.load(path) == with_limits


def test_a_stump_without_a_threshold_comes_back_too(tmp_path):
    stage = Stage((HaarFeatures((4, 4))[0],), (Stump(0, float("-inf"), -1, 1),), (1.0,), 0.0, 1.0, 1.0)
    Cascade((4, 4), (stage,)).save(tmp_path / "c.json")
    assert Cascade.load(tmp_path / "c.json").stages == (stage,)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace("pellucid cascade 1", "pellucid cascade 7"),
        lambda content: content.replace('"weights": [', '"weights": [1.0,'),
        lambda content: content.replace("two-x", "ten-x"),
        lambda content: json.dumps({**json.loads(content), "window": [8]}),
        lambda content: "[]",
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    EDGE.save(tmp_path / "c.json")
    (tmp_path / "c.json").write_text(damage((tmp_path / "c.json").read_text()))
    with pytest.raises(FileFormatError, match=r"c\.json is no cascade that can be read"):
        Cascade.load(tmp_path / "c.json")


def test_wrong_uses_are_named():
    with pytest.raises(DataError) as error:
        EDGE.predict(np.zeros((2, 9, 8), "uint8"))
    assert str(error.value) == ("The cascade looks at windows [8, 8], not [9, 8].\nHint: use detect() for whole images")
    with pytest.raises(DataError, match=r"No window \[8, 8\] fits into an image \[7, 20\]"):
        EDGE.scan(np.zeros((7, 20)))
    with pytest.raises(ConfigurationError, match="Cascade: step must be a whole number of at least 1, not 0"):
        EDGE.detect(np.zeros((9, 9)), step=0)
    with pytest.raises(ConfigurationError, match="Cascade: neighbours must be a whole number of at least 0, not -1"):
        EDGE.detect(np.zeros((9, 9)), neighbours=-1)
