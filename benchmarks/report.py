"""The results as a Markdown page, as JSON, and as lines while they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.candidates import CANDIDATES
from benchmarks.distance import FAR
from benchmarks.machine import Machine
from benchmarks.results import OURS, Row, Verdict
from benchmarks.work import JAX, PYTORCH, Ratio, cores

_TITLES = {
    OURS: "Pellucid",
    "ours, predict": "`predict`",
    "peak": "FMA peak",
    "torch eager": "PyTorch eager",
    "torch compile": "PyTorch compile",
    "jax": "JAX",
    "keras": "Keras",
    "sklearn": "scikit-learn",
    "onnxruntime": "onnxruntime",
}
_NOTHING = "—"
#: Others' share of the cores from which a row is marked.
_CROWDED = 0.05


@dataclass(frozen=True)
class Session:
    """All of a run of the suite.

    Attributes:
        scope: What was asked for, where that was not everything.
        missing: Peers that are not installed.
    """

    machine: Machine
    date: str
    rounds: int
    scope: str
    missing: Sequence[str]
    rows: Sequence[Row]


def write_json(session: Session, path: Path) -> None:
    """Every figure of every round."""
    record = {
        "machine": asdict(session.machine),
        "date": session.date,
        "rounds": session.rounds,
        "scope": session.scope,
        "not_installed": list(session.missing),
        "settings": {c.name: c.setting for c in CANDIDATES},
        "rows": [row.as_record() for row in session.rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")


def write_markdown(session: Session, path: Path) -> None:
    """The page for readers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(markdown(session))


def line(row: Row) -> str:
    """A row as a line of text, for the terminal."""
    figures = "  ".join(f"{name} {quantity(figure.median)}" for name, figure in row.figures.items())
    targets = "  ".join(f"[{cell(verdict)}: {verdict.word}]" for verdict in row.verdicts())
    failed = f"  failed: {', '.join(row.failures)}" if row.failures else ""
    crowded = f"  (others had {row.others:.0%} of the cores)" if row.others > _CROWDED else ""
    return f"{row.name}: {figures} {row.unit}  {targets}{failed}{crowded}"


# Numbers and tables.


