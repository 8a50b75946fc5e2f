"""Where arenas lie, and what each thread has for itself: apart from what others read in large steps, or write."""

import numpy as np
import pytest

from pellucid import backends, ops
from pellucid.alignment import ALIGNMENT
from pellucid.backends.cpu.memory import watching
from pellucid.backends.cpu.planner import Planner
from pellucid.graph import rewrite, trace
from pellucid.op import Spec
from pellucid.plan.lifetime import aligned


@pytest.mark.parametrize("columns", [8, 1_000, 40_000, 70_000])
def test_before_an_arena_that_threads_share_as_much_is_free_as_it_is_large_up_to_a_mebibyte(columns):
    graph = rewrite(trace(lambda x: (x @ ops.transpose(x)) @ x, Spec((4, columns), np.dtype("float32"))).graph)
    x = np.ones((4, columns), "float32")
    with watching() as seen:
        backends.get("cpu").compile(graph)(x)
    (memory,) = seen
    whole = memory._arena.base
    free = memory._arena.ctypes.data - whole.ctypes.data
    assert memory._arena.ctypes.data % ALIGNMENT == 0
    wanted = min(memory.plan.arena, 1 << 20) if columns > 30_000 else 0
    assert wanted <= free <= wanted + 2 * ALIGNMENT
    assert whole.nbytes - free >= memory.plan.arena + ALIGNMENT


@pytest.mark.parametrize(("own", "apart"), [(100, 64), (4_096, 1_024), (16_384, 4_096), (100_000, 1 << 16)])
def test_between_what_threads_have_for_themselves_is_a_quarter_of_it_and_64_kibibytes_if_it_is_large(own, apart):
    graph = rewrite(trace(lambda x: x + x, Spec((2,), np.dtype("float32"))).graph)
    view, (_, each) = Planner(graph).scratch(own)
    assert each % ALIGNMENT == 0
    assert each - aligned(own) == apart
    assert view.shape[1] == each
