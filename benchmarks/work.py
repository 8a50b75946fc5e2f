"""The rows: what is measured, how much of it at a time, and which ratio is aimed at.

A candidate turns a piece of work into a function ``run(count)``; ``unit`` says how many steps, calls or products one
count stands for, so that seconds / (count * unit) is comparable between candidates.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from benchmarks.nets import Net, Shape, colour, lenet, lstm, mlp

PYTORCH = ("torch eager", "torch compile")
JAX = ("jax",)
RATES = {"sgd": 0.01, "momentum": 0.01, "adam": 0.001}
MOMENTUM = 0.9


@dataclass(frozen=True)
class Ratio:
    """The best of some candidates shall take so many times as long as ours."""

    against: tuple[str, ...]
    title: str
    bound: float


@dataclass(frozen=True)
class Limit:
    """Ours shall take at most so much, in the unit of the row."""

    bound: float


Target = Ratio | Limit


@dataclass(frozen=True)
class Training:
    """Passes of fit over random data: shuffle, gather the batch, forward, gradient, update.

    Attributes:
        steps: Steps of a pass over the data.
        whole: Each step sees all rows (gradient descent), so that a pass is ``steps`` epochs without shuffling.
    """

    name: str
    net: Net
    batch: int
    steps: int
    optimizer: str = "sgd"
    whole: bool = False
    targets: tuple[Target, ...] = ()

    @property
    def unit(self) -> int:
        """Steps of one pass."""
        return self.steps

    @property
    def samples(self) -> int:
        """Rows of the data."""
        return self.batch if self.whole else self.batch * self.steps

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and class numbers."""
        random = np.random.default_rng(0)
        x = random.standard_normal((self.samples, *self.net.inputs), np.float32)
        return x, random.integers(0, self.net.classes, self.samples)

    def shortened(self, steps: int) -> Training:
        """The same with at most so many steps."""
        return dataclasses.replace(self, steps=min(self.steps, steps))


@dataclass(frozen=True)
class Inference:
    """The outputs for one sample, NumPy array in and NumPy array out."""

    name: str
    net: Net
    targets: tuple[Target, ...] = ()
    unit: int = 100

    def sample(self) -> np.ndarray:
        """A batch of one."""
        return np.random.default_rng(0).standard_normal((1, *self.net.inputs), np.float32)


@dataclass(frozen=True)
class MatMul:
    """[rows, inner] @ [inner, columns]."""

    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.rows * self.inner * self.columns

    @property
    def shapes(self) -> tuple[Shape, Shape, Shape]:
        """Of x, of w and of the product."""
        return (self.rows, self.inner), (self.inner, self.columns), (self.rows, self.columns)


@dataclass(frozen=True)
class Convolution:
    """Square images [batch, side, side, channels] and a square window, stride 1, with a border of zeros."""

    batch: int
    side: int
    channels: int
    filters: int
    window: int
    border: int

    @property
    def flops(self) -> float:
        """Multiplications and additions, without those of the border's zeros."""
        inside = sum(
            0 <= place + tap - self.border < self.side for place in range(self._out) for tap in range(self.window)
        )
        return 2.0 * self.batch * inside**2 * self.channels * self.filters

    @property
    def _out(self) -> int:
        return self.side + 2 * self.border - self.window + 1

    @property
    def shapes(self) -> tuple[Shape, Shape, Shape]:
        """Of x, of w and of the output, channels last."""
        return (
            (self.batch, self.side, self.side, self.channels),
            (self.window, self.window, self.channels, self.filters),
            (self.batch, self._out, self._out, self.filters),
        )


@dataclass(frozen=True)
class Kernel:
    """One bare product, beside the time in which the processor's multiply-adds would allow it.

    Attributes:
        way: ``"forward"``, ``"to input"`` or ``"to kernel"`` (the gradients).
    """

    product: MatMul | Convolution
    way: str
    threads: int
    targets: tuple[Target, ...] = (Ratio(("peak",), "FMA peak", 0.85),)
    unit: int = 20

    @property
    def name(self) -> str:
        """The sizes, the way and the threads."""
        p = self.product
        if isinstance(p, MatMul):
            sizes = f"matmul {p.rows}x{p.inner}x{p.columns}"
        else:
            sizes = f"conv {p.window}x{p.window}, {p.channels}->{p.filters}, {p.side}x{p.side}, batch {p.batch}"
        return f"{sizes}, {self.way}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def operands(self) -> list[np.ndarray]:
        """Random x, w and cotangent of the product."""
        random = np.random.default_rng(0)
        arrays = [random.standard_normal(shape, np.float32) / prod(shape) ** 0.25 for shape in self.product.shapes]
        return [on_a_line(array) for array in arrays]


