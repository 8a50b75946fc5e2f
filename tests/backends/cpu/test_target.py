"""What kernels are compiled for, what compiling costs, and the line that says so."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from tests.backends.cpu.calls import call

from pellucid.backends.cpu import target
from pellucid.backends.cpu.matmul import matmul_kernel
from pellucid.backends.cpu.target import Effort, Processor
from pellucid.dtypes import float32
from pellucid.errors import ConfigurationError

PROGRAM = """
import logging
import numpy as np
from pellucid import compile, ops
from pellucid.backends.cpu import target
target.Effort.PATIENCE = 0.01
{before}
x = np.linspace(-1, 1, 72, dtype="float32").reshape(8, 9)
f = compile(lambda x: ops.sum(ops.tanh(x @ x.T) * ops.exp(x[:, :8]), 1), backend="cpu")
print(target.vector_bytes(), float(np.asarray(f(x))[3]), target.EFFORT.kernels)
"""


def run(folder, before="", **settings):
    """What a process says that runs a small program: kernels compiled, bytes of a vector, a number; its errors."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PELLUCID_PROGRESS", "PELLUCID_CPU_FEATURES")}
    environment |= {"PELLUCID_CACHE": str(folder)} | settings
    command = [sys.executable, "-c", PROGRAM.format(before=before)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    width, number, kernels = done.stdout.split()
    return int(kernels), int(width), float(number), done.stderr


def test_one_line_says_that_kernels_are_compiled_and_none_when_they_are_there(tmp_path):
    kernels, _, first, line = run(tmp_path)
    assert kernels >= 3
    assert line == (
        f"Pellucid compiles its kernels for this processor, once per machine (kept in {tmp_path / 'kernels'}) ...\n"
    )
    kernels, _, second, line = run(tmp_path)
    assert (kernels, second, line) == (0, first, "")


def test_the_line_is_hushed_by_a_setting_and_by_logging(tmp_path):
    assert run(tmp_path / "a", PELLUCID_PROGRESS="off")[3] == ""
    assert run(tmp_path / "b", 'logging.getLogger("pellucid").setLevel("ERROR")')[3] == ""


def test_where_nothing_can_be_kept_the_line_does_not_say_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    *_, errors = run(tmp_path / "file")
    assert "RuntimeWarning: Compiled kernels cannot be kept" in errors
    assert errors.splitlines()[-1] == "Pellucid compiles its kernels for this processor ..."


def test_the_line_comes_once_and_only_after_some_time(caplog, monkeypatch):
    monkeypatch.delenv("PELLUCID_PROGRESS", raising=False)
    effort = Effort()
    with caplog.at_level(logging.WARNING, "pellucid"):
        with effort.one_more():
            pass
        assert (effort.kernels, caplog.records) == (1, [])
        effort.seconds = Effort.PATIENCE + 0.01
        for _ in range(3):
            with effort.one_more():
                assert len(caplog.records) == 1  # before the work, not after it
    assert (effort.kernels, len(caplog.records), effort.announced) == (4, 1, True)


def test_what_fails_to_compile_does_not_count():
    effort = Effort()
    with pytest.raises(ZeroDivisionError), effort.one_more():
        raise ZeroDivisionError
    assert (effort.kernels, effort.seconds) == (0, 0.0)


# The processor.


@pytest.fixture
def fresh():
    """Looks the processor up anew."""
    return target.processor.__wrapped__


class Features(dict):
    """What LLVM says about a processor."""

    def __init__(self, *present):
        super().__init__({name: name in present for name in ("sse4.2", "avx2", "avx512f", *present)})

    def flatten(self):
        return ",".join(self)


@pytest.mark.parametrize(
    ("features", "width"),
    [((), 16), (("sse4.2",), 16), (("sse4.2", "avx2"), 32), (("sse4.2", "avx2", "avx512f"), 64)],
)
def test_by_default_kernels_use_all_that_the_processor_has(monkeypatch, fresh, features, width):
    monkeypatch.delenv("PELLUCID_CPU_FEATURES", raising=False)
    monkeypatch.setattr(target.llvm, "get_host_cpu_features", lambda: Features(*features))
    monkeypatch.setattr(target.llvm, "get_host_cpu_name", lambda: "abacus")
    assert fresh() == Processor("abacus", "sse4.2,avx2,avx512f", width)


@pytest.mark.parametrize(("width", "features", "expected"), [
    ("avx512f", ("amx-tile", "amx-bf16"), True),
    ("avx512f", ("amx-tile",), False),
    ("avx2", ("amx-tile", "amx-bf16"), False),
])  # fmt: skip
def test_a_matrix_unit_multiplies_bfloat16_and_has_wide_registers_beside_it(
    monkeypatch, fresh, width, features, expected
):
    monkeypatch.delenv("PELLUCID_CPU_FEATURES", raising=False)
    monkeypatch.setattr(target.llvm, "get_host_cpu_features", lambda: Features(width, *features))
    assert fresh().matrix_unit is expected


@pytest.mark.parametrize(
    ("chosen", "expected"), [("avx512", ("x86-64-v4", 64)), ("avx2", ("x86-64-v3", 32)), ("sse", ("x86-64-v2", 16))]
)
def test_the_environment_restricts_them(monkeypatch, fresh, chosen, expected):
    monkeypatch.setenv("PELLUCID_CPU_FEATURES", chosen)
    monkeypatch.setattr(target, "is_x86", lambda: True)
    monkeypatch.setattr(
        target.llvm, "get_host_cpu_features", lambda: Features("sse4.2", "avx2", "avx512vl", "amx-tile", "amx-bf16")
    )
    found = fresh()
    assert (found.name, found.vector_bytes, found.features, found.matrix_unit) == (*expected, "", False)


def test_a_processor_that_lacks_what_is_asked_for_is_an_error(monkeypatch, fresh):
    monkeypatch.setenv("PELLUCID_CPU_FEATURES", "avx2")
    monkeypatch.setattr(target.llvm, "get_host_cpu_name", lambda: "abacus")
    monkeypatch.setattr(target.llvm, "get_host_cpu_features", lambda: Features("sse4.2"))
    text = r"^PELLUCID_CPU_FEATURES is 'avx2', but this processor \(abacus\) lacks it\.$"
    with pytest.raises(ConfigurationError, match=text):
        fresh()
    monkeypatch.setattr(target.llvm, "get_host_cpu_features", lambda: Features("avx2"))
    monkeypatch.setattr(target, "is_x86", lambda: False)
    with pytest.raises(ConfigurationError, match=text):
        fresh()


def test_an_unknown_family_is_an_error_that_lists_the_known_ones(monkeypatch, fresh):
    monkeypatch.setenv("PELLUCID_CPU_FEATURES", "avx3")
    with pytest.raises(
        ConfigurationError, match=r"Unknown value of PELLUCID_CPU_FEATURES 'avx3'.*all, avx2, avx512, sse"
    ):
        fresh()


def runs_here(family):
    return target.is_x86() and target.llvm.get_host_cpu_features().get(target._FAMILIES[family][1])


@pytest.mark.parametrize(("family", "width"), [("avx512", 64), ("avx2", 32), ("sse", 16)])
def test_kernels_of_a_family_lie_beside_those_of_the_processor(tmp_path, family, width):
    if not runs_here(family):
        pytest.skip(f"this processor cannot run code for {family}")
    _, _, expected, _ = run(tmp_path, PELLUCID_PROGRESS="off")
    kernels, found_width, found, _ = run(tmp_path, PELLUCID_PROGRESS="off", PELLUCID_CPU_FEATURES=family)
    assert (kernels >= 3, found_width) == (True, width)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert run(tmp_path, PELLUCID_PROGRESS="off", PELLUCID_CPU_FEATURES=family)[:3] == (0, width, found)


@pytest.mark.parametrize(("rows", "inner", "columns"), [(19, 5, 70), (8, 1, 48), (33, 37, 20), (3, 16, 1)])
def test_a_long_kernel_gives_the_bits_that_all_passes_of_llvm_would_give(monkeypatch, rows, inner, columns):
    texts, address_of = [], target.address_of
    monkeypatch.setattr(target, "address_of", lambda text, function: texts.append(text) or 0)
    monkeypatch.setattr(target.CACHE, "load", lambda key: None)
    matmul_kernel(float32, 0)
    assert len(texts[0]) > target._LARGE
    r = np.random.default_rng(0)
    a, b = (r.normal(size=shape).astype("float32") for shape in [(rows, inner), (inner, columns)])
    found = []
    for large in (0, 10**9):
        monkeypatch.setattr(target, "_LARGE", large)
        address = address_of(f"{texts[0]}; {large}\n", target.KERNEL)
        c = np.zeros((rows, columns), "float32")
        strides = [*a.strides, b.strides[0], c.strides[0]]
        call(address, [rows, columns, inner, *(x.ctypes.data for x in (a, b, c)), *strides])
        found.append(c)
    np.testing.assert_allclose(found[0], a @ b, rtol=1e-4, atol=1e-5)
    assert found[0].tobytes() == found[1].tobytes()
