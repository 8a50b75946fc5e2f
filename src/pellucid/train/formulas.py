"""The formulas of a model's layers, losses and updates in the lectures' notation, as plain text.

Layer l computes z^l = W^l a^(l-1) + b^l and a^l = f(z^l) for one sample; delta^l = dL/dz^l. ``*`` between vectors
multiplies element by element.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.nn import losses, regularizers
from pellucid.nn.activations import is_linear
from pellucid.nn.layer import Layer
from pellucid.nn.network import Network
from pellucid.nn.regularizers import Regularizer
from pellucid.nn.symbol import Symbol
from pellucid.train.recording.probe import function_of

#: Layers that are numbered: those with weights and an activation.
NUMBERED = ("Dense", "Conv1D", "Conv2D")
ACTIVATION_LAYERS = ("Activation", "LeakyReLU", "ELU", "Softmax")
_LETTERS = {"sigmoid": "sigma", "<lambda>": "f"}

#: Kind of layer -> what it computes of its input ``{x}``; ``{a}`` is its output.
FORMULAS = {
    "Flatten": "{a} = vec({x})",
    "Reshape": "{a} = reshape({x})",
    "Dropout": "{a} = m * {x} / (1 - rate), m_i = 0 with probability rate, else 1",
    "GaussianNoise": "{a} = {x} + noise",
    "MaxPool1D": "{a} = max over windows of {x}",
    "MaxPool2D": "{a} = max over windows of {x}",
    "AvgPool1D": "{a} = mean over windows of {x}",
    "AvgPool2D": "{a} = mean over windows of {x}",
    "GlobalAveragePool": "{a} = mean over positions of {x}",
    "GlobalMaxPool": "{a} = max over positions of {x}",
    "BatchNorm": "{a} = gamma * ({x} - mu) / sqrt(v + epsilon) + beta, mu = mean over the batch, v = variance",
    "LayerNorm": "{a} = gamma * ({x} - mu) / sqrt(v + epsilon) + beta, mu = mean over the features, v = variance",
    "Normalization": "{a} = ({x} - mu) / s",
    "Rescaling": "{a} = scale {x} + offset",
    "Embedding": "{a} = row {x} of E",
    "SimpleRNN": "h_t = f(W x_t + U h_(t-1) + b)",
    "LSTM": "(i, f, g, o) = W x_t + U h_(t-1) + b, c_t = sigma(f) * c_(t-1) + sigma(i) * tanh(g), "
    "h_t = sigma(o) * tanh(c_t)",
    "GRU": "z and r = sigma(W x_t + U h_(t-1) + b), n = tanh(W_n x_t + r * (U_n h_(t-1) + c_n)), "
    "h_t = z * h_(t-1) + (1 - z) * n",
    "Add": "{a} = {x} added",
    "Subtract": "{a} = the first of {x} minus the others",
    "Multiply": "{a} = {x} multiplied",
    "Maximum": "{a} = the largest of {x}",
    "Average": "{a} = mean of {x}",
    "Concatenate": "{a} = {x} side by side",
}  # fmt: skip

#: Kind of layer -> the gradient by its input, given the one by its output.
BACKWARD = {
    "Flatten": "dL/d{x} = dL/d{a} in the shape of {x}",
    "Reshape": "dL/d{x} = dL/d{a} in the shape of {x}",
    "Dropout": "dL/d{x} = m * dL/d{a} / (1 - rate)",
    "GaussianNoise": "dL/d{x} = dL/d{a}",
    "MaxPool1D": "dL/d{x} = dL/d{a} at each window's largest element, else 0",
    "MaxPool2D": "dL/d{x} = dL/d{a} at each window's largest element, else 0",
    "AvgPool1D": "dL/d{x} = dL/d{a} shared by each window's elements",
    "AvgPool2D": "dL/d{x} = dL/d{a} shared by each window's elements",
    "GlobalAveragePool": "dL/d{x} = dL/d{a} shared by all positions",
    "GlobalMaxPool": "dL/d{x} = dL/d{a} at the largest position, else 0",
    "Rescaling": "dL/d{x} = scale dL/d{a}",
    "Embedding": "dL/dE = the sum of dL/d{a} over the uses of each row",
    "Normalization": "dL/d{x} = dL/d{a} / s",
}

#: Activation function -> its derivative, written with z and a.
DERIVATIVES = {
    "linear": "1",
    "sigmoid": "{a} (1 - {a})",
    "tanh": "1 - {square}",
    "relu": "1 where {z} > 0, else 0",
    "leaky_relu": "1 where {z} > 0, else slope",
    "elu": "1 where {z} > 0, else {a} + alpha",
    "softmax": "a_i (1[i=j] - a_j)",
    "softplus": "sigma({z})",
    "softsign": "1 / (1 + |{z}|)^2",
    "hard_sigmoid": "1/6 where |{z}| < 3, else 0",
    "step": "0",
    "swish": "{a} + sigma({z}) (1 - {a})",
    "gelu": "Phi({z}) + {z} phi({z})",
}


#: What BatchNorm computes where it is frozen, or in a model that is.
_FROZEN_NORM = FORMULAS["BatchNorm"].replace(
    "mu = mean over the batch, v = variance", "mu and v as they have moved so far"
)


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer, in the order of the forward pass.

    Attributes:
        path: The names of the layer and of the models that it is in.
        layer: The layer.
        number: l, for layers that are numbered; an activation after one has its number too.
        z, a: How formulas call the pre-activation and the output; equal where nothing lies between them.
        inputs: How they call its inputs.
        function: The activation function, ``"linear"`` where there is none.
        weights: The number of its weights: that of the layer's first call, l unless the layer is shared.
        frozen: Whether the layer, or a model that it is in, is not trained.
        again: How often the layer was called before on this path.
    """

    path: tuple[str, ...]
    layer: Layer
    number: int | None
    z: str
    a: str
    inputs: tuple[str, ...]
    function: str
    weights: int | None = None
    frozen: bool = False
    again: int = 0

    @property
    def kind(self) -> str:
        """The layer's class."""
        return type(self.layer).__name__

    @property
    def label(self) -> str:
        """The path as one text."""
        return "/".join(self.path)

    @property
    def is_numbered(self) -> bool:
        """Whether it has weights of a number."""
        return self.kind in NUMBERED

    def forward(self) -> list[str]:
        """What it computes."""
        x = self.inputs[0] if len(self.inputs) == 1 else f"({', '.join(self.inputs)})"
        lines = []
        if self.is_numbered:
            times = " conv " if self.kind != "Dense" else " "
            bias = f" + b^{self.weights}" if getattr(self.layer, "use_bias", False) else ""
            lines.append(f"{self.z} = W^{self.weights}{times}{x}{bias}")
            if self.a != self.z:
                lines.append(f"{self.a} = {letter(self.function)}({self.z})")
        elif self.kind in ACTIVATION_LAYERS:
            lines.append(f"{self.a} = {letter(self.function)}({x})")
        elif self.kind in FORMULAS:
            formula = _FROZEN_NORM if self.kind == "BatchNorm" and self.frozen else FORMULAS[self.kind]
            lines.append(formula.format(a=self.a, x=x))
        return lines

    def derivative(self) -> str:
        """f'(z), as a formula; "" where it is not known."""
        z = self.z if self.is_numbered else self.inputs[0]
        square = f"({self.a})^2" if "^" in self.a else f"{self.a}^2"
        return DERIVATIVES.get(self.function, "").format(z=z, a=self.a, square=square)

    def penalty(self, name: str) -> str:
        """What the penalty of a parameter adds to its gradient, with its sign; "" where there is none."""
        parameter = next((p for p in self.layer.parameters if str(p.name).endswith(f".{name}")), None)
        regularizer = None if parameter is None else parameter.regularizer
        if regularizer is None:
            return ""
        letters = {"kernel": f"W^{self.weights}", "bias": f"b^{self.weights}"}
        w = letters.get(name, "") if self.is_numbered else ""
        return penalty_slope(regularizer, w or symbol_of(str(parameter.name if parameter else name)))


