import numpy as np
import pytest

from pellucid.data import distort, distorted_batches
from pellucid.errors import ConfigurationError, DataError


@pytest.fixture
def blob():
    image = np.zeros((3, 16, 16, 2), np.float32)
    image[:, 6:10, 5:11] = 1
    return image


def test_without_any_distortion_the_images_stay(blob):
    same = distort(blob, 0, shift=0, rotation=0, scale=0, shear=0)
    np.testing.assert_allclose(same, blob, atol=1e-6)


def test_the_same_seed_gives_the_same_images_and_another_seed_others(blob):
    first = distort(blob, 1, elastic=1.0)
    np.testing.assert_array_equal(first, distort(blob, 1, elastic=1.0))
    assert np.abs(first - distort(blob, 2, elastic=1.0)).max() > 0.1


def test_each_image_is_distorted_in_its_own_way_and_channels_alike(blob):
    out = distort(blob, 0)
    assert np.abs(out[0] - out[1]).max() > 0.05
    np.testing.assert_array_equal(out[..., 0], out[..., 1])


def test_a_shift_moves_the_centre_of_mass_by_at_most_the_shift(blob):
    out = distort(blob, 3, shift=2.0, rotation=0, scale=0, shear=0)[..., 0]
    rows = np.arange(16)
    moved = (out.sum(axis=2) * rows).sum(axis=1) / out.sum(axis=(1, 2)) - 7.5
    assert np.all(np.abs(moved) <= 2.0 + 1e-3)
    assert np.any(np.abs(moved) > 0.05)


def test_the_elastic_field_bends_straight_edges(blob):
    bent = distort(blob, 0, shift=0, rotation=0, scale=0, shear=0, elastic=2.0)
    assert np.abs(bent - blob).max() > 0.2


def test_bytes_become_float32_and_doubles_stay_doubles(blob):
    assert distort((blob * 255).astype(np.uint8), 0).dtype == np.float32
    assert distort(blob.astype(np.float64), 0).dtype == np.float64


def test_batches_run_through_all_samples_in_every_pass_with_their_labels(blob):
    x = np.stack([np.full((4, 4, 1), i, np.float32) for i in range(5)])
    batches = distorted_batches(x, np.arange(5), batch_size=2, seed=1, shift=0, rotation=0, scale=0, shear=0)
    for _ in range(2):
        seen = []
        for _ in range(3):
            images, labels = next(batches)
            np.testing.assert_allclose(images[:, 1, 1, 0], labels)
            seen += labels.tolist()
        assert sorted(seen) == [0, 1, 2, 3, 4]


def test_wrong_input_is_refused(blob):
    with pytest.raises(DataError, match=r"distort takes images \[N, height, width, channel\], not \[16, 16\]\."):
        distort(blob[0, ..., 0], 0)
    with pytest.raises(ConfigurationError, match="shift must be a finite number of at least 0, not -1"):
        distort(blob, 0, shift=-1)
    with pytest.raises(DataError, match="x has 3 samples but y has 2"):
        next(distorted_batches(blob, np.arange(2)))
    with pytest.raises(ConfigurationError, match="batch_size must be at least 1, not 0"):
        next(distorted_batches(blob, np.arange(3), batch_size=0))
