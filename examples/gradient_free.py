"""Training without gradients (deck 001): random search, evolution, a genetic algorithm, a particle filter.

The 67 weights of 4-8-3 on iris, all methods from the same first weights, 5,000 evaluations of the loss each (a
generation is one call of the engine). To bring the loss from 0.8 below 0.1, gradient descent (Adam) takes 18 to 27
evaluations with as many gradients, the evolution strategy 200 to 370, the genetic algorithm 320 to 780, the particle
filter 740 to 1,100, differential evolution 480 to 2,300, and random search does not get there (five first weights); by
time it is some 40 times ahead, or more.
Run ``python examples/gradient_free.py [PICTURE.png]``; needs ``pip install 'pellucid[baselines]'``.
"""

import sys

from matplotlib.figure import Figure

from pellucid import Input, Sequential, data, set_seed
from pellucid.nn import Dense
from pellucid.optim import Adam
from pellucid.select import compare_optimizers


def main(path: str = "gradient_free.png", evaluations: int = 5000) -> dict[str, float]:
    """Train in six ways, print, draw; the smallest loss of each."""
    iris = data.load("iris").standardized()
    set_seed(0)
    model = Sequential([Input((4,)), Dense(8, activation="tanh"), Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", Adam(0.05), ["accuracy"])
    found = compare_optimizers(model, iris.x_train, iris.y_train, evaluations=int(evaluations), seed=0)
    found.summary()
    for name, run in found.items():
        trained = model.clone()
        trained.set_weights(run.weights)
        _, accuracy = trained.evaluate(iris.x_test, iris.y_test)
        print(f"{name.replace('_', ' '):<23} {accuracy:.1%} of the test flowers")
    figure = Figure(figsize=(16, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True)
    found.plot(ax=left)
    found.plot(gradient_cost=2, ax=middle)
    found.plot("seconds", ax=right)
    figure.savefig(path, dpi=110)
    return {name: run.loss for name, run in found.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
