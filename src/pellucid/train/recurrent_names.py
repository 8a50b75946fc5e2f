"""What the inner values of recurrent layers are called: the letters of their equations, and the number of the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pellucid.graph import Node, Var

#: Kind of layer -> the gates in the order of their blocks.
GATES = {"LSTM": "ifgo", "GRU": "zrn", "SimpleRNN": ""}


def recurrent_names(kind: str, nodes: Sequence[Node], recurrent_kernel: Var, label: str) -> Iterator[tuple[Var, str]]:
    """The variables of an unrolled layer that its equations name, and names such as ``lstm_c_0``.

    Args:
        kind: ``"LSTM"``, ``"GRU"`` or ``"SimpleRNN"``.
        nodes: The forward nodes of the layer, in order.
        recurrent_kernel: The variable of U.
        label: What the layer is called.
    """
    step, state = -1, -1
    units = recurrent_kernel.spec.shape[0]
    for node in nodes:
        made = [v.record for v in node.inputs]
        ops = [record.op.name if record else "" for record in made]
        if node.op.name == "matmul" and node.inputs[1] is recurrent_kernel:
            step += 1
        elif node.op.name in ("sigmoid", "tanh") and (block := _block(node, units)) is not None:
            if block < len(GATES[kind]):
                yield node.output, f"{label}_{GATES[kind][block]}_{step}"
        elif kind == "SimpleRNN" and step > state and node.op.name != "add":
            state = step
            yield node.output, f"{label}_h_{step}"
        elif node.op.name == "add" and ops == ["mul", "mul"]:
            yield node.output, f"{label}_{'c' if kind == 'LSTM' else 'h'}_{step}"
        elif kind == "LSTM" and node.op.name == "add" and "matmul" in ops:
            yield node.output, f"{label}_z_{step}"
        elif kind == "LSTM" and node.op.name == "mul" and ops == ["sigmoid", "tanh"] and _block(made[1], units) is None:
            yield node.output, f"{label}_h_{step}"


def _block(node: Node | None, units: int) -> int | None:
    """Which block of its pre-activation a gate reads; None where it reads no block."""
    pending = list(node.inputs) if node is not None else []
    while pending:
        record = pending.pop().record
        if record is not None and record.op.name == "slice":
            return record.attributes["starts"][-1] // units
        if record is not None and record.op.name in ("add", "mul"):
            pending.extend(reversed(record.inputs))
    return None
