"""Proposals: from a trial to the configuration that is trained, whichever way the space was written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pellucid import seeds
from pellucid.errors import ConfigurationError
from pellucid.nn.core import Dropout
from pellucid.nn.regularizers import L2
from pellucid.select.grid import FITTING, Configuration, sort_out
from pellucid.select.makers import Maker, is_estimator
from pellucid.select.tuning.library import optuna
from pellucid.select.tuning.space import Space
from pellucid.train import Model, Sequential
from pellucid.train.structure import is_own, of_model


class Proposer:
    """Turns trials into configurations.

    Args:
        build: A compiled model, a function whose arguments are parameters, an estimator; or, where ``space`` is None, a
            function of a trial that returns a compiled model.
        space: A dict (see :class:`Space`), a function of a trial that returns a dict of parameters, or None.
        seed: From which models are built.

    Attributes:
        source: What builds the models of configurations.
        space: The space where it is a dict, else None.
        names: The names of the space where it is a dict.

    Raises:
        ConfigurationError: There is nothing to choose from, or a name is unknown.
    """

    def __init__(self, build: Any, space: Any, seed: int) -> None:
        self._seed = seed
        self._function: Callable[[Any], Any] | None = None
        self.space: Space | None = None
        self.source: Any = build
        if space is None:
            self._function, self.source = _function_of_trial(build), built
        elif callable(space) and not isinstance(space, Mapping):
            self._function = space
        else:
            self.space = Space(space)
            if not is_estimator(build):
                sort_out(dict.fromkeys(self.space.distributions), Maker(build).arguments)
        self._builds = space is None

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters that are known beforehand."""
        return () if self.space is None else tuple(self.space.distributions)

    def propose(self, trial: Any) -> Configuration:
        """The configuration of a trial.

        Raises:
            ConfigurationError: What the user's function gives is nothing that could be trained.
        """
        if self.space is not None:
            return self.space.suggest(trial)
        assert self._function is not None
        if not self._builds:
            found = self._function(trial)
            found = dict(trial.params) if found is None else found
            if not isinstance(found, Mapping):
                raise ConfigurationError(f"The function of the space must return a dict of parameters, not {found!r}.")
            if not is_estimator(self.source):
                sort_out(dict(found), Maker(self.source).arguments)
            return dict(found)
        with seeds.rooted(self._seed):
            model = self._function(trial)
        blueprint = Blueprint(model)
        fitting = {name: trial.params[name] for name in FITTING if name in trial.params}
        return {"trial": blueprint, **blueprint.numbers, **fitting}

    def again(self, params: Mapping[str, Any]) -> Configuration:
        """The configuration of parameters that a trial had."""
        return self.propose(optuna.trial.FixedTrial(dict(params)))


def _function_of_trial(build: Any) -> Callable[[Any], Any]:
    if isinstance(build, Model) or is_estimator(build) or not callable(build):
        raise ConfigurationError(
            "There is nothing to choose from: space is missing.",
            hint='pass space={"learning_rate": (1e-4, 1, "log")}, or a function of a trial that builds the model',
        )
    required = [
        p for p in inspect.signature(build).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip
    if len(required) != 1:
        name = getattr(build, "__name__", repr(build))
        raise ConfigurationError(
            f"Without a space, the function {name} must take one argument, the trial, not {len(required)}.",
            hint=f"def {name}(trial): units = trial.suggest_int('units', 8, 64); ...; return model",
        )
    return build


def built(trial: Blueprint) -> Model:
    """The model that a blueprint holds: what a function of a trial returned."""
    return trial.model


class Blueprint:
    """A compiled model, of which copies are trained; equal in print where copies share a population.

    Attributes:
        model: The model.
        numbers: What members of a population may differ in, as the model has it.

    Raises:
        ConfigurationError: It is no compiled model.
    """

    def __init__(self, model: Any) -> None:
        if not isinstance(model, Model) or not model.is_compiled:
            what = "a model that is not compiled" if isinstance(model, Model) else type(model).__name__
            raise ConfigurationError(
                f"The function of a trial must return a compiled model, not {what}.",
                hint="end it with model.compile(loss=..., optimizer=...) and return model",
            )
        self.model = model
        self.numbers: dict[str, float] = {}
        self._key = (*self._architecture(), _described(model._objective_request), repr(type(model.backend)))
        self._key += (self._optimizer(),)

    def _optimizer(self) -> Any:
        settings = dict(self.model.optimizer.config())
        for name in ("learning_rate", "momentum"):
            if isinstance(settings.get(name), (int, float)) and not isinstance(settings[name], bool):
                self.numbers[name] = settings.pop(name)
        return (type(self.model.optimizer).__name__, _described(settings))

    def _architecture(self) -> tuple[Any, ...]:
        layers = list(self.model.sublayers())
        if self.model._network is None:  # without an Input nothing is built yet, but layers in a row are known
            layers = list(self.model.layers) if isinstance(self.model, Sequential) else [self.model]
        dropouts = {layer.rate for layer in layers if isinstance(layer, Dropout)}
        penalties = {_strength(layer.config()["kernel_regularizer"]) for layer in layers if _has_penalty(layer)}
        common: dict[str, Any] = {}
        if len(dropouts) == 1:
            self.numbers["dropout"] = common["rate"] = dropouts.pop()
        shared = penalties.pop() if len(penalties) == 1 else None
        if shared is not None:
            self.numbers["l2"] = common["l2"] = shared
        shape = of_model(self.model) if self.model._network is not None else None
        return (type(self.model).__name__, shape, tuple(_layer(layer, common) for layer in layers))

    def __repr__(self) -> str:
        return f"Blueprint({self._key!r})"


def _has_penalty(layer: Any) -> bool:
    return "kernel_regularizer" in layer.config()


def _strength(regularizer: Any) -> float | None:
    return regularizer.config()["strength"] if type(regularizer) is L2 else None


def _layer(layer: Any, common: Mapping[str, Any]) -> Any:
    if not is_own(type(layer)) or (isinstance(layer, Model) and layer._network is None):
        return f"{type(layer).__name__} {id(layer)}"
    settings = dict(layer.config())
    if "rate" in common and isinstance(layer, Dropout):
        settings["rate"] = "own"
    if "l2" in common and _has_penalty(layer):
        settings["kernel_regularizer"] = "own"
    return (type(layer).__name__, _described(settings))


def _described(value: Any) -> Any:
    """Something that is printed alike for settings that mean the same."""
    if isinstance(value, Mapping):
        return {name: _described(own) for name, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [_described(own) for own in value]
    if hasattr(value, "config") and is_own(type(value)):
        return (type(value).__name__, _described(value.config()))
    return value if isinstance(value, (str, int, float, bool, type(None))) else f"{value!r} {id(value)}"
