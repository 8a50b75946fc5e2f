"""The table of a model's layers."""

from __future__ import annotations

from typing import Any

from pellucid.shapes import show


def summary(model: Any) -> str:
    """Layers with the shape of their output and their parameters, and the sums.

    Columns: the layer with its kind, the output's shape (? is the batch), the shapes and number of its parameters, and
    which layers feed it (where that is not simply the one above).
    """
    rows = [("layer", "output", "parameters", "count", "from")]
    for symbol in model.inputs:
        rows.append((f"{symbol.name} (Input)", show(symbol.shape), "", "0", ""))
    counted: set[int] = set()
    above = model.inputs[-1] if len(model.inputs) == 1 else None
    for call in model.network.calls:
        layer = call.layer
        shapes = "  ".join(f"{_own_name(p.name)}{show(p.shape)}" for p in layer.parameters)
        count = 0 if id(layer) in counted else layer.count_parameters()
        counted.add(id(layer))
        plain = len(call.inputs) == 1 and call.inputs[0] is above
        sources = "" if plain else ", ".join(s.call.layer.label if s.call else str(s.name) for s in call.inputs)
        outputs = " ".join(show(symbol.shape) for symbol in call.outputs)
        rows.append((f"{layer.label} ({type(layer).__name__})", outputs, shapes, f"{count:,}", sources))
        above = call.outputs[-1] if len(call.outputs) == 1 else None
    return "\n".join([f'model "{model.label}"', _table(rows), *_totals(model)])


def _own_name(name: str | None) -> str:
    return (name or "").rsplit(".", 1)[-1]


def _table(rows: list[tuple[str, ...]]) -> str:
    used = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    widths = {i: max(len(row[i]) for row in rows) for i in used}

    def line(row: tuple[str, ...]) -> str:
        return "  ".join(row[i].rjust(widths[i]) if i == 3 else row[i].ljust(widths[i]) for i in used).rstrip()

    rule = "-" * max(len(line(row)) for row in rows)
    return "\n".join([rule, line(rows[0]), rule, *(line(row) for row in rows[1:]), rule])


def _totals(model: Any) -> list[str]:
    total = model.count_parameters()
    trainable = sum(p.size for p in model.trainable_parameters)
    bytes_used = sum(p.numpy().nbytes for p in model.parameters)
    lines = [f"parameters: {total:,} ({_bytes(bytes_used)})"]
    if trainable != total:
        lines.append(f"trainable: {trainable:,}; not trainable: {total - trainable:,}")
    return lines


def _bytes(count: int) -> str:
    if count < 10_000:
        return f"{count} bytes"
    return f"{count / 1024:.0f} KiB" if count < 10_000_000 else f"{count / 1024**2:.0f} MiB"