def quantity(value: float | None) -> str:
    """Three digits that say something.

    >>> quantity(0.5123), quantity(12.345), quantity(1234.5), quantity(None)
    ('0.512', '12.3', '1,234', '—')
    """
    if value is None:
        return _NOTHING
    if value >= 100:
        return f"{value:,.0f}"
    digits = 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def cell(verdict: Verdict) -> str:
    """What was measured, and what was aimed at."""
    return f"{quantity(verdict.measured)} of {verdict.bound:g}"


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    rows = [list(header), ["---", *["---:"] * (len(header) - 1)], *map(list, lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def markdown(session: Session) -> str:
    """The whole page."""
    sections: list[tuple[str, str, Callable[[Sequence[Row]], str], str]] = [
        ("training", "Training", _training, _ABOUT_TRAINING),
        ("inference", "Inference", _inference, _ABOUT_INFERENCE),
        ("kernels", "Bare products", _kernels, _ABOUT_KERNELS),
        ("estimators", "Estimators", _estimators, _ABOUT_ESTIMATORS),
        ("fresh", "Start and memory", _fresh, _ABOUT_FRESH),
    ]
    parts = ["# Benchmarks", _introduction(session), _targets(session.rows)]
    for key, title, write, about in sections:
        rows = [row for row in session.rows if row.section == key]
        if rows:
            parts += [f"## {title}", about, write(rows)]
    parts += ["## What was set", _settings(session.rows), _failures(session.rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


_ABOUT_TRAINING = (
    "Microseconds per step of whole epochs: shuffle, gather the batch, forward, loss, gradient, update. Random data "
    "in memory, float32. Ratios say how many times as long as Pellucid the peer took: the best of PyTorch eager and "
    "compile, and JAX; behind them the target."
)
_ABOUT_INFERENCE = (
    "Microseconds for one sample, NumPy array in, NumPy array out. Pellucid: the function of `Model.predictor()`, and "
    "the plain `predict` beside it."
)
_ABOUT_KERNELS = (
    "Single products, ours as steps of a native loop as in a training, in GFLOP/s (multiplications with a border's "
    "zeros are not counted), and their share of the peak, which a kernel of independent multiply-adds in registers "
    "showed in turns with them. What is counted is the sum tap by tap: where Pellucid needs fewer multiplications "
    "(by Winograd's tiles, [decision 0027](decisions/0027-winograd-with-a-way-back.md), and by pairs of rows, "
    "[0040](decisions/0040-pairs-of-rows.md), [0042](decisions/0042-pairs-of-rows-by-samples.md)), or makes "
    "them on a matrix unit where there is one ([0037](decisions/0037-products-on-the-matrix-unit.md), "
    "[0038](decisions/0038-convolutions-on-the-matrix-unit.md)), a share can exceed 100 %. PyTorch: the operation on "
    "its own, images in the quicker layout."
)
_ABOUT_ESTIMATORS = (
    "Milliseconds of a whole `fit` as a user of scikit-learn calls it: checks of parameters and data, initial values, "
    "shuffles, all epochs until the stopping rule ends them. Inputs are scaled, float64 where nothing else is said. "
    "Both take the same epochs from the same numbers to the same network, because `random_state` means the same. "
    "The scores are means over five held-out folds: accuracy, or R² of the regressor."
)
_ABOUT_FRESH = (
    "Each in a process of its own. A first fit is 10 steps after all imports, from building the model to the end of "
    "`fit`; empty and warm are the folders where Pellucid, Inductor and XLA keep what they have compiled. Memory is "
    "the process's peak with libraries and data. Peers were started once."
)


def _introduction(session: Session) -> str:
    machine = session.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    threads = ", ".join(f"`{k}={v}`" for k, v in machine.threads.items()) or "every library at its default"
    lines = [
        f"Measured on {session.date} by `python -m benchmarks`; every figure is the median of {session.rounds} rounds "
        "in which the candidates, each in a process of its own on the same cores, take turns. All rounds are in "
        "`benchmarks/results.json`.",
        f"{machine.processor}, {machine.cores} cores, {machine.vector_bits}-bit vectors, {machine.memory_gb:g} GB, "
        f"{machine.system}, Python {machine.python}; threads: {threads}. {versions}.",
    ]
    if session.scope:
        lines.append(f"**Not the whole suite:** {session.scope}.")
    if session.missing:
        lines.append(f"Not installed, so left out: {', '.join(session.missing)}.")
    if crowded := [f"{row.name} ({row.others:.0%} of the cores)" for row in session.rows if row.others > _CROWDED]:
        lines.append(
            "**Others were using the machine**, so that these rows say little (threads that wait for each other in "
            f"OpenMP suffer most): {'; '.join(crowded)}."
        )
    if apart := [time for row in session.rows for time in row.apart]:
        far = [row.name for row in session.rows if row.apart and max(row.apart) > FAR]
        lines.append(
            f"A cache line went from one core to another and back in {min(apart):.0f} to {max(apart):.0f} ns: the host "
            "of a virtual machine may put its cores on one chip or on two sockets, and move them; threads that share "
            f"data take longer then. Beyond {FAR} ns, before or after their turns: {'; '.join(far) or 'no row'}."
        )
    return "\n\n".join(lines)


def _targets(rows: Sequence[Row]) -> str:
    """Which targets are reached and which are not, plainly."""
    judged = [(row, verdict) for row in rows for verdict in row.verdicts()]
    lines = []
    for title, word in (("Reached", "reached"), ("Not reached", "missed"), ("Not measured", "not measured")):
        found = [f"- {row.name}, {v.title}: {cell(v)}" for row, v in judged if v.word == word]
        if found:
            lines.append(f"**{title}: {len(found)} of {len(judged)}.**\n\n" + "\n".join(found))
    return "\n\n".join(["## Targets", *lines]) if lines else ""


def _columns(rows: Sequence[Row]) -> list[str]:
    """The candidates that have a figure in any of the rows, in the order of the list."""
    there = {name for row in rows for name in row.figures}
    return [c.name for c in CANDIDATES if c.name in there]


def _training(rows: Sequence[Row]) -> str:
    columns = _columns(rows)
    header = ["network", *(_TITLES[name] for name in columns), "PyTorch / ours", "JAX / ours", "targets"]
    return table(header, ([*_medians(row, columns), *_ratios(row), _words(row)] for row in rows))


def _medians(row: Row, columns: Sequence[str]) -> list[str]:
    return [row.name, *(quantity(row.median(name)) for name in columns)]


def _ratios(row: Row) -> list[str]:
    """Against the best PyTorch and against JAX, with the targets where there are any."""
    aimed = {target.against: target.bound for target in row.targets if isinstance(target, Ratio)}
    return [
        quantity(row.ratio(against)) + (f" (target {aimed[against]:g})" if against in aimed else "")
        for against in (PYTORCH, JAX)
    ]


def _words(row: Row) -> str:
    return ", ".join(verdict.word for verdict in row.verdicts()) or _NOTHING


def _inference(rows: Sequence[Row]) -> str:
    columns = _columns(rows)
    header = ["network", *(_TITLES[name] for name in columns), "onnxruntime / ours", "target"]
    return table(header, ([*_medians(row, columns), _cells(row), _words(row)] for row in rows))


def _estimators(rows: Sequence[Row]) -> str:
    columns = _columns(rows)
    scores = [f"score, {_TITLES[name]}" for name in columns]
    header = ["fit", *(_TITLES[name] for name in columns), "scikit-learn / ours", "target", *scores]
    return table(
        header,
        (
            [
                *_medians(row, columns),
                quantity(row.ratio(("sklearn",))),
                _words(row),
                *(_score(row, n) for n in columns),
            ]
            for row in rows
        ),
    )


def _score(row: Row, name: str) -> str:
    figure = row.figures.get(name)
    return _NOTHING if figure is None or figure.score is None else f"{figure.score:.4f}"


def _cells(row: Row) -> str:
    return ", ".join(map(cell, row.verdicts())) or _NOTHING


def _kernels(rows: Sequence[Row]) -> str:
    def rate(row: Row, name: str) -> str:
        median = row.median(name)
        return quantity(None if median is None or row.flops is None else row.flops / median / 1e3)

    def share(row: Row, name: str) -> str:
        median, peak = row.median(name), row.median("peak")
        return _NOTHING if median is None or peak is None else f"{peak / median:.0%}"

    columns = _columns(rows)
    rivals = [name for name in columns if name != "peak"]
    header = ["product", *(_TITLES[n] for n in columns), *(f"share, {_TITLES[n]}" for n in rivals), "85 %"]
    return table(
        header,
        ([row.name, *(rate(row, n) for n in columns), *(share(row, n) for n in rivals), _words(row)] for row in rows),
    )


def _fresh(rows: Sequence[Row]) -> str:
    columns = _columns(rows)
    header = ["", "unit", *(_TITLES[name] for name in columns), "target"]

    def goal(row: Row) -> str:
        return ", ".join(f"{verdict.title}: {verdict.word}" for verdict in row.verdicts()) or _NOTHING

    return table(header, ([row.name, row.unit, *_medians(row, columns)[1:], goal(row)] for row in rows))


def _settings(rows: Sequence[Row]) -> str:
    columns = _columns(rows)
    lines = [f"- {_TITLES[c.name]}: {c.setting}." for c in CANDIDATES if c.name in columns]
    burnt = max((figure.burnt for row in rows for figure in row.figures.values()), default=0.0)
    pause = (
        "Nobody's threads are told how to wait (`OMP_WAIT_POLICY` and the like are not set): there are 50 ms after a "
        "turn, 200 ms after scikit-learn's, in which idle threads fall asleep. The most that a candidate's process "
        f"used from the end of a turn to its next was {burnt * 1e3:.0f} ms of processor time. All could use {cores()} "
        "cores."
    )
    return "\n".join(lines) + f"\n\n{pause}"


def _failures(rows: Sequence[Row]) -> str:
    lines = [
        f"- {row.name}, {name}: `{text.strip().splitlines()[-1][:160]}`"
        for row in rows
        for name, text in row.failures.items()
    ]
    return "## What did not work\n\n" + "\n".join(lines) if lines else ""
