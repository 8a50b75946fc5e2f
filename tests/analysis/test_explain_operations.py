"""The local derivatives of an explanation: the formula that is printed, and the numbers beside it."""

import re

import numpy as np
import pytest

from pellucid import ops
from pellucid.analysis import explain
from pellucid.analysis.explain_operations import _POINTWISE, LOCAL
from pellucid.op import REGISTRY

X, Y = np.array([0.7, 1.9, 0.3, 2.4]), np.array([1.5, 0.6, 2.2, 0.9])
FUNCTIONS = {"cos": np.cos, "sin": np.sin, "sign": np.sign, "exp": np.exp, "sqrt": np.sqrt, "log": np.log}
FUNCTIONS |= {"sigma": lambda z: 1 / (1 + np.exp(-z)), "pi": np.pi, "where": np.where}


def evaluated(text, names):
    """A formula of a derivative as Python computes it."""
    names = {**FUNCTIONS, **names}
    chosen = re.fullmatch(r"(\S+) where (.+), else (\S+)", text)
    if chosen:
        yes, condition, no = chosen.groups()
        other = "y" if condition.startswith("x") else "x"
        condition = condition.replace("is larger", f"> {other}").replace("is smaller", f"< {other}")
        return np.where(evaluated(condition, names), float(yes), float(no))
    text = re.sub(r"log (\w+)", r"log(\1)", text).replace("^", "**")
    return eval(re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", text), names)


@pytest.mark.parametrize("name", sorted(_POINTWISE - {"cast", "identity", "stop_gradient", "where"}))
def test_the_formula_of_a_derivative_gives_its_numbers(name):
    operation, operands = getattr(ops, name), [X, Y][: len(LOCAL[name])]
    explanation = explain(operation, *operands, names=["x", "y"][: len(operands)])
    row = explanation.table("operations")[-1]
    slopes = {slope.operand: slope for slope in row.slopes}
    for number, (operand, value) in enumerate(zip("xy", operands, strict=False)):
        h = 1e-6
        moved = [[v + s * h * (k == number) for k, v in enumerate(operands)] for s in (1, -1)]
        up, down = (np.asarray(operation(*values)) for values in moved)
        numerical = (up - down) / (2 * h)
        formula = LOCAL[name][number]
        if operand not in slopes:  # it has no derivative but 0
            assert formula == "0"
            np.testing.assert_array_equal(numerical, 0)
            continue
        np.testing.assert_allclose(slopes[operand].value, numerical, atol=1e-8)
        names = {"x": X, "y": Y, row.name: row.value}
        np.testing.assert_allclose(evaluated(slopes[operand].formula, names), numerical + 0 * value, atol=1e-8)


def test_every_operation_with_a_formula_exists():
    assert set(LOCAL) <= set(REGISTRY)
