"""The rules that every graph keeps, as data; checked after every pass in the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pellucid.errors import GraphError, PellucidError
from pellucid.graph.ir import Graph, Var
from pellucid.op import REGISTRY, Spec


def _defined_once(graph: Graph) -> Iterator[str]:
    seen: set[Var] = set()
    for var in (*graph.inputs, *(v for v, _ in graph.constants), *(n.output for n in graph.nodes)):
        if var in seen:
            yield f"{var!r} is defined twice"
        seen.add(var)


def _defined_before_use(graph: Graph) -> Iterator[str]:
    known = {*graph.inputs, *(v for v, _ in graph.constants)}
    for position, node in enumerate(graph.nodes):
        for var in node.inputs:
            if var not in known:
                yield f"node {position} ({node.op.name}) uses {var!r} before it is defined"
        known.add(node.output)
    for var in graph.outputs:
        if var not in known:
            yield f"the output {var!r} is never defined"


def _specs_follow_shape_rules(graph: Graph) -> Iterator[str]:
    for position, node in enumerate(graph.nodes):
        try:
            spec = node.op.infer(*(v.spec for v in node.inputs), **node.attributes)
        except PellucidError as error:
            yield f"node {position} ({node.op.name}): {error.message}"
            continue
        except (TypeError, ValueError, IndexError) as error:  # the shape rule does not even take such operands
            yield f"node {position} ({node.op.name}): {error}"
            continue
        if spec != node.output.spec:
            yield f"node {position} ({node.op.name}) says {node.output.spec}, its shape rule {spec}"


def _constants_match(graph: Graph) -> Iterator[str]:
    for var, value in graph.constants:
        if var.spec != Spec(value.shape, value.dtype):
            yield f"the constant {var!r} holds {Spec(value.shape, value.dtype)}"


def _ops_registered(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if REGISTRY.get(node.op.name) is not node.op:
            yield f"{node.op!r} is not in the registry"


def _attributes_frozen(graph: Graph) -> Iterator[str]:
    for position, node in enumerate(graph.nodes):
        try:
            hash(tuple(node.attributes.items()))
        except TypeError:
            yield f"node {position} ({node.op.name}) has an attribute that can change: {dict(node.attributes)}"


def _one_trace(graph: Graph) -> Iterator[str]:
    numbers = {v.trace for v in (*graph.inputs, *graph.outputs, *(n.output for n in graph.nodes))}
    if len(numbers) > 1:
        yield f"variables of {len(numbers)} traces are mixed"


@dataclass(frozen=True)
class GraphRule:
    """One rule: a sentence, and what breaks it."""

    sentence: str
    violations: Callable[[Graph], Iterator[str]]


RULES = (
    GraphRule("every variable is defined once", _defined_once),
    GraphRule("every variable is defined before it is used", _defined_before_use),
    GraphRule("every node's spec is what its shape rule says", _specs_follow_shape_rules),
    GraphRule("every constant holds what its variable says", _constants_match),
    GraphRule("every operation is in the registry", _ops_registered),
    GraphRule("attributes cannot change", _attributes_frozen),
    GraphRule("all variables belong to one trace", _one_trace),
)


def verify(graph: Graph, after: str = "construction") -> None:
    """Check every rule.

    Raises:
        GraphError: A rule is broken; the text names the rule, the pass and each violation.
    """
    for rule in RULES:
        broken = list(rule.violations(graph))
        if broken:
            raise GraphError(f"graph {graph.name} after {after}: not so: {rule.sentence}.", details=broken)
