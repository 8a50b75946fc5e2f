"""Backends and executables: chosen by name, refusing gaps at compile time and wrong inputs at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
from tests.graph.build import MATRIX, VECTOR, graph_of

from pellucid import backends, ops
from pellucid.backends import Backend, Executable, ReferenceBackend
from pellucid.errors import BackendError, ConfigurationError, ShapeError
from pellucid.graph import Graph
from pellucid.op import REGISTRY


class Adder(Backend):
    """A backend that knows one operation."""

    name = "adder"
    lowerings: ClassVar[dict[str, Callable]] = {"add": np.add}

    def _compile(self, graph: Graph) -> Executable:
        return ReferenceBackend().compile(graph)


def test_backends_are_found_by_name() -> None:
    assert backends.names()[0] == "auto"
    assert "reference" in backends.names()
    for name in backends.names():
        assert isinstance(backends.get(name), Backend)
        if name != "auto":
            assert backends.get(name).name == name
    given = Adder()
    assert backends.get(given) is given


def test_the_default_is_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_BACKEND", "reference")
    assert backends.get().name == "reference"
    monkeypatch.setenv("PELLUCID_BACKEND", "referense")
    with pytest.raises(
        ConfigurationError, match=r"^Unknown backend 'referense'; .*\nHint: did you mean 'reference'\?$"
    ):
        backends.get()


def test_gaps_are_listed_all_at_once() -> None:
    graph = graph_of(lambda x: ops.exp(x) + ops.log(x) + ops.exp(x + 1), VECTOR, name="loss")
    with pytest.raises(BackendError) as error:
        Adder().compile(graph)
    assert str(error.value) == (
        "The backend 'adder' lacks 2 of the operations of graph loss: exp, log.\n"
        "Hint: use backend='reference', which knows every operation"
    )
    assert Adder().compile(graph_of(lambda x: x + 1, VECTOR))(np.zeros(3, "float32"))[0].tolist() == [1.0, 1.0, 1.0]


def test_a_backend_says_what_it_supports() -> None:
    assert Adder().supports(REGISTRY["add"])
    assert not Adder().supports(REGISTRY["exp"])
    assert all(ReferenceBackend().supports(op) for op in REGISTRY.values())


def test_inputs_are_checked_against_the_graph() -> None:
    graph = graph_of(lambda x, y: x + y, VECTOR, MATRIX, arg_names=["x", "y"], name="total")
    run = backends.get("reference").compile(graph)
    x, y = np.zeros(3, "float32"), np.zeros((2, 3), "float32")
    with pytest.raises(ShapeError, match=r"^graph total takes 2 inputs, not 1$"):
        run(x)
    with pytest.raises(ShapeError) as error:
        run(x, x)
    assert str(error.value) == "graph total: input y is float32[2, 3], but float32[3] was given"
    with pytest.raises(ShapeError, match=r"^graph total: input x is float32\[3\], but float64\[3\] was given$"):
        run(x.astype("float64"), y)
    assert run(x, y)[0].shape == (2, 3)
