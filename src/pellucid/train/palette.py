"""Colours and markers that everybody can tell apart, for the curves of every picture.

The colours are those of Okabe and Ito, "Color Universal Design", 2008, without their yellow, which white paper hides.
"""

from __future__ import annotations

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"

#: Of classes, curves and paths, in this order.
COLOURS = (BLUE, RED, GREEN, "#CC79A7", ORANGE, "#56B4E9", "#4D4D4D")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "p")
