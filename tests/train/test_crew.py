import numpy as np
import pytest

from pellucid import Input, Population, Sequential, backends, set_seed
from pellucid.nn import Dense
from pellucid.train.crew import Crew


@pytest.fixture
def engine_threads():
    """Sets the number of the engine's threads; afterwards it is the usual one."""
    yield backends.set_num_threads
    backends.set_num_threads(None)


R = np.random.default_rng(0)
X, Y = R.normal(size=(60, 4)).astype("float32"), R.integers(0, 3, 60)


def population(units, n, crew=None, **options):
    set_seed(units)
    model = Sequential([Input((4,)), Dense(units, activation="tanh"), Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", "adam")
    found = Population(model, n, seed=units)
    found.fit(X, Y, epochs=6, batch_size=16, crew=crew, **options)
    return found


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_populations_side_by_side_are_the_populations_alone(threads, engine_threads):
    engine_threads(threads)
    crew = Crew()
    together = [population(units, n, crew) for units, n in ((3, 1), (5, 4), (7, 2))]
    assert all(own.histories == [] for own in together)
    assert crew.work()
    for own in together:
        alone = population(own[0].layers[0].units, len(own))
        for member, twin, history in zip(own, alone, own.histories, strict=True):
            assert history["loss"] == twin.history["loss"]
            for name, value in member.get_weights().items():
                np.testing.assert_array_equal(value, twin.get_weights()[name])


def test_an_interrupt_ends_all_populations(engine_threads):
    def interrupt(epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    for threads in (1, 2):
        engine_threads(threads)
        crew = Crew()
        first = population(3, 1, crew, callbacks=[interrupt])
        second = population(5, 40, crew)
        assert not crew.work()
        assert first.interrupted
        assert second.interrupted
        assert len(first.histories[0]) == 3
        assert len(second.histories) == 40
        assert any(len(history) < 6 for history in second.histories)


def test_an_error_of_one_member_ends_all_and_is_told():
    def fail(epoch, logs):
        raise ValueError("mine")

    crew = Crew()
    population(3, 2, crew, callbacks=[fail])
    other = population(5, 2, crew)
    with pytest.raises(ValueError, match="mine"):
        crew.work()
    assert len(other.histories) == 2
