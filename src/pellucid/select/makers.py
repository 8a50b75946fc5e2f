"""Makers: from a configuration to a compiled model that a population can copy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pellucid import optim, seeds
from pellucid.errors import ConfigurationError
from pellucid.select.grid import Sorted
from pellucid.select.preparing import forget_statistics
from pellucid.train import Model, Population


class Maker:
    """Makes the models of configurations.

    Args:
        source: A compiled model, of which copies are taken, or a function that builds and compiles one.

    Attributes:
        arguments: The names that the function takes: none for a model, None where it takes any.
    """

    def __init__(self, source: Model | Callable[..., Model]) -> None:
        self._source = source
        self.arguments: tuple[str, ...] | None = ()
        if isinstance(source, Model):
            source.require_compiled()
        else:
            parameters = inspect.signature(source).parameters.values()
            named = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
            self.arguments = None if any(p.kind is p.VAR_KEYWORD for p in parameters) else named

    def __call__(self, configuration: Sorted, seed: int) -> Model:
        """A compiled model of its own, with the parameters of a seed.

        Raises:
            ConfigurationError: The function gives no compiled model.
        """
        source = self._source
        if isinstance(source, Model):
            model = source.clone(seed if source.built else None)
        else:
            with seeds.rooted(seed):
                model = source(**configuration.build)
            if not isinstance(model, Model) or not model.is_compiled:
                what = "a model that is not compiled" if isinstance(model, Model) else f"{type(model).__name__}"
                raise ConfigurationError(
                    f"The function {getattr(source, '__name__', source)!s} must return a compiled model, not {what}.",
                    hint="end it with model.compile(loss=..., optimizer=...) and return model",
                )
            model = model.clone()  # a function may give the same model every time, which belongs to the user
        if configuration.optimizer is not None:
            model._optimizer = optim.get(configuration.optimizer).copy()
        return model

    def numbered(self, configuration: Sorted, seed: int, x: Any) -> Model:
        """A model with the numbers of a configuration, too, built for samples."""
        model = self(configuration, seed)
        model._build_for(x)
        return Population(forget_statistics(model), 1, seed=seed, **configuration.numbers)[0]


def is_estimator(model: Any) -> bool:
    """Whether something is an estimator in scikit-learn's form."""
    return not isinstance(model, (Model, type)) and all(hasattr(model, name) for name in ("fit", "get_params"))


def check_source(model: Any) -> None:
    """Refuse what is no model, function or estimator.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(model, Model) or is_estimator(model) or (callable(model) and not isinstance(model, type)):
        return
    raise ConfigurationError(
        f"model must be a compiled Model, a function that builds one, or an estimator, not {model!r}."
    )
