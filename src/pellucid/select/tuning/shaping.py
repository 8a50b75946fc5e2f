"""Shaping: the network of a recipe with other hidden layers, as the trials of ``pellucid tune`` want it."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Iterable
from typing import Any

from pellucid.data import Dataset
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Dropout, Input, Layer
from pellucid.train import Model, Sequential, recipe
from pellucid.train.recipe import TrainingOptions

_SHAPES = ("units", "layers", "activation", "optimizer")
#: Optimisers whose steps do not adapt to the gradients, so that their rates are larger.
_PLAIN = ("sgd", "momentum")


class Shaper:
    """Builds and compiles the network of a recipe; a call takes what the space names of its shape and optimiser.

    Args:
        model: mlp, lenet5 or the path of a recipe.
        examples: What is learned.
        options: Which optimiser, and which rate.
        backend: What runs the compiled steps.
        names: What the space chooses.

    Raises:
        ConfigurationError: The recipe is unknown, or has nothing of some name.
    """

    def __init__(
        self, model: str, examples: Dataset, options: TrainingOptions, backend: str, names: Iterable[str]
    ) -> None:
        self._options, self._backend = options, backend
        layers = recipe.build(model, examples)[0].layers
        self._layers = [(type(layer), layer.config()) for layer in layers]
        self._hidden = [place for place, layer in enumerate(layers) if isinstance(layer, Dense)][:-1]
        # Without the samples themselves: the shaper travels to the workers with every part of the work.
        parts = [(x[:0], y[:0]) for x, y in (examples.train, examples.test)]
        self._examples = dataclasses.replace(examples, train=parts[0], test=parts[1])
        own = [name for name in names if name in _SHAPES or name.startswith("units_")]
        self._check(model, own)
        # What ``tune`` asks for the arguments of a function: the names of the space that belong here.
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in own]
        )

    def _check(self, model: str, names: list[str]) -> None:
        if "layers" in names and model != "mlp":
            raise ConfigurationError(
                f"--space layers=... goes with --model mlp; the layers of {model} are what they are.",
                hint="its units can be searched for: --space units=16:128:log",
            )
        count = math.inf if "layers" in names else len(self._hidden)
        for name in names:
            if name.startswith(("units", "activation")) and not count:
                raise ConfigurationError(f"--space {name}=...: {model} has no hidden Dense layer.")
            if name.startswith("units_") and int(name[6:]) > count:
                layers = "layer" if count == 1 else "layers"
                raise ConfigurationError(f"--space {name}=...: {model} has {count} hidden Dense {layers}.")

    def __call__(self, *, layers: int | None = None, optimizer: str | None = None, **shape: Any) -> Model:
        """A compiled network of this shape."""
        hidden, places = self._hidden, list(range(len(self._layers)))
        if layers is not None:  # the first hidden layer and its dropout, so many times
            block = places[hidden[0] : hidden[1]]
            places = [*places[: hidden[0]], *block * layers, *places[hidden[-1] + len(block) :]]
        found: list[Layer] = []
        number = 0
        for place in places:
            (kind, config), number = self._layers[place], number + (place in hidden)
            again = {"name": None} if places.count(place) > 1 else {}  # names are taken once
            settings = _settings(number, shape) if place in hidden else {}
            found.append(kind(**{**config, **again, **settings}))
        network = Sequential([Input(self._examples.input_shape), *found], name=self._examples.name)
        options = TrainingOptions(optimizer=optimizer).over(self._options)
        recipe.compile_for(network, self._examples, options, self._backend)
        return network


def _settings(number: int, shape: dict[str, Any]) -> dict[str, Any]:
    """What the space says of the hidden layer of a number, from 1."""
    wanted = {"units": shape.get(f"units_{number}", shape.get("units")), "activation": shape.get("activation")}
    return {name: value for name, value in wanted.items() if value is not None}


def default_space(model: str, examples: Dataset, given: TrainingOptions, options: TrainingOptions) -> dict[str, Any]:
    """What is searched for where nothing else was asked for.

    Args:
        model: mlp, lenet5 or the path of a recipe.
        examples: What is learned.
        given: Options that were given: they are not searched for.
        options: Those of the training.
    """
    network = recipe.build(model, examples)[0]
    layers, found = network.layers, dict[str, Any]()
    if model == "mlp":
        most = next(layer.config()["units"] for layer in layers if isinstance(layer, Dense))
        found = {"layers": range(1, 4), "units": [most // 4, most // 2, most, most * 2]}
    if any(isinstance(layer, Dropout) for layer in layers):
        found["dropout"] = (0.0, 0.5)
    if given.learning_rate is None:
        plain = (options.optimizer or "adam").lower() in _PLAIN
        found["learning_rate"] = (1e-3, 1.0, "log") if plain else (1e-4, 3e-2, "log")
    if given.batch_size is None:
        usual = options.batch_size or 32
        found["batch_size"] = [usual // 2, usual, usual * 2]
    return found
