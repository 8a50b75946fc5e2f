"""The recordings of many fits as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def joined(fits: Sequence[tuple[Mapping[str, int], Any]]) -> Any:
    """The tables of some fits one after the other, with columns that tell them apart before their own.

    Args:
        fits: Of each fit its numbers by name, and its ``pyarrow.Table``.

    >>> import pyarrow as pa
    >>> table = pa.table({"step": [1, 2]})
    >>> joined([({"fold": 0}, table), ({"fold": 1}, table)]).to_pydict()
    {'fold': [0, 0, 1, 1], 'step': [1, 2, 1, 2]}
    """
    import pyarrow as pa  # costs 100 ms to import: only when something was recorded

    told = []
    for numbers, table in fits:
        for place, (name, number) in enumerate(numbers.items()):
            table = table.add_column(place, name, pa.array(np.full(table.num_rows, number, np.int64)))
        told.append(table)
    return pa.concat_tables(told)
