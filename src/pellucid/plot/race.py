"""Optimisers on one surface, all from the same start: as a picture, and step by step as an animation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import autodiff, optim
from pellucid.errors import ConfigurationError
from pellucid.fields import Integer, require
from pellucid.optim import Optimizer
from pellucid.plot.canvas import colour, legend, line, marker, panels_for, quiet
from pellucid.plot.descent import draw_path, draw_surface, heights_of, mark_minima
from pellucid.plot.landscape import Bounds, Landscape, Path, Surface, bounds_of, landscape_of, surface_of


@dataclass(frozen=True)
class _Race:
    """The paths by the optimisers' names, and the ground they run on."""

    landscape: Landscape
    paths: dict[str, Path]
    bounds: Bounds


def optimizer_race(
    function: Any = "beale",
    optimizers: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    start: Any = None,
    steps: int = 100,
    bounds: Any = None,
    ax: Any = None,
) -> Any:
    """Draw the paths of several optimisers on one surface, and their losses over the steps.

    The default optimisers are SGD, Momentum, Adagrad, RMSProp and Adam. The first two, whose steps grow with the
    gradient, have a learning rate of 1 / (2 |λ|) for the largest |λ| of the Hessian's eigenvalues at the start
    (Momentum a quarter of it, as it adds up gradients); RMSProp and Adam, whose steps do not, a fiftieth of the
    picture's width; and Adagrad, whose steps shrink, a tenth.

    Args:
        function: f(w) of w [2], or f(w1, w2), written with Pellucid's operations; or the name of one of ``SURFACES``.
        optimizers: A list of names and Optimizers, or a dict by the names to be shown.
        start: Two numbers; a surface has a start of its own.
        steps: How many steps each of them makes.
        bounds: (low, high) of each parameter; by default the surface's own, or where the paths are.
        ax: Two Matplotlib axes to draw on, for the surface and for the losses; new ones by default.

    Returns:
        Both axes.

    Raises:
        ConfigurationError: A name is unknown, or an argument is outside its range.
        DataError: The start is not two numbers.

    >>> surface, losses = optimizer_race("valley", ["sgd", "adam"], steps=5)
    >>> [text.get_text() for text in losses.get_legend().get_texts()]
    ['SGD, rate 0.01', 'Adam, rate 0.001']
    """
    owner = "optimizer_race"
    race = _run(owner, function, optimizers, start, steps, bounds)
    ground, curves = panels = panels_for(owner, ax, 2, (5.2, 4.3))
    _prepare(ground, curves, race, function)
    for number, (name, path) in enumerate(race.paths.items()):
        draw_path(ground, path.points, number, name)
        _draw_losses(curves, path, number, name)
    legend(curves)
    return panels


def animate_race(
    function: Any = "beale",
    optimizers: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    start: Any = None,
    steps: int = 100,
    bounds: Any = None,
    every: int = 1,
    ax: Any = None,
) -> Any:
    """Let the optimisers of :func:`optimizer_race` run before one's eyes.

    Args:
        function, optimizers, start, steps, bounds, ax: As for :func:`optimizer_race`.
        every: Steps from one frame to the next.

    Returns:
        A Matplotlib FuncAnimation: ``animation.save("race.gif", writer="pillow")`` writes it, ``to_jshtml()`` shows it
        in a notebook. Keep it in a variable until then.

    Raises:
        ConfigurationError: A name is unknown, or an argument is outside its range.
        DataError: The start is not two numbers.

    >>> import pathlib, tempfile
    >>> animation = animate_race("saddle", ["sgd", "momentum"], steps=4, every=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "race.gif"
    ...     animation.save(path, writer="pillow", dpi=20)
    ...     path.read_bytes()[:6]
    b'GIF89a'
    """
    from matplotlib.animation import FuncAnimation

    owner = "animate_race"
    require(owner, "every", every, Integer(1))
    race = _run(owner, function, optimizers, start, steps, bounds)
    ground, curves = panels_for(owner, ax, 2, (5.2, 4.3))
    _prepare(ground, curves, race, function)
    tracks = []
    for number, (name, path) in enumerate(race.paths.items()):
        (head,) = ground.plot(
            [], [], marker(number), color=colour(number), markersize=9, markeredgecolor="white", zorder=6
        )
        trail = draw_path(ground, path.points, number, head=False)
        trail.set_marker("")
        tracks.append((path, trail, head, _draw_losses(curves, path, number, name)))
    legend(curves)
    counter = ground.set_title("step 0")

    def show(step: int) -> list[Any]:
        for path, trail, head, losses in tracks:
            points = np.clip(path.points[: step + 1], -1e6, 1e6)
            trail.set_data(*points.T)
            head.set_data(*points[-1:].T)
            losses.set_data(np.arange(len(points)), path.losses[: step + 1])
        counter.set_text(f"step {step}")
        return [counter, *(artist for track in tracks for artist in track[1:])]

    frames = [*range(0, steps, every), steps]
    return FuncAnimation(ground.figure, show, frames=frames, init_func=lambda: show(0), interval=60, repeat=False)


