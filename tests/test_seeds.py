"""Where randomness comes from."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pellucid import Sequential, set_seed
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Dropout, Input
from pellucid.seeds import generator, next_seed


def seeds(root: int | None, count: int = 5) -> list[int]:
    set_seed(root)
    return [next_seed() for _ in range(count)]


def test_a_root_fixes_all_that_follows() -> None:
    assert seeds(7) == seeds(7)
    assert seeds(7) != seeds(8)
    assert len(set(seeds(7, 1000))) == 1000


def test_without_a_root_every_start_differs() -> None:
    assert seeds(None) != seeds(None)


def test_seeds_are_whole_numbers_that_every_consumer_takes() -> None:
    drawn = seeds(3, 200)
    assert all(type(seed) is int and 0 <= seed < 2**63 for seed in drawn)
    assert max(drawn) > 2**62  # all 63 bits are used


def test_numpy_integers_and_large_numbers_are_roots() -> None:
    assert seeds(np.int64(7)) == seeds(7)
    assert seeds(2**100) == seeds(2**100)
    assert seeds(2**100) != seeds(2**100 + 1)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True])
def test_other_roots_are_refused_and_change_nothing(seed: object) -> None:
    set_seed(7)
    with pytest.raises(ConfigurationError) as error:
        set_seed(seed)  # type: ignore[arg-type]
    assert str(error.value) == f"A seed must be a whole number of at least 0, not {seed!r}."
    assert next_seed() == seeds(7, 1)[0]


def test_generators_of_equal_numbers_are_equal_and_streams_differ() -> None:
    first = generator(5, 1, 2).normal(size=10)
    np.testing.assert_array_equal(generator(5, 1, 2).normal(size=10), first)
    for other in (generator(5, 2, 1), generator(5, 1), generator(6, 1, 2), generator(5)):
        assert not np.array_equal(other.normal(size=10), first)


def test_a_generator_leaves_the_root_alone() -> None:
    expected = seeds(7)
    set_seed(7)
    first = next_seed()
    generator(1).normal(size=10)
    assert [first, *(next_seed() for _ in range(4))] == expected


def test_threads_never_draw_the_same_seed() -> None:
    set_seed(1)
    drawn: list[int] = []

    def draw() -> None:
        drawn.extend([next_seed() for _ in range(200)])

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 800
    assert sorted(drawn) == sorted(seeds(1, 800))


def trained(root: int, seed: int | None) -> np.ndarray:
    set_seed(root)
    model = Sequential([Input((3,)), Dense(8, activation="relu"), Dropout(0.5), Dense(1)])
    model.compile(loss="mse", optimizer="adam")
    x = np.random.default_rng(0).normal(size=(20, 3))
    model.fit(x, x.sum(axis=1), batch_size=4, epochs=2, seed=seed, verbose=0)
    return model.layers[0].kernel.numpy()


def test_a_whole_training_repeats_with_the_root_alone() -> None:
    np.testing.assert_array_equal(trained(1, None), trained(1, None))
    assert not np.array_equal(trained(1, None), trained(2, None))


def test_the_seed_of_a_fit_fixes_order_and_dropout_but_not_the_start() -> None:
    np.testing.assert_array_equal(trained(1, 5), trained(1, 5))
    assert not np.array_equal(trained(1, 5), trained(1, 6))
    assert not np.array_equal(trained(1, 5), trained(2, 5))
