"""The sections on the predictions: confusion matrix, worst mistakes, predicted against true numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.analysis.diagnosis.case import Case
from pellucid.analysis.diagnosis.trial import predicted_labels
from pellucid.analysis.report.page import figure, number, picture, png, table, text
from pellucid.analysis.tiles import MANY, Tile, as_pictures, balanced, draw_tiles, sheets

#: So many mistakes are shown, and so many features of a row.
_MISTAKES, _FEATURES = 24, 10
#: Of rows of more features than this, of which at most this share is not 0, so many that are not 0 are shown.
_WORDS, _SPARSE, _FILLED = 50, 0.2, 12
#: The most classes of a matrix whose cells are shown.
_CLASSES = 40


def judged(case: Case) -> tuple[str, Any, Any]:
    """What the predictions are shown on: test data, else validation data, else the training data."""
    if case.test is not None:
        return "test data", *case.test
    if case.setup.validation is not None:
        return "validation data", *case.setup.validation
    return "training data", case.setup.x, case.setup.y


def confusion(case: Case) -> str | None:
    """Which class is taken for which, with precision and recall; None where there are no classes."""
    name, x, y = judged(case)
    true = case.setup.labels_of(y)
    if true is None:
        return None
    predicted = predicted_labels(case.model, x)
    count = int(max(true.max(), predicted.max(), len(case.class_names) - 1)) + 1
    counts = np.zeros((count, count), np.int64)
    np.add.at(counts, (true, predicted), 1)
    names = [case.class_names[k] if k < len(case.class_names) else str(k) for k in range(count)]
    right = int(np.trace(counts))
    told = f"<p>{right:,} of the {len(true):,} samples of the {text(name)} are right ({right / len(true):.1%}).</p>"
    matrix = _matrix(counts, names) if count <= _CLASSES else ""
    return told + matrix + _scores(counts, names) + _most_confused(counts, names)


def _matrix(counts: np.ndarray, names: list[str]) -> str:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    head = "".join(f"<th>{text(name)}</th>" for name in names)
    rows = []
    for row, name in enumerate(names):
        cells = []
        for column in range(len(names)):
            tone = "hit" if row == column else "miss"
            # At most half opaque: the text keeps its contrast on both backgrounds.
            shade = (
                f' style="background: rgba(var(--{tone}), {0.55 * share[row, column]:.2f})"'
                if counts[row, column]
                else ""
            )
            cells.append(f"<td{shade}>{counts[row, column] or ''}</td>")
        rows.append(f"<tr><th>{text(name)}</th>{''.join(cells)}</tr>")
    corner = "true ↓ predicted →"
    return (
        f'<div class="wide"><table class="matrix"><thead><tr><th>{corner}</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _scores(counts: np.ndarray, names: list[str]) -> str:
    hits = np.diag(counts).astype(float)
    with np.errstate(invalid="ignore"):
        recall, precision = hits / counts.sum(axis=1), hits / counts.sum(axis=0)
        f1 = 2 * hits / (counts.sum(axis=0) + counts.sum(axis=1))
    rows = [
        (name, number(counts[k].sum()), *(f"{value:.1%}" if value == value else "" for value in values))
        for k, (name, *values) in enumerate(zip(names, precision, recall, f1, strict=True))
    ]
    return "<h3>By class</h3>" + table(("class", "samples", "precision", "recall", "F1"), rows, numbers=4)


def _most_confused(counts: np.ndarray, names: list[str]) -> str:
    wrong = counts - np.diag(np.diag(counts))
    if not wrong.any():
        return ""
    order = np.argsort(-wrong, axis=None, kind="stable")[:5]
    pairs = [divmod(int(place), len(names)) for place in order]
    rows = [(names[a], names[b], number(wrong[a, b])) for a, b in pairs if wrong[a, b]]
    return "<h3>Most often confused</h3>" + table(("true", "predicted", "samples"), rows, numbers=1)


def mistakes(case: Case) -> str | None:
    """The samples on which the model is most wrong: as images, or as rows; None where a sample has several answers."""
    if case.setup.labels is None and not case.setup.is_regression:
        return None
    name, x, y = judged(case)
    x, outputs = np.asarray(x), np.asarray(case.model.predict(x), float)
    true = case.setup.labels_of(y)
    wrongness, told, intro = _classes(case, outputs, true) if true is not None else _numbers(outputs, y)
    order = np.argsort(-wrongness, kind="stable")[:_MISTAKES]
    if true is not None:
        order = order[wrongness[order] > 0]
    if not len(order):
        return f'<p class="good">Every sample of the {text(name)} is right.</p>'
    intro = f"<p>{intro} Samples of the {text(name)}, the worst first.</p>"
    shape = x.shape[1:]
    if len(shape) == 3 and shape[-1] in (1, 3):
        return intro + _images(x, order, told)
    if len(shape) == 2:
        return intro + (_images(sheets(x)[..., None], order, told) if shape[-1] >= MANY else _signals(x, order, told))
    return intro + _rows(case, x.reshape(len(x), -1), order, told)


def _classes(case: Case, outputs: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, list[tuple[str, ...]], str]:
    """How wrong each sample is (0 where it is right), and what to say of it."""
    probabilities = _probabilities(case, outputs)
    predicted = probabilities.argmax(axis=1)
    rows = np.arange(len(true))
    wrong = np.where(predicted != true, probabilities[rows, predicted] - probabilities[rows, true] + 1e-12, 0.0)

    def named(k: int) -> str:
        return case.class_names[k] if k < len(case.class_names) else str(k)

    told = [
        (named(int(p)), named(int(t)), f"{probabilities[i, p]:.1%}", f"{probabilities[i, t]:.1%}")
        for i, (p, t) in enumerate(zip(predicted, true, strict=True))
    ]
    return wrong, told, "What the model is most sure of and yet wrong about."


def _probabilities(case: Case, outputs: np.ndarray) -> np.ndarray:
    """A share for each class, whatever the last layer gives."""
    loss = case.model.objective.losses[0]
    outputs = outputs.reshape(len(outputs), -1)
    margin = getattr(loss, "from_logits", False) or type(loss).__name__ == "Hinge"
    if outputs.shape[1] == 1:
        p = 1 / (1 + np.exp(-np.clip(outputs[:, 0], -500, 500))) if margin else outputs[:, 0]
        return np.column_stack([1 - p, p])
    if margin:
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)
    return outputs


def _numbers(outputs: np.ndarray, y: Any) -> tuple[np.ndarray, list[tuple[str, ...]], str]:
    true = np.asarray(y, float).reshape(len(outputs), -1)
    guess = outputs.reshape(true.shape)
    error = np.abs(guess - true).mean(axis=1)
    told = [(_list(g), _list(t), number(e), "") for g, t, e in zip(guess, true, error, strict=True)]
    return error, told, "Where the prediction is farthest from the true number."


def _list(values: np.ndarray) -> str:
    return ", ".join(number(float(value)) for value in values[:4]) + (", ..." if len(values) > 4 else "")


def _images(x: np.ndarray, order: np.ndarray, told: list[tuple[str, ...]]) -> str:
    low, high = float(x.min()), float(x.max())
    scaled = (255 * (x[order].astype(float) - low) / ((high - low) or 1.0)).round().astype(np.uint8)
    parts = []
    for place, pixels in zip(order, scaled, strict=True):
        predicted, true, sure, share = told[place]
        image = picture(png(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), f"{predicted} for {true}")
        words = f"<b>{text(predicted)}</b> for <b>{text(true)}</b><br>{text(sure)}" + (
            f" against {text(share)}" if share else ""
        )
        parts.append(f'<div class="mistake">{image}{words}<br><span class="soft">row {place}</span></div>')
    return f'<div class="mistakes">{"".join(parts)}</div>'


def _signals(x: np.ndarray, order: np.ndarray, told: list[tuple[str, ...]]) -> str:
    signals, low, high = as_pictures(x[order])
    words = [f"{told[place][0]} for {told[place][1]}, row {place}" for place in order]
    tiles = [Tile(signal, low, high, text=word) for signal, word in zip(signals, words, strict=True)]
    drawn = draw_tiles("mistakes", None, tiles, balanced(len(tiles), 6), inch=1.5).figure
    return figure(drawn, "What is predicted for what, and the signals: " + "; ".join(words))


def _rows(case: Case, x: np.ndarray, order: np.ndarray, told: list[tuple[str, ...]]) -> str:
    std = x.std(axis=0)
    unusual = np.abs(x[order] - x.mean(axis=0)) / np.where(std > 0, std, np.inf)
    shown = np.arange(x.shape[1])
    if len(shown) > _WORDS and (x[order] != 0).mean() < _SPARSE:
        return _filled(case, x, order, told, unusual)
    if len(shown) > _FEATURES:
        shown = np.sort(np.argsort(-unusual.mean(axis=0), kind="stable")[:_FEATURES])
    names = [case.feature_names[k] if case.feature_names else f"x[{k}]" for k in shown]
    is_class = bool(told[0][3])
    head = ["row", "predicted", "true", *(["p(predicted)", "p(true)"] if is_class else ["error"]), *names]
    rows = [[str(i), *(told[i] if is_class else told[i][:3]), *(number(float(v)) for v in x[i, shown])] for i in order]
    left = f"<p class='soft'>The {len(shown)} of {x.shape[1]} features that are most unusual in these rows.</p>"
    return table(head, rows, numbers=len(head) - 3) + (left if len(shown) < x.shape[1] else "")


def _filled(case: Case, x: np.ndarray, order: np.ndarray, told: list[tuple[str, ...]], unusual: np.ndarray) -> str:
    """Rows of which nearly all is 0, such as counts of words: what is there, the most unusual first."""
    is_class = bool(told[0][3])
    head = ["row", "predicted", "true", *(["p(predicted)", "p(true)"] if is_class else ["error"])]
    rows = []
    for place, i in enumerate(order):
        there = np.flatnonzero(x[i])
        there = there[np.argsort(-unusual[place, there], kind="stable")]
        names = [case.feature_names[k] if case.feature_names else f"x[{k}]" for k in there[:_FILLED]]
        words = [
            name if x[i, k] == 1 else f"{name} ({number(float(x[i, k]))})"
            for name, k in zip(names, there[:_FILLED], strict=True)
        ]
        more = f" ... {len(there) - _FILLED} more" if len(there) > _FILLED else ""
        rows.append([str(i), *(told[i] if is_class else told[i][:3]), ", ".join(words) + more])
    left = f"<p class='soft'>Of {x.shape[1]:,} features those that are not 0, the most unusual first.</p>"
    return table([*head, "features"], rows) + left


def scatter(case: Case) -> str | None:
    """Predicted against true numbers, and the errors; None where the targets are no numbers."""
    if not case.setup.is_regression:
        return None
    name, x, y = judged(case)
    true = np.asarray(y, float).reshape(-1)
    guess = np.asarray(case.model.predict(x), float).reshape(-1)
    from matplotlib.figure import Figure  # no global figure manager: nothing leaks, no display is needed

    drawn = Figure(figsize=(9.2, 3.8), layout="constrained")
    left, right = drawn.subplots(1, 2)
    left.plot(true, guess, "o", color="#0072B2", alpha=0.5, markersize=4)
    ends = [min(true.min(), guess.min()), max(true.max(), guess.max())]
    left.plot(ends, ends, color="#4D4D4D", linewidth=1, linestyle="--", label="predicted = true")
    left.set(xlabel="true", ylabel="predicted")
    left.legend()
    right.hist(guess - true, bins=30, color="#0072B2")
    right.set(xlabel="predicted - true", ylabel="samples")
    spread = ((true - true.mean()) ** 2).sum()
    r2 = 1 - ((true - guess) ** 2).sum() / spread if spread else float("nan")
    error = float(np.sqrt(((true - guess) ** 2).mean()))
    told = f"<p>{len(true):,} numbers of the {text(name)}: R² {r2:.3f}, root of the mean squared error {error:.4g}.</p>"
    return told + figure(drawn, "Predicted against true numbers, and a histogram of the errors")
