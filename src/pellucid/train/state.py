"""What training changes: parameters, statistics and optimiser slots, in arrays that a loop changes in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.alignment import aligned_copy
from pellucid.tensor import Tensor


class TrainingState:
    """The working copies of some tensors.

    A loop changes ``arrays`` in place; the tensors themselves change only by :meth:`publish`, so that whoever holds
    their numbers sees whole steps.

    Attributes:
        tensors: The tensors.
        arrays: Their working copies.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        self.arrays = [aligned_copy(t.numpy()) for t in tensors]
        self._versions = [t.version for t in tensors]

    def is_of(self, tensors: Sequence[Tensor]) -> bool:
        """Whether it belongs to these tensors."""
        return len(tensors) == len(self.tensors) and all(a is b for a, b in zip(tensors, self.tensors, strict=True))

    def take_in(self) -> None:
        """Copy the tensors that someone else has changed since."""
        for number, tensor in enumerate(self.tensors):
            if tensor.version != self._versions[number]:
                self._copy_in(number)

    def discard(self) -> None:
        """Go back to the tensors."""
        for number in range(len(self.tensors)):
            self._copy_in(number)

    def _copy_in(self, number: int) -> None:
        tensor = self.tensors[number]
        self.arrays[number][...] = tensor.numpy()
        self._versions[number] = tensor.version

    def publish(self) -> None:
        """Give the tensors the present numbers."""
        for number, (tensor, array) in enumerate(zip(self.tensors, self.arrays, strict=True)):
            tensor.replace(array.copy())
            self._versions[number] = tensor.version

    def snapshot(self) -> list[np.ndarray]:
        """A copy of the present numbers."""
        return [array.copy() for array in self.arrays]

    def restore(self, snapshot: Sequence[np.ndarray]) -> None:
        """Go back to a snapshot."""
        for array, before in zip(self.arrays, snapshot, strict=True):
            array[...] = before

    def first_non_finite(self, count: int) -> Tensor | None:
        """The first of the first ``count`` tensors whose working copy holds NaN or infinity."""
        for tensor, array in zip(self.tensors[:count], self.arrays, strict=False):
            # A sum is finite only if every element is; one that overflows is looked at closely.
            with np.errstate(all="ignore"):
                suspicious = not np.isfinite(array.sum())
            if suspicious and not np.isfinite(array).all():
                return tensor
        return None
