"""The network and the examples of exclusive or."""

import numpy as np
import pytest
from tests.plot.networks import hand_made


@pytest.fixture
def xor():
    """Exclusive or by two hidden units, "at least one" and "both": the output is the first and not the second."""
    return hand_made([([[3, 2.4], [2.2, 3.2]], [-1.5, -4.2]), ([[4], [-4]], [-4])])


@pytest.fixture
def corners():
    """The four examples of exclusive or."""
    return np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32"), np.array([0, 1, 1, 0])
