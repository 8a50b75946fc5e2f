"""Every kernel of the engine, written and compiled on first use and kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec

from pellucid.backends.cpu import (
    batch_last,
    conv_gradient,
    conv_pool,
    convolution,
    counters,
    elementwise,
    groups_gradient,
    groups_sums,
    halves,
    index,
    input_gradient,
    last_pairs,
    matmul,
    moves,
    padding,
    row_pairs,
    row_pairs_gradient,
    rows,
    target,
    tile_conv_gradient,
    tile_convolution,
    tile_product,
    transposing,
    windows,
    winograd,
    winograd_gradient,
)

P = ParamSpec("P")


def kept(write: Callable[P, int]) -> Callable[P, int]:
    """The function that writes a kernel, called once for each kernel, and not at all where its code is on disk."""

    @wraps(write)
    def kernel(*args: P.args, **kwargs: P.kwargs) -> int:
        recipe = f"{write.__module__}.{write.__qualname__} {args!r} {sorted(kwargs.items())!r}"
        return target.address_by_recipe(recipe, lambda: write(*args, **kwargs))

    return cache(kernel)  # type: ignore[return-value]


map_kernel = kept(elementwise.map_kernel)
reduce_kernel = kept(elementwise.reduce_kernel)
columns_kernel = kept(elementwise.columns_kernel)
matmul_kernel = kept(matmul.matmul_kernel)
single_row_kernel = kept(matmul.single_row_kernel)
tile_convolution_kernel = kept(tile_convolution.tile_convolution_kernel)
tile_gradient_kernel = kept(tile_conv_gradient.tile_gradient_kernel)
tile_product_kernel = kept(tile_product.tile_product_kernel)
joining_kernel = kept(halves.joining_kernel)
column_sums_kernel = kept(halves.column_sums_kernel)
along_axis_kernel = kept(index.along_axis_kernel)
argmax_kernel = kept(index.argmax_kernel)
conv_kernel = kept(convolution.conv_kernel)
narrow_conv_kernel = kept(convolution.narrow_conv_kernel)
conv_kernel_grad_kernel = kept(convolution.conv_kernel_grad_kernel)
conv_rows_grad_kernel = kept(conv_gradient.conv_rows_grad_kernel)
conv_last_kernel = kept(batch_last.conv_last_kernel)
conv_last_grad_kernel = kept(batch_last.conv_last_grad_kernel)
groups_grad_kernel = kept(groups_gradient.groups_grad_kernel)
groups_sums_kernel = kept(groups_sums.groups_sums_kernel)
conv_pool_kernel = kept(conv_pool.conv_pool_kernel)
conv_pool_last_kernel = kept(conv_pool.conv_pool_last_kernel)
last_pairs_kernel = kept(last_pairs.last_pairs_kernel)
pairs_kernel = kept(row_pairs.pairs_kernel)
pairs_sums_kernel = kept(row_pairs_gradient.pairs_sums_kernel)
pairs_gradient_kernel = kept(row_pairs_gradient.pairs_gradient_kernel)
input_grad_anew_kernel = kept(input_gradient.input_grad_anew_kernel)
padding_kernel = kept(padding.padding_kernel)
unpool_kernel = kept(windows.unpool_kernel)
window_sum_kernel = kept(windows.window_sum_kernel)
max_pool_kernel = kept(windows.max_pool_kernel)
max_pool_index_kernel = kept(windows.max_pool_index_kernel)
winograd_kernel = kept(winograd.winograd_kernel)
winograd_weights_kernel = kept(winograd.winograd_weights_kernel)
winograd_sums_kernel = kept(winograd_gradient.winograd_sums_kernel)
winograd_gradient_kernel = kept(winograd_gradient.winograd_gradient_kernel)
random_kernel = kept(counters.random_kernel)
fold_in_kernel = kept(counters.fold_in_kernel)
cumsum_kernel = kept(counters.cumsum_kernel)
argsort_kernel = kept(counters.argsort_kernel)
gather_rows_kernel = kept(moves.gather_rows_kernel)
rows_kernel = kept(rows.rows_kernel)
transposing_kernel = kept(transposing.transposing_kernel)
move_kernel = kept(moves.move_kernel)
