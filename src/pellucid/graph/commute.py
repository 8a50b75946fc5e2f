"""Operations that change places: the same numbers with less work."""

from __future__ import annotations

from pellucid.graph.ir import Graph, Node, Var
from pellucid.graph.replay import Replay
from pellucid.op import apply
from pellucid.ops.elementwise import relu
from pellucid.ops.indexing import take_along_axis
from pellucid.ops.movement import reshape


def pool_before_relu(graph: Graph) -> Graph:
    """max_pool(relu(x)) = relu(max_pool(x)), where nothing else reads relu(x).

    relu keeps the order of numbers, so that the largest element of a window is the same one. Where a window holds
    nothing positive another one may be called the largest; its gradient is 0 in either form.
    """
    users: dict[Var, list[Node]] = {}
    for node in graph.nodes:
        for var in node.inputs:
            users.setdefault(var, []).append(node)
    places = {node.output: node for node in graph.nodes if node.op.name == "max_pool_index"}
    outputs = set(graph.outputs)

    def alone(var: Var, count: int = 1) -> bool:
        return var not in outputs and len(users.get(var, ())) == count

    def found(node: Node) -> tuple[Node, Node] | None:
        """For the node that takes the winners of a pooling of relu(x): relu's node and the pooling's."""
        if node.op.name != "take_along_axis" or node.attributes["axis"] != 1:
            return None
        image, index = map(_unreshaped, node.inputs)
        pool, activation = places.get(index), image.record
        if pool is None or pool.inputs[0] is not image or activation is None or activation.op.name != "relu":
            return None
        single = alone(image, 2) and all(alone(var) for var in {*node.inputs, index} - {image})
        return (activation, pool) if single else None

    def rule(replay: Replay, node: Node, inputs: tuple[Var, ...]) -> Var | None:
        pair = found(node)
        if pair is None:
            return None
        activation, pool = pair
        x = replay.env[activation.inputs[0]]
        index = apply(pool.op, x, **pool.attributes)
        flat, winners = reshape(x, inputs[0].spec.shape), reshape(index, inputs[1].spec.shape)
        # Relu on the image rather than on its rows: so that what follows in the gradient is an image, too.
        pooled = relu(reshape(take_along_axis(flat, winners, 1), index.spec.shape))
        return reshape(pooled, node.output.spec.shape)

    replay = Replay(graph)
    replay.run(rule)
    return replay.finish()


def _unreshaped(var: Var) -> Var:
    """What a variable was before it was reshaped."""
    return var.record.inputs[0] if var.record is not None and var.record.op.name == "reshape" else var
