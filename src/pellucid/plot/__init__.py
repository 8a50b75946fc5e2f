"""The pictures that the lectures draw, on Matplotlib.

Every function takes the axes to draw on as ``ax`` (several where it draws several), makes new ones without it, and
returns them; an animation is what it returns instead. No window opens by itself: ``ax.figure.savefig("picture.png")``
writes the picture, ``ax.figure`` as the last line of a notebook's cell shows it; for a window, hand over axes of
``matplotlib.pyplot.subplots()`` and call ``matplotlib.pyplot.show()``.

>>> from pellucid import plot
>>> ax = plot.compare({0.1: [0.9, 0.8, 0.7], 1.0: [0.9, 0.5, 0.4]}, setting="learning rate")
>>> ax.get_ylabel()
'loss'
"""

from pellucid.plot.confusion import confusion_matrix
from pellucid.plot.curves import compare, error_curves
from pellucid.plot.descent import critical_point, gradient_descent
from pellucid.plot.error_surface import error_surface
from pellucid.plot.feature_space import feature_space
from pellucid.plot.image_grid import image_grid
from pellucid.plot.landscape import SURFACES, Path, Surface, descend
from pellucid.plot.race import animate_race, optimizer_race
from pellucid.plot.regions import decision_regions, probability_surface
from pellucid.plot.scatter import scatter

__all__ = [
    "SURFACES", "Path", "Surface", "animate_race", "compare", "confusion_matrix", "critical_point", "decision_regions",
    "descend", "error_curves", "error_surface", "feature_space", "gradient_descent", "image_grid", "optimizer_race",
    "probability_surface", "scatter",
]  # fmt: skip
