"""Recipes: a sensible model and training for a data set, from a name or from a TOML file.

A TOML recipe lists the hidden layers; scaling of the inputs and the output layer follow from the data::

    [model]
    layers = [
        { layer = "Dense", units = 100, activation = "relu" },
        { layer = "Dropout", rate = 0.5 },
    ]

    [training]            # all optional; the command line wins over the file
    epochs = 20
    batch_size = 64
    optimizer = "adam"
    learning_rate = 0.001
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.data import Dataset
from pellucid.errors import ConfigurationError, DataError, unknown_name
from pellucid.fields import lookup
from pellucid.nn import (
    LAYERS,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
    MaxPool2D,
    Normalization,
    Rescaling,
)
from pellucid.optim import OPTIMIZERS, Optimizer
from pellucid.train.sequential import Sequential


@dataclass(frozen=True)
class TrainingOptions:
    """How a recipe trains; None is the recipe's or the data set's own choice."""

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    optimizer: str | None = None
    patience: int | None = None

    def over(self, other: TrainingOptions) -> TrainingOptions:
        """These options where they are given, the other's elsewhere."""
        return TrainingOptions(
            *(mine if mine is not None else theirs for mine, theirs in zip(_values(self), _values(other), strict=True))
        )


def _values(options: TrainingOptions) -> tuple[Any, ...]:
    return (options.epochs, options.batch_size, options.learning_rate, options.optimizer, options.patience)


_DEFAULTS = TrainingOptions(epochs=40, batch_size=32, learning_rate=0.001, optimizer="adam", patience=10)
# An epoch of a small table is a handful of updates, one of a large one thousands.
_SMALL, _SMALL_OPTIONS = 1_000, TrainingOptions(epochs=200, batch_size=16, patience=30)
_LARGE, _LARGE_OPTIONS = 20_000, TrainingOptions(epochs=10, batch_size=128, patience=3)


def preferred(count: int) -> TrainingOptions:
    """The options for a number of training samples.

    >>> preferred(120).epochs, preferred(1438).epochs, preferred(60000).epochs
    (200, 40, 10)
    """
    if count < _SMALL:
        return _SMALL_OPTIONS.over(_DEFAULTS)
    return _LARGE_OPTIONS.over(_DEFAULTS) if count >= _LARGE else _DEFAULTS


#: What ``--model`` takes beside the path of a TOML file.
MODELS = ("mlp", "lenet5")


def _mlp(dataset: Dataset) -> list[Layer]:
    """Two hidden layers with dropout; narrow ones for tables of few features."""
    features = 1
    for n in dataset.input_shape:
        features *= n
    units = 128 if features > 40 else 32
    flatten: list[Layer] = [Flatten()] if len(dataset.input_shape) > 1 else []
    return [*flatten, Dense(units, activation="relu"), Dropout(0.2), Dense(units, activation="relu"), Dropout(0.2)]


