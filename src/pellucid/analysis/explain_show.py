"""An explanation as text, as an HTML page and as LaTeX."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pellucid.analysis.explain_layout import Layout
from pellucid.analysis.explain_notation import to_html, to_latex
from pellucid.analysis.explain_rows import (
    BACKWARD,
    FORWARD,
    LOSS,
    UPDATE,
    Row,
    Slope,
    extremes,
    is_small,
    number,
    shown,
)
from pellucid.shapes import show

_TITLES = {FORWARD: "Forward", LOSS: "Loss", BACKWARD: "Backward", UPDATE: "Update"}
_HEADS = ("", "layer", "formula", "shape", "value", "local derivative", "gradient of the result")


def _phases(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    for phase, group in itertools.groupby(rows, key=lambda row: row.phase):
        yield _TITLES[phase], list(group)


# Text.


def plain_text(title: str, rows: Sequence[Row], notes: Sequence[str]) -> str:
    """A table for each phase, cells of several lines for small matrices."""
    cells = [(phase, [_text_cells(row) for row in group]) for phase, group in _phases(rows)]
    table = [row for _, group in cells for row in group]
    used = [i for i in range(len(_HEADS)) if i in (2, 3, 4) or any(any(row[i]) for row in table)]
    wide = {i: max(len(line) for row in [*table, [[h] for h in _HEADS]] for line in row[i] or [""]) for i in used}
    lines = [title, *(f"  {note}" for note in notes)]
    for phase, group in cells:
        heads = [_HEADS[i].ljust(wide[i]) for i in used]
        lines += ["", phase, "-" * len(phase), "  ".join(heads).rstrip()]
        for row in group:
            height = max(len(row[i]) for i in used)
            for k in range(height):
                parts = [(row[i][k] if k < len(row[i]) else "").ljust(wide[i]) for i in used]
                lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _text_cells(row: Row) -> list[list[str]]:
    derivatives = [line for slope in row.slopes for line in _slope_lines(row, slope)]
    gradient = [] if row.gradient is None else shown(row.gradient)
    return [
        [],
        [row.layer] if row.layer else [],
        _folded(row.text),
        [show(row.shape)],
        shown(row.value),
        derivatives,
        gradient,
    ]


def _slope_lines(row: Row, slope: Slope) -> list[str]:
    head = f"d{row.name}/d{slope.operand} = {slope.formula}"
    if slope.value is None or slope.is_number:
        return _folded(head, 46)
    numbers = shown(slope.value)
    if len(numbers) == 1 and len(head) + len(numbers[0]) < 60:
        return [f"{head} = {numbers[0]}"]
    return [*_folded(head, 46), *(f"  {line}" for line in numbers)]


def _folded(text: str, width: int = 58) -> list[str]:
    """Text in lines of a width."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1].strip() and len(lines[-1]) + 1 + len(word) > width:
            lines.append(f"  {word}")
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


# HTML.

_STYLE = """
.explanation { font: 14px/1.45 system-ui, sans-serif; color: #222; background: #fff; max-width: 100%; }
.explanation h1 { font-size: 1.25em; } .explanation h2 { font-size: 1.05em; margin: 1.2em 0 .3em; }
.explanation .wide { overflow-x: auto; }
.explanation table.steps { border-collapse: collapse; }
.explanation table.steps > thead th { text-align: left; border-bottom: 2px solid #444; padding: 4px 10px; }
.explanation table.steps > tbody > tr > td { border-bottom: 1px solid #ddd; padding: 5px 10px; vertical-align: top; }
.explanation table.numbers { border-left: 2px solid #555; border-right: 2px solid #555; border-collapse: collapse; }
.explanation table.numbers td { padding: 0 5px; text-align: right; font-variant-numeric: tabular-nums; border: 0; }
.explanation .formula { font-family: Georgia, serif; display: inline-block; min-width: 10em; }
.explanation .few { color: #666; white-space: nowrap; }
.explanation td.shape { white-space: nowrap; }
.explanation .notes { color: #555; } .explanation svg { max-width: 100%; height: auto; }
"""


def html_page(title: str, body: str) -> str:
    """One self-contained page around a part."""
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def html_part(title: str, rows: Sequence[Row], notes: Sequence[str], graph: Layout) -> str:
    """The graph as a picture, then the tables, with their style."""
    parts = [f"<h1>{html.escape(title)}</h1>"]
    raised = [re.sub(r"\^(\w)", r"<sup>\1</sup>", html.escape(note)) for note in notes]
    parts += [f'<p class="notes">{note}</p>' for note in raised]
    if graph.is_readable:
        parts.append(f'<div class="wide">{graph.to_svg()}</div>')
    parts += [_html_table(phase, group) for phase, group in _phases(rows)]
    body = "\n".join(parts)
    return f'<div class="explanation">\n<style>{_STYLE}</style>\n{body}\n</div>'


