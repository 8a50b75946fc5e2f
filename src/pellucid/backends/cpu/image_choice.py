"""Which layout the images of a graph have: channels side by side, or samples."""

from __future__ import annotations

from pellucid.backends.cpu import tiled_images
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.matrix_unit import is_available
from pellucid.backends.cpu.tile_conv_gradient import gradient_for
from pellucid.backends.cpu.tile_windows import Plain, plain, windows_for
from pellucid.dtypes import float32
from pellucid.graph.ir import Graph, Node

_CONVOLUTIONS = ("conv", "conv_input_grad", "conv_kernel_grad")
# The share of the peak that convolutions tile by tile reach, counted as if they made all products; how much less time
# samples side by side must take for the matrix unit's sake.
_BY_TILES, _LESS = 1.05, 0.75


def wants_batch_last(graph: Graph, training: bool) -> bool:
    """Whether a graph's convolutions take less time with their samples side by side than with their channels.

    Samples may fill registers better than channels do; and the matrix unit takes images in this layout alone.
    """
    nodes = [node for node in graph.nodes if node.op.name in _CONVOLUTIONS and node.attributes["groups"] == 1]
    images = [(node.inputs[1] if node.op.name == "conv_kernel_grad" else node.output).spec for node in nodes]
    lanes = [lanes_for(node.output.spec.dtype) for node in nodes]
    samples, channels = (
        [filled(spec.shape[axis], n) for spec, n in zip(images, lanes, strict=True)] for axis in (0, -1)
    )
    if nodes and min(samples) > min(channels) and min(channels) <= 0.75:
        return True
    if not (nodes and training and is_available()):
        return False
    found = [_convolution(node) for node in nodes]
    costs = [_cycles(node, conv) for node, conv in zip(nodes, found, strict=True) if conv is not None]
    last, first = (sum(each) for each in zip(*costs, strict=True)) if costs else (0.0, 0.0)
    return None not in found and last < _LESS * first


def _convolution(node: Node) -> Plain | None:
    """The convolution that a node computes, or by whose kernel it is a gradient; None: the unit does not know it."""
    (a, b), out, attributes = (v.spec for v in node.inputs), node.output.spec, node.attributes
    if out.dtype != float32:
        return None
    if node.op.name == "conv":
        return plain(a.shape, b.shape[:-2], out.shape, attributes)
    if node.op.name == "conv_kernel_grad":
        return plain(a.shape, out.shape[:-2], b.shape, attributes)
    taps = b.shape[:-2]
    before = [k - 1 - low for k, (low, _) in zip(taps, attributes["pads"], strict=True)]
    return plain(a.shape, taps, out.shape, attributes, tuple((n, n) for n in before))


def _cycles(node: Node, conv: Plain) -> tuple[float, float]:
    """About how long it takes with samples side by side, and with channels."""
    if node.op.name == "conv_kernel_grad":
        form = gradient_for(conv, float32)
        by_unit = None if form is None else form.cycles(conv)
    else:
        windows = windows_for(conv, float32)
        by_unit = None if windows is None else conv.by_tiles(windows)
    by_samples = conv.by_vectors(conv.filled) if by_unit is None else by_unit
    shape = (conv.batch, *conv.out, conv.outs)
    attributes = {"groups": 1, "strides": (1, 1), "dilation": (1, 1)}
    if tiled_images.suited(conv.channels, shape, conv.taps, attributes, float32):
        return by_samples, conv.by_vectors(1.0, _BY_TILES)
    return by_samples, conv.by_vectors(filled(conv.outs, lanes_for(float32)))


def filled(count: int, lanes: int) -> float:
    """The share of lanes in use."""
    return count / (-(-max(count, 1) // lanes) * lanes)
