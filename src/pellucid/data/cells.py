"""The cells of a table, whatever it was read from: which columns are numbers, which are words, and what is wrong.

A column is converted as a whole first; cells are looked at one by one only to say what is wrong with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.errors import DataError

Cells = Sequence[str] | np.ndarray

#: Texts that stand for a missing value.
MISSING = frozenset(
    ["", "?", "NA", "<NA>", "#N/A", "#NA", "N/A", "n/a", "NaN", "nan", "NAN", "-nan", "-NaN", "NULL", "null"]
)

#: A column of words with more different values than this is not encoded: it names rows rather than describing them.
MOST_CATEGORIES = 1000

#: Above this share of numbers, a column is taken for numbers, and the rest of it for mistakes.
NUMBER_SHARE = 0.9

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Table:
    """Named columns of equal length: float64 where every cell is a number, else text.

    ``place`` turns a row index into words for an error, such as "row 17".
    """

    source: str
    columns: Mapping[str, Cells]
    rows: int
    place: Callable[[int], str]


def cell_error(table: Table, row: int, name: str, what: str, *, hint: str | None = None) -> DataError:
    """The error for one cell: where it is, and what is wrong."""
    return DataError(f"{table.source}, {table.place(row)}, column {name!r}: {what}.", hint=hint)


def finite_numbers(cells: Sequence[str]) -> np.ndarray | None:
    """All cells as float64, or None where one of them is not a number that float32 can hold."""
    try:
        values = np.array(cells, dtype=np.float64)
    except ValueError:
        return None
    # Python reads 1_000 as a number; in a table it is more likely a code.
    return values if _fits(values).all() and "_" not in "".join(cells) else None


def read_numbers(table: Table, name: str, *, required: bool = False) -> np.ndarray | None:
    """The column as float64 [N], or None where it is a column of words.

    Raises:
        DataError: A value is missing or not finite, or a text stands among numbers (or anywhere, if ``required``).
    """
    cells = table.columns[name]
    if isinstance(cells, np.ndarray):
        _check_array(table, name, cells)
        return cells
    values = finite_numbers(cells)
    if values is not None:
        return values
    texts = [cell.strip() for cell in cells]
    _check_missing(table, name, texts)
    counts = Counter(texts)
    numbers = sum(count for text, count in counts.items() if parse_number(text) is not None)
    if required or numbers > NUMBER_SHARE * len(texts):
        raise _first_fault(table, name, texts, numbers)
    _check_decimal_commas(table, name, texts, counts)
    return None


def read_categories(table: Table, name: str) -> list[str]:
    """The column as words without blanks around them; whole numbers are written without a point.

    Raises:
        DataError: A value is missing.
    """
    cells = table.columns[name]
    if isinstance(cells, np.ndarray):
        _check_array(table, name, cells)
        distinct, inverse = np.unique(cells, return_inverse=True)
        words = [number_word(value) for value in distinct]
        return [words[code] for code in inverse]
    texts = [cell.strip() for cell in cells]
    _check_missing(table, name, texts)
    return texts


def distinct_categories(table: Table, name: str, words: Iterable[str]) -> tuple[str, ...]:
    """The different words of a column, sorted.

    Raises:
        DataError: There are more than :data:`MOST_CATEGORIES`.
    """
    found = set(words)
    if len(found) > MOST_CATEGORIES:
        raise DataError(
            f"{table.source}, column {name!r}: {len(found):,} different words are too many to encode; "
            f"at most {MOST_CATEGORIES:,} are.",
            hint="remove the column if it only names the rows, or group its values",
        )
    return tuple(sorted(found))


def parse_number(text: str) -> float | None:
    """The number that a text writes (it may be infinite), or None.

    >>> parse_number("2.5"), parse_number("1_000"), parse_number("red")
    (2.5, None, None)
    """
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def number_word(value: float) -> str:
    """The text of a number that serves as a category: whole numbers without a point.

    >>> number_word(3.0), number_word(2.5)
    ('3', '2.5')
    """
    return str(int(value)) if value == int(value) else repr(float(value))


def _fits(values: np.ndarray) -> np.ndarray:
    return np.abs(values) <= _LARGEST


def _check_array(table: Table, name: str, values: np.ndarray) -> None:
    wrong = np.flatnonzero(~_fits(values))
    if len(wrong):
        row = int(wrong[0])
        raise cell_error(table, row, name, _number_fault(repr(float(values[row])), float(values[row])))


def _check_missing(table: Table, name: str, texts: list[str]) -> None:
    if MISSING.isdisjoint(texts):
        return
    row = next(i for i, text in enumerate(texts) if text in MISSING)
    raise cell_error(
        table,
        row,
        name,
        f"the value is missing ({texts[row]!r})",
        hint="fill in the value or remove the row; Pellucid does not guess values",
    )


def _first_fault(table: Table, name: str, texts: list[str], numbers: int) -> DataError:
    for row, text in enumerate(texts):
        value = parse_number(text)
        if value is None:
            hint = f"{numbers:,} of the {len(texts):,} values in this column are numbers"
            return cell_error(table, row, name, f"{text!r} is not a number", hint=hint)
        if not abs(value) <= _LARGEST:
            return cell_error(table, row, name, _number_fault(text, value))
    raise AssertionError("the column was refused, yet every cell is a number")


def _number_fault(text: str, value: float) -> str:
    if value != value:
        return f"the value is missing ({text!r})"
    if "inf" in text.lower():
        return f"{text!r} is not a finite number"
    return f"{text!r} is too large for float32"


def _check_decimal_commas(table: Table, name: str, texts: list[str], counts: Counter[str]) -> None:
    """Refuse numbers such as 1,5: as words, each of them would silently become a column of its own."""
    pointed = {text: parse_number(text.replace(",", ".", 1)) for text in counts}
    written = sum(count for text, count in counts.items() if pointed[text] is not None)
    if written > NUMBER_SHARE * len(texts):
        row = next(i for i, text in enumerate(texts) if "," in text and pointed[text] is not None)
        raise cell_error(
            table, row, name, f"{texts[row]!r} has a decimal comma", hint="write numbers with a decimal point"
        )
