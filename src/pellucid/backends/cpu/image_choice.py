"""Which layout the images of a graph have: channels side by side, or samples."""

from __future__ import annotations

from pellucid.backends.cpu import pair_images, tiled_images
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.image_layout import as_gradient
from pellucid.backends.cpu.layouts import Layout
from pellucid.backends.cpu.matrix_unit import is_available
from pellucid.backends.cpu.tile_conv_gradient import gradient_for
from pellucid.backends.cpu.tile_windows import Plain, plain, windows_for
from pellucid.dtypes import float32
from pellucid.graph.ir import Graph, Node
from pellucid.shapes import size

_CONVOLUTIONS = ("conv", "conv_input_grad", "conv_kernel_grad")
# The share of the peak that convolutions tile by tile reach and those in pairs of rows, counted as if they made all
# products; how much less time samples side by side must take, and how much less for the matrix unit's sake.
_BY_TILES, _BY_PAIRS, _LESS, _LESS_BY_UNIT = 1.05, 1.15, 0.9, 0.75


def layout_of(graph: Graph, training: bool) -> Layout:
    """How a graph's images lie: so that its convolutions take less time.

    Samples may fill registers better than channels do; and the matrix unit takes images in this layout alone. With
    channels side by side there are convolutions of fewer multiplications. Outside of training, what a sample gives must
    not depend on how many others there are; so where their number decides, such convolutions are left out.
    """
    nodes = [node for node in graph.nodes if node.op.name in _CONVOLUTIONS and node.attributes["groups"] == 1]
    products = [_products(node) for node in nodes]
    by_channels = [n / filled(_image(node)[-1], _lanes(node)) for n, node in zip(products, nodes, strict=True)]
    by_samples = sum(n / filled(_image(node)[0], _lanes(node)) for n, node in zip(products, nodes, strict=True))
    fewer = sum(n / _gain(node) for n, node in zip(by_channels, nodes, strict=True))
    if sum(products) < _LESS * fewer:
        return Layout(by_samples < (fewer if training else sum(by_channels)), in_order=not training)
    if not (nodes and training and is_available()):
        return Layout()
    found = [_convolution(node) for node in nodes]
    costs = [_cycles(node, conv) for node, conv in zip(nodes, found, strict=True) if conv is not None]
    last, first = (sum(each) for each in zip(*costs, strict=True)) if costs else (0.0, 0.0)
    return Layout(None not in found and last < _LESS_BY_UNIT * first)


def _image(node: Node) -> tuple[int, ...]:
    """The shape of the image whose samples or channels are in registers."""
    return (node.inputs[1] if node.op.name == "conv_kernel_grad" else node.output).spec.shape


def _lanes(node: Node) -> int:
    return lanes_for(node.output.spec.dtype)


def _products(node: Node) -> int:
    """The multiplications of a convolution or of a gradient."""
    (a, b), out = (v.spec.shape for v in node.inputs), node.output.spec.shape
    match node.op.name:
        case "conv":
            return size(out) * size(b[:-1])
        case "conv_input_grad":
            return size(a) * size(b[:-1])
        case _:
            return size(b) * size(out[:-1])


def _gain(node: Node) -> float:
    """How many times less work it is with channels side by side than by all multiplications."""
    (a, b), out, attributes = (v.spec for v in node.inputs), node.output.spec, node.attributes
    result, taps = (b.shape, out.shape[:-2]) if node.op.name == "conv_kernel_grad" else (out.shape, b.shape[:-2])
    if node.op.name == "conv_input_grad":
        if any(step != 1 for step in attributes["strides"]):
            return 1.0
        attributes = as_gradient(attributes, taps, a.shape, out.shape)
    if tiled_images.suited(a.shape[-1], result, taps, attributes, out.dtype):
        return _BY_TILES
    suited = pair_images.gradient_suited if node.op.name == "conv_kernel_grad" else pair_images.suited
    by_pairs = suited(a.shape, result, taps, attributes, out.dtype)
    return _BY_PAIRS if by_pairs else 1.0


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
    """The share of lanes in use; where there is nothing, that of one."""
    count = max(count, 1)
    return count / (-(-count // lanes) * lanes)
