"""Reports: all that is known of a training on one page of HTML that needs nothing beside itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.analysis.diagnosis import Case, Diagnosis, case_of, examine, open_run
from pellucid.analysis.diagnosis.case import RunFolder, kept_of
from pellucid.analysis.diagnosis.finding import spoken
from pellucid.analysis.features import has_convolution
from pellucid.analysis.overview import feature_overview
from pellucid.analysis.report.curves import layers, learning_curves, recorded_curves
from pellucid.analysis.report.outcomes import confusion, judged, mistakes, scatter
from pellucid.analysis.report.page import figure, number, page, table, text
from pellucid.errors import DataError
from pellucid.train import run_folder
from pellucid.train.files import write_atomically
from pellucid.train.run_folder import RunRecord

_FILE = "report.html"


class MissingDataWarning(UserWarning):
    """The page of a run lacks what needs its data, which are gone."""


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

    Of a run folder whose data are gone the page shows what does not need them, says so, and warns.

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
        try:
            folder = open_run(run, data)
        except DataError as missing:
            if data is not None:
                raise
            return _without_data(Path(run), missing, path)
        target = folder.path / _FILE if path is None else Path(path)
        title, under, first = _of_folder(folder)
        case = folder.case
    else:
        case = case_of(run, x, y, **settings)
        target = Path(_FILE if path is None else path)
        title, under, first = f"Model {run.label}", f"{case.setup.count:,} training samples", ""
    with np.errstate(all="ignore"):  # a training that diverged is looked at, too
        html = page(title, under, [("Summary", first + _summary(case.model)), *_sections(case)])
    write_atomically(target, html.encode())
    return target


def _of_folder(folder: RunFolder) -> tuple[str, str, str]:
    """Title, the line below it, and the settings and results of a run folder."""
    where = "held-out" if folder.case.test is not None else "the training"
    return f"Run {folder.path.resolve().name}", repr(folder.dataset), _record(folder.record, where)


def _record(record: RunRecord, where: str) -> str:
    results = [(key.replace("_", " "), number(value)) for key, value in record.results.items()]
    # Of what ended the training the first line; the learning curves tell the rest.
    given = {key: str(value).partition("\n")[0] for key, value in record.settings.items() if value is not None}
    settings = [(key.replace("_", " "), value) for key, value in given.items()]
    measured = f"<div><h3>On {where} data</h3>{table(('quantity', 'value'), results, numbers=1)}</div>"
    return f'<div class="beside">{measured}<div><h3>Settings</h3>{table(("setting", "value"), settings)}</div></div>'


def _without_data(run: Path, missing: DataError, path: str | Path | None) -> Path:
    """The page of a run whose data are gone: record, curves, and what was recorded."""
    model, record = run_folder.read(run)
    folder = run if run.is_dir() else run.parent
    history, recording = kept_of(folder, record)
    told = f"The data of the run are not there, so that diagnosis and predictions are left out: {missing.message}"
    hint = f"pellucid inspect {folder} --data NAME_OR_FILE"
    notice = f'<div class="finding warning"><p>{text(told)}</p><pre>{text(hint)}</pre></div>'
    sections = [("Summary", notice + _record(record, "held-out") + _summary(model))]
    sections.append(("Learning curves", learning_curves(history)))
    if recording is not None:
        sections.append(("Layers", recorded_curves(recording)))
    target = folder / _FILE if path is None else Path(path)
    under = f"{record.task} of {record.data}"
    write_atomically(target, page(f"Run {folder.resolve().name}", under, sections).encode())
    warnings.warn(f"{told}\nHint: {hint}", MissingDataWarning, stacklevel=3)
    return target


def _summary(model: Any) -> str:
    optimizer = text(repr(model.optimizer))
    losses = text(", ".join(repr(loss) for loss in model.objective.losses))
    return f"<h3>Model</h3><pre>{text(model.summary(show=False))}</pre><p>loss {losses}; optimiser {optimizer}</p>"


def _sections(case: Case) -> list[tuple[str, str]]:
    """The sections that apply to the run, in order."""
    found: list[tuple[str, str | None]] = [("Diagnosis", _diagnosis(case))]
    if case.history is not None:
        found.append(("Learning curves", learning_curves(case.history)))
    if not _is_finite(case):
        told = "For some samples the model gives NaN or infinity: there are no predictions to show."
        found += [("Predictions", f"<p>{told}</p>"), ("Layers", layers(case))]
        return [(name, content) for name, content in found if content]
    found += [
        ("Confusion matrix", confusion(case)),
        ("Predictions", scatter(case)),
        ("Worst mistakes", mistakes(case)),
        ("Layers", layers(case)),
        ("What the network sees", _features(case)),
    ]
    return [(name, content) for name, content in found if content]


def _is_finite(case: Case) -> bool:
    """Whether the model gives a number for every sample that predictions are shown on."""
    outputs = case.model.predict(judged(case)[1])
    return all(bool(np.isfinite(part).all()) for part in (outputs if isinstance(outputs, list) else [outputs]))


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
    labels = case.setup.labels_of(y)
    if labels is None and case.setup.is_regression and np.size(y) == len(y):
        labels = np.asarray(y).reshape(-1)
    pages = feature_overview(case.model, x, labels, class_names=case.class_names or None, seed=case.setup.seed)
    return "".join(f"<h3>{text(title)}</h3>{figure(drawn, title)}" for title, drawn in pages)


__all__ = ["MissingDataWarning", "write_report"]
