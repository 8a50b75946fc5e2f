"""What recording costs, estimated from the operations of the compiled steps: no clock, no machine has a say in it."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

from pellucid.backends.loop import Loop
from pellucid.graph import Graph, Node
from pellucid.shapes import size

#: What a fit may spend on records: this share of the multiply-adds of training, and so many anyway.
_SHARE, _FREE = 0.02, 1_500_000
#: Multiply-adds that go by while one element is looked at.
_ELEMENT = 8
#: The same of a turn of another program, at least and at most: between, it takes about a step more, as it finds the
#: caches full of other things.
_SHORT, _LONG = 150_000, 3_000_000
#: Records that a fit has whatever they cost: the first step, one between, the last.
_LEAST = 3

_known: WeakKeyDictionary[Loop, int] = WeakKeyDictionary()


def affordable(plain: Loop, recorded: Loop, count: int | None) -> int:
    """How many steps shall lie between records at least.

    Args:
        plain: A step that records nothing.
        recorded: One that records statistics.
        count: How many steps there will be, where that is known.
    """
    own = max(1, _operations(plain))
    record = min(max(own, _SHORT), _LONG) + _ELEMENT * max(0, _operations(recorded) - own)
    if count is None:
        return max(1, int(record / (_SHARE * own)))
    records = max((_SHARE * own * count + _FREE) / record, _LEAST)
    return max(1, math.ceil((count - 1) / (records - 1)))


def _operations(loop: Loop) -> int:
    """The operations of a loop's step, counted once."""
    if loop not in _known:
        _known[loop] = operations(loop.graph)
    return _known[loop]


def operations(graph: Graph) -> int:
    """Multiply-adds of matrix products and convolutions, and elements of everything else."""
    return sum(_of_node(node) for node in graph.nodes)


def _of_node(node: Node) -> int:
    name, output = node.op.name, node.output
    if name == "matmul":
        return size(output.spec.shape) * node.inputs[0].spec.shape[-1]
    if name in _CONVOLUTIONS:
        image, kernel = (_CONVOLUTIONS[name](*node.inputs, output)[n].spec.shape for n in (0, 1))
        return size(image) * size(kernel[:-1])
    return size(output.spec.shape)


#: Operation -> of its operands and result the image that has been convolved, and the kernel.
_CONVOLUTIONS = {
    "conv": lambda x, w, y: (y, w),
    "conv_input_grad": lambda y, w, x: (y, w),
    "conv_kernel_grad": lambda x, y, w: (y, w),
}