def symbol_of(name: str) -> str:
    """A name of the user's as one word of a formula.

    >>> symbol_of("price (in $)"), symbol_of("tower.dense_1")
    ('price_in', 'tower.dense_1')
    """
    return re.sub(r"[^\w.]+", "_", name).strip("_") or "_"


def _times(factor: float, weighted: bool, text: str) -> str:
    """A slope with the factor of its loss and the weight of the sample, numbers multiplied out."""
    found = re.fullmatch(r"(\d+) (.*)", text)
    number, rest = (factor * int(found[1]), found[2]) if found else (factor, text)
    return ("" if number == 1 else f"{number:g} ") + ("s " if weighted else "") + rest


def letter(function: str) -> str:
    """How a formula calls an activation function.

    >>> letter("sigmoid"), letter("tanh")
    ('sigma', 'tanh')
    """
    return _LETTERS.get(function, function)


@dataclass(frozen=True)
class LayerFormulas:
    """The formulas of a model.

    Attributes:
        calls: Every call of a layer, in order.
        outputs: How formulas call the model's outputs.
        errors: Output -> the gradient by its last z, where the activation and the loss together have a simple one.
        slopes: Output -> the gradient by the output, where the loss has a simple one.

    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> model = Sequential([Input((4,)), Dense(3, activation="tanh"), Dense(2)])
    >>> formulas = LayerFormulas.of(model)
    >>> formulas.calls[0].forward()
    ['z^1 = W^1 a^0 + b^1', 'a^1 = tanh(z^1)']
    >>> formulas.backward(formulas.calls[0])["delta"]
    "delta^1 = tanh'(z^1) * (W^2)^T delta^2"
    """

    calls: tuple[LayerCall, ...]
    outputs: tuple[str, ...]
    errors: dict[str, str]
    slopes: dict[str, str]

    @classmethod
    def of(cls, model: Any, *, weighted: bool = False) -> LayerFormulas:
        """The formulas of a model; those of the errors where it is compiled; ``weighted``: samples have weights s."""
        names = {id(s): "a^0" if len(model.inputs) == 1 else symbol_of(str(s.name)) for s in model.inputs}
        walk = _Walk()
        walk.open(model.network, names, (), frozen=not getattr(model, "trainable", True))
        outputs = tuple(names[id(symbol)] for symbol in model.outputs)
        functions = {call.a: call.function for call in walk.calls}
        errors, slopes = {}, {}
        for number, (a, symbol) in enumerate(zip(outputs, model.outputs, strict=True) if model.is_compiled else ()):
            loss, factor = model.objective.losses[number], model.objective.loss_weights[number]
            end = f"_{symbol_of(model.output_names[number])}" if len(outputs) > 1 else ""
            simple = error_slope(loss, functions.get(a, ""), symbol.sample_shape)
            table, text = (errors, simple) if simple else (slopes, loss_slope(loss))
            if text:
                table[a] = _times(factor, weighted, text.replace("y_hat - y", f"y_hat{end} - y{end}"))
        return cls(tuple(walk.calls), outputs, errors, slopes)

    def readers(self, symbol: str) -> list[LayerCall]:
        """The calls that read a symbol, each as often as it reads it."""
        return [other for other in self.calls for x in other.inputs if x == symbol]

    def users(self, call: LayerCall) -> list[LayerCall]:
        """The calls that read a call's output, each as often as it reads it."""
        return self.readers(call.a)

    def backward(self, call: LayerCall) -> dict[str, str]:
        """Quantity -> its formula: ``delta``, ``W`` and ``b`` of a numbered layer, ``x`` of any other one."""
        if not call.is_numbered:
            text = BACKWARD.get(call.kind)
            # What others read too gets a gradient from them as well.
            alone = all(len(self.readers(x)) == 1 for x in call.inputs) or call.kind == "Embedding"
            return {"x": text.format(x=", ".join(call.inputs), a=call.a)} if text and alone else {}
        sharing = [other for other in reversed(self.calls) if other.layer is call.layer]
        inner = {o.number: f"({o.inputs[0]})^T" if o.kind == "Dense" else f"conv {o.inputs[0]}" for o in sharing}
        terms = " + ".join(f"delta^{number} {x}" for number, x in inner.items())
        found = {
            "delta": f"delta^{call.number} = {self.delta(call)}",
            "W": f"dL/dW^{call.weights} = {terms}{call.penalty('kernel')}",
        }
        if getattr(call.layer, "use_bias", False):
            deltas = " + ".join(f"delta^{number}" for number in inner)
            found["b"] = f"dL/db^{call.weights} = {deltas}{call.penalty('bias')}"
        return found

    def delta(self, call: LayerCall) -> str:
        """The gradient by a numbered layer's z."""
        users = self.users(call)
        after = users[0] if len(users) == 1 and users[0].kind in ACTIVATION_LAYERS and call.a == call.z else None
        last = after or call
        if last.a in self.outputs and not self.users(last):
            above = self.slopes.get(last.a) or f"dL/d{last.a}"
            if last.a in self.errors:
                return self.errors[last.a]
        else:
            above = self._above(last)
        function = last.function
        return above if function == "linear" else f"{letter(function)}'({call.z}) * {above}"

    def _above(self, call: LayerCall) -> str:
        """The gradient by a layer's output."""
        users = self.users(call)
        if len(users) == 1 and users[0].kind == "Dense" and call.a not in self.outputs:
            return f"(W^{users[0].weights})^T delta^{users[0].number}"
        return f"dL/d{call.a}"


