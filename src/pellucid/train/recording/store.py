"""Where recorded rows are kept: in memory, or in a folder of Arrow files that grow while training goes on.

A file is an Arrow IPC stream, one record batch after the other, each flushed when it is written: what a crash cuts off
is at most the last one, and the rest can be read.
"""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import ConfigurationError, FileFormatError
from pellucid.train.files import write_atomically

_FORMAT, _META, _ENDING = "pellucid-recording", "recording.json", ".arrows"

_NUMBERS = ("mean", "std", "min", "max", "zeros", "saturated", "dead", "norm", "ratio")
#: Those that have nothing to say of some rows.
_NULLS = ("saturated", "dead", "ratio")
_ABOUT = (("layer", "string"), ("kind", "string"), ("function", "string"), ("quantity", "string"), ("name", "string"))
_WHEN = (("step", "int64"), ("epoch", "int64"))
#: Table -> its columns with their Arrow types.
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "steps": (*_WHEN, *((name, "float64") for name in ("loss", "learning_rate", "gradient_norm"))),
    "stats": (*_WHEN, *_ABOUT, *((name, "float64") for name in _NUMBERS)),
    "rows": (("step", "int64"), ("rows", "list<int64>")),
    "arrays": (*_WHEN, *_ABOUT, ("dtype", "string"), ("shape", "list<int64>"), ("data", "large_binary")),
}
#: The tables of each level.
TABLES = {"stats": ("steps", "stats"), "full": ("steps", "stats", "rows", "arrays")}


def _schema(table: str) -> Any:
    import pyarrow as pa  # costs 100 ms to import: only when something is recorded

    kinds = {"list<int64>": pa.list_(pa.int64()), "large_binary": pa.large_binary()}
    return pa.schema([(n, kinds[k] if k in kinds else pa.type_for_alias(k)) for n, k in COLUMNS[table]])


@dataclass(frozen=True)
class Tiled:
    """A column of texts that come again and again: all of them, so many times."""

    values: tuple[str, ...]
    times: int


def _batch(table: str, columns: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    schema = _schema(table)
    return pa.RecordBatch.from_arrays([_array(columns[field.name], field) for field in schema], schema=schema)


def _array(column: Any, field: Any) -> Any:
    """A column as Arrow has it."""
    import pyarrow as pa

    if isinstance(column, Tiled):
        numbers = np.tile(np.arange(len(column.values), dtype=np.int32), column.times)
        return pa.array(column.values, field.type).take(pa.array(numbers))
    return pa.array(column, field.type, from_pandas=field.name in _NULLS)  # NaN becomes null there


class Store(ABC):
    """The tables of a recording.

    Attributes:
        level: ``"stats"`` or ``"full"``.
    """

    level: str

    @abstractmethod
    def add(self, table: str, columns: Mapping[str, Any]) -> None:
        """Keep some rows, given column by column."""

    @abstractmethod
    def read(self, table: str) -> Any:
        """A table, as ``pyarrow.Table``."""

    @abstractmethod
    def close(self) -> None:
        """No more rows come."""


class MemoryStore(Store):
    """Tables in memory."""

    def __init__(self, level: str) -> None:
        self.level = level
        self._batches: dict[str, list[Any]] = {table: [] for table in TABLES[level]}
        self._new: list[tuple[str, Mapping[str, Any]]] = []

    def add(self, table: str, columns: Mapping[str, Any]) -> None:
        """Keep some rows; they become Arrow's when somebody reads."""
        self._new.append((table, columns))

    def close(self) -> None:
        """Nothing is left to be done."""

    def read(self, table: str) -> Any:
        """A table."""
        import pyarrow as pa

        while self._new:
            name, columns = self._new.pop(0)
            self._batches[name].append(_batch(name, columns))
        return pa.Table.from_batches(self._batches[table], schema=_schema(table))


class FolderStore(Store):
    """Tables in a folder that was written before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            meta = json.loads((folder / _META).read_text())
        except OSError:
            raise FileFormatError(
                f"{folder} is not the folder of a recording: it has no {_META}.",
                hint="make one: model.fit(x, y, record=Recorder('stats', path='FOLDER'))",
            ) from None
        except ValueError:
            raise FileFormatError(f"{folder / _META} is damaged: it is not JSON.") from None
        if not isinstance(meta, dict) or meta.get("format") != _FORMAT or meta.get("level") not in TABLES:
            raise FileFormatError(f"{folder / _META} is not that of a Pellucid recording.")
        self.level = meta["level"]

    def add(self, table: str, columns: Mapping[str, Any]) -> None:
        """A recording that was read takes no more rows."""
        raise ConfigurationError(f"The recording {self._folder} was read from files, and takes no further rows.")

    def close(self) -> None:
        """Nothing is open."""

    def read(self, table: str) -> Any:
        """A table, mapped into memory; the whole record batches of a file that ends in the middle of one."""
        import pyarrow as pa

        path = self._folder / f"{table}{_ENDING}"
        batches = []
        if path.exists() and path.stat().st_size:
            with pa.memory_map(str(path)) as file:
                try:
                    stream = pa.ipc.open_stream(file)
                    while True:
                        batches.append(stream.read_next_batch())
                except (StopIteration, pa.ArrowInvalid, OSError):
                    pass  # the end, or what a crash has left of the last batch
        try:
            return pa.Table.from_batches(batches, schema=_schema(table))
        except pa.ArrowInvalid:
            raise FileFormatError(f"{path} does not have the columns of a recording's table {table!r}.") from None


class GrowingStore(FolderStore):
    """Tables in a folder that is being written.

    A disk that is full ends the recording, with a warning, but not the training: what was written before stays
    readable.

    Raises:
        ConfigurationError: The folder holds files already, or cannot be made or written to.
    """

    def __init__(self, folder: Path, level: str) -> None:
        meta = json.dumps({"format": _FORMAT, "version": 1, "level": level}).encode()
        _make_empty(folder)
        try:
            write_atomically(folder / _META, meta)
        except OSError as error:
            raise ConfigurationError(f"The folder {folder} cannot be written to: {error.strerror}.") from None
        super().__init__(folder)
        self._files: dict[str, tuple[Any, Any]] = {}
        self._broken = False

    def add(self, table: str, columns: Mapping[str, Any]) -> None:
        """Write some rows as a record batch, and flush it."""
        if self._broken:
            return
        try:
            self._write(table, columns)
        except OSError as error:
            self._broken = True
            self.close()
            warnings.warn(
                f"The recording in {self._folder} ends here, as it cannot be written any more: {error.strerror}. "
                "Training goes on without it.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _write(self, table: str, columns: Mapping[str, Any]) -> None:
        import pyarrow as pa

        if table not in self._files:
            file = (self._folder / f"{table}{_ENDING}").open("xb")
            self._files[table] = (file, pa.ipc.new_stream(file, _schema(table)))
        file, stream = self._files[table]
        stream.write_batch(_batch(table, columns))
        file.flush()

    def close(self) -> None:
        """End the files."""
        files, self._files = self._files, {}
        for file, stream in files.values():
            for ending in (stream.close, file.close):
                with suppress(OSError):  # a full disk has no room for the end either, and readers do without
                    ending()


def _make_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            f"The folder {folder} holds files already; a recording does not overwrite them.",
            hint="choose another path, or remove the folder",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The folder {folder} of the recording cannot be made: {error.strerror}.") from None
