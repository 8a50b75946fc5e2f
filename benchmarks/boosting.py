"""``python -m benchmarks.boosting``: the scans of boosting and of sliding windows, beside NumPy and plain Python.

Every row is the best of some rounds. Plain Python, and scikit-image's features, are timed on a part of the work; the
table gives all of them per element. The results are checked to be equal before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.backends.scans import CascadeTable, Corners, Reference, order_of
from pellucid.classic import HaarFeatures, Windows, integral_image
from pellucid.classic.boosting import Stump
from pellucid.classic.cascade import Cascade, Stage, inverse_contrasts

SIZE, SAMPLES, FEATURES = 25, 500, 20_000


def seconds(work: Callable[[], Any], rounds: int) -> float:
    """The best time of some rounds, after one that does not count."""
    work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def plain_cuts(order: np.ndarray, signed: list[float]) -> list[tuple[float, float]]:
    """The lowest and highest sum of every column, by loops of Python."""
    found = []
    for row in order.tolist():
        total = lowest = highest = 0.0
        for entry in row:
            total += signed[entry >> 1]
            if entry & 1:
                lowest, highest = min(lowest, total), max(highest, total)
        found.append((lowest, highest))
    return found


def plain_sums(integrals: np.ndarray, corners: Corners, inverse: list[float]) -> list[list[float]]:
    """Features by loops of Python over lists."""
    tables = integrals.tolist()
    row, column, weight, first = (a.tolist() for a in (corners.row, corners.column, corners.weight, corners.first))
    return [
        [
            sum(weight[c] * table[row[c]][column[c]] for c in range(first[f], first[f + 1])) * factor
            for table, factor in zip(tables, inverse, strict=True)
        ]
        for f in range(len(corners))
    ]


def plain_windows(integral: np.ndarray, inverse: np.ndarray, table: CascadeTable) -> list[list[int]]:
    """Stages that each window passes, by loops of Python over lists."""
    pixels, factors, corners = integral.tolist(), inverse.tolist(), table.corners
    row, column, weight, start = (a.tolist() for a in (corners.row, corners.column, corners.weight, corners.first))
    cut, left, right, first, threshold = (
        a.tolist() for a in (table.cut, table.left, table.right, table.first, table.threshold)
    )

    def stages(y: int, x: int) -> int:
        for stage, limit in enumerate(threshold):
            score = 0.0
            for t in range(first[stage], first[stage + 1]):
                total = sum(weight[c] * pixels[y + row[c]][x + column[c]] for c in range(start[t], start[t + 1]))
                score += right[t] if total * factors[y][x] > cut[t] else left[t]
            if score < limit:
                return stage
        return len(threshold)

    return [[stages(y, x) for x in range(len(factors[0]))] for y in range(len(factors))]


def some_cascade(table: HaarFeatures, image: np.ndarray, r: np.random.Generator) -> Cascade:
    """Ten stages of 2 to 20 stumps, each of which lets about 40 % of the image's windows through."""
    views = np.lib.stride_tricks.sliding_window_view(image, (SIZE, SIZE)).reshape(-1, SIZE, SIZE)
    windows = Windows(views[r.integers(0, len(views), 20_000)])
    stages: list[Stage] = []
    for count in range(2, 22, 2):
        features = tuple(table[int(i)] for i in r.integers(0, len(table), count))
        stumps = tuple(Stump(number, float(r.normal()), -1, 1) for number in range(count))
        stage = Stage(features, stumps, (1.0,) * count, 0.0, 1.0, 0.4)
        score = stage.score(windows)
        stage = Stage(features, stumps, stage.weights, float(np.quantile(score, 0.6)), 1.0, 0.4)
        windows = Windows(windows.images[stage.passes(windows)])
        stages.append(stage)
    return Cascade((SIZE, SIZE), tuple(stages))