def _run(owner: str, function: Any, optimizers: Any, start: Any, steps: int, bounds: Any) -> _Race:
    require(owner, "steps", steps, Integer(1))
    landscape = landscape_of(owner, function, start)
    if landscape.start.shape != (2,):
        raise ConfigurationError(f"{owner}: the race is on a surface of two parameters; start must be two numbers.")
    chosen = _default(landscape, function) if optimizers is None else _named(owner, optimizers)
    paths = {name: landscape.path(optimizer, steps) for name, optimizer in chosen.items()}
    return _Race(landscape, paths, bounds_of(owner, function, bounds, list(paths.values())))


def _default(landscape: Landscape, function: Any) -> dict[str, Optimizer]:
    hessian = np.asarray(autodiff.hessian(landscape.function)(landscape.start), np.float64)
    steepest = max(float(np.abs(np.linalg.eigvalsh(hessian)).max()), 1e-6)
    known = surface_of(function)
    span = known.bounds[0] if isinstance(known, Surface) else (0.0, 2 * float(np.abs(landscape.start).max() or 1))
    width = span[1] - span[0]
    rate, stride = float(f"{0.5 / steepest:.1g}"), float(f"{width / 50:.1g}")
    return _named("optimizer_race", [
        optim.SGD(rate), optim.Momentum(rate / 4), optim.Adagrad(5 * stride), optim.RMSProp(stride), optim.Adam(stride),
    ])  # fmt: skip


def _named(owner: str, optimizers: Any) -> dict[str, Optimizer]:
    if isinstance(optimizers, Mapping):
        found = {str(name): optim.get(given) for name, given in optimizers.items()}
    elif isinstance(optimizers, Sequence) and not isinstance(optimizers, str):
        found = {}
        for given in map(optim.get, optimizers):
            rate = given.learning_rate
            name = type(given).__name__ + (f", rate {rate:g}" if isinstance(rate, (int, float)) else "")
            found[name if name not in found else f"{name} ({len(found) + 1})"] = given
    else:
        raise ConfigurationError(f"{owner}: optimizers must be a list or a dict by name, not {optimizers!r}.")
    if not found:
        raise ConfigurationError(f"{owner}: there are no optimisers to race.")
    return found


def _prepare(ground: Any, curves: Any, race: _Race, function: Any) -> None:
    draw_surface(ground, *heights_of(race.landscape, race.bounds), labels=False)
    mark_minima(ground, function)
    curves.set_xlim(0, max(path.steps for path in race.paths.values()))
    _set_range(curves, np.concatenate([path.losses for path in race.paths.values()]))
    curves.set_xlabel("step")
    curves.set_ylabel("loss")
    quiet(curves)


def _set_range(ax: Any, losses: np.ndarray) -> None:
    """The range of the losses without those that grow or fall without bound; on a logarithmic scale where it can be."""
    first, finite = losses[0], losses[np.isfinite(losses)]
    if (finite >= 0).all() and (finite > 0).any():
        ax.set_yscale("log")
        low = max(float(finite[finite > 0].min()), 1e-12 * max(float(first), 1e-12))
        ax.set_ylim(low / 2, 2 * min(float(finite.max()), max(1e3 * float(first), 10 * low)))
        return
    limit = 10 * abs(float(first)) + 10
    low, high = max(float(finite.min()), -limit), min(float(finite.max()), limit)
    room = 0.05 * (high - low or 1.0)
    ax.set_ylim(low - room, high + room)


def _draw_losses(ax: Any, path: Path, number: int, name: str) -> Any:
    every = max(1, len(path.losses) // 8)
    style = {"color": colour(number), "linestyle": line(number), "marker": marker(number), "markevery": every}
    (drawn,) = ax.plot(np.arange(len(path.losses)), path.losses, label=name, markersize=5, linewidth=1.5, **style)
    return drawn
