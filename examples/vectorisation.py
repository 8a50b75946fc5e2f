"""The same sums as a loop and as products of arrays: a scalar product and logistic regression (decks 003 and 004).

Both forms give the same numbers up to rounding. On two cores the loop over a million elements took 1,600 times as long
as ``numpy.dot`` (40 times while others kept the cores busy), and an epoch of logistic regression, number by number, 50
to 60 times as long as by matrices. Run ``python examples/vectorisation.py [PICTURE.png]``: 4 s.
"""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np

from pellucid import data
from pellucid.classic import LogisticRegressionGD, compare_dot

SIZES, EXAMPLES, EPOCHS = (100, 1_000, 10_000, 100_000, 1_000_000), (25, 50, 100, 200, 400), 5


def fit(form: str, x: np.ndarray, y: np.ndarray) -> tuple[LogisticRegressionGD, float]:
    """A model trained in one of the two forms, and the milliseconds that an epoch took: the best of three fits."""
    model, times = LogisticRegressionGD(learning_rate=0.5, epochs=EPOCHS, form=form), []
    for _ in range(3):
        started = time.perf_counter()
        model.fit(x, y)
        times.append(1000 * (time.perf_counter() - started) / EPOCHS)
    return model, min(times)


def main(path: str = "vectorisation.png") -> dict[str, float]:
    """Time both forms, print, draw; how many times longer the loops take, and how far the weights are apart."""
    products = [compare_dot(size) for size in SIZES]
    print(products[-1])
    cancer, apart, times = data.load("breast_cancer").standardized(), 0.0, {"vectorised": [], "loop": []}
    for count in EXAMPLES:
        (fast, quick), (slow, long) = (fit(form, cancer.x_train[:count], cancer.y_train[:count]) for form in times)
        apart = max(apart, float(np.abs(fast.coef_ - slow.coef_).max()))
        times["vectorised"].append(quick)
        times["loop"].append(long)
    ratio = times["loop"][-1] / times["vectorised"][-1]
    print(
        f"logistic regression, {EXAMPLES[-1]} examples of 30 numbers: vectorised {times['vectorised'][-1]:.3f} ms",
        end=" ",
    )
    print(f"an epoch, loop {times['loop'][-1]:.1f} ms, {ratio:,.0f} times as long; the weights differ by {apart:.0e}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for form, style in (("loop", "^--"), ("vectorised", "o-")):
        left.plot(SIZES, [1000 * getattr(each, f"{form}_seconds") for each in products], style, label=form)
        right.plot(EXAMPLES, times[form], style, label=form)
    left.set(title="a scalar product", xlabel="elements", ylabel="time (ms)", xscale="log", yscale="log")
    right.set(title="an epoch of logistic regression", xlabel="examples", ylabel="time (ms)", yscale="log")
    left.legend(loc="upper left")
    figure.savefig(path, dpi=110)
    return {"dot": products[-1].speedup, "logistic": ratio, "apart": apart}


if __name__ == "__main__":
    main(*sys.argv[1:])