def _html_table(phase: str, rows: Sequence[Row]) -> str:
    with_slopes = any(row.slopes for row in rows)
    with_gradient = any(row.gradient is not None for row in rows)
    heads = ["layer", "formula", "shape", "value"]
    heads += (["local derivative"] if with_slopes else []) + (["gradient"] if with_gradient else [])
    lines = [f"<h2>{phase}</h2>", '<div class="wide"><table class="steps"><thead><tr>']
    lines += [f"<th>{head}</th>" for head in heads] + ["</tr></thead><tbody>"]
    for row in rows:
        cells = [html.escape(row.layer), f'<span class="formula">{to_html(row.text)}</span>', show(row.shape)]
        cells.append(_html_numbers(row.value))
        if with_slopes:
            cells.append("".join(_html_slope(row, slope) for slope in row.slopes))
        if with_gradient:
            cells.append("" if row.gradient is None else _html_numbers(row.gradient))
        marked = [f'<td class="shape">{cell}</td>' if i == 2 else f"<td>{cell}</td>" for i, cell in enumerate(cells)]
        lines.append(f"<tr>{''.join(marked)}</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def _html_slope(row: Row, slope: Slope) -> str:
    head = f'<div class="formula">∂{to_html(row.name)}/∂{to_html(slope.operand)} = {to_html(slope.formula)}</div>'
    return head if slope.value is None or slope.is_number else head + _html_numbers(slope.value)


def _html_numbers(value: np.ndarray) -> str:
    if not is_small(value):
        return f'<span class="few">{extremes(value)}</span>'
    if value.ndim == 0:
        return html.escape(number(value[()]))
    rows = np.atleast_2d(value)
    cells = ["".join(f"<td>{html.escape(number(x))}</td>" for x in row) for row in rows]
    return '<table class="numbers">' + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


# LaTeX.


def latex_text(rows: Sequence[Row], result: str) -> str:
    """An ``align*`` for each phase; matrices are written out where small, else shortened with dots."""
    blocks = []
    for phase, group in _phases(rows):
        lines = [line for row in group for line in _latex_lines(row, result)]
        blocks.append(f"\\paragraph{{{phase}}}\n\\begin{{align*}}\n" + " \\\\\n".join(lines) + "\n\\end{align*}")
    return "\n\n".join(blocks) + "\n"


def _latex_lines(row: Row, result: str) -> Iterator[str]:
    sign = " <- " if " <- " in row.formula else " = "
    left, found, right = row.text.partition(sign)
    relation = r"\leftarrow" if sign == " <- " else "="
    value = latex_matrix(row.value)
    if found:
        yield f"{to_latex(left)} &{relation} {to_latex(right)}"
        yield f"&= {value}"
    else:
        yield f"{to_latex(left)} &= {value}"
    for slope in row.slopes:
        if slope.formula:
            numbers = "" if slope.value is None or slope.is_number else f" = {latex_matrix(slope.value)}"
            head = rf"\frac{{\partial {to_latex(row.name)}}}{{\partial {to_latex(slope.operand)}}}"
            yield f"{head} &= {to_latex(slope.formula)}{numbers}"
    if row.gradient is not None:
        yield rf"\frac{{\partial {to_latex(result)}}}{{\partial {to_latex(row.name)}}} &= {latex_matrix(row.gradient)}"


def latex_matrix(value: np.ndarray, most: int = 5) -> str:
    r"""An array as a matrix; rows and columns in the middle of a large one become dots.

    >>> latex_matrix(np.array([[1.0, 2.0], [3.0, 4.5]]))
    '\\begin{bmatrix} 1 & 2 \\\\ 3 & 4.5 \\end{bmatrix}'
    """
    if value.ndim == 0:
        return _latex_number(value[()])
    if value.ndim > 2 or not value.size:
        return rf"\text{{[{', '.join(map(str, value.shape))}]: {extremes(value)}}}"
    rows = np.atleast_2d(value)
    down, across = _kept(rows.shape[0], most), _kept(rows.shape[1], most)
    lines = []
    for i in down:
        cells = [r"\cdots" if j is None else _latex_number(rows[i, j]) if i is not None else r"\vdots" for j in across]
        if i is None:
            cells = [r"\ddots" if j is None else r"\vdots" for j in across]
        lines.append(" & ".join(cells))
    return r"\begin{bmatrix} " + r" \\ ".join(lines) + r" \end{bmatrix}"


def _kept(count: int, most: int) -> list[int | None]:
    """The rows that are written; None where dots stand."""
    return list(range(count)) if count <= most else [*range(most - 2), None, count - 1]


def _latex_number(x: Any) -> str:
    text = number(x)
    if "e" in text and text not in ("True", "False"):
        base, _, power = text.partition("e")
        return rf"{base} \cdot 10^{{{int(power)}}}"
    return {"inf": r"\infty", "-inf": r"-\infty", "nan": r"\text{NaN}", "True": "1", "False": "0"}.get(text, text)
