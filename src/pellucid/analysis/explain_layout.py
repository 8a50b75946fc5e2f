"""The graph of an explanation: boxes in columns from left to right, drawn by Matplotlib, as SVG, or by Graphviz."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.explain_rows import FORWARD, Row, edges, in_one_line, number
from pellucid.errors import ConfigurationError
from pellucid.shapes import show

# Sizes in letters and lines, the units of a box.
_LETTERS, _GAP, _SPACE = 30, 6, 1.6
_MOST = 80


@dataclass(frozen=True)
class Box:
    """A node of the picture.

    Attributes:
        name: The row's name.
        lines: What stands in it; the gradient is the last line, where ``graded`` is set.
        kind: ``"given"``, ``"computed"`` or ``"loss"``.
        x, y: Its left end and its middle, in letters and in lines.
    """

    name: str
    lines: tuple[str, ...]
    kind: str
    graded: bool
    x: float
    y: float

    @property
    def height(self) -> float:
        """Its height in lines."""
        return len(self.lines) + 0.7


@dataclass(frozen=True)
class Layout:
    """Boxes with their places, and the arrows between them by name."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[str, str], ...]

    @property
    def is_readable(self) -> bool:
        """Whether there are few enough boxes for a picture."""
        return 0 < len(self.boxes) <= _MOST

    @property
    def width(self) -> float:
        """In letters."""
        return max((box.x for box in self.boxes), default=0) + _LETTERS

    @property
    def height(self) -> float:
        """In lines."""
        return max((box.y + box.height / 2 for box in self.boxes), default=0)

    def ends(self) -> list[tuple[Box, Box]]:
        """The arrows with their boxes."""
        by_name = {box.name: box for box in self.boxes}
        return [(by_name[a], by_name[b]) for a, b in self.arrows]

    def to_svg(self) -> str:
        """The picture as SVG."""
        letter, line = 6.6, 15.0
        wide, high = (self.width + 2) * letter, (self.height + 1) * line
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" '
            f'height="{high:.0f}" role="img" aria-label="computational graph">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 8 4 0 8z" fill="#666"/></marker></defs>',
        ]
        for a, b in self.ends():
            x0, y0, x1, y1 = (a.x + _LETTERS + 1) * letter, a.y * line, (b.x + 1) * letter, b.y * line
            bend = (x1 - x0) / 2
            parts.append(
                f'<path d="M{x0:.1f} {y0:.1f}C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}" '
                'fill="none" stroke="#666" marker-end="url(#tip)"/>'
            )
        for box in self.boxes:
            parts += _svg_box(box, letter, line)
        return "\n".join([*parts, "</svg>"])

    def to_dot(self) -> str:
        """The graph in Graphviz' language."""
        lines = ["digraph explanation {", "  rankdir=LR;", '  node [fontname="Helvetica", fontsize=10, shape=box];']
        for box in self.boxes:
            text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in box.lines)
            shape = {"given": ", style=rounded", "loss": ", penwidth=2"}.get(box.kind, "")
            lines.append(f'  "{_escaped(box.name)}" [label="{text}"{shape}];')
        lines += [f'  "{_escaped(a)}" -> "{_escaped(b)}";' for a, b in self.arrows]
        return "\n".join([*lines, "}"])


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


_FILLS = {"given": "#FFFFFF", "computed": "#E8F1F8", "loss": "#FBEFD9"}


def _svg_box(box: Box, letter: float, line: float) -> list[str]:
    x, y = (box.x + 1) * letter, (box.y - box.height / 2) * line
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_LETTERS * letter:.1f}" height="{box.height * line:.1f}" rx="4" '
        f'fill="{_FILLS[box.kind]}" stroke="#444"/>'
    ]
    for k, text in enumerate(box.lines):
        colour = "#A03C00" if box.graded and k == len(box.lines) - 1 else "#222"
        weight = ' font-weight="bold"' if k == 0 else ""
        parts.append(
            f'<text x="{x + letter:.1f}" y="{y + (k + 1) * line:.1f}" font-family="monospace" font-size="10.5" '
            f'fill="{colour}"{weight}>{html.escape(text)}</text>'
        )
    return parts


