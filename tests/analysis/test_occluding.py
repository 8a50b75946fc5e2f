import numpy as np
import pytest
from tests.analysis.small_cnns import images, lenet

from pellucid import Input, Sequential
from pellucid.analysis import occlusion
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Conv1D, Dense, Flatten


def brute_force(model, x, targets, window, rows, columns, fill):
    """One prediction per place of the window."""
    maps = np.zeros(x.shape[:-1])
    for sample, target, found in zip(x, targets, maps, strict=True):
        covers = np.zeros(found.shape)
        before = model.predict(sample[None])[0, target]
        for row in rows:
            for column in columns:
                hidden = sample.copy()
                hidden[row : row + window[0], column : column + window[1]] = fill
                found[row : row + window[0], column : column + window[1]] += (
                    before - model.predict(hidden[None])[0, target]
                )
                covers[row : row + window[0], column : column + window[1]] += 1
        found /= covers
    return maps


@pytest.mark.parametrize("batch_size", [7, 256])
def test_the_maps_are_those_of_one_prediction_per_window(batch_size):
    model, x = lenet(channels=2), images(3, channels=2)
    targets = [0, 2, 4]
    found = occlusion(model, x, targets, window=(3, 4), stride=(2, 3), fill=(0.5, -0.5), batch_size=batch_size)
    # 12 pixels: the last window of each axis is moved back to end at the edge.
    expected = brute_force(model, x, targets, (3, 4), [0, 2, 4, 6, 8, 9], [0, 3, 6, 8], (0.5, -0.5))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found).max() > 0.01


def test_a_pixel_that_no_weight_looks_at_has_no_influence():
    model = Sequential([Input((4, 4, 1)), Flatten(), Dense(1)])
    kernel = np.zeros((16, 1), "float32")
    kernel[6] = 2.0
    model.set_weights({"dense.kernel": kernel, "dense.bias": np.zeros(1, "float32")})
    x = np.full((1, 4, 4, 1), 3.0)
    found = occlusion(model, x, window=1)
    assert found[0, 1, 2] == pytest.approx(6.0)
    assert np.count_nonzero(found) == 1


def test_sequences_are_hidden_piece_by_piece():
    model = Sequential(
        [Input((6, 1)), Conv1D(1, 1, kernel_initializer="ones"), Flatten(), Dense(1, kernel_initializer="ones")]
    )
    x = np.arange(1.0, 7.0).reshape(1, 6, 1)
    assert occlusion(model, x, window=2, stride=2).tolist() == [[3, 3, 7, 7, 11, 11]]


def test_what_does_not_fit_is_named():
    model, x = lenet(), images(1)
    with pytest.raises(ConfigurationError, match="occlusion: a window of 13 does not fit on an axis of 12"):
        occlusion(model, x, window=13)
    with pytest.raises(ConfigurationError, match="occlusion: stride must be a positive integer or 2 of them, not 0"):
        occlusion(model, x, stride=0)
    with pytest.raises(DataError, match=r"occlusion: fill must be a finite number, or one for each of 1 channels"):
        occlusion(model, x, fill=(1, 2))
    with pytest.raises(ConfigurationError, match=r"the model must have one input with positions.*not \[\?, 3\]"):
        occlusion(Sequential([Input((3,)), Dense(2)]), np.ones((1, 3)))
