"""Text files of rows and cells (CSV and its relatives) read into columns.

The file is read in blocks of rows: a column stays an array of numbers as long as every cell is one, so that a large
table of numbers never lies in memory as text.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from pellucid.data.cells import Cells, Table, finite_numbers, parse_number
from pellucid.errors import ConfigurationError, DataError, nearest

# Small enough that a block's rows stay in the processor's cache and out of the garbage collector's old generation.
_BLOCK = 2000
_HEAD = 65536
_NAMED = {",": "comma", ";": "semicolon", "\t": "tab", " ": "whitespace"}

Record = tuple[int, list[str]]


def read_delimited(path: str | os.PathLike[str], delimiter: str | None = None) -> Table:
    """Read a text file with a header line into named columns.

    Args:
        path: UTF-8 text, with or without byte-order mark; lines end in any of the three ways.
        delimiter: One character, or ``"whitespace"`` for any run of blanks and tabs; by default it is found out
            among comma, semicolon, tab and whitespace.

    Raises:
        DataError: The file cannot be read as a table; the text names the file, the row and the column.
        ConfigurationError: The delimiter is not one character.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.txt"
    >>> _ = path.write_text("size  colour\\n1.5   red\\n2     blue\\n")
    >>> read_delimited(path).columns
    {'size': array([1.5, 2. ]), 'colour': ['red', 'blue']}
    """
    path = Path(path)
    delimiter = _checked(delimiter) if delimiter is not None else find_delimiter(_head(path))
    records = _records(path, delimiter)
    line, header = next(records, (0, []))
    if not header:
        raise DataError(f"{path} is empty.", hint="the first line must name the columns")
    header = [cell.strip() for cell in header]
    _check_header(path, line, header)
    columns = [_Column() for _ in header]
    rows = 0
    while block := list(islice(records, _BLOCK)):
        _check_widths(path, block, header, delimiter)
        rows += len(block)
        for column, cells in zip(columns, zip(*(record for _, record in block), strict=True), strict=True):
            column.add(cells)
    if rows == 0:
        raise DataError(f"{path} has a header but no rows.")
    _read_again(path, delimiter, columns)
    named = {name: column.cells() for name, column in zip(header, columns, strict=True)}
    return Table(str(path), named, rows, lambda row: f"row {_line_of(path, delimiter, row)}")


def find_delimiter(head: str) -> str:
    """The delimiter of a table, from its first lines.

    A delimiter qualifies where it cuts every line into equally many cells, at least two. Comma, semicolon and tab go
    before whitespace, since cells may contain blanks; among them the one that makes more cells wins.

    >>> find_delimiter("first name;age\\nAda Lovelace;36\\n")
    ';'
    """
    lines = list(StringIO(head, newline=""))
    if len(lines) > 1 and len(head) >= _HEAD:
        lines.pop()  # The last line of a cut text may be incomplete.
    widths = {mark: _widths(lines, mark) for mark in _NAMED}
    even = [mark for mark in ",;\t" if widths[mark] and widths[mark][0] > 1 and len(set(widths[mark])) == 1]
    if even:
        return max(even, key=lambda mark: widths[mark][0])
    first = {mark: widths[mark][0] if widths[mark] else 1 for mark in _NAMED}
    if first[","] == first[";"] == 1 and first[" "] > 1 and (len(set(widths[" "])) == 1 or first["\t"] == 1):
        return " "
    return max(",;\t", key=lambda mark: first[mark])


class _Column:
    """One column while it is read."""

    def __init__(self) -> None:
        self.numbers: list[np.ndarray] = []
        self.text: list[str] | None = None
        self.read_again = False

    def add(self, cells: tuple[str, ...]) -> None:
        if self.text is None:
            values = finite_numbers(cells)
            if values is not None:
                self.numbers.append(values)
                return
            self.read_again, self.numbers, self.text = bool(self.numbers), [], []
        if not self.read_again:
            self.text.extend(cells)

    def cells(self) -> Cells:
        return np.concatenate(self.numbers) if self.text is None else self.text


def _read_again(path: Path, delimiter: str, columns: list[_Column]) -> None:
    """Fetch the texts of columns that looked like numbers in their first blocks only."""
    wanted = [(i, column.text) for i, column in enumerate(columns) if column.read_again and column.text is not None]
    if wanted:
        for _, record in islice(_records(path, delimiter), 1, None):
            for i, text in wanted:
                text.append(record[i])


def _checked(delimiter: str) -> str:
    if delimiter == "whitespace":
        return " "
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise ConfigurationError(f"The delimiter must be one character or 'whitespace', not {delimiter!r}.")
    return delimiter


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError:
        raise _not_text(path) from None
    except FileNotFoundError:
        folder = path.parent
        close = nearest(path.name, os.listdir(folder)) if folder.is_dir() else None
        hint = f"did you mean {close!r}?" if close else None
        raise DataError(f"The file {path} does not exist.", hint=hint) from None
    except OSError as error:
        raise DataError(f"The file {path} cannot be read: {error.strerror}.") from error


def _not_text(path: Path) -> DataError:
    content = path.read_bytes()
    try:
        content.decode("utf-8-sig")
        row = 1
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
    return DataError(f"{path}, row {row}: the text is not UTF-8.", hint="save the file with the encoding UTF-8")


def _head(path: Path) -> str:
    with _opened(path) as stream:
        head = stream.read(_HEAD)
    if "\0" in head:
        raise DataError(f"{path} is not a text file: it has zero bytes.", hint="save the table as CSV, in UTF-8")
    return head


def _reader(lines: Iterable[str], delimiter: str, *, strict: bool = True):
    if delimiter == " ":
        lines = (line.replace("\t", " ").strip(" \r\n") + "\n" for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=strict)


def _widths(lines: list[str], delimiter: str) -> list[int]:
    try:
        return [len(record) for record in islice(_reader(lines, delimiter, strict=False), 100) if not _blank(record)]
    except csv.Error:
        return []


def _blank(record: list[str]) -> bool:
    return not record or (len(record) == 1 and not record[0].strip())


def _records(path: Path, delimiter: str) -> Iterator[Record]:
    """Every record that is not blank, with the number of the line on which it starts."""
    with _opened(path) as stream:
        reader = _reader(stream, delimiter)
        line = 1
        try:
            for record in reader:
                if not _blank(record):
                    yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{path}, row {line}: the quotes do not match ({error}).") from None


def _line_of(path: Path, delimiter: str, row: int) -> int:
    return next(islice(_records(path, delimiter), row + 1, None))[0]


def _check_header(path: Path, line: int, header: list[str]) -> None:
    if all(parse_number(name) is not None for name in header):
        raise DataError(
            f"{path}, row {line}: the names of the columns are all numbers ({', '.join(header[:5])}); "
            "the file seems to have no header.",
            hint="add a first line with the names of the columns",
        )
    first: dict[str, int] = {}
    for position, name in enumerate(header, start=1):
        if not name:
            raise DataError(
                f"{path}, row {line}: column {position} of {len(header)} has no name.",
                hint="an index column written by pandas is left out by to_csv(index=False)",
            )
        if first.setdefault(name, position) != position:
            raise DataError(
                f"{path}, row {line}: the column name {name!r} appears twice (columns {first[name]} and {position})."
            )


def _check_widths(path: Path, block: list[Record], header: list[str], delimiter: str) -> None:
    for line, record in block:
        if len(record) != len(header):
            mark = _NAMED.get(delimiter, repr(delimiter))
            raise DataError(
                f"{path}, row {line}: {len(record)} cells, but the header names {len(header)} columns.",
                details=[f"delimiter: {mark}"],
                hint="a cell that contains the delimiter must be quoted",
            )