def layout(rows: Sequence[Row]) -> Layout:
    """Each box right of everything that it is computed from; what is given stands before its first use."""
    arrows = edges(rows)
    depth: dict[str, int] = {}
    first: dict[str, Row] = {}
    for row in rows:
        if row.name not in first:
            first[row.name] = row
            depth[row.name] = max((depth[a] + 1 for a in row.inputs if a in depth), default=0)
    for name, row in reversed(first.items()):
        users = [depth[b] for a, b in arrows if a == name]
        if users and (not row.inputs or row.gradient is None):
            depth[name] = max(min(users) - 1, depth[name])
    columns: dict[int, list[Row]] = {}
    for name, row in first.items():
        columns.setdefault(depth[name], []).append(row)
    tall = {k: sum(len(_box_lines(row)) + 0.7 + _SPACE for row in column) for k, column in columns.items()}
    highest, boxes = max(tall.values(), default=0), []
    for k, column in columns.items():
        y = (highest - tall[k]) / 2 + _SPACE / 2
        for row in column:
            lines = _box_lines(row)
            kind = "given" if not row.formula else "computed" if row.phase == FORWARD else "loss"
            boxes.append(
                Box(row.name, lines, kind, row.gradient is not None, k * (_LETTERS + _GAP), y + (len(lines) + 0.7) / 2)
            )
            y += len(lines) + 0.7 + _SPACE
    return Layout(tuple(boxes), tuple((a, b) for a, b in arrows if depth[a] < depth[b]))


def _box_lines(row: Row) -> tuple[str, ...]:
    """Formula, value and gradient, cut to the box's width."""
    lines = textwrap.wrap(row.text, _LETTERS - 2)[:3]
    lines.append(_brief("", row.value))
    if row.gradient is not None:
        lines.append(_brief("gradient ", row.gradient))
    return tuple(lines)


def _brief(head: str, value: np.ndarray) -> str:
    """The numbers of an array if they fit in a box, else from where to where they reach."""
    room = _LETTERS - 2 - len(head)
    texts = [in_one_line(value)]
    if value.size:
        texts += [
            f"{number(value.min())} ... {number(value.max())}",
            f"{float(value.min()):.1g} ... {float(value.max()):.1g}",
        ]
        texts.insert(1, f"{show(value.shape)} {texts[1]}")
    return head + next((text for text in texts if len(text) <= room), texts[-1][:room])


def draw(picture: Layout, ax: Any = None) -> Any:
    """The picture on Matplotlib axes.

    Raises:
        ConfigurationError: ``ax`` is not axes.
    """
    from matplotlib.axes import Axes  # Matplotlib takes half a second: only when drawing
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    if ax is None:
        size = (min(max(picture.width * 0.075, 4.0), 120.0), min(max(picture.height * 0.19, 2.0), 120.0))
        ax = Figure(figsize=size, layout="constrained").add_subplot()
    if not isinstance(ax, Axes):
        raise ConfigurationError(f"plot: ax must be Matplotlib axes, not {type(ax).__name__}.")
    for a, b in picture.ends():
        ax.annotate(
            "",
            (b.x, -b.y),
            (a.x + _LETTERS, -a.y),
            arrowprops={"arrowstyle": "->", "color": "#666666", "shrinkA": 0, "shrinkB": 0},
            zorder=0.5,
        )
    for box in picture.boxes:
        corner = (box.x, -box.y - box.height / 2)
        style = "round,pad=0,rounding_size=0.6" if box.kind == "given" else "square,pad=0"
        patch = FancyBboxPatch(
            corner, _LETTERS, box.height, boxstyle=style, facecolor=_FILLS[box.kind], edgecolor="#444444"
        )
        ax.add_patch(patch)
        for k, text in enumerate(box.lines):
            graded = box.graded and k == len(box.lines) - 1
            ax.text(
                box.x + 1, -box.y + box.height / 2 - 0.85 - k, text, family="monospace", fontsize=7.5, va="center",
                color="#A03C00" if graded else "#222222", weight="bold" if k == 0 else "normal", parse_math=False,
            )  # fmt: skip
    ax.set(xlim=(-1, picture.width + 1), ylim=(-picture.height - 0.5, 0.5))
    ax.set_axis_off()
    return ax
