"""Machine code for what is measured: written in LLVM's language, called without the interpreter's lock."""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm


def compiled(source: str, name: str, *arguments: Any) -> tuple[Any, Any]:
    """The engine that owns the code, which must be kept, and a function of the source for this very processor.

    Args:
        source: A module in LLVM's language.
        name: The function; it returns nothing.
        arguments: Their types, those of :mod:`ctypes`.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(source), machine)
    engine.finalize_object()
    return engine, ctypes.CFUNCTYPE(None, *arguments)(engine.get_function_address(name))