def _lenet5(dataset: Dataset) -> list[Layer]:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling; small images are padded."""
    if len(dataset.input_shape) != 3:
        raise DataError(
            f"lenet5 takes images [height, width, channel], but a sample of {dataset.name!r} has the shape "
            f"{list(dataset.input_shape)}.",
            hint="use --model mlp",
        )
    second = "valid" if min(dataset.input_shape[:2]) >= 10 else "same"
    return [
        Conv2D(6, 5, padding="same", activation="relu"),
        MaxPool2D(2),
        Conv2D(16, 5, padding=second, activation="relu"),
        MaxPool2D(2),
        Flatten(),
        Dense(120, activation="relu"),
        Dense(84, activation="relu"),
    ]


def build(model: str, dataset: Dataset) -> tuple[Sequential, TrainingOptions]:
    """The model of a recipe for a data set, and the training options that the recipe or the data set prefers.

    Raises:
        ConfigurationError: The recipe is unknown, or its file is not a recipe.
    """
    options = preferred(len(dataset.x_train))
    if model == "mlp":
        hidden = _mlp(dataset)
    elif model == "lenet5":
        hidden = _lenet5(dataset)
    elif model.endswith(".toml"):
        hidden, own = read_recipe(Path(model))
        options = own.over(options)
        if len(dataset.input_shape) > 1 and not any(layer_takes_images(layer) for layer in hidden):
            hidden = [Flatten(), *hidden]
    else:
        raise unknown_name("model", model, (*MODELS, "a path ending in .toml"))
    return _with_ends(hidden, dataset), options


def layer_takes_images(layer: Layer) -> bool:
    """Whether a layer works on the axes of an image, or flattens them itself."""
    return not isinstance(layer, (Dense, Dropout))


def _with_ends(hidden: list[Layer], dataset: Dataset) -> Sequential:
    """Standardisation, the hidden layers, and the output that the task needs."""
    image = len(dataset.input_shape) > 1
    scaling = Normalization(axis=()) if image else Normalization()
    layers: list[Any] = [Input(dataset.input_shape), scaling, *hidden]
    if image and not any(isinstance(layer, Flatten) for layer in hidden):
        layers.append(Flatten())
    if dataset.task == "classification":
        layers.append(Dense(dataset.n_classes, activation="softmax", name="output"))
    else:
        y = dataset.y_train.astype("float64")
        # The network learns standardised targets; the model gives them in their own unit.
        layers += [Dense(1), Rescaling(float(y.std()) or 1.0, float(y.mean()), name="output")]
    model = Sequential(layers, name=dataset.name)
    scaling.adapt(dataset.x_train)
    return model


def compile_for(model: Sequential, dataset: Dataset, options: TrainingOptions, backend: str | None) -> None:
    """Compile a recipe's model with the loss and the metrics of the task."""
    optimizer = make_optimizer(options.optimizer or "adam", options.learning_rate)
    if dataset.task == "classification":
        model.compile("categorical_crossentropy", optimizer, ["accuracy"], backend=backend)
    else:
        model.compile("mse", optimizer, ["mae", "r2"], backend=backend)


def make_optimizer(name: str, learning_rate: float | None) -> Optimizer:
    """An optimiser by name, with a learning rate where one is given."""
    settings: dict[str, Any] = {} if learning_rate is None else {"learning_rate": learning_rate}
    table: dict[str, Any] = {key.lower(): cls for key, cls in OPTIMIZERS.items()}
    made = lookup("optimizer", name, Optimizer, table)
    return type(made)(**settings)


def read_recipe(path: Path) -> tuple[list[Layer], TrainingOptions]:
    """The hidden layers and training options of a TOML file.

    Raises:
        ConfigurationError: The file cannot be read, or holds something that is not a recipe.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"The recipe {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The recipe {path} is not TOML: {error}.") from None
    for key in content:
        if key not in ("model", "training"):
            raise ConfigurationError(f"{path}: unknown table [{key}]; a recipe has [model] and [training].")
        if not isinstance(content[key], dict):
            raise ConfigurationError(f"{path}: {key} must be a table, not {content[key]!r}.")
    entries = content.get("model", {}).get("layers")
    if not isinstance(entries, list) or not entries:
        raise ConfigurationError(f"{path}: [model] needs layers = [{{ layer = 'Dense', units = 100 }}, ...].")
    layers = [_layer(path, number, entry) for number, entry in enumerate(entries, start=1)]
    return layers, _training(path, content.get("training", {}))


def _layer(path: Path, number: int, entry: Any) -> Layer:
    if not isinstance(entry, dict) or not isinstance(entry.get("layer"), str):
        raise ConfigurationError(f"{path}: layer {number} is {entry!r}, not a table with the key 'layer'.")
    settings = {key: value for key, value in entry.items() if key != "layer"}
    if entry["layer"] not in LAYERS:
        raise unknown_name(f"layer in {path}", entry["layer"], LAYERS)
    try:
        return LAYERS[entry["layer"]](**settings)
    except ConfigurationError as error:
        raise error.with_context(f"{path}: layer {number}: {error.message}", ()) from None


def _training(path: Path, given: dict[str, Any]) -> TrainingOptions:
    known = TrainingOptions.__dataclass_fields__
    for key in given:
        if key not in known:
            raise unknown_name(f"training option in {path}", key, known)
    if not isinstance(given.get("patience", 0), int):
        raise ConfigurationError(f"{path}: patience must be a whole number, not {given['patience']!r}.")
    return TrainingOptions(**given)
