"""Loops take denormal numbers as 0, compiled functions compute with them; the calling thread keeps its setting."""

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest

from pellucid import Input, Sequential, backends, compile, ops, set_num_threads, set_seed
from pellucid.backends.cpu import runner, target
from pellucid.backends.cpu.emit import I64, POINTER
from pellucid.backends.loop import LoopData, LoopForm
from pellucid.graph import rewrite, trace
from pellucid.nn import Dense
from pellucid.op import Spec
from pellucid.optim import Adam

TINY = np.float32(1e-39)
NORMAL = np.finfo("float32").smallest_normal
FLUSH = 1 << 15 | 1 << 6

x86 = pytest.mark.skipif(not target.is_x86(), reason="MXCSR is a register of x86 processors")


pytestmark = pytest.mark.usefixtures("every_plan_is_shared")


def in_loop(function, x):
    """What a loop gives for all rows at once."""
    graph = rewrite(trace(function, Spec(x.shape, x.dtype)).graph)
    run = backends.get("cpu").compile_loop(graph, LoopForm(1)).start(LoopData([x], np.arange(len(x)), [], [], []))
    assert run.advance(1) == 1
    return run.logs[0][0]


def is_exact_here() -> bool:
    """Whether this very thread computes with denormal numbers, by NumPy."""
    return bool(np.all(np.full(37, TINY) * np.full(37, np.float32(0.5)) != 0))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_in_a_loop_denormal_operands_and_results_are_zero(count):
    set_num_threads(count)
    x = np.full((50, 21), TINY)
    np.testing.assert_array_equal(in_loop(lambda x: x * 3.0, x), np.zeros_like(x))
    np.testing.assert_array_equal(in_loop(lambda x: x * 1e-5, np.full((50, 21), 1e-35, "float32")), np.zeros_like(x))
    np.testing.assert_array_equal(in_loop(lambda x: ops.exp(x - 95.0), x), np.zeros_like(x))
    np.testing.assert_array_equal(in_loop(lambda x: ops.sum(x, 1), x), np.zeros(50, "float32"))
    np.testing.assert_array_equal(in_loop(lambda x: x @ (x.T + 1.0), x), np.zeros((50, 50), "float32"))
    np.testing.assert_array_equal(in_loop(lambda x: x > 0.0, x), np.zeros(x.shape, bool))
    np.testing.assert_array_equal(in_loop(lambda x: x * 2.0, np.full((5, 3), 1e-310)), np.zeros((5, 3)))
    smallest = np.full((50, 21), NORMAL)
    np.testing.assert_array_equal(in_loop(lambda x: x * 1.0, smallest), smallest)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_compiled_function_computes_with_them(count):
    set_num_threads(count)
    x = np.linspace(-NORMAL, NORMAL, 1001, dtype="float32").reshape(91, 11)
    found = np.asarray(compile(lambda x: x * 0.25, backend="cpu")(x))
    np.testing.assert_array_equal(found, x * np.float32(0.25))
    assert np.count_nonzero(found) > 990


def test_the_calling_thread_computes_as_before():
    for count in (1, 3):
        set_num_threads(count)
        in_loop(lambda x: x * 3.0, np.full((50, 21), TINY))
        assert is_exact_here()


def test_training_on_denormal_numbers_gives_the_same_bits_for_any_number_of_threads():
    r = np.random.default_rng(0)
    x = (r.normal(size=(130, 40)) * 10.0 ** r.integers(-44, 1, (130, 40))).astype("float32")
    y = r.integers(0, 5, 130)

    def weights(count):
        set_num_threads(count)
        set_seed(5)
        model = Sequential([Input((40,)), Dense(33, activation="tanh"), Dense(5, activation="softmax")])
        for parameter in model.trainable_parameters:
            parameter.assign(np.asarray(parameter) * 10.0 ** r.integers(-40, 1))
        model.compile("categorical_crossentropy", Adam(0.01, epsilon=1e-30), ["accuracy"], backend="cpu")
        model.fit(x, y, batch_size=25, epochs=2, seed=1, verbose=0)
        return {name: value.tobytes() for name, value in model.get_weights().items()}

    state = r.bit_generator.state
    alone = weights(1)
    for count in (2, 3, 8):
        r.bit_generator.state = state
        assert weights(count) == alone


# The register itself.


def mxcsr_functions():
    """Functions that read and set MXCSR of the thread that calls them."""
    addresses = []
    for name in ("stmxcsr", "ldmxcsr"):
        call = (
            f"declare void @llvm.x86.sse.{name}(ptr)\ndefine void @f(ptr %p) {{ call void @llvm.x86.sse.{name}(ptr %p)"
        )
        addresses.append(target.address_of(f"{call}\n ret void }}", "f"))
    return [ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address) for address in addresses]


@pytest.fixture
def mxcsr():
    """Reads the register, or sets it; at the end it is what it was."""
    store, load = mxcsr_functions()
    number = ctypes.c_uint32()

    def access(value=None):
        if value is not None:
            number.value = value
            load(ctypes.addressof(number))
        store(ctypes.addressof(number))
        return number.value

    before = access()
    yield access
    access(before)


@x86
@pytest.mark.parametrize("count", [1, 2])
def test_the_register_of_the_calling_thread_is_what_it_was(mxcsr, count):
    set_num_threads(count)
    x = np.full((50, 21), TINY)
    double = compile(lambda x: x * 2.0, backend="cpu")
    for setting in (0x1F80, 0x1F80 | FLUSH, 0x1F80 | 1 << 15, 0x1F80 | 2 << 13):
        double(x)
        mxcsr(setting)
        in_loop(lambda x: x * 3.0, x)
        after_loop = mxcsr()
        double(x)
        after_function = mxcsr()
        mxcsr(0x1F80)
        # The lowest bits say what has happened so far, also to NumPy in this thread.
        assert (after_loop & ~0x3F, after_function & ~0x3F) == (setting, setting)


@x86
@pytest.mark.parametrize("count", [1, 2])
def test_the_callers_setting_does_not_change_results(mxcsr, count):
    set_num_threads(count)
    x = np.linspace(-NORMAL, NORMAL, 1001, dtype="float32").reshape(91, 11)
    half = compile(lambda x: x * 0.5, backend="cpu")
    expected = np.asarray(half(x)).tobytes()
    mxcsr(0x1F80 | FLUSH)
    found = np.asarray(half(x)).tobytes()
    mxcsr(0x1F80)
    assert found == expected


def test_on_arm_the_loops_set_and_restore_fpcr(monkeypatch):
    monkeypatch.setattr(target, "is_x86", lambda: False)
    monkeypatch.setattr(target, "is_arm64", lambda: True)
    w = runner._Writer("run", runner.ir.VoidType(), [POINTER, POINTER, I64, I64, I64])
    w.run(*w.function.args)
    w.b.ret_void()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    module = llvm.parse_assembly(str(w.module).replace('"unknown-unknown-unknown"', f'"{triple}"'))
    module.verify()
    assembly = llvm.Target.from_triple(triple).create_target_machine().emit_assembly(module).lower()
    assert assembly.count("mrs\tx") == 1
    assert assembly.count("msr\tfpcr") == 2
