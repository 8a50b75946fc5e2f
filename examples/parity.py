"""Parity of d bits: O(2^d) gates in two layers, O(d) gates in a deep circuit (decks 001 and 003).

For 12 bits 2,049 units against 35, each circuit tried on all inputs. The exponential cost is that of gates (an AND of
bits or their negations); threshold units may count, and then 13 do it in two layers. Run ``python examples/parity.py
[PICTURE.png]``: 3 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid.classic import Circuit, McCullochPitts, binary_inputs, parity_circuit

BITS = range(2, 13)


def counting(bits: int) -> Circuit:
    """Unit k of the hidden layer fires from k ones on; the output adds them with alternating signs."""
    hidden = tuple(McCullochPitts((1,) * bits, threshold=k) for k in range(1, bits + 1))
    signs = tuple(1 if k % 2 == 0 else -1 for k in range(bits))
    return Circuit((hidden, (McCullochPitts(signs, threshold=1),)))


CASES = {
    "two layers of gates": (lambda d: parity_circuit(d, "shallow"), {"color": "#D55E00", "marker": "o"}),
    "deep: a tree of XORs": (lambda d: parity_circuit(d, "deep"), {"color": "#0072B2", "marker": "^", "ls": "--"}),
    "two layers that count": (counting, {"color": "#009E73", "marker": "s", "ls": ":"}),
}


def main(path: str = "parity.png") -> dict[str, list[int]]:
    """Build, check on every input, print, draw; the units of each form for 2 to 12 bits."""
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    units = {}
    for name, (build, style) in CASES.items():
        circuits = [build(bits) for bits in BITS]
        for bits, circuit in zip(BITS, circuits, strict=True):
            inputs = binary_inputs(bits)
            assert np.array_equal(circuit(inputs), inputs.sum(axis=1) % 2)
        units[name] = [circuit.units for circuit in circuits]
        print(f"{name:<22} units for 4, 8, 12 bits: {units[name][2::4]}; layers for 12: {len(circuits[-1].layers)}")
        axes.plot(BITS, units[name], label=name, **style)
    print(f"right on all inputs of {BITS[0]} to {BITS[-1]} bits, {2 ** BITS[-1]:,} at the most")
    axes.set(title="Parity: units needed", xlabel="bits d", ylabel="threshold units", yscale="log")
    axes.set_yscale("log", base=2)
    axes.legend()
    figure.savefig(path, dpi=110)
    return units


if __name__ == "__main__":
    main(*sys.argv[1:])
