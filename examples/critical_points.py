"""Critical points: what the Hessian says of a place without a gradient, and the way out of a saddle (deck 000).

First the deck's y = w2 w1 x, whose loss has a saddle at 0; then a network on iris: Newton's method goes from its first
weights to a saddle, a step along the most negative eigenvector leaves it, and descent goes on below. Run
``python examples/critical_points.py [PICTURE.png]``: 5 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential, data, set_seed
from pellucid.analysis import critical_point, escape_saddle, find_critical_point, loss_plane
from pellucid.nn import Dense
from pellucid.optim import SGD


def loss(w):
    """The squared error of y = w2 w1 x at x = 1, y = 1."""
    return (1 - w[0] * w[1]) ** 2


def main(path: str = "critical_points.png") -> dict[str, float]:
    """Judge, search, escape, print, draw; the network's losses on the way."""
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.4), layout="constrained")
    for place in ([0.0, 0.0], [1.0, 1.0], [0.5, -0.5]):
        print(place, critical_point(loss, place))
    out = escape_saddle(loss, [0.0, 0.0])
    print(f"along {out.direction.round(2)} (eigenvalue {out.eigenvalue:.0f}): loss {out.loss_before} -> {out.loss:.2f}")
    loss_plane(loss, [0.0, 0.0], directions=([1, 0], [0, 1]), span=(-2, 2), count=81).plot(axes[0])
    axes[0].annotate("", out.point, (0, 0), arrowprops={"color": "#D55E00", "width": 2, "headwidth": 9})
    axes[0].set(title="(1 - w1 w2)²: out of the saddle", xlabel="w1", ylabel="w2")

    set_seed(1)
    iris = data.load("iris").standardized()
    model = Sequential([Input((4,)), Dense(6, "tanh"), Dense(3, "softmax")])
    model.compile("categorical_crossentropy", SGD(0.1))
    search = find_critical_point(model, *iris.train, tolerance=1e-4)
    print(f"network: loss {search.losses[0]:.3f}, after {search.steps} steps of Newton's method {search.found}")
    model.set_weights(search.weights)
    out = escape_saddle(model, *iris.train)
    model.set_weights(out.weights)
    after = model.fit(*iris.train, epochs=100, seed=0, verbose=0)["loss"]
    print(f"loss {search.losses[-1]:.3f} at the saddle, {out.loss:.3f} after the step, {after[-1]:.3f} after descent")
    axes[1].semilogy(search.gradient_norms, "o-", color="#0072B2", markersize=4, label="norm of the gradient")
    axes[1].semilogy(search.losses, "^--", color="#D55E00", markersize=4, label="loss")
    axes[1].set(title="Newton's method goes to a saddle", xlabel="step")
    axes[1].legend(frameon=False)
    values = search.found.eigenvalues
    axes[2].bar(range(len(values)), values, color=np.where(values < 0, "#D55E00", "#0072B2"))
    axes[2].set(title=f"there: {search.found.negative} of {len(values)} eigenvalues negative", ylabel="eigenvalue")
    axes[2].set(xlabel="eigenvalues of the Hessian, sorted")
    figure.savefig(path, dpi=110)
    return {"start": search.losses[0], "saddle": search.losses[-1], "escaped": out.loss, "descended": after[-1]}


if __name__ == "__main__":
    main(*sys.argv[1:])