def rows(rounds: int) -> list[tuple[str, str, float]]:
    """(what, who, nanoseconds per element)."""
    from pellucid.backends.cpu.scans import Engine

    r = np.random.default_rng(0)
    windows = Windows(r.integers(0, 256, (SAMPLES, SIZE, SIZE)).astype("uint8"))
    table = HaarFeatures((SIZE, SIZE)).sample(FEATURES, r)
    part = 50
    few, all_of = table.corners(slice(part)), table.corners()
    columns = Engine.rectangle_sums(windows.integrals, all_of, windows.inverse)
    assert np.array_equal(columns, Reference.rectangle_sums(windows.integrals, all_of, windows.inverse))
    inverse = windows.inverse.tolist()
    assert np.allclose(plain_sums(windows.integrals, few, inverse), columns[:part], rtol=1e-6)
    name, count = f"values of {FEATURES:,} features of {SAMPLES} windows", FEATURES * SAMPLES
    found = [
        (
            name,
            "engine",
            seconds(lambda: Engine.rectangle_sums(windows.integrals, all_of, windows.inverse), rounds) / count,
        ),
        (
            name,
            "NumPy",
            seconds(lambda: Reference.rectangle_sums(windows.integrals, all_of, windows.inverse), 1) / count,
        ),
        (name, "Python", seconds(lambda: plain_sums(windows.integrals, few, inverse), 1) / (part * SAMPLES)),
        *skimage_rows(name, windows, rounds),
    ]
    found += cut_rows(order_of(columns), r, rounds)
    return found + window_rows(some_image(r), table, r, rounds)


def skimage_rows(name: str, windows: Windows, rounds: int) -> list[tuple[str, str, float]]:
    """scikit-image computes the features of one window at a time; here those of one kind."""
    if importlib.util.find_spec("skimage") is None:
        return []
    from skimage.feature import haar_like_feature

    table = integral_image(windows.images[0])[1:, 1:]
    count = len(haar_like_feature(table, 0, 0, SIZE, SIZE, "type-2-x"))
    return [
        (name, "scikit-image", seconds(lambda: haar_like_feature(table, 0, 0, SIZE, SIZE, "type-2-x"), rounds) / count)
    ]


def cut_rows(order: np.ndarray, r: np.random.Generator, rounds: int) -> list[tuple[str, str, float]]:
    """One round of boosting over all features."""
    from pellucid.backends.cpu.scans import Engine

    signed = r.normal(size=SAMPLES)
    arranged, part, count = Engine.arranged(order), 200, order.size
    lowest, _, highest, _ = Engine.error_cuts(arranged, len(order), signed)
    assert np.array_equal(lowest, Reference.error_cuts(order, len(order), signed)[0])
    plain = plain_cuts(order[:part], signed.tolist())
    assert np.array_equal(plain, np.stack([lowest, highest], axis=1)[:part])
    name = f"best cut of {FEATURES:,} features, {SAMPLES} samples"
    return [
        (name, "engine", seconds(lambda: Engine.error_cuts(arranged, len(order), signed), rounds) / count),
        (name, "NumPy", seconds(lambda: Reference.error_cuts(order, len(order), signed), 1) / count),
        (name, "Python", seconds(lambda: plain_cuts(order[:part], signed.tolist()), 1) / (part * SAMPLES)),
    ]


def some_image(r: np.random.Generator) -> np.ndarray:
    """Smooth noise: windows with contrast at every scale."""
    from scipy.ndimage import gaussian_filter

    layers = [gaussian_filter(r.normal(size=(512, 512)), deviation) * deviation for deviation in (1, 3, 9, 27)]
    total = np.sum(layers, axis=0)
    return ((total - total.min()) / np.ptp(total) * 255).astype("uint8")


def window_rows(
    image: np.ndarray, table: HaarFeatures, r: np.random.Generator, rounds: int
) -> list[tuple[str, str, float]]:
    """A cascade on all windows of an image at one scale."""
    from pellucid.backends.cpu.scans import Engine

    cascade = some_cascade(table, image, r)
    _, report = cascade.scan(image)
    integral = integral_image(image).astype(np.int32)
    inverse = inverse_contrasts(integral_image(image), image, (SIZE, SIZE), 1)
    packed, part = cascade.table, slice(0, 20)
    engine = Engine.scan_windows(integral, inverse, packed, 1)
    assert np.array_equal(engine.passed, Reference.scan_windows(integral, inverse, packed, 1).passed)
    assert np.array_equal(plain_windows(integral, inverse[part], packed), engine.passed[part])
    name = f"cascade on {inverse.size:,} windows, {report.features_per_window:.1f} features each"
    return [
        (name, "engine", seconds(lambda: Engine.scan_windows(integral, inverse, packed, 1), rounds) / inverse.size),
        (name, "NumPy", seconds(lambda: Reference.scan_windows(integral, inverse, packed, 1), 1) / inverse.size),
        (name, "Python", seconds(lambda: plain_windows(integral, inverse[part], packed), 1) / inverse[part].size),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boosting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of which the best counts")
    for what, who, each in rows(parser.parse_args().rounds):
        print(f"{what:60} {who:12} {1e9 * each:10.2f} ns")
