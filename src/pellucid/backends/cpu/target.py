"""The processor as LLVM sees it, and the way from an LLVM module to an address that can be called."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from pellucid import config
from pellucid.backends.cpu.object_cache import RECIPE, ObjectCache
from pellucid.errors import ConfigurationError, unknown_name

CACHE = ObjectCache()

_lock = threading.Lock()
_compiled: dict[str, tuple[Any, int]] = {}
#: The function that a kernel's module has, and a module that stands for one whose machine code is known.
KERNEL = "kernel"
_STUB = f"define void @{KERNEL}(ptr %record, i64 %thread, i64 %threads) {{\n  ret void\n}}\n"
#: Characters of a module from which on its text is so long because its blocks are written out: all of LLVM's passes
#: would take most of the time and find hardly anything.
_LARGE = 100_000


class _Last(threading.local):
    """The key of the module that a thread has last asked for."""

    key = ""


_last = _Last()
_logger = logging.getLogger("pellucid")


@dataclass(frozen=True)
class Processor:
    """What kernels are compiled for.

    Attributes:
        name: LLVM's name of the processor, or of a family of processors.
        features: Instructions that it has or lacks beside those of its name, in LLVM's notation.
        vector_bytes: Bytes of the widest vector register.
        matrix_unit: Whether it multiplies squares of bfloat16.
    """

    name: str
    features: str
    vector_bytes: int
    matrix_unit: bool = False


#: Families that the engine can be restricted to, and an instruction set that a processor must have to run their code.
_FAMILIES = {
    "avx512": (Processor("x86-64-v4", "", 64), "avx512vl"),
    "avx2": (Processor("x86-64-v3", "", 32), "avx2"),
    "sse": (Processor("x86-64-v2", "", 16), "sse4.2"),
}


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
        matrix_unit = width == 64 and bool(features.get("amx-tile") and features.get("amx-bf16"))
        return Processor(name, features.flatten(), width, matrix_unit)
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


def vector_registers() -> int:
    """How many vector registers there are: 32 with AVX-512 and on 64-bit ARM, else 16."""
    return 32 if vector_bytes() == 64 or is_arm64() else 16


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


def _source() -> str | None:
    """A digest of the engine's own source; None where it cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    except OSError:
        return None
    return digest.hexdigest()


#: Taken when the engine is imported: who edits the source later must not find kernels of both under one recipe.
_SOURCE = _source()


def address_of(module_text: str, function: str) -> int:
    """The address of a function of a module, compiled once per machine and kept for the life of the process."""
    key = hashlib.sha256(f"{_fingerprint()}{module_text}".encode()).hexdigest()
    _last.key = key
    with _lock:
        if key not in _compiled:
            _compiled[key] = _compile(module_text, function, key)
        return _compiled[key][1]


def address_by_recipe(recipe: str, write: Callable[[], int]) -> int:
    """The address of a kernel by what it is made of; it is written only if its machine code is not on disk.

    Writing a kernel takes longer than reading its code. The recipe stands for the kernel as long as the engine's own
    source is the same; with ``PELLUCID_VERIFY`` the kernel is written all the same, and compared.

    Args:
        recipe: Everything that the kernel is made from.
        write: Writes the kernel and gives its address, by one call of :func:`address_of`.
    """
    if _SOURCE is None or " object at 0x" in recipe:
        return write()
    own = RECIPE + hashlib.sha256(f"{_fingerprint()}{_SOURCE}{recipe}".encode()).hexdigest()
    known = (CACHE.load(own) or b"").decode()
    if known and not config.flag(config.VERIFY):
        with _lock:
            code = None if known in _compiled else CACHE.load(known)
            if code is not None:
                _compiled[known] = _link(_STUB, KERNEL, code, None)
            if known in _compiled:
                return _compiled[known][1]
    address = write()
    if known and known != _last.key and config.flag(config.VERIFY):
        raise RuntimeError(f"Two kernels have one recipe: {recipe}")
    if known != _last.key:
        CACHE.store(own, _last.key.encode())
    return address


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    """Everything that machine code depends on beside its source."""
    return f"{llvmlite.__version__} {llvm.llvm_version_info} {processor().name} {processor().features}\n"


def _compile(module_text: str, function: str, key: str) -> tuple[Any, int]:
    known = CACHE.load(key)
    with EFFORT.one_more() if known is None else nullcontext():
        return _link(module_text, function, known, lambda code: CACHE.store(key, code))


def _link(
    module_text: str, function: str, known: bytes | None, keep: Callable[[bytes], None] | None
) -> tuple[Any, int]:
    """The engine that owns a module's code, and the address of a function: from machine code that is known, or anew."""
    module = llvm.parse_assembly(module_text)
    if known is None:
        module.verify()
        _optimize(module, len(module_text))
    engine = llvm.create_mcjit_compiler(module, machine())
    engine.set_object_cache(
        notify_func=lambda module, code: keep(code) if keep and known is None else None,
        getbuffer_func=lambda module: known,
    )
    engine.finalize_object()
    return engine, engine.get_function_address(function)


def _optimize(module: Any, size: int) -> None:
    """Improve a module whose text has so many characters."""
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    # The kernels are vectorised by hand; LLVM's own vectorisers would only add variants of their tails.
    options.loop_vectorization = False
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine(), options)
    if size < _LARGE:
        builder.getModulePassManager().run(module, builder)
        return
    passes = llvm.create_new_module_pass_manager()
    passes.add_simplify_cfg_pass()
    passes.add_new_gvn_pass()
    passes.add_loop_rotate_pass()
    passes.add_instruction_combine_pass()
    passes.add_reassociate_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, builder)
