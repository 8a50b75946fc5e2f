"""How the images of a graph lie, which is decided for all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pellucid.graph.ir import Graph


@dataclass(frozen=True)
class Layout:
    """How images lie.

    Attributes:
        batch_last: Whether their samples lie side by side.
        in_order: Whether convolutions add in the order of taps, since images of another number of samples would lie in
            the other way, and a sample's results shall have the same bits.
    """

    batch_last: bool = False
    in_order: bool = False


#: The layout of a graph's images, in training or not; lowering.py fills it in.
LAYOUTS: dict[str, Callable[[Graph, bool], Layout]] = {}