class _Walk:
    """Goes through a network and the networks inside of it."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._made: dict[str, LayerCall] = {}
        self._times: Counter[tuple[str, ...]] = Counter()
        self._count = 0

    def open(self, network: Network, names: dict[int, str], path: tuple[str, ...], *, frozen: bool) -> None:
        """Name every symbol of a network; ``names`` grows."""
        for call in network.calls:
            inputs = tuple(names[id(symbol)] for symbol in call.inputs)
            inner = getattr(call.layer, "network", None)
            own = (*path, call.layer.label)
            if isinstance(inner, Network):
                within = {id(s): name for s, name in zip(inner.inputs, inputs, strict=True)}
                self.open(inner, within, own, frozen=frozen or not call.layer.trainable)
                for symbol, outer in zip(inner.outputs, call.outputs, strict=True):
                    names[id(outer)] = within[id(symbol)]
            else:
                self._close(call.layer, call.outputs, inputs, names, own, frozen=frozen or not call.layer.trainable)

    def _close(
        self,
        layer: Layer,
        outputs: Sequence[Symbol],
        inputs: tuple[str, ...],
        names: dict[int, str],
        path: tuple,
        *,
        frozen: bool,
    ) -> None:
        kind, function = type(layer).__name__, function_of(layer) or "linear"
        number, before = None, self._made.get(inputs[0])
        again = self._times[path]
        self._times[path] += 1
        same = next((known for known in self.calls if known.layer is layer and known.inputs == inputs), None)
        if same is not None and kind in NUMBERED:  # computed once, for both
            names[id(outputs[0])] = same.a
            return
        label = symbol_of(layer.label) + (f"_{again + 1}" if again else "")
        z = a = label
        if kind in NUMBERED:
            self._count += 1
            number = self._count
            z = f"z^{number}"
            a = z if is_linear(getattr(layer, "activation", None)) else f"a^{number}"
        elif kind in ACTIVATION_LAYERS and before is not None and before.number and before.z == before.a == inputs[0]:
            number, z, a = before.number, before.z, f"a^{before.number}"
            a = label if a in self._made else a
        first = next((known for known in self.calls if known.layer is layer), None)
        weights = number if first is None else first.number
        made = LayerCall(path, layer, number, z, a, inputs, function, weights, frozen, again)
        self.calls.append(made)
        self._made[a] = made
        for place, symbol in enumerate(outputs):
            names[id(symbol)] = a if place == 0 else f"{a}_{place + 1}"


_LOSSES = {
    losses.MeanSquaredError: "mean_k (y_hat_k - y_k)^2",
    losses.MeanAbsoluteError: "mean_k |y_hat_k - y_k|",
    losses.Huber: "mean_k e_k^2 / 2 where |e_k| <= d, else d (|e_k| - d / 2), e = y_hat - y",
    losses.Hinge: "mean_k max(0, 1 - y_k y_hat_k)",
    losses.Poisson: "mean_k (y_hat_k - y_k log y_hat_k)",
    losses.BinaryCrossentropy: "-(y log y_hat + (1 - y) log(1 - y_hat))",
    losses.CategoricalCrossentropy: "-sum_k y_k log y_hat_k",
    losses.SparseCategoricalCrossentropy: "-sum_k y_k log y_hat_k",
}


def loss_formula(loss: losses.Loss, *, weighted: bool = False, positions: bool = False) -> str:
    """What a loss computes of a sample, and how the samples' losses become one number.

    Args:
        loss: The loss.
        weighted: Whether a sample has a weight, s.
        positions: Whether it has a prediction at each of some positions.

    >>> loss_formula(losses.MeanSquaredError())
    'L = mean over the batch of mean_k (y_hat_k - y_k)^2'
    """
    s, end = ("s (", ")") if weighted else ("", "")
    mean = f"mean over the batch{' and the positions' if positions else ''}"
    if isinstance(loss, losses.SumSquaredError):
        return f"L = {'1/2 ' if loss.half else ''}sum over the batch of {s}sum_k (y_hat_k - y_k)^2{end}"
    if isinstance(loss, losses.CustomLoss):
        return f"L = {mean} of {s}{letter(getattr(loss.function, '__name__', 'f'))}(y, y_hat){end}"
    known = _LOSSES.get(type(loss))
    return f"L = {mean} of {s}{known or type(loss).__name__ + '(y, y_hat)'}{end}"


def loss_slope(loss: losses.Loss) -> str:
    """The gradient of a loss by the prediction, where it is short; K is the number of outputs.

    >>> loss_slope(losses.MeanSquaredError())
    '2 (y_hat - y) / (K N)'
    """
    if isinstance(loss, losses.SumSquaredError):
        return "(y_hat - y)" if loss.half else "2 (y_hat - y)"
    known = {losses.MeanSquaredError: "2 (y_hat - y) / (K N)", losses.MeanAbsoluteError: "sign(y_hat - y) / (K N)"}
    return known.get(type(loss), "")


def penalty_slope(regularizer: Regularizer, w: str) -> str:
    """What a penalty adds to the gradient of a parameter w, with its sign.

    >>> penalty_slope(regularizers.L1L2(0.1, 0.02), "W^1")
    ' + 0.1 sign(W^1) + 0.02 W^1'
    """
    if isinstance(regularizer, regularizers.L1):
        return f" + {regularizer.strength:g} sign({w})"
    if isinstance(regularizer, regularizers.L2):
        return f" + {regularizer.strength:g} {w}"
    if isinstance(regularizer, regularizers.L1L2):
        return f" + {regularizer.l1:g} sign({w}) + {regularizer.l2:g} {w}"
    return f" + the gradient of {type(regularizer).__name__}({w})"


def error_slope(loss: losses.Loss, function: str, shape: Sequence[int]) -> str:
    """The gradient by the last z where activation and loss together have a simple one; K units, T positions.

    >>> error_slope(losses.CategoricalCrossentropy(), "softmax", (10,))
    '(y_hat - y) / N'
    """
    if not simple_error(loss, function):
        return ""
    places = ["T"] if len(shape) > 1 else []
    if isinstance(loss, losses.BinaryCrossentropy) and shape[-1:] != (1,):
        places.append("K")
    return f"(y_hat - y) / ({' '.join([*places, 'N'])})" if places else "(y_hat - y) / N"


def parameter_gradient(call: LayerCall, name: str) -> str:
    """The gradient by a parameter of a layer that has no number; "" where there is no short formula."""
    x, a = ", ".join(call.inputs), call.a
    if call.kind in ("BatchNorm", "LayerNorm"):
        standard = f"dL/d{a} * ({x} - mu) / sqrt(v + epsilon)"
        return {"gamma": f"sum over all samples of {standard}", "beta": f"sum over all samples of dL/d{a}"}.get(
            name, ""
        )
    if call.kind in ("SimpleRNN", "LSTM", "GRU"):
        return {
            "kernel": "sum over t of delta_t (x_t)^T",
            "recurrent_kernel": "sum over t of delta_t (h_(t-1))^T",
            "bias": "sum over t of delta_t",
        }.get(name, "")
    return f"sum of dL/d{a} over the uses of each row" if call.kind == "Embedding" else ""


def simple_error(loss: losses.Loss, function: str) -> bool:
    """Whether the gradient by the last z is y_hat - y for each sample: softmax or sigmoid with its cross-entropy."""
    if getattr(loss, "label_smoothing", 0):
        return False
    if isinstance(loss, losses.CategoricalCrossentropy):
        return loss.from_logits if function == "linear" else function == "softmax"
    if isinstance(loss, losses.BinaryCrossentropy):
        return loss.from_logits if function == "linear" else function == "sigmoid"
    return False
