"""The counter-based generator: known answers, moments, independence, and the same numbers in every order."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pellucid import ops
from pellucid.compile import compile
from pellucid.errors import DTypeError, ShapeError
from pellucid.ops.random import philox
from pellucid.tensor import Tensor

# The known-answer test of Random123 for Philox 4x32 with 10 rounds: counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter: str, key: str, answer: str) -> None:
    first, second = words(key)
    blocks = [np.full(3, word, np.uint64) for word in words(counter)]
    for word, expected in zip(philox(blocks, (first, second)), words(answer), strict=True):
        assert word.tolist() == [expected] * 3


def test_bits_are_the_words_of_successive_counters() -> None:
    bits = ops.random_bits(ops.random_key(0), (2, 4)).numpy()
    assert bits[0].tolist() == words(KNOWN_ANSWERS[0][2])
    one = [np.asarray(n, np.uint64) for n in (1, 0, 0, 0)]
    assert bits[1].tolist() == [int(word) for word in philox(one, (0, 0))]


def test_an_element_depends_on_the_key_and_its_position_alone() -> None:
    key = ops.random_key(5)
    long = ops.random_bits(key, (1001,)).numpy()
    for count in (0, 1, 2, 3, 4, 5, 1000):
        np.testing.assert_array_equal(ops.random_bits(key, (count,)).numpy(), long[:count])
    np.testing.assert_array_equal(ops.random_bits(key, (7, 11)).numpy().ravel(), long[:77])
    np.testing.assert_array_equal(
        ops.random_uniform(key, (1000,)).numpy(), (long[:1000] >> 8).astype("float32") / np.float32(2**24)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_have_the_moments_and_spread_of_the_uniform_distribution(dtype: str) -> None:
    count = 100_000
    x = ops.random_uniform(ops.random_key(1), (count,), dtype).numpy().astype("float64")
    assert x.min() >= 0
    assert x.max() < 1
    # Each tolerance is five standard errors.
    assert abs(x.mean() - 1 / 2) < 5 * math.sqrt(1 / 12 / count)
    assert abs(x.var() - 1 / 12) < 5 * math.sqrt(1 / 180 / count)
    histogram = np.histogram(x, 100, (0, 1))[0]
    chi_squared = ((histogram - count / 100) ** 2 / (count / 100)).sum()
    assert abs(chi_squared - 99) < 5 * math.sqrt(2 * 99)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 5 / math.sqrt(count)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers_have_the_moments_of_the_normal_distribution(dtype: str) -> None:
    count = 100_000
    x = ops.random_normal(ops.random_key(2), (count // 10, 10), dtype).numpy().astype("float64").ravel()
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 5 / math.sqrt(count)
    assert abs(x.var() - 1) < 5 * math.sqrt(2 / count)
    assert abs((x**3).mean()) < 5 * math.sqrt(15 / count)
    assert abs((x**4).mean() - 3) < 5 * math.sqrt(96 / count)


def test_folding_in_numbers_gives_independent_streams() -> None:
    count = 4096
    root = ops.random_key(3)
    keys = [root, *(ops.fold_in(root, n) for n in range(6)), ops.fold_in(ops.fold_in(root, 0), 0)]
    assert len({tuple(np.asarray(key).tolist()) for key in keys}) == len(keys)
    streams = np.stack([ops.random_uniform(key, (count,), "float64").numpy() for key in keys])
    correlations = np.corrcoef(streams) - np.eye(len(keys))
    assert np.abs(correlations).max() < 5 / math.sqrt(count)


def test_a_folded_key_is_none_of_the_words_that_the_key_itself_draws() -> None:
    key = ops.random_key(8)
    drawn = ops.random_bits(key, (400,)).numpy()
    for number in range(100):
        assert not set(ops.fold_in(key, number).tolist()) & set(drawn.tolist())


def test_keys_of_different_seeds_differ_and_equal_seeds_agree() -> None:
    seeds = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
    assert len({tuple(ops.random_key(seed)) for seed in seeds}) == len(seeds)
    np.testing.assert_array_equal(ops.random_key(-1), ops.random_key(2**64 - 1))
    first, again = (ops.random_normal(ops.random_key(9), (5,)).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_numbers_of_every_kind_fold_in_alike() -> None:
    key = ops.random_key(0)
    expected = ops.fold_in(key, 3).tolist()
    for number in (np.int64(3), np.uint8(3), np.asarray(3, np.uint32), Tensor(3, "uint32")):
        assert ops.fold_in(key, number).tolist() == expected


def test_a_traced_step_folds_in_like_an_eager_one() -> None:
    key = ops.random_key(4)
    draw = compile(lambda k, n: ops.random_uniform(ops.fold_in(k, n), (3,)))
    for step in (0, 1, 2**32 - 1):
        expected = ops.random_uniform(ops.fold_in(key, step), (3,)).numpy()
        np.testing.assert_array_equal(draw(key, np.asarray(step, np.uint32)).numpy(), expected)


@pytest.mark.parametrize(
    "key", [np.zeros(2, "int32"), np.zeros(3, "uint32"), np.zeros((1, 2), "uint32"), np.zeros((), "uint32"), 0]
)
@pytest.mark.parametrize(
    "draw",
    [
        lambda key: ops.random_bits(key, (2,)),
        lambda key: ops.random_uniform(key, (2,)),
        lambda key: ops.random_normal(key, (2,)),
        lambda key: ops.fold_in(key, 1),
    ],
)
def test_what_is_no_key_is_refused(key: object, draw: object) -> None:
    with pytest.raises(DTypeError, match=r"^\w+: a random key is uint32\[2\], not .*") as error:
        draw(key)
    assert str(error.value).endswith("\nHint: make one with pellucid.random_key(seed)")


def test_uniform_numbers_are_real() -> None:
    with pytest.raises(DTypeError, match=r"^random_uniform: uniform numbers are float32 or float64, not int32"):
        ops.random_uniform(ops.random_key(0), (2,), "int32")


def test_only_one_number_folds_in_at_a_time() -> None:
    with pytest.raises(ShapeError, match=r"^fold_in: the number folded into a key is uint32\[\], not int64\[2\]"):
        ops.fold_in(ops.random_key(0), np.array([1, 2]))
