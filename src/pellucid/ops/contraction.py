"""Contractions: the matrix product, the convolution and the convolution's two gradients.

Images are [batch, spatial axes..., channel], kernels [spatial axes..., channel in / groups, channel out]; the number
of spatial axes is free (1 and 2 are what the layers use). The three convolution primitives are each other's
derivatives, because a convolution is linear in the image and in the kernel.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.errors import DTypeError, ShapeError
from pellucid.op import Op, Spec, apply
from pellucid.ops.movement import reshape, shape_of, swap_last
from pellucid.ops.promotion import floating, promote
from pellucid.shapes import Pads, Shape, broadcast, resolve_padding, show, size, spatial_tuple, window_output

Ints = tuple[int, ...]


def _matmul_spec(x: Spec, w: Spec) -> Spec:
    if x.dtype != w.dtype:
        raise DTypeError(f"element types differ: {x.dtype.name} (x) != {w.dtype.name} (w)")
    if x.ndim < 2 or w.ndim < 2:
        raise ShapeError(f"both operands need at least 2 axes, not {x.ndim} (x) and {w.ndim} (w)")
    if x.shape[-1] != w.shape[-2]:
        raise ShapeError(
            f"inner sizes differ: {x.shape[-1]} (x, axis {x.ndim - 1}) != {w.shape[-2]} (w, axis {w.ndim - 2})"
        )
    return Spec((*broadcast(x.shape[:-2], w.shape[:-2]), x.shape[-2], w.shape[-1]), x.dtype)


MATMUL = Op(
    "matmul",
    _matmul_spec,
    np.matmul,
    (
        lambda ct, out, x, w: apply(MATMUL, ct, swap_last(w)),
        lambda ct, out, x, w: apply(MATMUL, swap_last(x), ct),
    ),
    "{0} @ {1}",
    # Only batch axes broadcast; their cotangents are summed back like any other.
    broadcasts=True,
)


def matmul(x: Any, w: Any) -> Any:
    """The matrix product over the last axis of x and the last but one of w; batch axes broadcast.

    >>> from pellucid import Tensor
    >>> matmul(Tensor([[1.0, -2.0], [-1.0, 1.0]]), Tensor([1.0, -1.0]))
    Tensor([ 3., -2.])
    """
    x, w = promote(x, w)
    x_shape, w_shape = shape_of(x), shape_of(w)
    if not x_shape or not w_shape:
        raise ShapeError("matmul: a single number is no matrix", hint="use * for the product with a number")
    if len(x_shape) == 1:
        return reshape(matmul(reshape(x, (1, *x_shape)), w), () if len(w_shape) == 1 else (*w_shape[:-2], w_shape[-1]))
    if len(w_shape) == 1:
        return reshape(matmul(x, reshape(w, (*w_shape, 1))), x_shape[:-1])
    if len(w_shape) == 2 and len(x_shape) > 2 and x_shape[-1] == w_shape[0]:
        # One large product instead of a batch of small ones.
        rows = reshape(x, (size(x_shape[:-1]), x_shape[-1]))
        return reshape(apply(MATMUL, rows, w), (*x_shape[:-1], w_shape[1]))
    return apply(MATMUL, x, w)


# N batch, O output position, K kernel position, C channels in, D channels out, G groups.


def _check_conv(x: Spec, w: Spec, groups: int) -> None:
    if x.dtype != w.dtype:
        raise DTypeError(f"element types differ: {x.dtype.name} (x) != {w.dtype.name} (w)")
    if x.ndim != w.ndim or x.ndim < 3:
        raise ShapeError(f"a kernel of {w.ndim} axes {show(w.shape)} does not fit an image of {x.ndim} {show(x.shape)}")
    if x.shape[-1] != w.shape[-2] * groups:
        in_groups = f" x {groups} groups" if groups > 1 else ""
        raise ShapeError(
            f"channels differ: {x.shape[-1]} (x, last axis) != {w.shape[-2]}{in_groups} (w, axis {w.ndim - 2})"
        )
    if w.shape[-1] % groups:
        raise ShapeError(f"{w.shape[-1]} output channels (w, last axis) do not divide into {groups} groups")


def _conv_spec(x: Spec, w: Spec, *, strides: Ints, pads: Pads, dilation: Ints, groups: int) -> Spec:
    _check_conv(x, w, groups)
    out = window_output(x.shape[1:-1], w.shape[:-2], strides, pads, dilation)
    return Spec((x.shape[0], *out, w.shape[-1]), x.dtype)


def windows(x: np.ndarray, window: Shape, strides: Ints, pads: Pads, dilation: Ints, fill: Any = 0) -> np.ndarray:
    """A view [N, O..., K..., C] of every window of a padded image: no window is copied, only the padding is."""
    if any(before or after for before, after in pads):
        x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    out = window_output(x.shape[1:-1], window, strides, ((0, 0),) * len(window), dilation)
    spatial = x.strides[1:-1]
    return np.lib.stride_tricks.as_strided(
        x,
        (x.shape[0], *out, *window, x.shape[-1]),
        (
            x.strides[0],
            *(step * s for step, s in zip(spatial, strides, strict=True)),
            *(step * d for step, d in zip(spatial, dilation, strict=True)),
            x.strides[-1],
        ),
        writeable=False,
    )


def _columns(x: np.ndarray, window: Shape, strides: Ints, pads: Pads, dilation: Ints, groups: int) -> np.ndarray:
    """The windows as rows of one matrix per group: [G, N O, K C/G]."""
    view = windows(x, window, strides, pads, dilation)
    rows, taps = size(view.shape[: 1 + len(window)]), size(window)
    split = view.reshape((rows, taps, groups, x.shape[-1] // groups))
    return split.transpose(2, 0, 1, 3).reshape(groups, rows, taps * (x.shape[-1] // groups))


def _kernel_matrices(w: np.ndarray, groups: int) -> np.ndarray:
    """The kernel as one matrix per group: [G, K C/G, D/G]."""
    taps = size(w.shape[:-2])
    split = w.reshape((taps, w.shape[-2], groups, w.shape[-1] // groups))
    return split.transpose(2, 0, 1, 3).reshape(groups, taps * w.shape[-2], w.shape[-1] // groups)


def _output_rows(ct: np.ndarray, groups: int) -> np.ndarray:
    """An output-shaped array as one matrix per group: [G, N O, D/G]."""
    return ct.reshape(size(ct.shape[:-1]), groups, ct.shape[-1] // groups).transpose(1, 0, 2)


def _conv_forward(
    x: np.ndarray, w: np.ndarray, *, strides: Ints, pads: Pads, dilation: Ints, groups: int
) -> np.ndarray:
    spec = _conv_spec(
        Spec(x.shape, x.dtype), Spec(w.shape, w.dtype), strides=strides, pads=pads, dilation=dilation, groups=groups
    )
    product = _columns(x, w.shape[:-2], strides, pads, dilation, groups) @ _kernel_matrices(w, groups)
    return product.transpose(1, 0, 2).reshape(spec.shape)


CONV = Op(
    "conv",
    _conv_spec,
    _conv_forward,
    (
        lambda ct, out, x, w, **window: apply(CONV_INPUT_GRAD, ct, w, shape=x.spec.shape, **window),
        lambda ct, out, x, w, **window: apply(CONV_KERNEL_GRAD, x, ct, shape=w.spec.shape, **window),
    ),
    formula="conv({0}, {1})",
)


def _input_grad_spec(
    ct: Spec, w: Spec, *, shape: Shape, strides: Ints, pads: Pads, dilation: Ints, groups: int
) -> Spec:
    x = Spec(shape, ct.dtype)
    made = _conv_spec(x, w, strides=strides, pads=pads, dilation=dilation, groups=groups)
    if made.shape != ct.shape:
        raise ShapeError(f"an image {show(shape)} gives an output {show(made.shape)}, not {show(ct.shape)} (ct)")
    return x


def _input_grad_forward(
    ct: np.ndarray, w: np.ndarray, *, shape: Shape, strides: Ints, pads: Pads, dilation: Ints, groups: int
) -> np.ndarray:
    window, rank = w.shape[:-2], w.ndim - 2
    columns = _output_rows(ct, groups) @ _kernel_matrices(w, groups).transpose(0, 2, 1)
    # [G, N O, K C/G] -> [K, N, O..., C]
    out = ct.shape[1:-1]
    columns = columns.reshape(groups, ct.shape[0], size(out), size(window), w.shape[-2])
    columns = columns.transpose(3, 1, 2, 0, 4).reshape(size(window), ct.shape[0], *out, shape[-1])
    padded = tuple(n + before + after for n, (before, after) in zip(shape[1:-1], pads, strict=True))
    image = np.zeros((shape[0], *padded, shape[-1]), ct.dtype)
    for column, offset in zip(columns, itertools.product(*map(range, window)), strict=True):
        place = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in zip(offset, dilation, out, strides, strict=True)
        )
        image[(slice(None), *place)] += column
    inside = tuple(slice(pads[i][0], pads[i][0] + shape[1 + i]) for i in range(rank))
    return image[(slice(None), *inside)]


CONV_INPUT_GRAD = Op(
    "conv_input_grad",
    _input_grad_spec,
    _input_grad_forward,
    (
        lambda g, out, ct, w, *, shape, **window: apply(CONV, g, w, **window),
        lambda g, out, ct, w, *, shape, **window: apply(CONV_KERNEL_GRAD, g, ct, shape=w.spec.shape, **window),
    ),
)


def _kernel_grad_spec(
    x: Spec, ct: Spec, *, shape: Shape, strides: Ints, pads: Pads, dilation: Ints, groups: int
) -> Spec:
    w = Spec(shape, x.dtype)
    made = _conv_spec(x, w, strides=strides, pads=pads, dilation=dilation, groups=groups)
    if made.shape != ct.shape:
        raise ShapeError(f"a kernel {show(shape)} gives an output {show(made.shape)}, not {show(ct.shape)} (ct)")
    return w


def _kernel_grad_forward(
    x: np.ndarray, ct: np.ndarray, *, shape: Shape, strides: Ints, pads: Pads, dilation: Ints, groups: int
) -> np.ndarray:
    columns = _columns(x, shape[:-2], strides, pads, dilation, groups)
    product = columns.transpose(0, 2, 1) @ _output_rows(ct, groups)
    split = product.reshape(groups, size(shape[:-2]), shape[-2], shape[-1] // groups)
    return split.transpose(1, 2, 0, 3).reshape(shape)


CONV_KERNEL_GRAD = Op(
    "conv_kernel_grad",
    _kernel_grad_spec,
    _kernel_grad_forward,
    (
        lambda g, out, x, ct, *, shape, **window: apply(CONV_INPUT_GRAD, ct, g, shape=x.spec.shape, **window),
        lambda g, out, x, ct, *, shape, **window: apply(CONV, x, g, **window),
    ),
)


def conv(
    x: Any,
    w: Any,
    strides: int | Sequence[int] = 1,
    padding: str | int | Sequence = "valid",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Any:
    """The convolution (cross-correlation) of images with a kernel.

    out[n, o, d] = sum over k, c of x[n, o stride + k dilation - before, c] w[k, c, d]

    Args:
        x: Images [batch, spatial..., channel].
        w: Kernel [spatial..., channel / groups, channel out].
        strides: Shift of the kernel per output position, on each axis.
        padding: ``"valid"``, ``"same"``, a number, or a number or pair per axis.
        dilation: Distance between the kernel's taps.
        groups: Channels are split into so many groups that do not see each other.

    Raises:
        ShapeError: Channels differ, or the kernel is larger than the padded image.

    >>> from pellucid import Tensor
    >>> conv(Tensor([[[1.0], [2.0], [3.0]]]), Tensor([[[1.0]], [[1.0]]]))
    Tensor([[[3.],
             [5.]]])
    """
    x, w = floating(x, w)
    rank = len(shape_of(w)) - 2
    if rank < 1 or len(shape_of(x)) != rank + 2:
        raise ShapeError(
            f"conv: images of {len(shape_of(x))} axes {show(shape_of(x))} and a kernel of {rank + 2} axes "
            f"{show(shape_of(w))} do not fit",
            hint="images are [batch, spatial..., channel]; kernels [spatial..., channel in, channel out]",
        )
    steps = spatial_tuple(strides, rank, "strides")
    gaps = spatial_tuple(dilation, rank, "dilation")
    pads = resolve_padding(padding, shape_of(x)[1:-1], shape_of(w)[:-2], steps, gaps)
    return apply(CONV, x, w, strides=steps, pads=pads, dilation=gaps, groups=int(groups))
