"""The processor's own limit: fused multiply-adds in registers, as many as can be under way at once."""

from __future__ import annotations

import ctypes
import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from benchmarks.native import compiled
from benchmarks.serving import Run, Variants
from benchmarks.work import Kernel, Work

_FEATURES = (("avx512f", 16, 24), ("avx2", 8, 12), ("neon", 4, 24))


def registers() -> tuple[int, int]:
    """Floats in a vector, and independent chains: as many as stay in registers beside the two factors."""
    features = llvm.get_host_cpu_features()
    return next(((lanes, chains) for name, lanes, chains in _FEATURES if features.get(name)), (4, 12))


def source(lanes: int, chains: int) -> str:
    """``peak(memory, n)``: n rounds of a <- a x + y in every chain, in LLVM's language; a, x and y are in memory."""
    vector, fma, numbers = f"<{lanes} x float>", f"@llvm.fma.v{lanes}f32", range(chains)
    phis = [f"%a{k} = phi {vector} [%start, %entry], [%b{k}, %loop]" for k in numbers]
    calls = [f"%b{k} = call {vector} {fma}({vector} %a{k}, {vector} %x, {vector} %y)" for k in numbers]
    names = ["%b0", *(f"%s{k}" for k in numbers[1:])]
    sums = [f"%s{k} = fadd {vector} {names[k - 1]}, %b{k}" for k in numbers[1:]]
    loads = [
        f"%p{name} = getelementptr {vector}, ptr %memory, i64 {place}\n%{name} = load {vector}, ptr %p{name}, align 4"
        for place, name in enumerate(("start", "x", "y"))
    ]
    lines = [
        f"declare {vector} {fma}({vector}, {vector}, {vector})",
        "define void @peak(ptr %memory, i64 %n) {", "entry:", *loads, "br label %loop",
        "loop:", "%i = phi i64 [0, %entry], [%j, %loop]", *phis, *calls,
        "%j = add i64 %i, 1", "%more = icmp slt i64 %j, %n", "br i1 %more, label %loop, label %done",
        "done:", *sums, f"store {vector} {names[-1]}, ptr %memory, align 4", "ret void", "}",
    ]  # fmt: skip
    return "\n".join(lines)


@lru_cache(maxsize=1)
def _kernel() -> tuple[Any, Any]:
    """The engine that owns the code, and the code as a function."""
    return compiled(source(*registers()), "peak", ctypes.c_void_p, ctypes.c_int64)


def multiply_add(rounds: int) -> np.ndarray:
    """Run the chains from 1 with a <- a 0.5 + 0.5, whose result is 1 again; the sum of the chains."""
    lanes, _ = registers()
    memory = np.repeat(np.array([1.0, 0.5, 0.5], np.float32), lanes)
    _kernel()[1](memory.ctypes.data, rounds)
    return memory[:lanes]


def candidate(work: Work) -> Variants:
    """As many multiply-adds as the product needs, on as many threads."""
    assert isinstance(work, Kernel)
    lanes, chains = registers()
    rounds = math.ceil(work.product.flops * work.unit / (2 * lanes * chains * work.threads))

    def make() -> Run:
        multiply_add(1)
        pool = ThreadPoolExecutor(work.threads)

        def run(count: int) -> None:
            list(pool.map(multiply_add, [rounds * count] * work.threads))

        return run

    return {f"{chains} chains of {lanes} lanes": make}
