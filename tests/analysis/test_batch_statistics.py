import numpy as np
import pytest

from pellucid import Input, Sequential, set_seed
from pellucid.analysis import loss_surface
from pellucid.errors import ConfigurationError
from pellucid.nn import BatchNorm, Dense, Dropout
from pellucid.nn.regularizers import L2

R = np.random.default_rng(0)
X, Y = R.normal(size=(50, 4)), R.integers(0, 3, 50)


def net(loss="categorical_crossentropy", metrics=(), **settings):
    set_seed(0)
    layers = [Dense(5, "tanh", kernel_regularizer=L2(0.02)), Dropout(0.5), Dense(3, "softmax", name="head")]
    model = Sequential([Input((4,)), *layers], **settings)
    model.compile(loss, metrics=metrics)
    return model


def test_batch_norm_keeps_its_statistics_or_takes_those_of_the_data():
    set_seed(0)
    model = Sequential([Input((4,)), Dense(6), BatchNorm(), Dense(6, "tanh"), BatchNorm(), Dense(1)])
    model.compile("mse")
    y = R.normal(size=50)
    kept = loss_surface(model, X, y)
    assert kept.value() == pytest.approx(model.evaluate(X, y), rel=1e-5)
    whole, parts = (loss_surface(model, X, y, batch_norm="recomputed", batch_size=b) for b in (50, 10))
    training = loss_surface(model, X, y, training=True)
    assert whole.value() == pytest.approx(training.value(), rel=1e-12)
    assert whole.value() != pytest.approx(kept.value(), rel=1e-2)
    assert parts.value() == pytest.approx(whole.value(), rel=0.2)


def test_a_first_batch_norm_has_exactly_the_statistics_of_all_batches():
    set_seed(0)
    model = Sequential([Input((4,)), BatchNorm(), Dense(1)])
    model.compile("mse")
    y = R.normal(size=50)
    whole, parts = (loss_surface(model, X, y, batch_norm="recomputed", batch_size=b).value() for b in (50, 7))
    assert parts == pytest.approx(whole, rel=1e-12)


def test_statistics_of_other_layers_are_refused():
    from pellucid.nn import Layer

    class Counting(Layer):
        def build(self, shape):
            self.seen = self.add_parameter("seen", (), "zeros", trainable=False)

        def call(self, x):
            if self.training:
                self.seen.assign(self.seen + 1.0)
            return x

    model = Sequential([Input((4,)), Counting(), Dense(1)])
    model.compile("mse")
    with pytest.raises(ConfigurationError, match=r"The statistics \['counting.seen'\] cannot be recomputed"):
        loss_surface(model, X, R.normal(size=50), batch_norm="recomputed")
