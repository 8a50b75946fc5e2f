"""Checks of the user's data, once, before the first step: a wrong array gets a sentence, not a strange result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import backends
from pellucid.dtypes import DType, is_float
from pellucid.errors import DataError
from pellucid.nn import Embedding
from pellucid.nn.losses import Loss
from pellucid.nn.network import Network
from pellucid.nn.symbol import Symbol
from pellucid.op import Value
from pellucid.shapes import Shape, show

# A memory-mapped array is checked in slices of about this many elements, so that it is never in memory whole; threads
# share them.
_CHUNK = 1 << 22
# Elements of a row, at least, whose columns are added up one by one.
_WIDE = 256

Later = Callable[[Symbol, np.ndarray, str], bool]


@dataclass(frozen=True)
class DataChecks:
    """What inputs and targets of one model must satisfy.

    Attributes:
        inputs: The model's input symbols.
        output_names, output_shapes: Name and sample shape of each output.
        losses: The loss of each output; empty where only predictions are made.
        embeddings: The embeddings that each input feeds; they check the range of its integers.
    """

    inputs: tuple[Symbol, ...]
    output_names: tuple[str, ...]
    output_shapes: tuple[Shape, ...]
    losses: tuple[Loss, ...]
    embeddings: tuple[tuple[Embedding, ...], ...]

    @property
    def input_dtypes(self) -> tuple[DType, ...]:
        """Element type of each input."""
        return tuple(symbol.dtype for symbol in self.inputs)

    def both(self, x: Any, y: Any, later: Later | None = None) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Checked inputs and targets of equal length; ``later`` is that of :meth:`x`."""
        inputs = self.x(x, later)
        return inputs, self.y(y, len(inputs[0]))

    def x(self, x: Any, later: Later | None = None) -> tuple[np.ndarray, ...]:
        """Checked inputs, one array per input of the model.

        Args:
            x: What the user gave.
            later: Told of an input, its array and what this is called: whether someone else sees to it that its
                elements are finite.
        """
        dimensions = len(self.inputs[0].sample_shape) + 1
        given = _by_name(x, [s.name for s in self.inputs], "x", "inputs", lambda own: np.ndim(own) == dimensions)
        arrays = []
        for symbol, values, embeddings in zip(self.inputs, given, self.embeddings, strict=True):
            what = "x" if len(self.inputs) == 1 else f"x of input {symbol.name!r}"
            arrays.append(self._input(symbol, values, embeddings, what, later))
        _same_length(arrays, [s.name or "x" for s in self.inputs])
        if len(arrays[0]) == 0:
            raise DataError("x is empty: there is no sample.")
        return tuple(arrays)

    def _input(
        self, symbol: Symbol, values: Any, embeddings: Sequence[Embedding], what: str, later: Later | None
    ) -> np.ndarray:
        array = as_array(values, what)
        if array.shape[1:] != symbol.sample_shape:
            raise DataError(
                f"{what} has shape {show((None, *array.shape[1:]))} but the model was built for "
                f"{show((None, *symbol.sample_shape))}.",
                hint=_shape_hint(array.shape, symbol.sample_shape),
            )
        if later is None or not later(symbol, array, what):
            check_finite(array, what, symbol.dtype)
        if not is_float(symbol.dtype):
            self._check_integers(array, symbol, embeddings, what)
        return array

    def _check_integers(self, array: np.ndarray, symbol: Symbol, embeddings: Sequence[Embedding], what: str) -> None:
        if is_float(array.dtype) and not (array == np.floor(array)).all():
            raise DataError(f"{what} must hold whole numbers ({symbol.dtype.name}), not fractions.")
        for layer in embeddings:
            layer.check_input(array)

    def y(self, y: Any, count: int) -> tuple[np.ndarray, ...]:
        """Checked targets, one array per output, in the form that its loss takes."""
        if y is None:
            raise DataError("y is missing: training and evaluation need targets.")
        given = _by_name(y, list(self.output_names), "y", "outputs", lambda own: len(own) == count != 1)
        arrays = []
        for name, shape, loss, values in zip(self.output_names, self.output_shapes, self.losses, given, strict=True):
            what = "y" if len(self.losses) == 1 else f"y of output {name!r}"
            array = as_array(values, what)
            if array.ndim == 0 or len(array) != count:
                length = len(array) if array.ndim else "no"
                raise DataError(f"x has {count} samples but {what} has {length}.")
            check_finite(array, what, self._dtype)
            arrays.append(np.ascontiguousarray(_float_like(loss.prepare(array, shape, what), self.inputs)))
        return tuple(arrays)

    def weights(self, weights: Any, count: int) -> np.ndarray:
        """Checked sample weights [batch]."""
        array = as_array(weights, "sample_weight")
        if array.shape != (count,):
            raise DataError(f"sample_weight must hold one number for each of {count} samples, not {show(array.shape)}.")
        check_finite(array, "sample_weight", self._dtype)
        if array.size and array.min() < 0:
            raise DataError(f"sample_weight must not be negative, but {array.min()} is there.")
        return array.astype(self._dtype)

    @property
    def _dtype(self) -> DType:
        floats = [s.dtype for s in self.inputs if is_float(s.dtype)]
        return floats[0] if floats else np.dtype("float32")


