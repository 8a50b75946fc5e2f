"""Logic gates as threshold units with weights set by hand, and circuits of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.classic.neuron import McCullochPitts
from pellucid.errors import ConfigurationError
from pellucid.fields import Choice, Integer, require

AND = McCullochPitts((1, 1), threshold=2)
OR = McCullochPitts((1, 1), threshold=1)
NAND = McCullochPitts((-1, -1), threshold=-1)
NOT = McCullochPitts((-1,), threshold=0)

#: Bits up to which a parity circuit is written down: the shallow one has 2^(d-1) units.
_MOST_BITS = 16


@dataclass(frozen=True)
class Circuit:
    """Layers of threshold units; each unit reads all outputs of the layer before.

    h^l_k = step(w^l_k · h^(l-1) + b^l_k), h^0 = x.

    Args:
        layers: The layers from the inputs to the outputs, each a tuple of units.

    Raises:
        ConfigurationError: A layer is empty, or a unit has not one weight per unit of the layer before.

    >>> print(truth_table(XOR))
    0 0 | 0
    0 1 | 1
    1 0 | 1
    1 1 | 0
    """

    layers: tuple[tuple[McCullochPitts, ...], ...]

    def __post_init__(self) -> None:
        if not self.layers or not all(self.layers):
            raise ConfigurationError("Circuit: every layer must have at least one unit.")
        width = self.inputs
        for number, layer in enumerate(self.layers, start=1):
            for unit in layer:
                if unit.inputs != width:
                    what = "inputs" if number == 1 else f"units of layer {number - 1}"
                    raise ConfigurationError(
                        f"Circuit: a unit of layer {number} has {unit.inputs} weights for the {width} {what}."
                    )
            width = len(layer)

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.layers[0][0].inputs

    @property
    def units(self) -> int:
        """Number of units in all layers."""
        return sum(len(layer) for layer in self.layers)

    def outputs(self, x: Any) -> list[np.ndarray]:
        """The outputs of every layer for inputs [..., inputs]: one int64 [..., units] a layer.

        >>> [layer.tolist() for layer in XOR.outputs([1, 1])]          # OR fires, NAND does not
        [[1, 0], [0]]
        """
        found = []
        for layer in self.layers:
            x = np.stack([unit(x) for unit in layer], axis=-1)
            found.append(x)
        return found

    def __call__(self, x: Any) -> np.ndarray:
        """The output of the last layer: int64 [...], or [..., units] where it has several units."""
        last = self.outputs(x)[-1]
        return last[..., 0] if last.shape[-1] == 1 else last


#: Exclusive or, which no single unit computes: (x1 OR x2) AND (x1 NAND x2).
XOR = Circuit(((OR, NAND), (AND,)))


def binary_inputs(bits: int) -> np.ndarray:
    """All inputs of so many bits, in the order of counting.

    Returns:
        int64 [2^bits, bits].

    Raises:
        ConfigurationError: ``bits`` is not a whole number of at least 1.

    >>> binary_inputs(2).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    require("binary_inputs", "bits", bits, Integer(1))
    return np.arange(2**bits)[:, None] >> np.arange(bits)[::-1] & 1


def truth_table(gate: McCullochPitts | Circuit) -> str:
    """The outputs for all binary inputs as lines of text.

    >>> print(truth_table(NOT))
    0 | 1
    1 | 0
    """
    rows = binary_inputs(gate.inputs)
    outputs = np.asarray(gate(rows)).reshape(len(rows), -1)
    return "\n".join(f"{_bits(row)} | {_bits(out)}" for row, out in zip(rows, outputs, strict=True))


def parity_circuit(bits: int, form: str = "deep") -> Circuit:
    """A circuit whose output is 1 when an odd number of inputs is 1.

    ``"deep"``: a tree of XOR gates, O(d) units in O(log d) layers. ``"shallow"``: one hidden unit for each odd pattern
    and an OR over them, 2^(d-1) + 1 units in two layers.

    Args:
        bits: d, number of inputs, 2 to 16.
        form: ``"deep"`` or ``"shallow"``.

    Raises:
        ConfigurationError: An argument is outside its range.

    Source: the parity check of circuit theory, with which the lectures argue for depth.

    >>> parity_circuit(8, "deep").units, parity_circuit(8, "shallow").units
    (21, 129)
    """
    if Integer(2)(bits) or bits > _MOST_BITS:
        raise ConfigurationError(f"parity_circuit: bits must be a whole number from 2 to {_MOST_BITS}, not {bits!r}.")
    require("parity_circuit", "form", form, Choice("deep", "shallow"))
    return _deep_parity(bits) if form == "deep" else _shallow_parity(bits)


def _deep_parity(width: int) -> Circuit:
    layers: list[tuple[McCullochPitts, ...]] = []
    while width > 1:
        pairs, rest = divmod(width, 2)
        hidden = [_wired(gate, width, (2 * pair, 2 * pair + 1)) for pair in range(pairs) for gate in (OR, NAND)]
        joined = [_wired(AND, 2 * pairs + rest, (2 * pair, 2 * pair + 1)) for pair in range(pairs)]
        if rest:  # an input without a partner is handed on
            hidden.append(_wired(_SAME, width, (width - 1,)))
            joined.append(_wired(_SAME, 2 * pairs + 1, (2 * pairs,)))
        layers += [tuple(hidden), tuple(joined)]
        width = pairs + rest
    return Circuit(tuple(layers))


def _shallow_parity(bits: int) -> Circuit:
    rows = binary_inputs(bits)
    odd = rows[rows.sum(axis=1) % 2 == 1]
    # The sum of weights +1 for a 1 and -1 for a 0 reaches the number of ones for this one pattern only.
    hidden = tuple(McCullochPitts(tuple(2 * row - 1), threshold=int(row.sum())) for row in odd)
    return Circuit((hidden, (McCullochPitts((1,) * len(hidden), threshold=1),)))


_SAME = McCullochPitts((1,), threshold=1)


def _wired(gate: McCullochPitts, width: int, places: tuple[int, ...]) -> McCullochPitts:
    """The gate reading only some of the inputs: all other weights are 0."""
    weights = np.zeros(width)
    weights[list(places)] = gate.weights
    return McCullochPitts(tuple(weights), gate.threshold)


def _bits(row: np.ndarray) -> str:
    return " ".join(str(bit) for bit in row)
