import numpy as np
import pytest
from sklearn.datasets import load_digits

from pellucid.errors import ConfigurationError, DataError
from pellucid.estimators import CNNClassifier
from pellucid.nn import Conv2D, Dropout, MaxPool2D


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype("float32"), y


def layers(network):
    return list(network.model_.layers)


def test_digits_that_it_has_not_seen(digits):
    x, y = digits
    found = CNNClassifier((8, 16), dense=(32,), epochs=10, learning_rate=0.003, random_state=0)
    assert found.fit(x[:1300], y[:1300]).score(x[1300:], y[1300:]) > 0.9


def test_images_and_flat_samples_are_the_same(digits):
    x, y = digits[0][:200], digits[1][:200]
    settings = {"filters": 4, "dense": (), "epochs": 2, "random_state": 0}
    flat = CNNClassifier(**settings).fit(x, y)
    for shape in ((8, 8), (8, 8, 1)):
        images = x.reshape(-1, *shape)
        found = CNNClassifier(**settings).fit(images, y)
        assert found.image_shape_ == (8, 8, 1)
        assert found.n_features_in_ == 64
        assert np.array_equal(found.predict_proba(images), flat.predict_proba(x))
        assert np.array_equal(found.predict_proba(x), flat.predict_proba(x))
    assert np.array_equal(CNNClassifier(**settings).fit(x.reshape(-1, 8, 8).tolist(), y).predict(x), flat.predict(x))


def test_the_layers(digits):
    x, y = digits[0][:50], digits[1][:50]
    found = CNNClassifier((4, 6), 5, dense=(7,), dropout=0.25, epochs=1).fit(x, y)
    shapes = {name: w.shape for name, w in found.weights_.items() if name.endswith("kernel")}
    assert list(shapes.values()) == [(5, 5, 1, 4), (5, 5, 4, 6), (2 * 2 * 6, 7), (7, 10)]
    assert sum(isinstance(layer, Dropout) for layer in layers(found)) == 2


def test_a_side_that_is_too_short_is_not_pooled():
    x, y = np.random.default_rng(0).normal(size=(30, 6)), np.arange(30) % 2
    found = CNNClassifier((2, 2, 2), image_shape=(2, 3), pool=2, epochs=1).fit(x, y)
    windows = [layer.pool_size for layer in layers(found) if isinstance(layer, MaxPool2D)]
    assert windows == [(2, 2)]
    row = CNNClassifier((2,), pool=3, epochs=1).fit(x, y)
    assert row.image_shape_ == (1, 6, 1)
    assert [layer.pool_size for layer in layers(row) if isinstance(layer, MaxPool2D)] == [(1, 3)]
    unpooled = CNNClassifier((2,), pool=1, epochs=1).fit(x, y)
    assert [type(layer) for layer in layers(unpooled)][:2] != [Conv2D, MaxPool2D]


def test_colours():
    images = np.random.default_rng(0).integers(0, 256, (40, 5, 4, 3), dtype=np.uint8)
    y = np.where(images[..., 0].mean((1, 2)) > images[..., 2].mean((1, 2)), "red", "blue")
    scaled = images / np.float32(255)
    found = CNNClassifier((4,), dense=(), epochs=60, learning_rate=0.01, random_state=0).fit(scaled, y)
    assert found.score(scaled, y) > 0.9
    assert found.image_shape_ == (5, 4, 3)
    assert {w.dtype.name for w in CNNClassifier((4,), epochs=1).fit(images, y).weights_.values()} == {"float32"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": (7, 9)}, r"image_shape is \(7, 9, 1\), but a sample of X has 64 numbers"),
        ({"image_shape": 8}, r"image_shape must be \(height, width\)"),
        ({"filters": ()}, None),
        ({"filters": (0,)}, "filters must be a whole number > 0 or a list"),
        ({"kernel_size": 0}, "kernel_size must be a whole number of at least 1"),
        ({"dropout": -0.1}, "dropout must be a number"),
        ({"activation": "rellu"}, "Unknown activation 'rellu'"),
    ],
)
def test_parameters(digits, settings, message):
    x, y = digits[0][:40], digits[1][:40]
    network = CNNClassifier(epochs=1, **settings)
    if message is None:
        assert network.fit(x, y).predict(x).shape == (40,)
        return
    with pytest.raises(ConfigurationError, match=message):
        network.fit(x, y)


def test_images_of_another_shape_are_refused(digits):
    x, y = digits[0][:40], digits[1][:40]
    found = CNNClassifier(epochs=1).fit(x, y)
    with pytest.raises(DataError, match=r"images of the shape \(4, 16, 1\), but the network was fitted to \(8, 8, 1\)"):
        found.predict(x.reshape(-1, 4, 16))
    with pytest.raises(DataError, match="X has 5 axes"):
        found.predict(x.reshape(-1, 2, 4, 4, 2))
    with pytest.raises(ConfigurationError, match=r"image_shape is \(8, 8, 1\), but a sample of X has the shape"):
        CNNClassifier(image_shape=(8, 8), epochs=1).fit(x.reshape(-1, 4, 16), y)
