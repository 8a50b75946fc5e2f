"""Rebuilding a graph node by node keeps inputs, constants, layers and places."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.graph.build import VECTOR, assert_same_numbers, graph_of, names, run

from pellucid import ops
from pellucid.graph import Graph, verify
from pellucid.graph.ir import Node
from pellucid.graph.replay import Replay
from pellucid.op import scope


def source() -> Graph:
    def function(x: Any, y: Any) -> Any:
        with scope("layer"):
            return ops.exp(x) * y + np.arange(3.0, dtype="float32"), x

    return graph_of(function, VECTOR, VECTOR, arg_names=["x", "y"])


def test_a_replay_without_a_rule_is_a_copy() -> None:
    before = source()
    replay = Replay(before)
    replay.run()
    after = replay.finish()
    verify(after)
    assert str(after) == str(before)
    assert [node.scope for node in after.nodes] == [("layer",)] * 3
    assert [node.place for node in after.nodes] == [node.place for node in before.nodes]
    assert not {*before.names()} & {*after.names()}
    assert_same_numbers(before, after)


def test_a_rule_may_replace_a_node_and_later_ones_see_it() -> None:
    def rule(replay: Replay, node: Node, inputs: tuple) -> Any:
        return ops.sin(inputs[0]) if node.op.name == "exp" else None

    before = source()
    replay = Replay(before)
    replay.run(rule)
    after = replay.finish()
    verify(after)
    assert names(after) == ["sin", "mul", "add"]
    assert after.nodes[0].scope == ("layer",)
    assert after.nodes[0].place == before.nodes[0].place
    expected = np.sin([0, 1, 2]) + np.arange(3)
    np.testing.assert_allclose(run(after, [0, 1, 2], [1, 1, 1])[0], expected, rtol=1e-6)


def test_a_rule_may_give_numbers() -> None:
    replay = Replay(source())
    replay.run(lambda replay, node, inputs: np.full(3, 5, "float32") if node.op.name == "exp" else None)
    after = replay.finish()
    verify(after)
    assert names(after) == ["mul", "add"]
    assert run(after, [0, 0, 0], [1, 2, 3])[0].tolist() == [5.0, 11.0, 17.0]


def test_only_constants_have_numbers() -> None:
    replay = Replay(source())
    replay.run()
    ((constant, numbers),) = replay.source.constants
    np.testing.assert_array_equal(replay.value(replay.env[constant]), numbers)
    assert replay.value(replay.env[replay.source.inputs[0]]) is None
    assert replay.value(replay.env[replay.source.outputs[0]]) is None


def test_extra_outputs_follow_the_old_ones() -> None:
    replay = Replay(source())
    replay.run()
    after = replay.finish((replay.tracer.inputs[1],))
    assert len(after.outputs) == 3
    assert after.outputs[2] is after.inputs[1]
