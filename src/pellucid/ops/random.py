"""Random numbers from a counter: the same bits on every backend, with any number of threads, in any order.

The generator is Philox 4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
1, 2, 3", SC 2011). A key of two uint32 and the position of an element give its random bits; there is no state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from pellucid import dtypes
from pellucid.dtypes import DType
from pellucid.errors import DTypeError, ShapeError
from pellucid.op import Op, Spec, apply
from pellucid.ops.elementwise import add, cos, log, mul, sqrt
from pellucid.ops.indexing import narrow
from pellucid.ops.movement import reshape
from pellucid.ops.promotion import operand
from pellucid.shapes import Shape, size

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_ROUNDS = 10


def philox(counter: Sequence[np.ndarray], key: tuple[int, int]) -> list[np.ndarray]:
    """Four words of random bits for each counter of four words (all held in uint64).

    >>> [hex(int(word)) for word in philox([np.zeros((), np.uint64)] * 4, (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = int(key[0]), int(key[1])
    for _ in range(_ROUNDS):
        first, second = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (second >> _SHIFT) ^ c1 ^ np.uint64(k0),
            second & _LOW,
            (first >> _SHIFT) ^ c3 ^ np.uint64(k1),
            first & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def _check_key(key: Spec) -> None:
    if key != Spec((2,), dtypes.uint32):
        raise DTypeError(f"a random key is uint32[2], not {key}", hint="make one with pellucid.random_key(seed)")


def _bits(key: np.ndarray, count: int) -> np.ndarray:
    """``count`` words: element i is word i mod 4 of counter i div 4."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    zero = np.zeros_like(blocks)
    words = philox([blocks & _LOW, blocks >> _SHIFT, zero, zero], (int(key[0]), int(key[1])))
    return np.stack(words, axis=1).reshape(-1)[:count].astype(np.uint32)


def _bits_spec(key: Spec, *, shape: Shape) -> Spec:
    _check_key(key)
    return Spec(shape, dtypes.uint32)


RANDOM_BITS = Op("random_bits", _bits_spec, lambda key, *, shape: _bits(key, size(shape)).reshape(shape), None)


def _uniform_spec(key: Spec, *, shape: Shape, dtype: DType) -> Spec:
    _check_key(key)
    if not dtypes.is_float(dtype):
        raise DTypeError(f"uniform numbers are float32 or float64, not {dtype.name}", hint="random_bits gives integers")
    return Spec(shape, dtype)


def _uniform_forward(key: np.ndarray, *, shape: Shape, dtype: DType) -> np.ndarray:
    if dtype == dtypes.float32:
        # The 24 high bits: each multiple of 2^-24 in [0, 1) is exact in float32.
        return ((_bits(key, size(shape)) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)
    words = _bits(key, 2 * size(shape)).reshape(-1, 2).astype(np.uint64)
    return (((words[:, 0] << _SHIFT | words[:, 1]) >> np.uint64(11)) * 2.0**-53).reshape(shape)


RANDOM_UNIFORM = Op("random_uniform", _uniform_spec, _uniform_forward, None)


def _fold_spec(key: Spec, data: Spec) -> Spec:
    _check_key(key)
    if data != Spec((), dtypes.uint32):
        raise ShapeError(f"the number folded into a key is uint32[], not {data}")
    return key


def _fold_forward(key: np.ndarray, data: np.ndarray) -> np.ndarray:
    # Counters of numbers use word 3, which counters of positions leave 0: the two never meet.
    number = np.asarray(int(data), np.uint64)
    zero = np.zeros((), np.uint64)
    words = philox([number, zero, zero, zero + np.uint64(1)], (int(key[0]), int(key[1])))
    return np.array([int(words[0]), int(words[1])], np.uint32)


FOLD_IN = Op("fold_in", _fold_spec, _fold_forward, None)


def random_key(seed: int) -> np.ndarray:
    """The key of a seed: uint32[2].

    >>> random_key(1).tolist()
    [1, 0]
    """
    return np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF], np.uint32)


def fold_in(key: Any, number: Any) -> Any:
    """A new key from a key and a number (a step, a layer): independent streams for different numbers."""
    if isinstance(number, Integral):
        number = np.asarray(int(number) & 0xFFFFFFFF, np.uint32)
    return apply(FOLD_IN, operand(key), operand(number))


def random_bits(key: Any, shape: Sequence[int]) -> Any:
    """Independent random uint32 words; element i depends on the key and i alone."""
    return apply(RANDOM_BITS, operand(key), shape=tuple(int(n) for n in shape))


def random_uniform(key: Any, shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Independent numbers, uniform on [0, 1).

    >>> random_uniform(random_key(0), (2,))
    Tensor([0.3990, 0.8805])
    """
    return apply(RANDOM_UNIFORM, operand(key), shape=tuple(int(n) for n in shape), dtype=dtypes.dtype(dtype))


def random_normal(key: Any, shape: Sequence[int], dtype: Any = "float32") -> Any:
    """Independent numbers of mean 0 and deviation 1, by Box and Muller's transform of two uniform ones."""
    count = size(tuple(shape))
    uniform = random_uniform(key, (2, count), dtype)
    # 1 - u lies in (0, 1]: its logarithm is finite.
    radius = sqrt(mul(-2.0, log(add(1.0, -narrow(uniform, 0, 0, 1)))))
    angle = mul(2 * math.pi, narrow(uniform, 0, 1, 2))
    return reshape(mul(radius, cos(angle)), tuple(shape))
