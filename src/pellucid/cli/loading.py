"""From what was written on the command line to examples: data sets by name, tables by path."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from pellucid import data
from pellucid.data import Dataset
from pellucid.data.encoders import encode_files, reads
from pellucid.errors import ConfigurationError, DataError
from pellucid.train.run_folder import RunRecord

_TABLES = (".csv", ".tsv", ".txt")


def is_table(name: str) -> bool:
    """Whether a name is the path of a table."""
    return name.lower().endswith(_TABLES)


def load_examples(name: str, target: str | None, task: str | None) -> Dataset:
    """The data set of a name, or the table of a path.

    Raises:
        ConfigurationError: The column to learn is missing, or the name or an option does not fit.
    """
    if is_table(name):
        if target is None and Path(name).exists():
            raise ConfigurationError(f"Which column of {name} is to be learned?", hint="add --target COLUMN")
        return data.load(name, target=target or "", task=task)
    if name not in data.names():
        return data.load(name)  # which words the error
    for option, value in (("--target", target), ("--task", task)):
        if value is not None:
            raise ConfigurationError(f"{option} goes with a .csv file; the data set {name!r} has its own target.")
    return data.load(name)


def samples_for(name: str, record: RunRecord) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs and targets in the form that the run's network was trained on."""
    if reads(record.encoder, name):
        assert record.encoder is not None
        return encode_files(record.encoder, name)[0], None
    if not is_table(name):
        examples = data.load(name)
        if record.schema is not None or examples.task != record.task:
            raise DataError(f"The run was trained on {record.data}, which does not have the columns of {name!r}.")
        return examples.test
    if record.schema is None:
        raise DataError(f"The run was trained on {record.data!r}, not on a table, so it cannot read {name}.")
    table = record.schema.encode(name)
    if table.extra_columns:
        print(f"not used: {', '.join(table.extra_columns)}", file=sys.stderr)
    return table.x, table.y
