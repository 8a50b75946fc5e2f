"""The CPU engine."""

from pellucid.backends.cpu.engine import CpuBackend, CpuExecutable

__all__ = ["CpuBackend", "CpuExecutable"]
