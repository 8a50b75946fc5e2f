"""Reports: all that is known of a training on one page of HTML that needs nothing beside itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from pellucid.analysis.diagnosis import Case, Diagnosis, case_of, examine, open_run
from pellucid.analysis.diagnosis.case import RunFolder
from pellucid.analysis.diagnosis.finding import spoken
from pellucid.analysis.features import has_convolution
from pellucid.analysis.overview import feature_overview
from pellucid.analysis.report.curves import layers, learning_curves
from pellucid.analysis.report.outcomes import confusion, judged, mistakes, scatter
from pellucid.analysis.report.page import figure, number, page, table, text
from pellucid.train.files import write_atomically

_FILE = "report.html"


def write_report(
    run: Any,
    x: Any = None,
    y: Any = None,
    *,
    path: str | Path | None = None,
    data: str | None = None,
    **settings: Any,
) -> Path:
    """Write one page on a training: summary, curves, layers, diagnosis, predictions, mistakes, feature pictures.

    The page is one file of HTML without scripts: images lie inside, nothing is loaded from elsewhere, and text that
    comes from data is shown as text. It is light or dark as the reader's system is.

    Args:
        run: The folder of a ``pellucid train``, or a trained model.
        x, y: With a model: its training data.
        path: The file to write; by default ``report.html``, in the run folder.
        data: With a folder: the data set's name or the .csv file, where it is not where it was.
        settings: With a model: the other arguments of ``diagnose``.

    Returns:
        The path.

    Raises:
        DataError: The data are missing, or do not fit the model.
        ConfigurationError: The run is neither a model nor a folder.
        FileFormatError: The folder is not that of a run.

    >>> import tempfile
    >>> import numpy as np
    >>> from pellucid import Input, Sequential
    >>> from pellucid.nn import Dense
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> model = Sequential([Input((1,)), Dense(8, "tanh"), Dense(1)])
    >>> model.compile("mse", "adam")
    >>> history = model.fit(x, x**2, epochs=5, seed=0, verbose=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write_report(model, x, x**2, path=f"{folder}/report.html").read_text()
    >>> written.count("<section"), "<script" in written
    (6, False)
    """
    if isinstance(run, (str, Path)):
        folder = open_run(run, data)
        target = folder.path / _FILE if path is None else Path(path)
        title, under, first = _of_folder(folder)
        case = folder.case
    else:
        case = case_of(run, x, y, **settings)
        target = Path(_FILE if path is None else path)
        title, under, first = f"Model {run.label}", f"{case.setup.count:,} training samples", ""
    html = page(title, under, [("Summary", first + _summary(case)), *_sections(case)])
    write_atomically(target, html.encode())
    return target


def _of_folder(folder: RunFolder) -> tuple[str, str, str]:
    """Title, the line below it, and the settings and results of a run folder."""
    record = folder.record
    results = [(key.replace("_", " "), number(value)) for key, value in record.results.items()]
    settings = [(key.replace("_", " "), value) for key, value in record.settings.items() if value is not None]
    where = "held-out" if folder.case.test is not None else "the training"
    measured = f"<div><h3>On {where} data</h3>{table(('quantity', 'value'), results, numbers=1)}</div>"
    first = f'<div class="beside">{measured}<div><h3>Settings</h3>{table(("setting", "value"), settings)}</div></div>'
    return f"Run {folder.path.resolve().name}", repr(folder.dataset), first


def _summary(case: Case) -> str:
    buffer = io.StringIO(case.model.summary(show=False))
    optimizer = text(repr(case.model.optimizer))
    losses = text(", ".join(repr(loss) for loss in case.model.objective.losses))
    return f"<h3>Model</h3><pre>{text(buffer.getvalue())}</pre><p>loss {losses}; optimiser {optimizer}</p>"


def _sections(case: Case) -> list[tuple[str, str]]:
    """The sections that apply to the run, in order."""
    found: list[tuple[str, str | None]] = [("Diagnosis", _diagnosis(case))]
    if case.history is not None:
        found.append(("Learning curves", learning_curves(case.history)))
    found += [
        ("Confusion matrix", confusion(case)),
        ("Predictions", scatter(case)),
        ("Worst mistakes", mistakes(case)),
        ("Layers", layers(case)),
        ("What the network sees", _features(case)),
    ]
    return [(name, content) for name, content in found if content]


def _diagnosis(case: Case) -> str:
    """The findings, and the range test where the learning rate is one of them."""
    diagnosis = examine(case)
    tested = any(name.startswith("learning_rate") for name in diagnosis.names)
    drawn = figure(case.range.plot().figure, "Loss over the learning rate in a range test") if tested else ""
    return findings(diagnosis) + drawn


def findings(diagnosis: Diagnosis) -> str:
    """The findings as HTML, each with its evidence and the code to paste."""
    parts = []
    for finding in diagnosis:
        where = f' <span class="soft">layer {text(finding.layer)}</span>' if finding.layer else ""
        parts.append(
            f'<div class="finding {finding.severity}"><span class="tag">{finding.severity}</span>{where}'
            f"<h3>{text(finding.title)}</h3><p>{text(finding.evidence)}</p><p>{text(finding.suggestion)}</p>"
            f"<pre>{text(finding.code)}</pre></div>"
        )
    if not parts:
        parts.append('<p class="good">Nothing is wrong as far as one can see.</p>')
    looked = ", ".join(map(spoken, diagnosis.checked))
    parts.append(f'<p class="soft">Looked for: {text(looked)}.</p>')
    if diagnosis.skipped:
        skipped = "; ".join(f"{spoken(name)} ({why})" for name, why in diagnosis.skipped.items())
        parts.append(f'<p class="soft">Not looked for: {text(skipped)}.</p>')
    return "".join(parts)


def _features(case: Case) -> str | None:
    """What a convolutional network has learned to see; None for other networks."""
    if len(case.model.inputs) != 1 or not has_convolution(case.model):
        return None
    _, x, y = judged(case)
    pages = feature_overview(case.model, x, y, class_names=case.class_names or None, seed=case.setup.seed)
    return "".join(f"<h3>{text(title)}</h3>{figure(drawn, title)}" for title, drawn in pages)


__all__ = ["write_report"]
