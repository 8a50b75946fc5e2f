"""The pieces of a page of HTML that needs nothing beside itself: no network, no script; images lie inside."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

#: Everything is forbidden but styles and images that lie in the page: what data smuggle in cannot load or run.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5b6672; --paper: #f6f7f9; --card: #ffffff; --line: #d9dee4;
  --link: #0b63a5; --error: #b3261e; --warning: #8a5300; --advice: #0b63a5; --good: #18703c; --hit: 0, 114, 178;
  --miss: 213, 94, 0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #a3aebb; --paper: #14181d; --card: #1e242b;
  --line: #3a434d; --link: #7cc0f5; --error: #ff8a80; --warning: #f0b95b; --advice: #7cc0f5; --good: #6fd596;
  --hit: 90, 175, 235; --miss: 245, 140, 70; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 0 0 .8rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin: .8rem 0 1.2rem; }
a { color: var(--link); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.3rem;
  margin: 0 0 1.1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .28rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; } .number { text-align: right; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem;
  margin: .5rem 0; overflow-x: auto; font-size: .86rem; line-height: 1.4; }
figure { margin: .6rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: 8px; padding: 4px; }
figcaption { color: var(--soft); font-size: .9rem; }
.finding { border-left: 4px solid var(--tone); padding: .1rem 0 .1rem 1rem; margin: 0 0 1.2rem; }
.finding h3 { margin: 0; } .tag { color: var(--tone); font-weight: 700; text-transform: uppercase; font-size: .78rem;
  letter-spacing: .04em; }
.error { --tone: var(--error); } .warning { --tone: var(--warning); } .advice { --tone: var(--advice); }
.good { color: var(--good); font-weight: 600; }
.beside, .figures { display: flex; flex-wrap: wrap; gap: 0 3rem; } .beside > *, .figures > * { min-width: 0; }
.figures { gap: 0 1rem; } .beside td { white-space: normal; overflow-wrap: anywhere; max-width: 26rem; }
.mistakes { display: flex; flex-wrap: wrap; gap: .9rem; }
.mistake { width: 9rem; font-size: .86rem; line-height: 1.35; }
.mistake img { display: block; width: 100%; image-rendering: pixelated; border: 1px solid var(--line);
  border-radius: 6px; }
.matrix td, .matrix th { text-align: center; min-width: 2.6rem; border: 1px solid var(--line); padding: .3rem .4rem; }
.matrix th { font-weight: 600; color: var(--soft); }
"""


def text(value: Any) -> str:
    """A value as text that cannot be taken for markup.

    >>> text("<b>5 > 4</b>")
    '&lt;b&gt;5 &gt; 4&lt;/b&gt;'
    """
    return escape(str(value), quote=True)


def number(value: Any) -> str:
    """A number to four digits, those before the point all, as text.

    >>> number(0.123456), number(1234567), number(199783.4), number(None), number(float("nan"))
    ('0.1235', '1,234,567', '199,783', '', 'NaN')
    """
    if value is None:
        return ""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{int(value):,}"
    found = float(value)
    if found != found:
        return "NaN"
    return f"{found:,.0f}" if 1e4 <= abs(found) < 1e7 else f"{found:.4g}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: int = 0) -> str:
    """A table; its last ``numbers`` columns are aligned to the right."""
    first = len(head) - numbers

    def line(tag: str, cells: Sequence[Any]) -> str:
        parts = []
        for place, cell in enumerate(cells):
            shade = ' class="number"' if place >= first else ""
            parts.append(f"<{tag}{shade}>{text(cell)}</{tag}>")
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>{body}</tbody></table></div>'


def picture(data: bytes, alternative: str, *, width: int | None = None) -> str:
    """An image that lies in the page, with the text for whoever does not see it."""
    size = f' width="{width}"' if width else ""
    return f'<img src="data:image/png;base64,{base64.b64encode(data).decode()}" alt="{text(alternative)}"{size}>'


def figure(drawn: Any, alternative: str, caption: str = "") -> str:
    """A Matplotlib figure as an image that lies in the page, sharp on screens of high density."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=144)
    width = round(drawn.get_size_inches()[0] * 96)
    under = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f"<figure>{picture(buffer.getvalue(), alternative, width=width)}{under}</figure>"


def beside(figures: Iterable[str]) -> str:
    """Figures in rows of as many as there is room for."""
    return f'<div class="figures">{"".join(figures)}</div>'


def png(pixels: np.ndarray) -> bytes:
    """An image file of grey or coloured pixels, uint8 [height, width] or [height, width, 3].

    Source: the Portable Network Graphics specification (W3C, third edition), sections 11.2 and 9.

    >>> png(np.zeros((2, 3), np.uint8))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    height, width = pixels.shape[:2]
    kind = 2 if pixels.ndim == 3 else 0
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)  # 0: this row is not filtered

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(raw, 9)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def page(title: str, under: str, sections: Sequence[tuple[str, str]]) -> str:
    """The whole page.

    Args:
        title, under: Its heading, and the line below it.
        sections: (heading, content as HTML) of each section.
    """
    links = "".join(f'<a href="#s{place}">{text(name)}</a>' for place, (name, _) in enumerate(sections))
    body = "".join(
        f'<section id="s{place}"><h2>{text(name)}</h2>{content}</section>'
        for place, (name, content) in enumerate(sections)
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><header><h1>{text(title)}</h1>"
        f'<p class="soft">{text(under)}</p></header><nav>{links}</nav><main>{body}</main></body></html>\n'
    )
