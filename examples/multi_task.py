"""Two questions about a picture: a class for every pair of answers, or a shared trunk with a head each (deck 001).

Two handwritten digits stand side by side, and 30 of the 100 pairs are never shown in training. A class per pair cannot
name those; two heads of ten, which saw every digit often, name 82 % (medians of three nets, 4,000 pictures), and need
fewer pictures for the others. Run ``python examples/multi_task.py [PICTURE.png]``: 5 s on two cores.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Model, data, set_seed
from pellucid.nn import Dense

COUNTS, SEEDS, UNSEEN = (500, 1000, 2000, 4000), 3, 30
CASES = {"one head of 100": ([100], "#D55E00", "o"), "two heads of 10": ([10, 10], "#0072B2", "s")}


def pairs(digits: tuple, allowed: np.ndarray, count: int, r) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [count, 128] of two digits whose pair is allowed, and the number of two figures that they make."""
    chosen = r.integers(0, len(digits[1]), (20 * count, 2))
    rows = np.flatnonzero(allowed[names := digits[1][chosen] @ [10, 1]])[:count]
    return digits[0][chosen[rows]].reshape(count, -1), names[rows]


def train(heads: list[int], x: np.ndarray, y: np.ndarray, tests: list, seed: int) -> list[float]:
    """Train one network; the share of pictures with both digits right, for each of the tests."""
    set_seed(seed)
    trunk = Dense(64, activation="relu")(Dense(64, activation="relu")(picture := Input((128,))))
    model = Model(picture, [Dense(size, activation="softmax")(trunk) for size in heads])
    model.compile(["categorical_crossentropy"] * len(heads), "adam")
    model.fit(x, [*np.divmod(y, 10)] if len(heads) > 1 else y, epochs=60, seed=seed, verbose=0)
    return [float(np.mean(np.polyval(np.argmax(model.predict(x), axis=-1), 10) == names)) for x, names in tests]


def main(path: str = "multi_task.png") -> dict[str, list[float]]:
    """Train with more and more pictures, print, draw; the accuracies on known and on new pairs with most of them."""
    digits, found = data.load("digits").flat(), {name: np.zeros((SEEDS, len(COUNTS), 2)) for name in CASES}
    for seed, k in np.ndindex(SEEDS, len(COUNTS)):
        seen = (r := np.random.default_rng(seed)).permutation(100) >= UNSEEN
        tests = [pairs(digits.test, allowed, 2000, r) for allowed in (seen, ~seen)]
        examples = pairs(digits.train, seen, COUNTS[k], r)
        for name, (heads, *_) in CASES.items():
            found[name][seed, k] = train(heads, *examples, tests, seed)
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for name, (_, color, marker) in CASES.items():
        known, new = np.median(found[name], axis=0).T
        print(f"{name}, {COUNTS[-1]:,} pictures: {known[-1]:.1%} of known pairs right, {new[-1]:.1%} of new ones")
        axes.plot(COUNTS, 100 * known, "-", color=color, marker=marker, label=f"{name}, known pairs")
        axes.plot(COUNTS, 100 * new, ":", color=color, marker=marker, mfc="w", label=f"{name}, new pairs")
    axes.set(title="Two digits in a picture", xlabel="training pictures", ylabel="both right (%)", xticks=COUNTS)
    axes.legend()
    figure.savefig(path, dpi=110)
    return {name: np.median(values, axis=0)[-1].tolist() for name, values in found.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
