"""The loss surface of whatever a user hands over: a function with its parameters, or a model with its data."""

from __future__ import annotations

from typing import Any

from pellucid.analysis.function_surface import FunctionSurface
from pellucid.analysis.model_surface import ModelSurface
from pellucid.analysis.surface import LossSurface
from pellucid.errors import ConfigurationError
from pellucid.train import Model


def loss_surface(target: Any, *at: Any, **settings: Any) -> LossSurface:
    """The loss by its parameters, as a function of one vector with gradient and Hessian.

    Args:
        target: A function f(w) of an array or of a nest of arrays, written with Pellucid's operations; or a compiled
            model; or a surface, which comes back.
        at: For a function w; for a model x and y; for a surface nothing.
        settings: For a model: ``batch_size`` (1,024; what is computed at once, the result does not depend on it),
            ``sample_weight``, ``dtype`` ("float64").

    Raises:
        ConfigurationError: It is none of these, or they do not go together.

    >>> surface = loss_surface(lambda w: (1 - w[0] * w[1]) ** 2, [0.0, 0.0])
    >>> surface.hessian()
    array([[ 0., -2.],
           [-2.,  0.]])
    """
    return surface_of("loss_surface", target, at, **settings)


def surface_of(owner: str, target: Any, at: tuple[Any, ...], **settings: Any) -> LossSurface:
    """The surface that a function of this package was asked to look at; ``owner`` is that function, for errors.

    Raises:
        ConfigurationError: The target is of no known kind, or what comes with it does not fit.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    told = f"but was given {len(at)} argument{'s' * (len(at) != 1)}."
    if isinstance(target, LossSurface):
        if at or given:
            raise ConfigurationError(f"{owner}: a loss surface has its place already; give nothing beside it.")
        return target
    if isinstance(target, Model):
        if len(at) != 2:
            raise ConfigurationError(f"{owner}: a model needs data x and y, {told}")
        return ModelSurface(target, *at, **given)
    if not callable(target):
        raise ConfigurationError(f"{owner} takes a model or a function of its parameters, not {target!r}.")
    if len(at) != 1:
        raise ConfigurationError(f"{owner}: a function needs its parameters w, {told}")
    if given:
        raise ConfigurationError(f"{owner}: {sorted(given)} are settings of models; a function has none of them.")
    return FunctionSurface(owner, target, at[0])
