"""Models: a network of layers that can be compiled, fitted, evaluated, used and saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import backends, seeds
from pellucid.backends import Backend
from pellucid.errors import ConfigurationError, NotBuiltError, unknown_name
from pellucid.graph import Graph
from pellucid.nn.layer import Layer
from pellucid.nn.network import Network
from pellucid.nn.symbol import Symbol
from pellucid.optim import Optimizer
from pellucid.optim import get as get_optimizer
from pellucid.train import checkpoint, fitting, loop
from pellucid.train.checks import DataChecks, embeddings_of
from pellucid.train.clone import clone
from pellucid.train.feed import ArrayFeed, check_batch_size
from pellucid.train.files import write_atomically
from pellucid.train.history import History
from pellucid.train.predictor import Predictor
from pellucid.train.programs import Programs
from pellucid.train.recording.recorder import Recorder, as_recorder
from pellucid.train.source import step_source
from pellucid.train.step import Objective, forward_graph
from pellucid.train.summary import summary
from pellucid.train.targets import check_activations, objective


class Model(Layer):
    """A network from inputs to outputs.

    Args:
        inputs: A symbol made by ``Input``, or a list of them.
        outputs: A symbol that layers made of the inputs, or a list of them.
        name: The model's name.

    Attributes:
        optimizer: The optimiser, after ``compile``.
        history: The :class:`History` of the last ``fit``.
        stop_training: A callback sets it (to True, or to a reason) to end the fit after the batch.

    >>> from pellucid.nn import Concatenate, Dense, Input
    >>> a, b = Input((3,), name="a"), Input((2,), name="b")
    >>> joined = Concatenate()(Dense(4)(a), Dense(4)(b))
    >>> model = Model([a, b], [Dense(1, name="price")(joined), Dense(3, activation="softmax", name="kind")(joined)])
    >>> model.output_names, model.count_parameters()
    (('price', 'kind'), 64)
    """

    def __init__(
        self, inputs: Symbol | Sequence[Symbol], outputs: Symbol | Sequence[Symbol], *, name: str | None = None
    ) -> None:
        self._begin(name)
        for symbol in (*_listed(inputs), *_listed(outputs)):
            if not isinstance(symbol, Symbol):
                raise ConfigurationError(
                    f"Model takes symbols, not {symbol!r}.", hint="start with x = Input(shape) and call layers on it"
                )
        self._single = isinstance(outputs, Symbol)
        self._adopt(Network(_listed(inputs), _listed(outputs)))

    def _begin(self, name: str | None) -> None:
        """Set up what every model has before its network is known."""
        self.name = name
        self.trainable = True
        self._network: Network | None = None
        self._single = True
        self._objective_request: tuple[Any, Any, Any] | None = None
        self._objective: Objective | None = None
        self._optimizer: Optimizer | None = None
        self._backend = backends.get()
        self.programs = Programs(self)
        self.history: History | None = None
        self.stop_training: bool | str = False

    def _adopt(self, network: Network) -> None:
        self._network = network
        self._sublayers = {layer.label: layer for layer in network.layers}
        self.built = True

    # What it is.

    @property
    def network(self) -> Network:
        """The topology.

        Raises:
            NotBuiltError: The input's shape is not known yet.
        """
        if self._network is None:
            raise NotBuiltError(
                f'The model "{self.label}" does not know the shape of its input yet.',
                hint="begin it with Input(shape), call build(shape), or fit it",
            )
        return self._network

    @property
    def inputs(self) -> tuple[Symbol, ...]:
        """The input symbols."""
        return self.network.inputs

    @property
    def outputs(self) -> tuple[Symbol, ...]:
        """The output symbols."""
        return self.network.outputs

    @property
    def output_names(self) -> tuple[str, ...]:
        """The name of each output: of the layer that makes it."""
        return self.network.output_names

    @property
    def layers(self) -> list[Layer]:
        """The layers in order."""
        return list(self.network.layers)

    def get_layer(self, name: str) -> Layer:
        """The layer of a name.

        Raises:
            ConfigurationError: There is none (with the nearest spelling).
        """
        by_name = {layer.label: layer for layer in self.layers}
        if name not in by_name:
            raise unknown_name("layer", name, by_name)
        return by_name[name]

    def outputs_of(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for values of the inputs, always as a list."""
        return self.network.run(inputs)

    def __call__(self, *inputs: Any) -> Any:
        """The output for tensors, arrays or symbols, given one by one or as one list."""
        several = self._network is not None and len(self._network.inputs) > 1
        if several and len(inputs) == 1 and isinstance(inputs[0], (list, tuple)):
            inputs = tuple(inputs[0])
        return super().__call__(*inputs)

    def call(self, *inputs: Any) -> Any:
        """The output, or the list of outputs."""
        outputs = self.outputs_of(inputs)
        return outputs[0] if self._single else outputs

    def clone(self, seed: int | None = None) -> Model:
        """A new model of the same architecture, losses and optimiser settings, which has not been trained.

        Args:
            seed: Draws its parameters as if the model had been built after ``set_seed(seed)``; None copies the numbers
                of this one.

        >>> import numpy as np
        >>> from pellucid import Input, Sequential
        >>> from pellucid.nn import Dense
        >>> model = Sequential([Input((2,)), Dense(1)])
        >>> twin = model.clone()
        >>> np.array_equal(twin.get_weights()["dense.kernel"], model.get_weights()["dense.kernel"])
        True
        """
        return clone(self, seed)

    def summary(self, *, show: bool = True) -> str | None:
        """Print the table of layers, output shapes and parameter counts, or with ``show=False`` return it."""
        text = summary(self)
        if not show:
            return text
        print(text)
        return None

    def forward_graph(self, batch_size: int = 1, *, training: bool = False) -> Graph:
        """The graph of the outputs for a batch of this size, as traced."""
        return forward_graph(self, [s.with_batch(batch_size) for s in self.inputs], training=training)

    def source(self, path: str | Path | None = None, *, y: Any = None, sample_weight: bool = False) -> str:
        """The training step as NumPy code that runs on its own: forward pass, loss, back-propagation and update.

        The code needs NumPy alone (and SciPy for ``gelu``), takes batches of any size and gives the numbers of
        ``train_on_batch``. Its parameters are a dict like ``get_weights()``.

        Args:
            path: A file to write the code to.
            y: Examples of targets; only their form counts, for losses that take several (class numbers or rows).
            sample_weight: Whether every sample has a weight.

        Raises:
            NotBuiltError: The model is not compiled, or does not know the shape of its input yet.

        >>> from pellucid import Input, Sequential
        >>> from pellucid.nn import Dense
        >>> model = Sequential([Input((4,)), Dense(1, activation="sigmoid")])
        >>> model.compile(loss="binary_crossentropy", optimizer="sgd")
        >>> print(next(line for line in model.source().splitlines() if "delta1 =" in line).strip())
        delta1 = (a1 - y) / n                  # [n, 1]
        """
        text = step_source(self, y, weighted=sample_weight)
        if path is not None:
            write_atomically(Path(path), text.encode())
        return text

    # Weights.

    def get_weights(self) -> dict[str, np.ndarray]:
        """A copy of every parameter by name, statistics too."""
        return {str(p.name): p.numpy().copy() for p in self.parameters}

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Put parameters in place by name.

        Raises:
            ConfigurationError: Names are missing or unknown.
            ShapeError: A shape differs.
        """
        own = {str(p.name): p for p in self.parameters}
        missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
        if missing or extra:
            raise ConfigurationError(f"set_weights: missing are {missing}, unknown are {extra}.")
        for name, value in weights.items():
            own[name].assign(value)

    def save(self, path: str | Path) -> Path:
        """Write the model to one file: data only, complete or not at all; the path.

        Architecture, weights, losses, metrics, optimiser and its state go into one safetensors file.
        """
        return checkpoint.save(self, Path(path))

    # Training.

    def compile(
        self,
        loss: Any,
        optimizer: Any = "sgd",
        metrics: Any = (),
        *,
        loss_weights: Any = None,
        backend: Any = None,
    ) -> None:
        """Say what to make small, how, and what to watch.

        Args:
            loss: A name, a Loss, a function ``f(y_true, y_pred)``; or a list or dict, one per output.
            optimizer: A name or an Optimizer.
            metrics: Names, Metrics or functions; or a dict of lists by output.
            loss_weights: The weight of each output's loss, as a list or dict.
            backend: Which backend runs the compiled step.

        Raises:
            ConfigurationError: A name is unknown, numbers of outputs and losses differ, or the model is in training.
        """
        if self.programs.is_fitting:
            raise ConfigurationError(
                f'The model "{self.label}" is in training, and cannot be compiled until that has ended.',
                hint="a callback may set model.optimizer.learning_rate; for another loss or optimiser set "
                "model.stop_training, compile after fit has returned, and call fit again",
            )
        metrics = () if metrics is None else metrics
        self._optimizer = get_optimizer(optimizer)
        self._backend = backends.get(backend)
        self._objective_request = (loss, loss_weights, metrics)
        self._objective = None
        self.programs.clear()
        if self._network is not None:
            self._resolve_objective()
        else:
            names = list(loss) if isinstance(loss, dict) else ["output"]
            objective(loss, None, metrics if not isinstance(metrics, dict) else (), names)  # checked as far as possible

    def require_compiled(self) -> None:
        """Refuse to go on without a loss and an optimiser.

        Raises:
            NotBuiltError: ``compile`` was not called.
        """
        if self._objective_request is None:
            raise NotBuiltError(
                f'The model "{self.label}" is not compiled.', hint="call model.compile(loss=..., optimizer=...) first"
            )

    def _resolve_objective(self) -> None:
        self.require_compiled()
        assert self._objective_request is not None
        found = objective(*self._objective_request, self.output_names)
        check_activations(found, self.outputs)
        self._objective = found

    @property
    def objective(self) -> Objective:
        """Losses, weights and metrics per output, after ``compile``."""
        if self._objective is None:
            self._resolve_objective()
        assert self._objective is not None
        return self._objective

    @property
    def optimizer(self) -> Optimizer:
        """The optimiser, after ``compile``."""
        self.require_compiled()
        assert self._optimizer is not None
        return self._optimizer

    @property
    def backend(self) -> Backend:
        """What runs the compiled programs."""
        return self._backend

    @property
    def is_compiled(self) -> bool:
        """Whether ``compile`` was called."""
        return self._objective_request is not None

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = 32,
        epochs: int = 1,
        validation_data: Any = None,
        validation_split: float = 0.0,
        validation_every: int = 1,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        callbacks: Any = (),
        seed: int | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        verbose: str | int = "auto",
        record: str | Recorder | None = "off",
        every: int | None = None,
    ) -> History:
        """Train the model.

        Args:
            x: Inputs [sample, ...]: an array, a memory-mapped array, a list or dict of them for several inputs; or a
                generator of (x, y) batches, or a function that returns one.
            y: Targets; none with a generator.
            batch_size: Samples per update; None for all at once (gradient descent), 1 for online training.
            epochs: The number of the last epoch, so that ``epochs - initial_epoch`` are trained.
            validation_data: (x, y) to evaluate after each epoch.
            validation_split: The share of the data to set apart for that: chosen at random (by ``seed``), and in the
                proportions of the classes where targets are classes. (Keras takes the last rows instead.)
            validation_every: Validate every so many epochs.
            shuffle: A new order of the samples in every epoch; not where one batch holds them all.
            class_weight: Class -> weight of its samples' loss, or ``"balanced"``.
            sample_weight: The weight of each sample's loss.
            callbacks: A list of Callbacks or functions ``f(epoch, logs)``, or one of them.
            seed: Fixes shuffling, dropout and the validation split; drawn from ``set_seed`` by default.
            initial_epoch: Where to go on counting.
            steps_per_epoch: Batches per epoch of an endless generator.
            verbose: ``"auto"``, 0 (nothing), 1 (a bar) or 2 (lines).
            record: What to record for ``history.recording``: ``"off"``, ``"stats"`` (statistics of activations,
                gradients, weights and updates per layer), ``"full"`` (the arrays, too), or a Recorder, which can also
                choose layers and steps and write to a folder. Training gives the same bits.
            every: Record every so many steps; the default costs little (see Recorder).

        Returns:
            The history: losses and metrics of every epoch. Ctrl-C ends training and returns it too.

        Raises:
            DataError: The data cannot be used; the text says where and why. Nothing was trained.
            NonFiniteError: The loss or a parameter became NaN or infinite: in which step, layer and operation it began,
                and from which numbers. The parameters are those from before.

        A batch's loss is the sum of weight times loss over its samples, divided by the number of samples.
        """
        request = fitting.FitRequest(
            x=x, y=y, batch_size=batch_size, epochs=epochs, validation_data=validation_data,
            validation_split=validation_split, validation_every=validation_every, shuffle=shuffle,
            class_weight=class_weight, sample_weight=sample_weight, callbacks=callbacks,
            seed=seeds.next_seed() if seed is None else seed, initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch, verbose=verbose, recorder=as_recorder(record, every),
        )  # fmt: skip
        return loop.run(fitting.prepare(self, request))

    def train_on_batch(self, x: Any, y: Any, sample_weight: Any = None, *, seed: int | None = None) -> dict[str, Any]:
        """One update from one batch, for hand-written loops; the batch's losses and metrics."""
        return fitting.train_on_batch(self, x, y, sample_weight, seed)

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = 256,
        sample_weight: Any = None,
        return_dict: bool = False,
        steps: int | None = None,
        verbose: str | int = 0,
    ) -> Any:
        """Loss and metrics, exact over all samples.

        Returns:
            The loss alone where there are no metrics; else a list [loss, *metrics]; or a dict by name.
        """
        feed = fitting.evaluation_feed(self, x, y, sample_weight, batch_size, steps)
        logs = loop.evaluate(self, feed)
        if return_dict:
            return logs
        return list(logs.values()) if len(logs) > 1 else logs["loss"]

    def predict(self, x: Any, *, batch_size: int | None = 256) -> Any:
        """The outputs for samples, as one array, or a list of arrays for several outputs.

        Raises:
            DataError: The inputs do not fit the model.
        """
        check_batch_size(batch_size)
        self._build_for(x)
        inputs = self.checks().x(x)
        feed = ArrayFeed(inputs, (), None, self.input_dtypes, batch_size=batch_size, shuffle=False, seed=0)
        parts = [self.programs.prediction(segment).run(segment) for segment in feed.epoch(0)]
        outputs = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return outputs[0] if self._single else outputs

    def predictor(self, batch_size: int = 1) -> Predictor:
        """A function from inputs to outputs for batches of one size, at the lowest latency.

        >>> import numpy as np
        >>> from pellucid import Input, Sequential
        >>> from pellucid.nn import Dense
        >>> f = Sequential([Input((4,)), Dense(3, activation="softmax")]).predictor()
        >>> f(np.zeros((1, 4), "float32")).round(3).tolist()
        [[0.333, 0.333, 0.333]]
        """
        check_batch_size(batch_size)
        return Predictor(self, batch_size)

    # For training.

    @property
    def input_dtypes(self) -> tuple[np.dtype, ...]:
        """Element type of each input."""
        return tuple(symbol.dtype for symbol in self.inputs)

    def checks(self) -> DataChecks:
        """What data must satisfy."""
        losses = self.objective.losses if self.is_compiled else ()
        shapes = tuple(symbol.sample_shape for symbol in self.outputs)
        embeddings = tuple(embeddings_of(self.network, symbol) for symbol in self.inputs)
        return DataChecks(self.inputs, self.output_names, shapes, losses, embeddings)

    def _build_for(self, x: Any) -> None:
        """Build a model that waits for its first data; nothing to do for any other."""

    def __repr__(self) -> str:
        if self._network is None:
            return f"{type(self).__name__}({self.label!r}, not built)"
        return f"{type(self).__name__}({self.label!r}, {self.count_parameters():,} parameters)"


def _listed(symbols: Any) -> list[Any]:
    return list(symbols) if isinstance(symbols, (list, tuple)) else [symbols]