def on_a_line(array: np.ndarray) -> np.ndarray:
    """A dense copy that begins on a cache line, as activations and weights of a network do in every framework."""
    line = 64
    memory = np.empty(array.nbytes + line, np.uint8)
    start = -memory.ctypes.data % line
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@dataclass(frozen=True)
class Estimation:
    """Whole fits of a multi-layer perceptron as scikit-learn's users call it, from arrays to the fitted estimator.

    Attributes:
        data: A data set of scikit-learn, or ``"noise"`` for 10,000 samples of 784 random numbers.
        settings: Parameters that differ from the defaults.
        folds: Cross-validation in so many folds, with four values of ``alpha``; 0 for one fit.
    """

    name: str
    data: str
    settings: tuple[tuple[str, Any], ...] = ()
    folds: int = 0
    targets: tuple[Target, ...] = ()
    #: A thousandth of a fit in microseconds is a fit in milliseconds.
    unit: int = 1000

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs, scaled to mean 0 and deviation 1, and targets."""
        if self.data == "noise":
            random = np.random.default_rng(0)
            return random.standard_normal((10_000, 784), np.float32), random.integers(0, 10, 10_000)
        from sklearn import datasets, preprocessing

        x, y = getattr(datasets, f"load_{self.data}")(return_X_y=True)
        return preprocessing.StandardScaler().fit_transform(x), y


Work = Training | Inference | Kernel | Estimation


@dataclass(frozen=True)
class Part:
    """One of the processes that a fresh measurement starts in a row, with the same folder for caches."""

    title: str
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True)
class Fresh:
    """Something that only a fresh process can show: an import, a first fit, the memory of a fit.

    Attributes:
        task: ``"import"``, ``"first fit"`` or ``"memory"``.
    """

    name: str
    task: str
    work: Training
    parts: tuple[Part, ...] = (Part(""),)

    @property
    def unit_name(self) -> str:
        """What its figures are in."""
        return "MB" if self.task == "memory" else "s"


def _aims(torch: float, jax: float) -> tuple[Target, ...]:
    return Ratio(PYTORCH, "PyTorch", torch), Ratio(JAX, "JAX", jax)


_MNIST_MLP = mlp(784, 100, 10, activation="sigmoid")

_MLP = Training("784-100-10, batch 256", _MNIST_MLP, 256, 234, targets=_aims(1.4, 1.2))
_LENET = Training("LeNet-5, batch 128", lenet(), 128, 60, targets=_aims(3.8, 6))

TRAININGS = (
    _MLP,
    Training("784-100-10, batch 256, Momentum", _MNIST_MLP, 256, 234, "momentum"),
    Training("784-100-10, batch 256, Adam", _MNIST_MLP, 256, 234, "adam"),
    Training("784-100-10, batch 32", _MNIST_MLP, 32, 1875, targets=_aims(5, 1.4)),
    Training(
        "784-500-500-10, batch 128", mlp(784, 500, 500, 10, activation="sigmoid"), 128, 234, targets=_aims(1.5, 1.15)
    ),
    Training("784-32-10, batch 16", mlp(784, 32, 10), 16, 2000, targets=_aims(13, 2.5)),
    Training("4-16-3, batch 8", mlp(4, 16, 3), 8, 5000, targets=_aims(100, 5)),
    Training(
        "4-32-16-4, full batch of 10,000", mlp(4, 32, 16, 4), 10_000, 100, whole=True, targets=_aims(3, 1.4)
    ),
    _LENET,
    Training("LeNet-5, batch 32", lenet(), 32, 200),
    Training("32x32x3 network, batch 64", colour(), 64, 15, targets=_aims(1.15, 3)),
    Training("LSTM 128 on 28x28, batch 128", lstm(), 128, 30, targets=_aims(1.3, 1.3)),
)  # fmt: skip

_SKLEARN = (Ratio(("sklearn",), "scikit-learn", 3.0),)

ESTIMATIONS = (
    *(
        Estimation(f"{kind} on {data}, default settings", data, targets=_SKLEARN)
        for kind, data in (
            ("MLPClassifier", "iris"),
            ("MLPClassifier", "wine"),
            ("MLPClassifier", "breast_cancer"),
            ("MLPClassifier", "digits"),
            ("MLPRegressor", "diabetes"),
        )
    ),
    Estimation("MLPClassifier on digits, SGD", "digits", (("solver", "sgd"),), targets=_SKLEARN),
    Estimation("MLPClassifier on digits, early stopping", "digits", (("early_stopping", True),), targets=_SKLEARN),
    Estimation("MLPClassifier on digits, L-BFGS", "digits", (("solver", "lbfgs"),)),
    Estimation("MLPClassifier on 10,000 x 784, 5 epochs, float32", "noise", (("max_iter", 5),), targets=_SKLEARN),
    Estimation("MLPClassifier on breast_cancer, search of 4 alphas in 5 folds", "breast_cancer", folds=5),
)

_ONNX = (Ratio(("onnxruntime",), "onnxruntime", 1.0),)

INFERENCES = (
    Inference("784-100-10, one sample", _MNIST_MLP, _ONNX),
    Inference("LeNet-5, one sample", lenet(), _ONNX),
)

_MATMULS = (MatMul(128, 784, 500), MatMul(256, 784, 100))
_CONVOLUTIONS = (
    Convolution(128, 28, 1, 6, 5, 2),
    Convolution(128, 14, 6, 16, 5, 0),
    Convolution(64, 32, 3, 32, 3, 1),
    Convolution(64, 32, 32, 32, 3, 1),
    Convolution(64, 16, 32, 64, 3, 1),
    Convolution(64, 16, 64, 64, 3, 1),
)
_FIRST = (*_MATMULS, _CONVOLUTIONS[0], _CONVOLUTIONS[2])


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kernels() -> list[Kernel]:
    """The bare products: forward on one thread, everything on all."""
    found = []
    for product in (*_MATMULS, *_CONVOLUTIONS):
        # Of a first layer, the gradient of its input is never computed.
        first = product in _FIRST
        ways = ("forward", "to kernel") if first else ("forward", "to input", "to kernel")
        found.append(Kernel(product, "forward", 1))
        if cores() > 1:
            found += [Kernel(product, way, cores()) for way in ways]
    return found


_CACHES = (Part(", empty caches", (Limit(10.0),)), Part(", warm caches", (Limit(0.5),)))

FRESH = (
    Fresh("import", "import", _MLP),
    Fresh("first fit of 784-100-10", "first fit", _MLP.shortened(10), _CACHES),
    Fresh("first fit of LeNet-5", "first fit", _LENET.shortened(10), _CACHES),
    Fresh("peak memory, 784-100-10 on 60,000 samples", "memory", _MLP),
    Fresh("peak memory, LeNet-5 on 7,680 samples", "memory", _LENET),
)
