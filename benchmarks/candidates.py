"""Who takes part: ours and the peers, what each takes on, and what was set for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.work import Estimation, Inference, Kernel, Training, Work


@dataclass(frozen=True)
class Candidate:
    """One column.

    Attributes:
        library: The peer's name in ``--peers``.
        module: What ``import`` is timed on.
        entry: The function that turns work into variants.
        takes: Whether it takes part in a piece of work.
        setting: What was set for it, for the report.
        needs: Modules without which it is left out.
        environment: Variables set before its libraries are imported.
        rest: Seconds after a turn in which its idle threads fall asleep; nobody else is measured meanwhile.
    """

    name: str
    library: str
    module: str
    entry: str
    takes: Callable[[Work], bool]
    setting: str
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    rest: float = 0.05

    @property
    def is_peer(self) -> bool:
        """Whether it can be left out."""
        return self.library not in {"pellucid", "peak"}


def _trains(work: Work) -> bool:
    return isinstance(work, Training)


def _fits_dense(work: Work) -> bool:
    return isinstance(work, Estimation) or (isinstance(work, Training) and work.net.is_dense)


def _networks_and_kernels(work: Work) -> bool:
    return not isinstance(work, Estimation)


def _whole_networks(work: Work) -> bool:
    return isinstance(work, (Training, Inference))


def _infers(work: Work) -> bool:
    return isinstance(work, Inference)


CANDIDATES = (
    Candidate(
        "ours", "pellucid", "pellucid", "benchmarks.peers.ours:candidate", lambda work: True,
        "`Model.fit`, the function of `Model.predictor()`, `pellucid.compile`, `pellucid.estimators`; nothing set",
    ),
    Candidate(
        "ours, predict", "pellucid", "pellucid", "benchmarks.peers.ours:predict", _infers,
        "`Model.predict`; nothing set",
    ),
    Candidate(
        "peak", "peak", "llvmlite", "benchmarks.peak:candidate", lambda work: isinstance(work, Kernel),
        "independent chains of vector multiply-adds in registers: the time that the product's multiply-adds would "
        "need at the measured peak",
    ),
    Candidate(
        "torch eager", "torch", "torch", "benchmarks.peers.pytorch:eager", _networks_and_kernels,
        "default threads; the quicker of the plain and the fused optimiser, and of contiguous and channels_last "
        "images; batches gathered by index; inference under `inference_mode`",
        ("torch",),
    ),
    Candidate(
        "torch compile", "torch", "torch", "benchmarks.peers.pytorch:compiled", _whole_networks,
        "Inductor, static shapes, full graph; the quicker of the loss compiled in a plain loop and the whole step "
        "(gather, forward, `torch.func` gradient, update) compiled as one graph; images channels_last; the LSTM as a "
        "loop of cells, because TorchDynamo does not take `nn.LSTM`",
        ("torch",),
    ),
    Candidate(
        "jax", "jax", "jax", "benchmarks.peers.jax_scan:candidate", _whole_networks,
        "state donated, gather inside; the quicker of an epoch jitted as one `lax.scan` and of jitted steps one by "
        "one (the latter only for convolutions, which XLA runs several times slower inside a loop), of pooling by "
        "`reduce_window` and by reshaping, of the LSTM's time loop rolled and unrolled",
        ("jax",),
    ),
    Candidate(
        "keras", "keras", "keras", "benchmarks.peers.keras_fit:candidate", _trains,
        "JAX backend, `jit_compile=True`, the quicker of `steps_per_execution` 1 and 32",
        ("keras", "jax"),
        {"KERAS_BACKEND": "jax"},
    ),
    Candidate(
        "sklearn", "sklearn", "sklearn.neural_network", "benchmarks.peers.sklearn_mlp:candidate", _fits_dense,
        "`MLPClassifier.fit` with `max_iter` epochs, no penalty, no early end, `assume_finite`; under Estimators as it "
        "is",
        ("sklearn",),
        # The threads of OpenBLAS (NumPy's and SciPy's) spin for 0.1 s before they sleep.
        rest=0.2,
    ),
    Candidate(
        "onnxruntime", "onnxruntime", "onnxruntime", "benchmarks.peers.onnx_session:candidate", _infers,
        "our weights, opset 21; the quicker of 1 and all `intra_op_num_threads`",
        ("onnxruntime", "onnx"),
    ),
)  # fmt: skip


def is_present(module: str) -> bool:
    """Whether a module could be imported."""
    return importlib.util.find_spec(module) is not None


def libraries() -> tuple[str, ...]:
    """The names that ``--peers`` takes."""
    return tuple(dict.fromkeys(candidate.library for candidate in CANDIDATES if candidate.is_peer))


def choose(
    peers: Iterable[str] | None, present: Callable[[str], bool] = is_present
) -> tuple[list[Candidate], list[str]]:
    """Ours with the peers that are wanted (None: all) and installed; and the peers that are wanted but absent."""
    wanted = libraries() if peers is None else tuple(peers)
    asked = [c for c in CANDIDATES if not c.is_peer or c.library in wanted]
    there = [c for c in asked if all(map(present, c.needs))]
    missing = dict.fromkeys(c.library for c in asked if c not in there)
    return there, list(missing)
