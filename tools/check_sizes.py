"""The size budget: files under 500 lines with a median under 200, functions under 40 lines without their docstring."""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path

FILE_LIMIT, MEDIAN_LIMIT, FUNCTION_LIMIT = 500, 200, 40
SOURCE = Path(__file__).parents[1] / "src" / "pellucid"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its name on, without its docstring."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def violations() -> list[str]:
    found, lengths = [], []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        name = path.relative_to(SOURCE.parents[1])
        lengths.append(len(text.splitlines()))
        if lengths[-1] >= FILE_LIMIT:
            found.append(f"{name}: {lengths[-1]} lines (limit {FILE_LIMIT})")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and body_lines(node) > FUNCTION_LIMIT:
                found.append(f"{name}:{node.lineno} {node.name}: {body_lines(node)} lines (limit {FUNCTION_LIMIT})")
    if statistics.median(lengths) >= MEDIAN_LIMIT:
        found.append(f"median file: {statistics.median(lengths)} lines (limit {MEDIAN_LIMIT})")
    return found


if __name__ == "__main__":
    problems = violations()
    print("\n".join(problems) or "sizes: within the budget")
    sys.exit(1 if problems else 0)
