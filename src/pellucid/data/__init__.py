"""Data sets: the built-in ones by name, the user's own tables, splitting and encoding.

Every loader returns a :class:`Dataset` with training and test examples as NumPy arrays.
"""

from pellucid.data.dataset import Dataset
from pellucid.data.distort import distort, distorted_batches
from pellucid.data.encode import one_hot
from pellucid.data.idx import read_idx
from pellucid.data.registry import load, names
from pellucid.data.schema import Column, EncodedTable, TableSchema
from pellucid.data.split import split_indices, train_test_split
from pellucid.data.table import from_frame, load_csv

__all__ = [
    "Column",
    "Dataset",
    "EncodedTable",
    "TableSchema",
    "distort",
    "distorted_batches",
    "from_frame",
    "load",
    "load_csv",
    "names",
    "one_hot",
    "read_idx",
    "split_indices",
    "train_test_split",
]
