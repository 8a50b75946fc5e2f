"""Comparison of a picture with a stored one.

Text is left out, because its pixels differ between versions of FreeType; tests read it from the axes. To draw the
stored pictures anew: ``PELLUCID_REDRAW=1 pytest tests/plot``, and look at each of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from matplotlib.testing.compare import compare_images
from matplotlib.text import Text

FOLDER = Path(__file__).parent / "pictures"

#: Root of the mean squared difference of the pixels' values 0 to 255. Another version of the libraries shifts the
#: edges of lines a little; a curve that is missing is several times as much.
TOLERANCE = 2.5


def draw(figure: Any, path: Path) -> None:
    """Write the picture of a figure without its text."""
    for text in figure.findobj(Text):
        text.set_visible(False)
    for ax in figure.axes:
        if ax.get_legend():
            ax.get_legend().remove()
    figure.savefig(path, dpi=40)


def difference(figure: Any, name: str, folder: Path) -> Any:
    """What differs from the stored picture, or None."""
    actual = folder / f"{name}.png"
    draw(figure, actual)
    return compare_images(str(FOLDER / f"{name}.png"), str(actual), TOLERANCE)


def check_picture(figure: Any, name: str, folder: Path) -> None:
    """Fail where the figure differs from the stored picture."""
    if os.environ.get("PELLUCID_REDRAW"):
        draw(figure, FOLDER / f"{name}.png")
    assert difference(figure, name, folder) is None


def check_differs(figure: Any, name: str, folder: Path) -> None:
    """Fail where a picture that is wrong on purpose passes for the stored one."""
    assert difference(figure, name, folder) is not None
