"""PyTorch on the CPU: a plain loop, and torch.compile of the loss or of the whole step.

Variants that are tried: channels_last or not (images), the fused optimiser or the plain one (eager), the loss compiled
in a plain loop or the whole step compiled as one graph through ``torch.func`` (gather, forward, gradient, update).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.grad
from torch import nn

from benchmarks.nets import Conv, Dense, Flatten, Lstm, Net, Pool, Stage
from benchmarks.serving import Run, Variants
from benchmarks.work import MOMENTUM, RATES, Inference, Kernel, MatMul, Training, Work

Step = Callable[[torch.Tensor], object]


def eager(work: Work) -> Variants:
    """Operation by operation."""
    match work:
        case Training():
            x, y = _data(work)
            formats = (False, True) if work.net.has_images else (False,)
            return {
                _label("fused" if fused else "plain", last): partial(_looped, work, _eager_step, x, y, last, fused)
                for last in formats
                for fused in (False, True)
            }
        case Inference():
            return _inference(work, {"inference_mode": lambda module: module})
        case Kernel():
            return _product(work)


def compiled(work: Work) -> Variants:
    """Through TorchDynamo and Inductor."""
    if isinstance(work, Inference):
        return _inference(work, {"compile": lambda module: torch.compile(module, fullgraph=True, dynamic=False)})
    assert isinstance(work, Training)
    x, y = _data(work)
    # In trials channels_last always won here, and Inductor takes 10 s for each.
    last = work.net.has_images
    steps = {"loss compiled": _compiled_loss, "whole step compiled": _compiled_step}
    return {_label(name, last): partial(_looped, work, step, x, y, last) for name, step in steps.items()}


def _label(name: str, channels_last: bool) -> str:
    return f"{name}, channels_last" if channels_last else name


# The network.


class LastState(nn.Module):
    """PyTorch's own LSTM, and of it the last state."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0][:, -1]


class Unrolled(nn.Module):
    """An LSTM as a loop of cells: TorchDynamo does not take nn.LSTM."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.from_input = nn.Linear(features, 4 * units)
        self.from_state = nn.Linear(units, 4 * units, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.from_input(x)
        h = c = x.new_zeros(len(x), self.units)
        for t in range(x.shape[1]):
            i, f, g, o = (z[:, t] + self.from_state(h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h


def module_of(net: Net, lstm: type[nn.Module] = LastState) -> nn.Module:
    """The network up to the logits."""
    torch.manual_seed(0)
    modules = [module for stage in net.stages() for module in _modules(stage, lstm)]
    module = nn.Sequential(*modules)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    return module


def _modules(stage: Stage, lstm: type[nn.Module]) -> list[nn.Module]:
    activations = {"relu": [nn.ReLU()], "sigmoid": [nn.Sigmoid()], "softmax": []}
    match stage.layer:
        case Dense(units, activation):
            return [nn.Linear(stage.inputs[0], units), *activations[activation]]
        case Conv(filters, window) as conv:
            return [nn.Conv2d(stage.inputs[-1], filters, window, padding=conv.border), nn.ReLU()]
        case Pool():
            return [nn.MaxPool2d(2)]
        case Flatten():
            return [nn.Flatten()]
        case Lstm(units):
            return [lstm(stage.inputs[-1], units)]


# Training.


def _data(work: Training) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = (torch.from_numpy(part) for part in work.data())
    # Images come channels last: the permuted view is what PyTorch calls channels_last.
    return (x.permute(0, 3, 1, 2) if work.net.has_images else x), y


def _placed(x: torch.Tensor, module: nn.Module, channels_last: bool) -> tuple[torch.Tensor, nn.Module]:
    if x.ndim != 4:
        return x, module
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return x.contiguous(memory_format=layout), module.to(memory_format=layout)  # type: ignore[call-overload]


def _looped(work: Training, make: Callable[..., Step], x: torch.Tensor, y: torch.Tensor, *how: bool) -> Run:
    """Passes of shuffled batches."""
    step, samples = make(work, x, y, *how), len(x)
    everything = torch.arange(samples)

    def run(count: int) -> None:
        for _ in range(count):
            batches = [everything] * work.steps if work.whole else torch.randperm(samples).split(work.batch)
            for rows in batches:
                step(rows)

    return run


def _optimizer(work: Training, parameters: Any, fused: bool) -> torch.optim.Optimizer:
    rate = RATES[work.optimizer]
    if work.optimizer == "adam":
        return torch.optim.Adam(parameters, rate, fused=fused)
    return torch.optim.SGD(parameters, rate, momentum=MOMENTUM if work.optimizer == "momentum" else 0.0, fused=fused)


def _eager_step(work: Training, x: torch.Tensor, y: torch.Tensor, channels_last: bool, fused: bool) -> Step:
    inputs, module = _placed(x, module_of(work.net), channels_last)
    return _plain_step(work, inputs, y, module, lambda a, b: nn.functional.cross_entropy(module(a), b), fused)


def _compiled_loss(work: Training, x: torch.Tensor, y: torch.Tensor, channels_last: bool) -> Step:
    inputs, module = _placed(x, module_of(work.net, Unrolled), channels_last)

    @torch.compile(fullgraph=True, dynamic=False)
    def loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(module(a), b)

    return _plain_step(work, inputs, y, module, loss, fused=False)


def _plain_step(
    work: Training, x: torch.Tensor, y: torch.Tensor, module: nn.Module, loss: Callable[..., Any], fused: bool
) -> Step:
    optimizer = _optimizer(work, module.parameters(), fused)

    def step(rows: torch.Tensor) -> None:
        # With all rows in each step there is nothing to gather.
        a, b = (x, y) if work.whole else (x[rows], y[rows])
        optimizer.zero_grad()
        loss(a, b).backward()
        optimizer.step()

    return step


def _compiled_step(work: Training, x: torch.Tensor, y: torch.Tensor, channels_last: bool) -> Step:
    inputs, module = _placed(x, module_of(work.net, Unrolled), channels_last)
    names = [name for name, _ in module.named_parameters()]
    parameters = [p.detach() for p in module.parameters()]
    slots = [[torch.zeros_like(p) for p in parameters] for _ in range(2)]
    time = torch.zeros(())

    def loss(values: Sequence[torch.Tensor], a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        logits = torch.func.functional_call(module, dict(zip(names, values, strict=True)), (a,))
        return nn.functional.cross_entropy(logits, b)

    # What changes is an argument: a tensor that is closed over would be guarded anew in every call.
    @torch.compile(fullgraph=True, dynamic=False)
    def step(
        values: list[Any], slots: list[Any], time: torch.Tensor, x: torch.Tensor, y: torch.Tensor, rows: Any
    ) -> Any:
        a, b = (x, y) if work.whole else (x[rows], y[rows])
        gradients, value = torch.func.grad_and_value(loss)(values, a, b)
        _update(work.optimizer, values, gradients, slots, time)
        return value

    return lambda rows: step(parameters, slots, time, inputs, y, rows)


def _update(optimizer: str, values: Any, gradients: Any, slots: Any, time: torch.Tensor) -> None:
    """One step in place, in the optimisers' own formulas."""
    rate = RATES[optimizer]
    time.add_(1)
    for w, g, m, v in zip(values, gradients, *slots, strict=True):
        if optimizer == "sgd":
            w.sub_(rate * g)
        elif optimizer == "momentum":
            m.mul_(MOMENTUM).add_(g)
            w.sub_(rate * m)
        else:
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g * g)
            root = torch.sqrt(v / (1 - 0.999**time)) + 1e-8
            w.sub_(rate * m / (1 - 0.9**time) / root)


