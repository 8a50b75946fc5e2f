"""The sections on the training: learning curves, and what the layers did."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.analysis.diagnosis.case import Case
from pellucid.analysis.diagnosis.probe import LayerView
from pellucid.analysis.recording import plot_recording
from pellucid.analysis.report.page import beside, figure, number, table, text
from pellucid.errors import ConfigurationError
from pellucid.train.history import History
from pellucid.train.recording import Recording

_BLUE, _RED = "#0072B2", "#D55E00"


def _axes() -> Any:
    from matplotlib.figure import Figure  # no global figure manager: nothing leaks, no display is needed

    return Figure(figsize=(4.6, 3.3), layout="constrained").add_subplot()


def learning_curves(history: History) -> str:
    """The loss and the metrics of every epoch, and the best of them in words."""
    keys = [k for k, v in history.history.items() if not k.startswith("val_") and all(np.ndim(n) == 0 for n in v)]
    if not keys or not len(history):
        return _ended(history, " in its first epoch") or "<p>There is no history of the epochs.</p>"
    drawn = beside(figure(history.plot(key, _axes()).figure, f"Learning curve: {key}") for key in keys)
    rows = []
    for key in (k for k, v in history.history.items() if all(np.ndim(n) == 0 for n in v)):
        values = np.asarray(history[key], float)
        if np.isfinite(values).any():
            best = history.best(key)
            told = values[history.epochs.index(best)]
            rows.append(
                (key.replace("val_", "validation ").replace("_", " "), number(told), best + 1, number(values[-1]))
            )
    return drawn + table(("quantity", "best", "in epoch", "last"), rows, numbers=3) + _ended(history)


def _ended(history: History, when: str = "") -> str:
    """What ended the training, and of NaN or infinity the first cause."""
    if not history.stopped_by:
        return ""
    head, *cause = history.stopped_by.splitlines()
    told = f"<p>Training ended{when}: {text(head.rstrip('.'))}.</p>"
    return told + (f"<pre>{text(chr(10).join(cause))}</pre>" if cause else "")


def layers(case: Case) -> str:
    """What each layer does now, and, where the run was recorded, how that came about."""
    views = [view for view in case.now.views if view.activation.size]
    rows = [_row(each) for view in views for each in (view, *(p for p in case.now.parts if p.label == view.label))]
    head = (
        "layer",
        "function",
        "mean",
        "deviation",
        "zeros",
        "saturated",
        "dead units",
        "|delta|",
        "|gradient| / |weight|",
    )
    told = f"<p>One step of the trained model on {len(views[0].activation)} training samples: its activations, their "
    told += "gradients (root mean square of delta) and those of the kernels.</p>" if views else ""
    recorded = "" if case.recording is None else recorded_curves(case.recording)
    drawn = _flow(views)
    return told + table(head, rows, numbers=7) + drawn + recorded


def _row(view: LayerView) -> tuple[Any, ...]:
    a = view.activation
    saturated = view.saturated
    ratio = ""
    if "kernel" in view.gradients and not view.part:
        size = float(np.linalg.norm(view.weights["kernel"]))
        ratio = number(view.gradient_norm() / size) if size else ""
    return (
        view.name, view.function, number(a.mean()), number(a.std()), f"{(a == 0).mean():.1%}",
        "" if saturated is None else f"{saturated.mean():.1%}",
        "" if view.dead is None else f"{int(view.dead.sum())} of {view.dead.size}",
        "" if view.delta is None else number(view.delta_rms), ratio,
    )  # fmt: skip


def _flow(views: list[LayerView]) -> str:
    """Activations forwards and gradients backwards, layer by layer."""
    weighted = [view for view in views if "kernel" in view.gradients]
    if len(weighted) < 2 or not all(np.isfinite([v.activation.std(), v.gradient_norm()]).all() for v in weighted):
        return ""
    left, right = _axes(), _axes()
    norms = np.array([max(view.gradient_norm(), 1e-38) for view in weighted])
    place = np.arange(len(weighted))
    left.plot(place, [view.activation.std() for view in weighted], "o-", color=_BLUE)
    left.set(ylabel="deviation of the activations", title="forwards", ylim=(0, None))
    right.plot(place, norms, "s-", color=_RED)
    right.set(ylabel="norm of the kernel's gradient", title="backwards")
    if norms.max() > 10 * norms.min():
        right.set_yscale("log")
    else:
        right.set_ylim(0, None)
    for ax in (left, right):
        ax.set_xticks(place, [view.label for view in weighted], rotation=30, ha="right")
        ax.grid(alpha=0.3)
    told = "Deviation of the activations of each layer", "Norm of the gradient of each layer's kernel"
    return beside(figure(ax.figure, words) for ax, words in zip((left, right), told, strict=True))


#: What of a recording is drawn: quantity, column, and what the axis is called.
_RECORDED = (
    ("gradient", "norm", "norm of the gradients"),
    ("update", "ratio", "|update| / |weight|"),
    ("activation", "std", "deviation of the activations"),
    ("activation", "saturated", "share of saturated activations"),
)


def recorded_curves(recording: Recording) -> str:
    """Curves over the recorded updates: gradients, updates and activations of every layer."""
    steps = recording.steps
    if not steps:
        return ""
    told = (
        f"<h3>Recorded</h3><p>{len(steps):,} updates were recorded, from the first of them, {steps[0]:,}, to the last, "
        f"{steps[-1]:,}.</p>"
    )
    drawn = []
    for quantity, column, label in _RECORDED:
        try:
            ax = plot_recording(recording, quantity, column, ax=_axes())
        except ConfigurationError:  # no layer has it
            continue
        ax.set_title(label, fontsize=10)
        drawn.append(figure(ax.figure, f"Recorded over the updates: {label}"))
    return told + beside(drawn)
