"""The host processor as LLVM sees it, and the way from an LLVM module to an address that can be called."""

from __future__ import annotations

import hashlib
import threading
from functools import lru_cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from pellucid.backends.cpu.object_cache import ObjectCache

_lock = threading.Lock()
_compiled: dict[str, tuple[Any, int]] = {}
_cache = ObjectCache()


@lru_cache(maxsize=1)
def machine() -> Any:
    """The target machine: this very processor, with all its instructions."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, jit=True
    )


@lru_cache(maxsize=1)
def vector_bytes() -> int:
    """Bytes of the widest vector register: 64 with AVX-512, 32 with AVX2, else 16."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") else 16


def is_x86() -> bool:
    """Whether the processor is of the x86 family."""
    return llvm.get_process_triple().startswith(("x86_64", "i386", "i686"))


def is_windows() -> bool:
    """Whether the system is Windows."""
    return "windows" in llvm.get_process_triple()


def address_of(module_text: str, function: str) -> int:
    """The address of a function of a module, compiled once per machine and kept for the life of the process."""
    key = hashlib.sha256(f"{_fingerprint()}{module_text}".encode()).hexdigest()
    with _lock:
        if key not in _compiled:
            _compiled[key] = _compile(module_text, function, key)
        return _compiled[key][1]


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    """Everything that machine code depends on beside its source."""
    features = llvm.get_host_cpu_features().flatten()
    return f"{llvmlite.__version__} {llvm.llvm_version_info} {llvm.get_host_cpu_name()} {features}\n"


def _compile(module_text: str, function: str, key: str) -> tuple[Any, int]:
    module = llvm.parse_assembly(module_text)
    module.verify()
    known = _cache.load(key)
    if known is None:
        _optimize(module)
    engine = llvm.create_mcjit_compiler(module, machine())
    engine.set_object_cache(
        notify_func=lambda module, code: None if known else _cache.store(key, code),
        getbuffer_func=lambda module: known,
    )
    engine.finalize_object()
    return engine, engine.get_function_address(function)


def _optimize(module: Any) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    # The kernels are vectorised by hand; LLVM's own vectorisers would only add variants of their tails.
    options.loop_vectorization = False
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine(), options)
    builder.getModulePassManager().run(module, builder)
