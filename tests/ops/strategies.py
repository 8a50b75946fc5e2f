"""What Hypothesis draws for the tests of operations."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

sizes = st.integers(0, 4)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
moderate = st.floats(-8.0, 8.0, width=32)


def arrays(shape: Any, dtype: Any = "float64") -> st.SearchStrategy[np.ndarray]:
    """Arrays of moderate numbers, of a drawn or given shape."""
    elements = moderate if np.dtype(dtype).kind == "f" else st.integers(0, 9)
    return hnp.arrays(dtype, shape, elements=elements)


def counted(shape: tuple[int, ...]) -> np.ndarray:
    """0, 1, 2, ... in a shape: every element tells where it came from."""
    return np.arange(int(np.prod(shape)), dtype="float64").reshape(shape)
