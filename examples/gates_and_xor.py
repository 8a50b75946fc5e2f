"""Logic gates as single neurons, and exclusive or, which needs a hidden layer (decks 001 and 003).

AND, OR and NAND have a line that separates, XOR provably none; a hidden layer of two units set by hand does it, one
of four learnt it from 20 of 20 first weights, by bending the plane until a line separates. Run ``python
examples/gates_and_xor.py [PICTURE.png]``: 4 s on two cores.
"""

import sys

import matplotlib.pyplot as plt

from pellucid import Input, Population, Sequential, plot
from pellucid.classic import Circuit, McCullochPitts, binary_inputs, separate
from pellucid.nn import Dense
from pellucid.optim import Adam

CORNERS = binary_inputs(2)
AND, OR, NAND = McCullochPitts((1, 1), 1.5), McCullochPitts((1, 1), 0.5), McCullochPitts((-1, -1), -1.5)
XOR = Circuit(((OR, NAND), (AND,)))
GATES = {"AND": AND, "OR": OR, "NAND": NAND, "XOR = OR and NAND": XOR}


def learn_xor() -> Population:
    """Twenty networks of four hidden units learn the table of XOR, each from first weights of its own."""
    model = Sequential([Input((2,)), Dense(4, activation="tanh", name="hidden"), Dense(1, activation="sigmoid")])
    model.compile("binary_crossentropy", Adam(0.05), ["accuracy"])
    networks = Population(model, 20, seed=0)
    networks.fit(CORNERS, XOR(CORNERS), batch_size=None, epochs=300)
    return networks


def main(path: str = "gates_and_xor.png") -> int:
    """Print the tables and the proof, learn XOR, and draw; how many of 20 networks learnt it."""
    figure, panels = plt.subplots(2, 3, figsize=(12, 7.4), layout="constrained")
    names = {"feature_names": ("x1", "x2")}
    for axes, (name, gate) in zip(panels.flat, GATES.items(), strict=False):
        single = separate(CORNERS, gate(CORNERS))
        why = "one unit does it" if single.unit else f"no unit: {single.common_point} is between both 0s and both 1s"
        print(f"{name:<18}00 01 10 11 -> {gate(CORNERS)}   {why}")
        plot.decision_regions(gate, CORNERS, gate(CORNERS), ax=axes, **names).set_title(name)
        axes.get_legend().set(title="output", loc="center")
    networks = learn_xor()
    learnt = sum(found["accuracy"] == 1 for found in networks.evaluate(CORNERS, XOR(CORNERS)))
    print(f"a hidden layer of four units learns XOR from {learnt} of {len(networks)} first weights")
    _, hidden = plot.feature_space(networks[0], CORNERS, XOR(CORNERS), ax=panels.flat[4:], **names)
    panels[1, 1].set_title("XOR, learnt by four hidden units")
    panels[1, 1].get_legend().set_loc("center")
    hidden.set_title("the plane as the hidden units see it")
    figure.savefig(path, dpi=110)
    return learnt


if __name__ == "__main__":
    main(*sys.argv[1:])
