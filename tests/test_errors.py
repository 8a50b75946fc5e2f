"""The exception tree, and the form of a message."""

from __future__ import annotations

import copy
import pickle

import pytest

from pellucid import errors
from pellucid.errors import (
    ConfigurationError,
    MissingDependencyError,
    PellucidError,
    ShapeError,
    missing_dependency,
    nearest,
    unknown_name,
)

TREE = {
    "ShapeError": ValueError,
    "DTypeError": TypeError,
    "ConfigurationError": ValueError,
    "DataError": ValueError,
    "NotBuiltError": RuntimeError,
    "DifferentiationError": RuntimeError,
    "TraceError": RuntimeError,
    "GraphError": RuntimeError,
    "BackendError": RuntimeError,
    "NonFiniteError": ArithmeticError,
    "FileFormatError": ValueError,
    "MissingDependencyError": ImportError,
}


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert {name for name in defined if name.endswith("Error") and name != "PellucidError"} == set(TREE)
    for name, builtin in TREE.items():
        assert issubclass(getattr(errors, name), (PellucidError, builtin))
        assert issubclass(getattr(errors, name), builtin)
        (line,) = [line for line in errors.__doc__.splitlines() if f" {name} " in line]
        assert f"({builtin.__name__})" in line


def test_a_message_is_a_sentence_then_facts_then_a_hint() -> None:
    error = ShapeError("matmul: sizes differ", details=["x: float32[2]", "at mnist.py:41"], hint="remove a layer")
    assert str(error) == "matmul: sizes differ\n  x: float32[2]\n  at mnist.py:41\nHint: remove a layer"
    assert str(ShapeError("alone")) == "alone"


def test_context_keeps_class_details_and_hint() -> None:
    inner = ShapeError("sizes differ", details=["first"], hint="look again")
    outer = inner.with_context("matmul: sizes differ", ["second"])
    assert type(outer) is ShapeError
    assert str(outer) == "matmul: sizes differ\n  first\n  second\nHint: look again"
    assert str(inner) == "sizes differ\n  first\nHint: look again"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_errors_travel_between_processes_whole(copied: object) -> None:
    error = ConfigurationError("wrong", details=["a fact"], hint="do this")
    assert str(copied(error)) == str(error)
    assert type(copied(error)) is ConfigurationError


def test_nearest_spelling_ignores_case_and_gives_up_on_strangers() -> None:
    assert nearest("ReLu", ["relu", "elu"]) == "relu"
    assert nearest("Adm", ["SGD", "Adam"]) == "Adam"
    assert nearest("xyzzy", ["relu", "sigmoid"]) is None
    assert nearest("relu", []) is None


def test_unknown_names_list_the_choices_in_order() -> None:
    error = unknown_name("loss", "mes", ["mse", "mae"])
    assert isinstance(error, ConfigurationError)
    assert str(error) == "Unknown loss 'mes'; known are: mae, mse.\nHint: did you mean 'mse'?"
    assert str(unknown_name("loss", 3, ["mse"])) == "Unknown loss 3; known are: mse."


def test_a_missing_library_says_how_to_get_it() -> None:
    error = missing_dependency("torch", "Comparing with PyTorch", "peers")
    assert isinstance(error, MissingDependencyError)
    assert isinstance(error, ImportError)
    assert str(error) == (
        "Comparing with PyTorch needs the library 'torch', which is not installed.\n"
        "Hint: run: pip install 'pellucid[peers]'"
    )
