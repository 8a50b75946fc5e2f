"""The density of a Hessian's eigenvalues, as numbers and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.drawing import BLUE, INK, axes_for, quiet
from pellucid.fields import Integer, optional, positive, require


@dataclass(frozen=True)
class SpectralDensity:
    """Where the eigenvalues lie: masses on a line, which together are 1.

    Attributes:
        nodes: float64 [m], growing: the ends are near the smallest and the largest eigenvalue.
        weights: float64 [m]: the share of the eigenvalues near each node.
        size: How many eigenvalues there are.
    """

    nodes: np.ndarray
    weights: np.ndarray
    size: int

    @property
    def mean(self) -> float:
        """The mean eigenvalue, tr H / n."""
        return float(self.weights @ self.nodes)

    @property
    def trace(self) -> float:
        """The sum of the eigenvalues."""
        return self.mean * self.size

    def share(self, low: float = -np.inf, high: float = np.inf) -> float:
        """The share of the eigenvalues from ``low`` to ``high``."""
        inside = (self.nodes >= low) & (self.nodes <= high)
        return float(self.weights[inside].sum())

    @property
    def minimum_ratio(self) -> float:
        """The share of positive eigenvalues: of those above a millionth of the largest one in size, as in
        ``critical_point``. Where the spectrum is an estimate, those near 0 may fall on either side."""
        return float(self.weights[self.nodes > 1e-6 * np.abs(self.nodes).max()].sum())

    def density(self, points: int = 1024, width: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The density as a curve: eigenvalues [points] and density [points], each node a bell of some width.

        Args:
            points: How many.
            width: The standard deviation of a bell; by default a hundredth of the spectrum.
        """
        require("density", "points", points, Integer(2))
        require("density", "width", width, optional(positive))
        low, high = float(self.nodes[0]), float(self.nodes[-1])
        size = width or 0.01 * (high - low) or 0.01 * max(abs(high), 1e-12)
        across = np.linspace(low - 5 * size, high + 5 * size, points)
        curve = np.zeros(points)
        for node, weight in zip(self.nodes, self.weights, strict=True):
            curve += weight * np.exp(-0.5 * ((across - node) / size) ** 2)
        return across, curve / (size * np.sqrt(2 * np.pi))

    def plot(self, ax: Any = None, *, width: float | None = None) -> Any:
        """Draw the density on a logarithmic scale.

        Args:
            ax: The Matplotlib axes to draw on; new ones by default.
            width: Of the bells.

        Returns:
            The axes.
        """
        ax = axes_for("SpectralDensity.plot", ax, (6.0, 3.6))
        across, curve = self.density(width=width)
        floor = 1e-7 * float(curve.max())
        ax.fill_between(across, np.maximum(curve, floor), floor, color=BLUE, alpha=0.2, linewidth=0)
        ax.plot(across, np.maximum(curve, floor), color=BLUE, linewidth=1.4)
        ax.axvline(0.0, color=INK, linewidth=0.8, linestyle=":")
        ax.set_yscale("log")
        ax.set_ylim(bottom=floor)
        ax.set_xlabel("eigenvalue of the Hessian")
        ax.set_ylabel("density")
        ax.set_title(f"{self.size:,} eigenvalues from {self.nodes[0]:.3g} to {self.nodes[-1]:.3g}", fontsize=10)
        quiet(ax)
        return ax
