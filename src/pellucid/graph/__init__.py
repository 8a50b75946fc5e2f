"""Graphs: the frozen representation of a computation, how it is traced, differentiated, checked and rewritten."""

from pellucid.graph.fault import Fault, Values, by_row
from pellucid.graph.gradient import gradient, gradient_with_inner
from pellucid.graph.ir import Graph, Node, Var
from pellucid.graph.rewrite import FORWARD_PASSES, PASSES, Pass, rewrite
from pellucid.graph.trace import Traced, inline, trace
from pellucid.graph.verify import RULES, verify

__all__ = [
    "FORWARD_PASSES", "PASSES", "RULES", "Fault", "Graph", "Node", "Pass", "Traced", "Values", "Var",
    "by_row", "gradient", "gradient_with_inner", "inline", "rewrite", "trace", "verify",
]  # fmt: skip