def embeddings_of(network: Network, symbol: Symbol) -> tuple[Embedding, ...]:
    """The embeddings that an input of a network feeds, those of nested models too."""
    found: list[Embedding] = []
    for call in network.calls:
        inner: Network | None = getattr(call.layer, "network", None)
        for position, source in enumerate(call.inputs):
            if source is symbol and isinstance(call.layer, Embedding):
                found.append(call.layer)
            elif source is symbol and inner is not None:
                found += embeddings_of(inner, inner.inputs[position])
    return tuple(found)


def _float_like(array: np.ndarray, inputs: Sequence[Symbol]) -> np.ndarray:
    """Real targets in the model's own precision, so that they do not promote the whole loss."""
    if not is_float(array.dtype):
        return array
    double = any(s.dtype == np.float64 for s in inputs)
    return array.astype(np.float64 if double else np.float32, copy=False)


def as_array(values: Any, what: str) -> np.ndarray:
    """A NumPy array of numbers from an array, tensor, data frame or list.

    Raises:
        DataError: The values are text, objects or ragged lists.
    """
    if isinstance(values, Value):
        values = np.asarray(values)
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        raise DataError(
            f"{what} is a masked array with hidden values.", hint="fill them first: x.filled(...), or remove the rows"
        )
    if not isinstance(values, np.ndarray):
        try:
            values = np.asarray(values)
        except ValueError as error:
            raise DataError(f"{what} does not form an array: {str(error).rstrip('.')}.") from None
    if values.dtype.kind not in "fiub":
        if values.dtype == object:
            try:
                return values.astype(np.float64)
            except (TypeError, ValueError, OverflowError):
                pass
        raise DataError(
            f"{what} must hold numbers, but its elements are {values.dtype}.",
            hint="turn text and categories into numbers first; data.load_csv does it for tables",
        )
    return values


