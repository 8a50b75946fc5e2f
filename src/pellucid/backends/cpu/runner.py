"""The native loops: calling a plan's kernels step after step, with barriers between, and waiting for the next plan.

Threads run the same plan, each on its share of every kernel (SPMD). They talk through one small array of int64, whose
numbers lie on cache lines of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from llvmlite import ir

from pellucid.backends.cpu import target
from pellucid.backends.cpu.emit import I1, I32, I64, POINTER, Value
from pellucid.backends.cpu.moves import CURSOR_STRIDE, STEPS_LEFT
from pellucid.plan.plan import Wait, When

# Places in the shared array, a cache line (8 int64) apart.
GENERATION, ARRIVED, RELEASED, STOP, SCRIPT, LENGTH, THREADS = (8 * i for i in range(7))
SHARED = 8 * 7

# Places in a job: its table of kernels and their number, the threads' cursors, 1 where denormal numbers count as 0, and
# where it is written down how long each instruction takes, or 0.
TABLE, COUNT, CURSORS, FLUSH, TIMES = range(5)
JOB_SIZE = 5

# Places in a row of a job's table: a kernel, its record, when threads wait for each other after it (a ``Wait``), the
# bytes from one thread's record to the next one's, whether each thread makes all of it, and in which steps of a line.
ROW_KERNEL, ROW_RECORD, ROW_WAITS, ROW_APART, ROW_ALONE, ROW_WHEN = range(6)
#: Numbers in such a row.
ROW = 6

# Places in a line of a script: the address of a job, the number of its first step, how many to make, and how many steps
# come after them whose rows are worth fetching.
LINE_JOB, LINE_FIRST, LINE_STEPS, LINE_AHEAD = range(4)
LINE_SIZE = 4

# How a thread computes with floats: rounding to nearest without traps, denormal numbers exactly or as 0. On x86 this is
# the register MXCSR (bit 15: denormal results are 0, bit 6: denormal operands are 0), on ARM FPCR (bit 24: both).
_X86_EXACT, _X86_FLUSH = 0x1F80, 0x1F80 | 1 << 15 | 1 << 6
_ARM_EXACT, _ARM_FLUSH = 0, 1 << 24

# A barrier within a run spins about 20 us, then lets other threads have the core. A worker between runs spins as long,
# then yields for some milliseconds, then goes to sleep in Python.
_SPINS = 4_000
_YIELDS = 3_000


def can_watch() -> bool:
    """Whether every program may read this processor's counter of time."""
    return target.is_x86()


def table_row(
    kernel: int, record: int, *, waits: int = Wait.ALWAYS, apart: int = 0, alone: bool = False, when: When = When.ALWAYS
) -> tuple[int, ...]:
    """A row of a job's table."""
    return kernel, record, waits, apart, alone, when


