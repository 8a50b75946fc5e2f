"""Losses along a line and in a plane, as numbers and as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.drawing import BLUE, INK, MARKERS, RED, axes_for, heights, quiet


@dataclass(frozen=True)
class LossLine:
    """The loss along a line.

    Attributes:
        positions: float64 [k], t in w + t d.
        losses: float64 [k].
        validation_losses: float64 [k] on other data, or None.
        direction: float64 [n], d.
        between: Whether t = 1 is the place of another model.
    """

    positions: np.ndarray
    losses: np.ndarray
    validation_losses: np.ndarray | None
    direction: np.ndarray
    between: bool

    def __str__(self) -> str:
        lowest = int(np.argmin(np.where(np.isfinite(self.losses), self.losses, np.inf)))
        way = f", barrier {self.barrier:.6g} between t = 0 and t = 1" if self.between else ""
        return (
            f"{len(self.losses)} losses for t from {self.positions.min():.4g} to {self.positions.max():.4g}: lowest "
            f"{self.losses[lowest]:.6g} at t = {self.positions[lowest]:.4g}, highest {np.nanmax(self.losses):.6g}{way}"
        )

    @property
    def barrier(self) -> float:
        """How far the loss rises between t = 0 and t = 1 above the straight line between its values there.

        0 where the two ends are linearly connected; NaN where the positions do not reach from 0 to 1. (Frankle et al.,
        "Linear mode connectivity", 2020.)
        """
        inside = (self.positions >= 0) & (self.positions <= 1)
        if self.positions.min() > 0 or self.positions.max() < 1:
            return float("nan")
        ends = np.interp([0.0, 1.0], self.positions, self.losses)
        chord = ends[0] + self.positions[inside] * (ends[1] - ends[0])
        return float(max(np.max(self.losses[inside] - chord), 0.0))

    def columns(self) -> dict[str, np.ndarray]:
        """The columns of a data frame: position, loss and, if there are any, validation losses."""
        found = {"position": self.positions, "loss": self.losses}
        return found if self.validation_losses is None else {**found, "val_loss": self.validation_losses}

    def plot(self, ax: Any = None, *, log: bool = False) -> Any:
        """Draw the loss over t.

        Args:
            ax: The Matplotlib axes to draw on; new ones by default.
            log: Whether the loss is drawn on a logarithmic scale.

        Returns:
            The axes.
        """
        ax = axes_for("LossLine.plot", ax, (5.4, 3.6))
        ax.plot(self.positions, self.losses, color=BLUE, linewidth=1.6, label="loss")
        if self.validation_losses is not None:
            ax.plot(self.positions, self.validation_losses, "--", color=RED, linewidth=1.6, label="validation loss")
            ax.legend(framealpha=0.9, edgecolor="none")
        ends = (0.0, 1.0) if self.between else (0.0,)
        for number, t in enumerate(ends):
            if self.positions.min() <= t <= self.positions.max():
                ax.plot(
                    t, np.interp(t, self.positions, self.losses), MARKERS[number], color=INK, markersize=7, zorder=4
                )
        if log:
            ax.set_yscale("log")
        ax.set_xlabel("t, from the model (0) to the other (1)" if self.between else "t, along the direction")
        ax.set_ylabel("loss")
        quiet(ax)
        return ax


@dataclass(frozen=True)
class LossPlane:
    """The loss in a plane.

    Attributes:
        across, up: float64 [k], the coordinates a and b in w + a u + b v.
        losses: float64 [k, k], ``losses[i, j]`` at ``up[i]``, ``across[j]``.
        directions: float64 [2, n], u and v.
        marks: Name -> coordinates [2] of the models that the plane was laid through.
        path: float64 [m, 2], where the trajectory runs in the plane, or None.
        explained: float64 [2], the shares of the trajectory's variance along u and v, or None.
    """

    across: np.ndarray
    up: np.ndarray
    losses: np.ndarray
    directions: np.ndarray
    marks: dict[str, np.ndarray]
    path: np.ndarray | None
    explained: np.ndarray | None

    def __str__(self) -> str:
        row, column = np.unravel_index(
            int(np.argmin(np.where(np.isfinite(self.losses), self.losses, np.inf))), self.losses.shape
        )
        return (
            f"{self.losses.shape[0]} x {self.losses.shape[1]} losses: lowest {self.losses[row, column]:.6g} at a = "
            f"{self.across[column]:.4g}, b = {self.up[row]:.4g}, highest {np.nanmax(self.losses):.6g}"
        )

    def columns(self) -> dict[str, np.ndarray]:
        """The columns of a data frame with a row per point: a, b, loss."""
        a, b = np.meshgrid(self.across, self.up)
        return {"a": a.reshape(-1), "b": b.reshape(-1), "loss": self.losses.reshape(-1)}

    def plot(self, ax: Any = None) -> Any:
        """Draw the contours, with what the plane goes through.

        Returns:
            The axes.
        """
        ax = axes_for("LossPlane.plot", ax, (5.2, 4.4))
        heights(ax, self.across, self.up, self.losses)
        if self.path is not None:
            ax.plot(*self.path.T, "o-", color=BLUE, markersize=3, linewidth=1.2, zorder=3, label="training")
            ax.plot(*self.path[0], "o", color=INK, fillstyle="none", markersize=9, zorder=4, label="start")
            ax.plot(*self.path[-1], "^", color=RED, markersize=8, zorder=4, label="end")
            ax.legend(fontsize=8, framealpha=0.9)
        elif self.marks:
            for number, (name, place) in enumerate(self.marks.items()):
                ax.plot(*place, MARKERS[number], color=(RED, BLUE, INK)[number % 3], markersize=8, zorder=4, label=name)
            ax.legend(fontsize=8, framealpha=0.9)
        elif self.across[0] <= 0 <= self.across[-1] and self.up[0] <= 0 <= self.up[-1]:
            ax.plot(0.0, 0.0, "^", color=RED, markersize=8, zorder=4)
        ax.set_xlabel(self._label(0))
        ax.set_ylabel(self._label(1))
        if self.marks:
            ax.set_aspect("equal", adjustable="box")
        return ax

    def _label(self, axis: int) -> str:
        if self.explained is not None:
            return f"component {axis + 1} ({self.explained[axis]:.0%} of the variance)"
        if self.marks:
            return ("distance along the way to the first", "distance across it")[axis]
        return ("a, along the first direction", "b, along the second")[axis]

    def plot_surface(self, ax: Any = None, *, log: bool = False) -> Any:
        """Draw the loss as a surface.

        Args:
            ax: Matplotlib axes of three dimensions; new ones by default.
            log: Whether the height is the logarithm of the loss.

        Returns:
            The axes.
        """
        ax = axes_for("LossPlane.plot_surface", ax, (5.6, 4.8), solid=True)
        known = np.where(np.isfinite(self.losses), self.losses, np.nan)
        tall = np.log10(np.maximum(known, 1e-300)) if log else known
        a, b = np.meshgrid(self.across, self.up)
        ax.plot_surface(a, b, tall, cmap="cividis", linewidth=0.2, edgecolor="#33333340", antialiased=True)
        short = ("component 1", "component 2") if self.explained is not None else ("a", "b")
        ax.set_xlabel(short[0])
        ax.set_ylabel(short[1])
        ax.set_zlabel("log10 of the loss" if log else "loss")
        from matplotlib.ticker import MaxNLocator

        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(5))
        return ax
