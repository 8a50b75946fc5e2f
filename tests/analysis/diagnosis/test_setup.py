import numpy as np
import pytest
from tests.analysis.diagnosis.runs import digits, plain

from pellucid.analysis.diagnosis.setup import Setup
from pellucid.data import one_hot
from pellucid.errors import ConfigurationError, DataError, NotBuiltError
from pellucid.nn import Dense
from pellucid.train import Sequential


def test_the_validation_split_is_that_of_fit():
    x, y = digits().train
    model = plain()
    history = model.fit(x, y, epochs=3, validation_split=0.25, seed=3, verbose=0)
    setup = Setup.of(model, x, y, validation_split=0.25, seed=3)
    assert model.evaluate(*setup.validation) == pytest.approx(history["val_loss"][-1], rel=1e-5)
    assert setup.count == len(x) - len(setup.validation[0])


def test_labels_are_the_same_for_one_hot_targets():
    x, y = digits().train
    assert np.array_equal(Setup.of(plain(), x, y).labels, Setup.of(plain(), x, one_hot(y, 10)).labels)


def test_updates_count_the_batch_that_is_left():
    x, y = (a[:100] for a in digits().train)
    assert Setup.of(plain(), x, y, batch_size=32).updates == 4
    assert Setup.of(plain(), x, y, batch_size=None).updates == 1
    assert Setup.of(plain(), x, y, batch_size=500).updates == 1


def test_a_change_leaves_the_setup_as_it_was():
    setup = Setup.of(plain(), *digits().train)
    changed = setup.with_inputs(lambda x: x + 1)
    assert np.array_equal(setup.x, digits().x_train)
    assert np.array_equal(changed.x, digits().x_train + 1)


def test_what_cannot_be_repeated_is_refused():
    x, y = digits().train
    with pytest.raises(DataError, match=r"needs all samples at once, not a generator"):
        Setup.of(plain(), iter([(x, y)]), None)
    with pytest.raises(ConfigurationError, match="validation_data or validation_split, not both"):
        Setup.of(plain(), x, y, validation=(x, y), validation_split=0.1)
    with pytest.raises(NotBuiltError, match="is not compiled"):
        Setup.of(Sequential([Dense(1)]), x, y)
    with pytest.raises(DataError, match="x has shape"):
        Setup.of(plain(), x[:, :5], y)