class _Writer:
    """Pieces that the loops share."""

    def __init__(self, name: str, result: ir.Type, arguments: list[ir.Type]) -> None:
        self.module = ir.Module(name)
        self.function = ir.Function(self.module, ir.FunctionType(result, arguments), name)
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))

    def block(self, name: str) -> ir.Block:
        """A new block."""
        return self.function.append_basic_block(name)

    def place(self, shared: Value, number: int) -> Value:
        """The address of a number in the shared array."""
        return self.b.gep(shared, [I64(number)], source_etype=I64)

    def read(self, shared: Value, number: int) -> Value:
        """A number that other threads may change."""
        return self.b.load_atomic(self.place(shared, number), "acquire", 8, typ=I64)

    def call(self, name: str, result: ir.Type, *args: Value) -> Value:
        """A call of a function of the system, or of one of LLVM's built-in ones."""
        known = self.module.globals.get(name)
        if known is None:
            known = ir.Function(self.module, ir.FunctionType(result, [a.type for a in args]), name)
        return self.b.call(known, args)

    def relax(self) -> None:
        """A hint to the processor that this is a spinning loop, where it has one."""
        if target.is_x86():
            self.call("llvm.x86.sse2.pause", ir.VoidType())

    def give_way(self) -> None:
        """Let another thread of the machine have the core."""
        self.call("SwitchToThread" if target.is_windows() else "sched_yield", I32)

    def wait(self, shared: Value, number: int, old: Value, patience: int | None) -> Value:
        """Wait until a number is no longer ``old``; 1 when it is, 0 when patience (in yields) ran out."""
        before = self.b.block
        look, spin, tired, out = (self.block(n) for n in ("look", "spin", "tired", "out"))
        self.b.branch(look)
        self.b.position_at_end(look)
        tries = self.b.phi(I64)
        tries.add_incoming(I64(0), before)
        changed = self.b.icmp_signed("!=", self.read(shared, number), old)
        self.b.cbranch(changed, out, spin)
        self.b.position_at_end(spin)
        self.relax()
        more = self.b.add(tries, I64(1))
        with self.b.if_then(self.b.icmp_signed(">", more, I64(_SPINS))):
            self.give_way()
        limit = I64(2**62 if patience is None else _SPINS + patience)
        tries.add_incoming(more, self.b.block)
        self.b.cbranch(self.b.icmp_signed("<", more, limit), look, tired)
        self.b.position_at_end(tired)
        self.b.branch(out)
        self.b.position_at_end(out)
        result = self.b.phi(I64)
        result.add_incoming(I64(1), look)
        result.add_incoming(I64(0), tired)
        return result

    def barrier(self, shared: Value, threads: Value) -> None:
        """Wait until all threads are here; the last one releases the others."""
        with self.b.if_then(self.b.icmp_signed(">", threads, I64(1))):
            round_ = self.read(shared, RELEASED)
            here = self.b.atomic_rmw("add", self.place(shared, ARRIVED), I64(1), "acq_rel")
            last = self.b.icmp_signed("==", here, self.b.sub(threads, I64(1)))
            with self.b.if_else(last) as (then, otherwise):
                with then:
                    self.b.atomic_rmw("xchg", self.place(shared, ARRIVED), I64(0), "acq_rel")
                    self.b.atomic_rmw("add", self.place(shared, RELEASED), I64(1), "acq_rel")
                with otherwise:
                    self.wait(shared, RELEASED, round_, None)

    def repeat(self, count: Value, body: Callable[[Value], None]) -> None:
        """``for i in range(count): body(i)``."""
        before = self.b.block
        head, inside, done = self.block("head"), self.block("body"), self.block("done")
        self.b.branch(head)
        self.b.position_at_end(head)
        i = self.b.phi(I64)
        i.add_incoming(I64(0), before)
        self.b.cbranch(self.b.icmp_signed("<", i, count), inside, done)
        self.b.position_at_end(inside)
        body(i)
        i.add_incoming(self.b.add(i, I64(1)), self.b.block)
        self.b.branch(head)
        self.b.position_at_end(done)

    def set_floats(self, flush: Value) -> Callable[[], None]:
        """Set how this thread computes with floats; what is given writes the code that sets it back.

        The caller's setting plays no part, so that the bits of a result do not depend on whose thread computed it.
        """
        if target.is_x86():
            with self.b.goto_entry_block():  # a place on the stack for good, not one for every job
                before, during = self.b.alloca(I32), self.b.alloca(I32)
            self.call("llvm.x86.sse.stmxcsr", ir.VoidType(), before)
            self.b.store(self.b.select(flush, I32(_X86_FLUSH), I32(_X86_EXACT)), during)
            self.call("llvm.x86.sse.ldmxcsr", ir.VoidType(), during)
            return lambda: self.call("llvm.x86.sse.ldmxcsr", ir.VoidType(), before)
        if target.is_arm64():
            kept = self.call("llvm.aarch64.get.fpcr", I64)
            during = self.b.select(flush, I64(_ARM_FLUSH), I64(_ARM_EXACT))
            self.call("llvm.aarch64.set.fpcr", ir.VoidType(), during)
            return lambda: self.call("llvm.aarch64.set.fpcr", ir.VoidType(), kept)
        return lambda: None

    def number(self, base: Value, place: int) -> Value:
        """An int64 at a place of a record."""
        return self.b.load(self.b.gep(base, [I64(place)], source_etype=I64), typ=I64)

    def run(self, shared: Value, script: Value, length: Value, thread: Value, threads: Value) -> None:
        """Make the steps of every line of a script."""
        first_job = self.b.inttoptr(self.number(script, LINE_JOB), POINTER)
        set_back = self.set_floats(self.b.icmp_signed("!=", self.number(first_job, FLUSH), I64(0)))

        def line(i: Value) -> None:
            here = self.b.gep(script, [self.b.mul(i, I64(LINE_SIZE))], source_etype=I64)
            self.steps(shared, here, thread, threads)

        self.repeat(length, line)
        set_back()

    def steps(self, shared: Value, line: Value, thread: Value, threads: Value) -> None:
        """Make the steps of a line: call every kernel of its job's table, with a barrier after each."""
        job = self.b.inttoptr(self.number(line, LINE_JOB), POINTER)
        first, steps, ahead = (self.number(line, place) for place in (LINE_FIRST, LINE_STEPS, LINE_AHEAD))
        table, count, cursors, times = (self.number(job, place) for place in (TABLE, COUNT, CURSORS, TIMES))
        cursor = self.b.inttoptr(self.b.add(cursors, self.b.mul(thread, I64(CURSOR_STRIDE))), POINTER)
        own = self.b.add(times, self.b.mul(self.b.mul(thread, count), I64(2 * 8)))

        def call(i: Value, now: Value, watched: bool) -> None:
            row = self.b.inttoptr(self.b.add(table, self.b.mul(i, I64(ROW * 8))), POINTER)
            place = self.b.inttoptr(self.b.add(own, self.b.mul(i, I64(2 * 8))), POINTER) if watched else None
            with self.timed(place, 0):
                self.instruction(row, now, thread, threads)
            with self.timed(place, 1), self.b.if_then(self.must_wait(row, now, threads)):
                self.barrier(shared, threads)

        def step(i: Value) -> None:
            self.b.store(self.b.add(first, i), cursor)
            left = self.b.add(ahead, self.b.sub(self.b.sub(steps, i), I64(1)))
            self.b.store(left, self.b.gep(cursor, [I64(STEPS_LEFT)], source_etype=I64))
            now = I64(When.ALWAYS)
            for when, place in ((When.FIRST, I64(0)), (When.LAST, self.b.sub(steps, I64(1)))):
                here = self.b.icmp_signed("==", i, place)
                now = self.b.or_(now, self.b.select(here, I64(when), I64(0)))
            watched = self.b.icmp_signed("!=", times, I64(0)) if can_watch() else I1(0)
            with self.b.if_else(watched) as (then, otherwise):
                with then:
                    self.repeat(count, lambda n: call(n, now, watched=can_watch()))
                with otherwise:
                    self.repeat(count, lambda n: call(n, now, watched=False))
            # After the last barrier only the calling thread may touch the job: it may be used for other steps by now.
            with self.b.if_then(self.b.icmp_signed("==", thread, I64(0))):
                self.b.store(self.b.add(self.b.add(first, i), I64(1)), cursor)

        self.repeat(steps, step)

    def must_wait(self, row: Value, now: Value, threads: Value) -> Value:
        """Whether threads wait for each other after the instruction of a row of the table."""
        waits, last = self.number(row, ROW_WAITS), self.b.and_(now, I64(When.LAST))
        ends = self.b.or_(self.b.icmp_signed("!=", last, I64(0)), self.b.icmp_signed("!=", threads, I64(2)))
        always, at_end = (self.b.icmp_signed("==", waits, I64(wait)) for wait in (Wait.ALWAYS, Wait.AT_END))
        return self.b.or_(always, self.b.and_(at_end, ends))

    def instruction(self, row: Value, now: Value, thread: Value, threads: Value) -> None:
        """Call the kernel of a row of the table, if it is made in this step."""
        signature = ir.FunctionType(ir.VoidType(), [POINTER, I64, I64])
        kernel = self.b.inttoptr(self.number(row, ROW_KERNEL), signature.as_pointer())
        apart, alone = self.number(row, ROW_APART), self.b.icmp_signed("!=", self.number(row, ROW_ALONE), I64(0))
        record = self.b.add(self.number(row, ROW_RECORD), self.b.mul(thread, apart))
        one, all_ = self.b.select(alone, I64(0), thread), self.b.select(alone, I64(1), threads)
        with self.b.if_then(self.b.icmp_signed("!=", self.b.and_(self.number(row, ROW_WHEN), now), I64(0))):
            self.b.call(kernel, [self.b.inttoptr(record, POINTER), one, all_])

    @contextmanager
    def timed(self, times: Value, number: int) -> Iterator[None]:
        """In the block, time is added to one of the numbers there, if anywhere."""
        started = self.call("llvm.readcyclecounter", I64) if times is not None else None
        yield
        if times is not None:
            place = self.b.gep(times, [I64(number)], source_etype=I64)
            spent = self.b.sub(self.call("llvm.readcyclecounter", I64), started)
            self.b.store(self.b.add(self.b.load(place, typ=I64), spent), place)


