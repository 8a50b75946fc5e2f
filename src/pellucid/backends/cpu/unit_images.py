"""Which convolutions are carried out on a matrix unit, and their records; the kernels are those of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pellucid.backends.cpu import kernels
from pellucid.backends.cpu.elementwise import Ending
from pellucid.backends.cpu.lanes import LANES
from pellucid.backends.cpu.matrix_unit import ROWS
from pellucid.backends.cpu.planner import Planner
from pellucid.backends.cpu.pooling import Pooled
from pellucid.backends.cpu.split import INNER
from pellucid.backends.cpu.tile_conv_gradient import GradForm
from pellucid.backends.cpu.tile_convolution import TileForm
from pellucid.backends.cpu.tile_windows import BLOCKS, Windows, plain, windows_for
from pellucid.backends.cpu.windows import even_blocks
from pellucid.graph.ir import Var
from pellucid.plan.layout import View
from pellucid.plan.plan import Entry, address_of

# Pieces of samples and output rows whose sums for a gradient are separate, at most, where samples alone are fewer.
_PIECES = 8


def windows_of(p: Planner, x: View, w: View, output: Var, attributes: Mapping[str, Any]) -> Windows | None:
    """The steps of a convolution of batch-last images, if it goes to the unit: in training alone.

    What a product gives for a sample must not depend on the others there, where anyone may look at it.
    """
    conv = plain(x.shape, w.shape[:-2], output.spec.shape, attributes) if p.is_training else None
    return windows_for(replace(conv, pooled=_is_pooled(p, output)), x.dtype) if conv else None


def _is_pooled(p: Planner, image: Var) -> bool:
    """Whether max pooling reads an image, or what elementwise operations make of it.

    The graph says so, not the plan: recorded steps, whose plans are others, must choose alike.
    """
    found, left = {image}, [image]
    while left:
        for user in p.users_of(left.pop()):
            if user.op.name == "max_pool_index":
                return True
            if user.op.name in LANES and user.output.spec.shape == image.spec.shape and user.output not in found:
                found.add(user.output)
                left.append(user.output)
    return False


def form_of(
    windows: Windows, ending: Ending | None, motions: tuple[str, ...], exact: bool, pooled: Pooled | None, width: int
) -> TileForm:
    """What a kernel is made for, whose results have so many columns."""
    form = TileForm(windows, ending, motions, exact, pooled.form if pooled else None, ())
    if pooled is None:
        blocks = even_blocks(-(-width // windows.wide), BLOCKS)
    else:
        blocks = even_blocks(width // 2, BLOCKS * windows.wide // (2 * form.down))
    return TileForm(windows, ending, motions, exact, form.pooling, blocks)


def can_pool(windows: Windows) -> bool:
    """Whether windows of 2 x 2 can be pooled there: a strip of lines is that of a single block of rows."""
    return windows.high == 2 or not windows.together


def entries(p: Planner, form: TileForm, x: View, out_width: int, before: int) -> tuple[list[Entry], View]:
    """What the record says besides, and the memory that each thread has for itself.

    Args:
        p: The plan in the making.
        form: What the kernel is made for.
        x: The image, of two spatial axes.
        out_width: Columns of the convolution's result.
        before: Zeros before its rows.
    """
    windows = form.windows
    slots = windows.slots(x.shape[2], out_width, before)
    images = windows.together_at_once(-(-x.shape[0] // ROWS), slots, form.down)
    own, memory = p.scratch(windows.bytes(slots, form.down, images))
    return [address_of(p.constant(windows.table())), slots, images, *memory], own


def kernel_gradient(p: Planner, form: GradForm, x: View, ct: View, sums: View, bands: int) -> None:
    """The sums of each piece of samples and output rows, from padded images and cotangents of two spatial axes."""
    own, memory = p.scratch(form.bytes(x.shape[2], ct.shape[2]))
    record: list[Entry] = [x.shape[0], x.shape[2], *ct.shape[1:3], bands, *(address_of(v) for v in (x, ct, sums))]
    record += [x.strides[1], x.strides[3], *ct.strides[1:], form.elements * x.dtype.itemsize]
    record += [form.part(x.shape[2]), *memory]
    p.emit("conv_kernel_grad by tiles", kernels.tile_gradient_kernel(form), record, [sums], own=[own])


def pieces_of(batch: int, out_height: int, taps: int) -> tuple[int, int]:
    """Into how many pieces samples are cut whose sums for a gradient are separate, and output rows."""
    groups = -(-batch // INNER)
    return groups, max(1, min(_PIECES // groups, out_height // taps))
