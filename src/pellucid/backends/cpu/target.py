"""The processor as LLVM sees it, and the way from an LLVM module to an address that can be called."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from pellucid import config
from pellucid.backends.cpu.object_cache import ObjectCache
from pellucid.errors import ConfigurationError, unknown_name

CACHE = ObjectCache()

_lock = threading.Lock()
_compiled: dict[str, tuple[Any, int]] = {}
_logger = logging.getLogger("pellucid")


@dataclass(frozen=True)
class Processor:
    """What kernels are compiled for.

    Attributes:
        name: LLVM's name of the processor, or of a family of processors.
        features: Instructions that it has or lacks beside those of its name, in LLVM's notation.
        vector_bytes: Bytes of the widest vector register.
    """

    name: str
    features: str
    vector_bytes: int


#: Families that the engine can be restricted to, and an instruction set that a processor must have to run their code.
_FAMILIES = {"avx2": (Processor("x86-64-v3", "", 32), "avx2"), "sse": (Processor("x86-64-v2", "", 16), "sse4.2")}


@lru_cache(maxsize=1)
def processor() -> Processor:
    """This very processor with all its instructions, or the family that ``PELLUCID_CPU_FEATURES`` restricts it to.

    Raises:
        ConfigurationError: The family is unknown, or this processor does not belong to it.
    """
    features, name = llvm.get_host_cpu_features(), llvm.get_host_cpu_name()
    chosen = config.CPU_FEATURES.read()
    if chosen == "all":
        width = 64 if features.get("avx512f") else 32 if features.get("avx2") else 16
        return Processor(name, features.flatten(), width)
    if chosen not in _FAMILIES:
        raise unknown_name(f"value of {config.CPU_FEATURES.variable}", chosen, ("all", *_FAMILIES))
    family, needed = _FAMILIES[chosen]
    if not is_x86() or not features.get(needed):
        raise ConfigurationError(f"{config.CPU_FEATURES.variable} is {chosen!r}, but this processor ({name}) lacks it.")
    return family


@lru_cache(maxsize=1)
def machine() -> Any:
    """LLVM's target machine for the processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=processor().name, features=processor().features, opt=3, jit=True
    )


def vector_bytes() -> int:
    """Bytes of the widest vector register: 64 with AVX-512, 32 with AVX2, else 16."""
    return processor().vector_bytes


def is_x86() -> bool:
    """Whether the processor is of the x86 family."""
    return llvm.get_process_triple().startswith(("x86_64", "i386", "i686"))


def is_arm64() -> bool:
    """Whether the processor is of the 64-bit ARM family."""
    return llvm.get_process_triple().startswith(("aarch64", "arm64"))


def is_windows() -> bool:
    """Whether the system is Windows."""
    return "windows" in llvm.get_process_triple()


class Effort:
    """What compiling has cost this process, and the one line that says so when it takes long.

    The line is a warning of the logger ``pellucid``: it goes to the standard error, or where the program's own logging
    settings say.

    Attributes:
        kernels: How many were compiled; those that were found on disk do not count.
        seconds: How long that took.
        announced: Whether the line was written, or someone else shows what goes on.
    """

    #: Seconds after which a user wonders what goes on.
    PATIENCE = 0.5

    def __init__(self) -> None:
        self.kernels, self.seconds, self.announced = 0, 0.0, False

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count what the block compiles; before it, say that there is much to compile."""
        if self.seconds > self.PATIENCE and not self.announced:
            self._announce()
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started
        self.kernels += 1

    def _announce(self) -> None:
        self.announced = True
        if config.PROGRESS.read() != "off":
            kept = "" if CACHE.failed else f", once per machine (kept in {CACHE.folder})"
            _logger.warning("Pellucid compiles its kernels for this processor%s ...", kept)


EFFORT = Effort()


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
    return f"{llvmlite.__version__} {llvm.llvm_version_info} {processor().name} {processor().features}\n"


def _compile(module_text: str, function: str, key: str) -> tuple[Any, int]:
    known = CACHE.load(key)
    with EFFORT.one_more() if known is None else nullcontext():
        module = llvm.parse_assembly(module_text)
        module.verify()
        if known is None:
            _optimize(module)
        engine = llvm.create_mcjit_compiler(module, machine())
        engine.set_object_cache(
            notify_func=lambda module, code: None if known else CACHE.store(key, code),
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
