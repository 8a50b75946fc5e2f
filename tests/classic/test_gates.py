from __future__ import annotations

import numpy as np
import pytest

from pellucid.classic import AND, NAND, NOT, OR, XOR, Circuit, McCullochPitts, binary_inputs, parity_circuit
from pellucid.classic.gates import truth_table
from pellucid.errors import ConfigurationError


@pytest.mark.parametrize(
    ("gate", "outputs"),
    [(AND, [0, 0, 0, 1]), (OR, [0, 1, 1, 1]), (NAND, [1, 1, 1, 0]), (XOR, [0, 1, 1, 0]), (NOT, [1, 0])],
)
def test_every_gate_has_its_truth_table(gate: McCullochPitts | Circuit, outputs: list[int]) -> None:
    assert gate(binary_inputs(gate.inputs)).tolist() == outputs


def test_a_truth_table_is_printed_row_by_row() -> None:
    assert truth_table(AND) == "0 0 | 0\n0 1 | 0\n1 0 | 0\n1 1 | 1"
    assert truth_table(Circuit(((AND, OR),))) == "0 0 | 0 0\n0 1 | 0 1\n1 0 | 0 1\n1 1 | 1 1"


def test_nand_alone_builds_every_other_gate() -> None:
    first, second = McCullochPitts((-1, 0), -0.5), McCullochPitts((0, -1), -0.5)  # NAND of an input with itself
    either = Circuit(((first, second), (NAND,)))
    assert either(binary_inputs(2)).tolist() == OR(binary_inputs(2)).tolist()


@pytest.mark.parametrize("bits", range(2, 11))
@pytest.mark.parametrize("form", ["deep", "shallow"])
def test_both_parity_circuits_count_the_ones(bits: int, form: str) -> None:
    rows = binary_inputs(bits)
    assert np.array_equal(parity_circuit(bits, form)(rows), rows.sum(axis=1) % 2)


def test_the_deep_parity_circuit_grows_with_d_the_shallow_one_with_two_to_the_d() -> None:
    deep = [parity_circuit(bits, "deep").units for bits in (2, 4, 8, 16)]
    assert deep == [3, 9, 21, 45]  # 3 (d - 1)
    assert [len(parity_circuit(bits, "deep").layers) for bits in (2, 4, 8, 16)] == [2, 4, 6, 8]  # 2 log2 d
    assert [parity_circuit(bits, "shallow").units for bits in (2, 4, 8)] == [3, 9, 129]  # 2^(d-1) + 1


def test_a_unit_that_does_not_fit_its_layer_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Circuit(((OR, NAND), (NOT,)))
    assert str(caught.value) == "Circuit: a unit of layer 2 has 1 weights for the 2 units of layer 1."
    with pytest.raises(ConfigurationError, match=r"^Circuit: a unit of layer 1 has 1 weights for the 2 inputs\.$"):
        Circuit(((OR, NOT),))
    with pytest.raises(ConfigurationError, match=r"^Circuit: every layer must have at least one unit\.$"):
        Circuit(((OR,), ()))


def test_arguments_outside_their_range_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"bits must be a whole number from 2 to 16, not 17\.$"):
        parity_circuit(17)
    with pytest.raises(ConfigurationError, match=r"form must be one of 'deep', 'shallow', not 'wide'\.$"):
        parity_circuit(3, "wide")
    with pytest.raises(ConfigurationError, match=r"bits must be a whole number of at least 1, not 0\.$"):
        binary_inputs(0)
