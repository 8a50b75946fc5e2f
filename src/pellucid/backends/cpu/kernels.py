"""Every kernel of the engine, written and compiled on first use and kept."""

from __future__ import annotations

from functools import lru_cache

from pellucid.backends.cpu import (
    batch_last,
    conv_gradient,
    conv_pool,
    convolution,
    counters,
    elementwise,
    index,
    matmul,
    moves,
    rows,
    transposing,
    windows,
)

map_kernel = lru_cache(maxsize=None)(elementwise.map_kernel)
reduce_kernel = lru_cache(maxsize=None)(elementwise.reduce_kernel)
columns_kernel = lru_cache(maxsize=None)(elementwise.columns_kernel)
matmul_kernel = lru_cache(maxsize=None)(matmul.matmul_kernel)
single_row_kernel = lru_cache(maxsize=None)(matmul.single_row_kernel)
along_axis_kernel = lru_cache(maxsize=None)(index.along_axis_kernel)
argmax_kernel = lru_cache(maxsize=None)(index.argmax_kernel)
conv_kernel = lru_cache(maxsize=None)(convolution.conv_kernel)
narrow_conv_kernel = lru_cache(maxsize=None)(convolution.narrow_conv_kernel)
conv_kernel_grad_kernel = lru_cache(maxsize=None)(convolution.conv_kernel_grad_kernel)
conv_rows_grad_kernel = lru_cache(maxsize=None)(conv_gradient.conv_rows_grad_kernel)
conv_last_kernel = lru_cache(maxsize=None)(batch_last.conv_last_kernel)
conv_last_grad_kernel = lru_cache(maxsize=None)(batch_last.conv_last_grad_kernel)
conv_pool_kernel = lru_cache(maxsize=None)(conv_pool.conv_pool_kernel)
conv_pool_last_kernel = lru_cache(maxsize=None)(conv_pool.conv_pool_last_kernel)
unpool_kernel = lru_cache(maxsize=None)(windows.unpool_kernel)
window_sum_kernel = lru_cache(maxsize=None)(windows.window_sum_kernel)
max_pool_kernel = lru_cache(maxsize=None)(windows.max_pool_kernel)
max_pool_index_kernel = lru_cache(maxsize=None)(windows.max_pool_index_kernel)
random_kernel = lru_cache(maxsize=None)(counters.random_kernel)
fold_in_kernel = lru_cache(maxsize=None)(counters.fold_in_kernel)
cumsum_kernel = lru_cache(maxsize=None)(counters.cumsum_kernel)
argsort_kernel = lru_cache(maxsize=None)(counters.argsort_kernel)
gather_rows_kernel = lru_cache(maxsize=None)(moves.gather_rows_kernel)
rows_kernel = lru_cache(maxsize=None)(rows.rows_kernel)
transposing_kernel = lru_cache(maxsize=None)(transposing.transposing_kernel)
move_kernel = lru_cache(maxsize=None)(moves.move_kernel)