@lru_cache(maxsize=1)
def runner() -> int:
    """The address of ``run(shared, script, length, thread, threads)``: the share of one thread in a script of jobs.

    Each row of a job's table is an instruction: see :data:`ROW`.
    """
    w = _Writer("run", ir.VoidType(), [POINTER, POINTER, I64, I64, I64])
    w.run(*w.function.args)
    w.b.ret_void()
    return target.address_of(str(w.module), "run")


@lru_cache(maxsize=1)
def counter() -> int:
    """The address of ``now()``: the processor's counter that times are measured by, or 0 where none may be read."""
    w = _Writer("now", I64, [])
    w.b.ret(w.call("llvm.readcyclecounter", I64) if can_watch() else I64(0))
    return target.address_of(str(w.module), "now")


@lru_cache(maxsize=1)
def worker() -> int:
    """The address of ``work(shared, seen, thread)``: run plans as they come.

    ``seen`` is the number of the last plan. Gives the number of the last plan that was run when none has come for some
    milliseconds, or -1 when the pool is closed.
    """
    w = _Writer("work", I64, [POINTER, I64, I64])
    shared, seen_at_first, thread = w.function.args
    before = w.b.block
    again, ready, share, tired, closed = (w.block(n) for n in ("again", "ready", "share", "tired", "closed"))
    w.b.branch(again)
    w.b.position_at_end(again)
    seen = w.b.phi(I64)
    seen.add_incoming(seen_at_first, before)
    came = w.wait(shared, GENERATION, seen, _YIELDS)
    w.b.cbranch(w.b.icmp_signed("==", came, I64(1)), ready, tired)
    w.b.position_at_end(ready)
    now = w.read(shared, GENERATION)
    stop = w.b.icmp_signed("!=", w.read(shared, STOP), I64(0))
    w.b.cbranch(stop, closed, share)
    w.b.position_at_end(share)
    script = w.b.inttoptr(w.read(shared, SCRIPT), POINTER)
    w.run(shared, script, w.read(shared, LENGTH), thread, w.read(shared, THREADS))
    seen.add_incoming(now, w.b.block)
    w.b.branch(again)
    w.b.position_at_end(tired)
    w.b.ret(seen)
    w.b.position_at_end(closed)
    w.b.ret(I64(-1))
    return target.address_of(str(w.module), "work")