# Inference and bare products.


def _inference(work: Inference, wrap: dict[str, Callable[[nn.Module], Any]]) -> Variants:
    given = work.sample()
    sample = given.transpose(0, 3, 1, 2) if work.net.has_images else given

    def make(wrapping: Callable[[nn.Module], Any]) -> Run:
        module = wrapping(nn.Sequential(module_of(work.net), nn.Softmax(-1)).eval())

        def run(count: int) -> None:
            with torch.inference_mode():
                for _ in range(count * work.unit):
                    module(torch.from_numpy(sample)).numpy()

        return run

    return {name: partial(make, wrapping) for name, wrapping in wrap.items()}


def _product(work: Kernel) -> Variants:
    torch.set_num_threads(work.threads)
    operands = [torch.from_numpy(operand) for operand in work.operands()]

    def make(channels_last: bool) -> Run:
        call = _matmul(work, operands) if isinstance(work.product, MatMul) else _conv(work, operands, channels_last)

        def run(count: int) -> None:
            with torch.inference_mode():
                for _ in range(count * work.unit):
                    call()

        return run

    formats = (False,) if isinstance(work.product, MatMul) else (False, True)
    return {_label("eager", last): partial(make, last) for last in formats}


def _matmul(work: Kernel, operands: list[torch.Tensor]) -> Callable[[], object]:
    x, w, ct = operands
    return {"forward": lambda: x @ w, "to input": lambda: ct @ w.T, "to kernel": lambda: x.T @ ct}[work.way]


def _conv(work: Kernel, operands: list[torch.Tensor], channels_last: bool) -> Callable[[], object]:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x, w, ct = operands
    x, ct = (t.permute(0, 3, 1, 2).contiguous(memory_format=layout) for t in (x, ct))
    w = w.permute(3, 2, 0, 1).contiguous(memory_format=layout)
    assert not isinstance(work.product, MatMul)
    border = work.product.border
    return {
        "forward": lambda: nn.functional.conv2d(x, w, padding=border),
        "to input": lambda: torch.nn.grad.conv2d_input(x.shape, w, ct, padding=border),
        "to kernel": lambda: torch.nn.grad.conv2d_weight(x, w.shape, ct, padding=border),
    }[work.way]