def check_finite(array: np.ndarray, what: str, dtype: DType | None = None) -> None:
    """Refuse NaN, infinity and what is infinite as ``dtype``, naming the first place.

    Raises:
        DataError: An element is not finite.
    """
    if array.dtype.kind != "f" or array.size == 0:
        return
    narrow = dtype if dtype is not None and is_float(dtype) and dtype.itemsize < array.dtype.itemsize else array.dtype
    rows = max(1, _CHUNK // max(1, array[0].size))
    starts = range(0, len(array), rows)
    finite = _in_turn(lambda start: _is_finite(array[start : start + rows], narrow), starts)
    with closing(finite):
        first = next((start for start, good in zip(starts, finite, strict=True) if not good), None)
    if first is not None:
        part = np.asarray(array[first : first + rows])
        bad = np.argwhere(~np.isfinite(_as_type(part, narrow)))
        place = [int(i) for i in bad[0]]
        value = part[tuple(place)]
        place[0] += first
        raise _not_finite(f"{what} holds {value} at index {place}", value, narrow, len(bad))


def _in_turn(check: Callable[[int], bool], numbers: Sequence[int]) -> Generator[bool]:
    """What a check gives for some numbers, one after the other; threads share them, but none that nobody asks for."""
    threads = min(backends.num_threads(), len(numbers)) if len(numbers) > 1 else 1
    if threads == 1:
        yield from map(check, numbers)
        return
    pool, found = ThreadPoolExecutor(threads), map(check, numbers)
    with suppress(RuntimeError):  # when the interpreter is ending it starts no more threads
        found = pool.map(check, numbers)
    try:
        yield from found
    finally:
        pool.shutdown(cancel_futures=True)


def _is_finite(part: np.ndarray, dtype: DType) -> bool:
    """Whether all elements are finite as a type."""
    used = _as_type(part, dtype)
    wide = used.flags.c_contiguous and used[0].size >= _WIDE
    rows = used.reshape(len(used), -1) if wide else used
    # Sums are finite unless an element is not (or they overflow): one pass for good data, as fast as memory if each
    # column of wide rows has its own.
    with np.errstate(all="ignore"):
        totals = rows.sum(axis=0 if wide else None, dtype=np.result_type(dtype, np.float32))
    return bool(np.isfinite(totals).all() or np.isfinite(used).all())


def _as_type(part: np.ndarray, dtype: DType) -> np.ndarray:
    """Elements as a type, in which some may be infinite."""
    with np.errstate(all="ignore"):
        return np.asarray(part).astype(dtype, copy=False)


def _not_finite(found: str, value: Any, dtype: DType, count: int) -> DataError:
    if np.isfinite(value):
        return DataError(f"{found}, which is too large for {dtype.name}.", hint="bring the data to a smaller scale")
    return DataError(
        f"{found} ({count} such values in these rows).",
        hint="remove these rows, or fill the gaps, for instance with scikit-learn's SimpleImputer",
    )


def _by_name(
    given: Any, names: Sequence[str | None], what: str, kind: str, is_whole: Callable[[np.ndarray], bool]
) -> list[Any]:
    """One item per input or output, from a dict by name, a list, or the one item.

    A list that holds one array means that array where it is all data of the one input or output (``is_whole``), and a
    row otherwise.
    """
    if isinstance(given, dict):
        missing = [name for name in names if name not in given]
        extra = [key for key in given if key not in names]
        if missing or extra:
            raise DataError(f"{what} has the keys {list(given)}, but the model's {kind} are {list(names)}.")
        return [given[name] for name in names]
    if len(names) == 1:
        one = isinstance(given, (list, tuple)) and len(given) == 1
        listed = one and isinstance(given[0], (np.ndarray, Value)) and np.ndim(given[0]) and is_whole(given[0])
        return [given[0]] if listed or (one and isinstance(given, tuple)) else [given]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise DataError(f"{what} has {len(given)} arrays, but the model has {len(names)} {kind}: {list(names)}.")
        return list(given)
    raise DataError(f"{what} must be a list or dict of {len(names)} arrays, one for each of the {kind} {list(names)}.")


def _same_length(arrays: Sequence[np.ndarray], names: Sequence[str]) -> None:
    for array, name in zip(arrays, names, strict=True):
        if len(array) != len(arrays[0]):
            raise DataError(f"input {name!r} has {len(array)} samples, but {names[0]!r} has {len(arrays[0])}.")


def _shape_hint(given: Shape, expected: Shape) -> str | None:
    if given == expected:
        return "a single sample still needs a batch axis: x[None]"
    if given[1:] == expected[:-1] and expected[-1] == 1:
        return "grey images need a channel axis: x[..., None]"
    sample = int(np.prod(given[1:])) if len(given) > 1 else 1
    if sample == int(np.prod(expected)):
        return f"the sizes match: x.reshape({('len(x)', *expected)!r})".replace("'", "")
    return None
