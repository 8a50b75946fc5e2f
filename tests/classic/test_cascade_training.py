import numpy as np
import pytest

from pellucid.classic.cascade_training import CascadeTrainer
from pellucid.classic.detection import Box
from pellucid.classic.haar import Windows
from pellucid.errors import ConfigurationError, DataError

SIZE = 10


def crosses(count, seed=0):
    """Bright crosses on dark ground, with noise."""
    r = np.random.default_rng(seed)
    windows = r.integers(0, 90, (count, SIZE, SIZE)).astype("uint8")
    windows[:, 4:7] += 80
    windows[:, :, 4:7] += 80
    return windows


def tees(count, seed):
    """Crosses without their upper arm."""
    windows = crosses(count, seed)
    windows[:, :4, 4:7] -= 80
    return windows


def rough(seed, shape=(70, 80)):
    """Noise with bars, which are parts of crosses."""
    r = np.random.default_rng(seed)
    image = r.integers(0, 90, shape).astype("uint8")
    for row in r.integers(0, shape[0] - 3, 5):
        image[row : row + 3] += 80
    return np.minimum(image, 200).astype("uint8")


TRAINER = CascadeTrainer(stages=4, pool=400, negatives=300, false_positive_rate=0.3, features=20, reject_flat=False)
BACKGROUNDS = [rough(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def trained():
    reports = []
    return TRAINER.train(crosses(80), BACKGROUNDS, report=reports.append), reports


def test_each_stage_meets_its_rates_on_what_was_held_out(trained):
    cascade, reports = trained
    assert len(cascade) == len(reports) >= 2
    kept = 1.0
    for number, (stage, report) in enumerate(zip(cascade.stages, reports, strict=True), 1):
        kept *= stage.detection_rate
        assert kept >= TRAINER.detection_rate**number - 1e-9
        assert stage.false_positive_rate <= TRAINER.false_positive_rate
        assert (report.number, report.features) == (number, len(stage))
    rates = [report.background_rate for report in reports]
    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)


def test_a_report_says_whether_the_stage_met_its_target(trained):
    assert all(report.met for report in trained[1])
    assert not any("more than" in str(report) for report in trained[1])
    reports = []
    strict = CascadeTrainer(stages=1, pool=50, negatives=300, false_positive_rate=0.01, features=1, reject_flat=False)
    strict.train(crosses(80), BACKGROUNDS, tees(100, seed=3), report=reports.append)
    assert reports[0].false_positive_rate > 0.01
    assert not reports[0].met
    assert str(reports[0]).endswith("came here): more than 1%")


def test_a_stage_is_trained_on_what_the_stages_before_let_through(trained):
    cascade, reports = trained
    for number in range(1, len(cascade)):
        so_far = type(cascade)(cascade.window, cascade.stages[:number])
        passed = [so_far.survivors(image, factor=TRAINER.factor) for image in BACKGROUNDS]
        levels = [level for image in passed for level in image]
        share = sum(len(places) for _, places, _, _ in levels) / sum(report.windows for *_, report in levels)
        assert reports[number].background_rate == pytest.approx(share)


def test_it_finds_new_objects_and_little_else(trained):
    cascade, _ = trained
    assert cascade.predict(crosses(100, seed=1)).mean() > 0.8
    image = rough(99, (120, 120))
    image[50:60, 70:80] = crosses(1, seed=2)[0]
    found, report = cascade.detect_with_report(image, neighbours=25)
    assert max(found, key=lambda detection: detection.neighbours).iou(Box(50, 70, 10, 10)) > 0.5
    assert len(found) <= 2  # around the cross its bars and those of the noise may look like a larger one
    assert report.entered[-1] < 0.002 * report.windows


def test_the_same_seed_gives_the_same_cascade_with_either_backend(trained, monkeypatch):
    monkeypatch.setenv("PELLUCID_BACKEND", "reference")
    assert TRAINER.train(crosses(80), BACKGROUNDS) == trained[0]


def test_another_seed_gives_another_cascade(trained):
    other = CascadeTrainer(**{**TRAINER.config(), "seed": 1})
    assert other.train(crosses(80), BACKGROUNDS) != trained[0]


def test_it_ends_once_the_background_holds_nothing_hard():
    dark = [np.zeros((40, 40), "uint8")]
    cascade = CascadeTrainer(stages=9, pool=100, negatives=50, reject_flat=False).train(crosses(20), dark)
    assert len(cascade) == 1
    easy = CascadeTrainer(stages=9, pool=400, target=0.5, reject_flat=False)
    assert len(easy.train(crosses(80), BACKGROUNDS)) == 1


def test_windows_with_less_contrast_than_the_objects_are_rejected_before_the_first_stage():
    calm = [np.random.default_rng(seed).integers(0, 40, (50, 50)).astype("uint8") for seed in range(3)]
    reports = []
    trainer = CascadeTrainer(stages=2, pool=200, negatives=100)
    cascade = trainer.train(crosses(40), [*calm, *BACKGROUNDS], report=reports.append)
    assert 20 < cascade.least_contrast < 60
    assert 0 < reports[0].background_rate < 1
    assert not cascade.scan(calm[0])[1].entered[0]
    with pytest.raises(DataError) as error:
        trainer.train(crosses(40), calm)
    assert str(error.value) == (
        "CascadeTrainer: the backgrounds hold no two windows with as much contrast as the objects have.\n"
        "Hint: give other images, or set reject_flat=False"
    )


def test_other_windows_are_learnt_as_negatives():
    """Windows that look much like the object, and of which the backgrounds have none."""
    trainer = CascadeTrainer(stages=3, pool=400, negatives=60, reject_flat=False)
    without = trainer.train(crosses(80), BACKGROUNDS)
    taught = trainer.train(crosses(80), BACKGROUNDS, tees(100, seed=5))
    assert without.predict(tees(100, seed=6)).mean() > 0.5
    assert taught.predict(tees(100, seed=6)).mean() < 0.1
    assert taught.predict(crosses(100, seed=7)).mean() > 0.8


def test_mirror_images_and_distortions_are_learnt_too():
    reports = []
    for mirrored, distortions in ((True, 2), (False, 0)):
        trainer = CascadeTrainer(
            stages=1, pool=50, held_out=0.25, reject_flat=False, mirrored=mirrored, distortions=distortions
        )
        trainer.train(crosses(40), BACKGROUNDS, report=reports.append)
        assert trainer.train(crosses(40), BACKGROUNDS).mirrored is mirrored
    assert [report.objects for report in reports] == [30 * 2 * 3, 30]


def test_a_report_reads_as_a_line(trained):
    text = str(trained[1][0])
    assert text.startswith("stage  1:")
    assert "(100.0000% of the background came here)" in text


def test_too_little_data_are_refused():
    with pytest.raises(DataError, match="needs at least 4 windows of the object, there are 3"):
        CascadeTrainer().train(crosses(3), BACKGROUNDS)
    with pytest.raises(DataError) as error:
        CascadeTrainer().train(crosses(5), [np.zeros((9, 9), "uint8")])
    assert str(error.value) == (
        "CascadeTrainer: 0 windows [10, 10] fit into the 1 backgrounds, which are too few to learn from.\n"
        "Hint: give larger images on which the object is not to be seen"
    )
    with pytest.raises(DataError, match=r"others are windows \[4, 4\], but the objects \[10, 10\]"):
        CascadeTrainer().train(crosses(5), BACKGROUNDS, np.zeros((2, 4, 4)))


def test_scanning_images_and_looking_at_the_survivors_one_by_one_is_the_same(trained, monkeypatch):
    for few in (0, 10**9):
        monkeypatch.setattr("pellucid.classic.cascade_training._FEW", few)
        assert TRAINER.train(crosses(80), BACKGROUNDS) == trained[0]


def test_objects_that_nothing_tells_from_the_background_are_refused():
    flat = np.full((8, 6, 6), 90, "uint8")
    with pytest.raises(DataError, match="no Haar-like feature tells the objects from the backgrounds"):
        CascadeTrainer(distortions=0, reject_flat=False).train(flat, [np.full((30, 30), 40, "uint8")])


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigurationError, match=r"false_positive_rate must be a number in \(0, 1\), not 1"):
        CascadeTrainer(false_positive_rate=1)


def test_windows_are_taken_as_floats_too(trained):
    as_floats = Windows(crosses(80) / 255.0).images
    np.testing.assert_array_equal(as_floats, crosses(80))
