"""Logic gates as single neurons, and exclusive or, which needs a hidden layer (decks 001 and 003).

AND, OR and NAND have a line that separates, XOR provably none; a hidden layer of two units set by hand does it, one
of four learnt it from 20 of 20 first weights. Run ``python examples/gates_and_xor.py [PICTURE.png]``: 3 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Population, Sequential
from pellucid.classic import Circuit, McCullochPitts, binary_inputs, separate
from pellucid.nn import Dense
from pellucid.optim import Adam

CORNERS = binary_inputs(2)
AND, OR, NAND = McCullochPitts((1, 1), 1.5), McCullochPitts((1, 1), 0.5), McCullochPitts((-1, -1), -1.5)
XOR = Circuit(((OR, NAND), (AND,)))
GATES = {"AND": AND, "OR": OR, "NAND": NAND, "XOR = OR and NAND": XOR}


def learn_xor() -> Population:
    """Twenty networks of four hidden units learn the table of XOR, each from first weights of its own."""
    model = Sequential([Input((2,)), Dense(4, activation="tanh"), Dense(1, activation="sigmoid")])
    model.compile("binary_crossentropy", Adam(0.05), ["accuracy"])
    networks = Population(model, 20, seed=0)
    networks.fit(CORNERS, XOR(CORNERS), batch_size=None, epochs=300)
    return networks


def draw(path: str, gates: dict) -> None:
    """The output over the plane, and at the four corners that count."""
    figure, panels = plt.subplots(1, len(gates), figsize=(15, 3.3), layout="constrained")
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 1.5, 200)] * 2), axis=-1).reshape(-1, 2)
    for axes, (title, gate) in zip(panels, gates.items(), strict=True):
        output, corners = np.reshape(gate(grid), (200, 200)), np.reshape(gate(CORNERS), 4) > 0.5
        axes.imshow(output, origin="lower", extent=(-0.5, 1.5, -0.5, 1.5), cmap="cividis", alpha=0.5)
        axes.plot(*CORNERS[~corners].T, "ko", *CORNERS[corners].T, "k*", fillstyle="none", markersize=12)
        axes.set(title=title, xlabel="$x_1$", ylabel="$x_2$", xticks=(0, 1), yticks=(0, 1))
    panels[0].legend(panels[0].lines, "01", loc="center", title="output")
    figure.savefig(path, dpi=110)


def main(path: str = "gates_and_xor.png") -> int:
    """Print the tables and the proof, learn XOR, and draw; how many of 20 networks learnt it."""
    for name, gate in GATES.items():
        single = separate(CORNERS, gate(CORNERS))
        why = "one unit does it" if single.unit else f"no unit: {single.common_point} is between both 0s and both 1s"
        print(f"{name:<18}00 01 10 11 -> {gate(CORNERS)}   {why}")
    networks = learn_xor()
    learnt = sum(found["accuracy"] == 1 for found in networks.evaluate(CORNERS, XOR(CORNERS)))
    print(f"a hidden layer of four units learns XOR from {learnt} of {len(networks)} first weights")
    draw(path, {**GATES, "XOR, learnt": networks[0].predict})
    return learnt


if __name__ == "__main__":
    main(*sys.argv[1:])
