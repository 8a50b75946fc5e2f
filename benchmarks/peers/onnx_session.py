"""onnxruntime: inference of our weights, exported by hand; one or all threads in an operation, whichever is quicker."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.nets import Conv, Dense, Flatten, Net, Pool
from benchmarks.peers.ours import model_of
from benchmarks.serving import Run, Variants
from benchmarks.work import Inference, Work, cores

# The default of onnx 1.23 is refused by onnxruntime 1.31.
_OPSET, _IR = 21, 10


def candidate(work: Work) -> Variants:
    """``InferenceSession.run``."""
    assert isinstance(work, Inference)
    network = export(work.net, list(model_of(work.net).get_weights().values()))
    return {
        f"intra_op_num_threads={threads}": partial(_session, work, network, threads) for threads in sorted({1, cores()})
    }


def _session(work: Inference, network: bytes, threads: int) -> Run:
    session = session_of(network, threads)
    # [1, height, width, 1] and [1, 1, height, width] are the same numbers in the same order.
    feed = {"x": np.ascontiguousarray(planes(work.sample()))}

    def run(count: int) -> None:
        for _ in range(count * work.unit):
            session.run(None, feed)

    return run


def session_of(network: bytes, threads: int) -> onnxruntime.InferenceSession:
    """A session with so many threads in an operation."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def planes(x: np.ndarray) -> np.ndarray:
    """Images with channels first, as ONNX has them; anything else as it is."""
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 else x


def export(net: Net, weights: list[np.ndarray]) -> bytes:
    """The network with these weights (kernel and bias in turns) for batches of one."""
    graph = _Graph(weights)
    for stage in net.stages():
        match stage.layer:
            case Dense(_, activation):
                graph.dense(activation)
            case Conv(_, window) as conv:
                graph.conv(window, conv.border)
            case Pool():
                graph.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            case Flatten():
                graph.flatten(stage.inputs)
            case other:
                raise NotImplementedError(f"export of {other}")
    return graph.finish(planes(np.zeros((1, *net.inputs))).shape, net.classes)


class _Graph:
    """Nodes in a row, written down layer by layer."""

    def __init__(self, weights: list[np.ndarray]) -> None:
        self._weights = iter(weights)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._last = "x"
        self._order: np.ndarray | None = None

    def add(self, kind: str, *constants: np.ndarray, **attributes: Any) -> None:
        """A node on the last output and on constants."""
        inputs = [self._last]
        for value in constants:
            inputs.append(f"c{len(self._constants)}")
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), inputs[-1]))
        self._last = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [self._last], **attributes))

    def dense(self, activation: str) -> None:
        """x W + b and its activation."""
        kernel, bias = next(self._weights), next(self._weights)
        if self._order is not None:
            kernel, self._order = kernel[self._order], None
        self.add("Gemm", kernel, bias)
        self.add({"relu": "Relu", "sigmoid": "Sigmoid", "softmax": "Softmax"}[activation])

    def conv(self, window: int, border: int) -> None:
        """A convolution and relu."""
        kernel, bias = next(self._weights), next(self._weights)
        self.add("Conv", kernel.transpose(3, 2, 0, 1), bias, kernel_shape=[window, window], pads=[border] * 4)
        self.add("Relu")

    def flatten(self, shape: tuple[int, ...]) -> None:
        """Channels come first here: the next dense layer's rows are sorted accordingly."""
        self._order = np.arange(np.prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()
        self.add("Flatten")

    def finish(self, shape: tuple[int, ...], classes: int) -> bytes:
        """The model as it would lie in a file."""
        self._nodes[-1].output[0] = "y"
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, classes])
        graph = helper.make_graph(self._nodes, "net", [x], [y], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
        return model.SerializeToString()
