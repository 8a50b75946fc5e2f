"""``python -m benchmarks``: measure everything, write the results and the page."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import fresh, machine, report, runner
from benchmarks.candidates import Candidate, choose, libraries
from benchmarks.results import Row
from benchmarks.runner import Plan
from benchmarks.work import ESTIMATIONS, FRESH, INFERENCES, TRAININGS, Work, kernels

_ROOT = Path(__file__).parents[1]
_QUICK = Plan(rounds=2, seconds=0.05, kernel_seconds=0.02)
_QUICK_STEPS = 30


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours beside the peers, in turns.")
    parser.add_argument("--only", metavar="SUBSTRING", help="rows whose name contains this")
    parser.add_argument("--peers", nargs="*", choices=libraries(), help="peers to compare with (default: all)")
    parser.add_argument("--rounds", type=int, default=None, help=f"rounds that count (default: {Plan.rounds})")
    parser.add_argument("--quick", action="store_true", help="few steps and rounds: does everything run?")
    parser.add_argument("--out", type=Path, help="results as JSON (default: benchmarks/results.json)")
    parser.add_argument("--table", type=Path, help="page for readers (default: docs/benchmarks.md)")
    options = parser.parse_args(given)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def plan_of(options: argparse.Namespace) -> Plan:
    """How much to measure."""
    plan = _QUICK if options.quick else Plan()
    return plan if options.rounds is None else dataclasses.replace(plan, rounds=options.rounds)


def scope_of(options: argparse.Namespace) -> str:
    """What makes this less than the whole suite; empty for the whole."""
    parts = ["few steps and rounds" if options.quick else ""]
    parts.append(f'only rows with "{options.only}" in their name' if options.only else "")
    parts.append("" if options.peers is None else f"peers: {', '.join(options.peers) or 'none'}")
    return ", ".join(filter(None, parts))


def places(options: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """Where results and page go: a part of the suite does not replace the record of the whole."""
    whole = not scope_of(options)
    out = options.out or (_ROOT / "benchmarks" / "results.json" if whole else folder / "results.json")
    return out, options.table or (_ROOT / "docs" / "benchmarks.md" if whole else folder / "benchmarks.md")


def groups(only: str | None, quick: bool) -> list[list[Work]]:
    """The work, in groups that share processes: a training has fresh ones, small things do not need them."""
    trainings = [work.shortened(_QUICK_STEPS) if quick else work for work in TRAININGS]
    all_groups: list[Sequence[Work]] = [*([work] for work in trainings), INFERENCES, kernels(), ESTIMATIONS]
    found = [[work for work in group if not only or only in work.name] for group in all_groups]
    return [group for group in found if group]


def rows(options: argparse.Namespace, candidates: Sequence[Candidate], folder: Path) -> Iterator[Row]:
    """Measure one after another."""
    plan = plan_of(options)
    for group in groups(options.only, options.quick):
        yield from runner.measure(group, candidates, plan, folder)
    for item in FRESH:
        if not options.only or any(options.only in item.name + part.title for part in item.parts):
            yield from fresh.measure(item, candidates, 1 if options.quick else min(plan.rounds, 3))


def main(given: Sequence[str] | None = None) -> int:
    """Run the suite."""
    options = arguments(given)
    candidates, missing = choose(options.peers)
    folder = Path(tempfile.mkdtemp(prefix="pellucid-benchmarks-"))
    described = machine.describe()
    print(f"{described.processor}, {described.cores} cores, load {described.load:.2f}; logs in {folder}")
    if missing:
        print(f"not installed: {', '.join(missing)} (pip install '.[peers]')")
    measured: list[Row] = []
    try:
        for row in rows(options, candidates, folder):
            measured.append(row)
            print(report.line(row), flush=True)
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return 130
    date = datetime.date.today().isoformat()
    session = report.Session(described, date, plan_of(options).rounds, scope_of(options), missing, measured)
    out, table = places(options, folder)
    report.write_json(session, out)
    report.write_markdown(session, table)
    print(f"{out}\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
