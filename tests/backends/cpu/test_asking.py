"""What gradients by a kernel ask for lies in their operands, or in the thread's own memory; behind it others work."""

import numpy as np
import pytest
from tests.backends.cpu.test_ahead import LINE, noting

from pellucid import autodiff, backends, ops, set_num_threads
from pellucid.alignment import aligned_copy
from pellucid.backends.cpu import conv_gradient, groups_gradient, groups_sums, kernels, row_pairs_gradient
from pellucid.backends.cpu.emit import lanes_for
from pellucid.backends.cpu.memory import watching
from pellucid.dtypes import float32
from pellucid.graph import rewrite, trace
from pellucid.op import Spec

WRITERS = {
    "groups_sums_kernel": groups_sums.groups_sums_kernel,
    "groups_grad_kernel": groups_gradient.groups_grad_kernel,
    "conv_rows_grad_kernel": conv_gradient.conv_rows_grad_kernel,
    "pairs_sums_kernel": row_pairs_gradient.pairs_sums_kernel,
}


def lines(array):
    """The lines of the cache that an array lies in."""
    start = array.ctypes.data
    return range(start // LINE, (start + array.nbytes - 1) // LINE + 1)


def own_samples(row):
    """The first register of samples."""
    return row[: lanes_for(float32)]


def other_samples(row):
    """All others."""
    return row[lanes_for(float32) :]


def drawn(images, channels, outs, side, window, border, *, by_samples):
    """Images and the gradient of their convolution, and a function of both: the gradient by the kernel."""
    r = np.random.default_rng(0)
    x = r.normal(size=(images, *side, channels)).astype("float32")
    ct = r.normal(size=(images, *(n - (k - 1) * (border == "valid") for n, k in zip(side, window, strict=True)), outs))
    ct = ct.astype("float32")
    if by_samples:
        x, ct = (a.transpose(1, 2, 3, 0) for a in (x, ct))

    def function(x, ct):
        if by_samples:
            x, ct = (ops.transpose(a, (3, 0, 1, 2)) for a in (x, ct))
        w = np.zeros((*window, channels, outs), "float32")
        return autodiff.vjp(lambda w: ops.conv(x, w, padding=border), w)[1](ct)[0]

    return function, [aligned_copy(a) for a in (x, ct)]


@pytest.mark.parametrize("rows", [4, 24])
def test_four_rows_at_once_ask_for_three_of_them_of_all_channels_bands_and_samples(monkeypatch, rows):
    asked = noting(monkeypatch)
    monkeypatch.setattr(kernels, "groups_sums_kernel", WRITERS["groups_sums_kernel"])
    function, arrays = drawn(64, 1, 6, (rows, 15), (5, 5), "same", by_samples=True)
    set_num_threads(1)
    backends.get("cpu").compile(rewrite(trace(function, *(Spec(a.shape, a.dtype) for a in arrays)).graph))(*arrays)
    places, ct = {p // LINE for p in asked[1 : 1 + asked[0]]}, arrays[1]
    for row in range(rows):
        # What the first samples' first band of rows, of four or eight, begins with nobody has asked for before.
        lines_of = {line for p in ct[row] for d in p for line in lines(d if row >= 8 else other_samples(d))}
        share = len(places & lines_of) / len(lines_of)
        assert (share < 0.01) if row % 4 == 3 else (share > 0.99), row


@pytest.mark.parametrize(
    ("writer", "sizes", "window", "by_samples"),
    [
        ("groups_sums_kernel", (33, 1, 6, (28, 28)), (5, 5), True),
        ("groups_sums_kernel", (64, 1, 3, (4, 9)), (3, 3), True),
        ("groups_sums_kernel", (64, 1, 6, (50, 20)), (3, 3), True),  # a last band of fewer rows
        ("groups_sums_kernel", (51, 1, 3, (10, 15)), (3, 5), True),
        ("groups_sums_kernel", (33, 1, 1, (6, 17)), (3, 3), True),  # one channel, one band
        ("groups_grad_kernel", (48, 1, 6, (9, 28)), (3, 3), True),
        ("conv_rows_grad_kernel", (5, 3, 32, (9, 12)), (5, 5), False),
        ("pairs_sums_kernel", (5, 4, 32, (12, 12)), (3, 3), False),
    ],
)
def test_nothing_is_asked_for_outside_of_operands_and_own_memory(monkeypatch, writer, sizes, window, by_samples):
    asked, border = noting(monkeypatch), "valid" if writer == "conv_rows_grad_kernel" else "same"
    monkeypatch.setattr(kernels, writer, WRITERS[writer])
    function, arrays = drawn(*sizes, window, border, by_samples=by_samples)
    graph = rewrite(trace(function, *(Spec(a.shape, a.dtype) for a in arrays)).graph)
    set_num_threads(1)
    with watching() as seen:
        (found,) = backends.get("cpu").compile(graph)(*arrays)
    (memory,) = seen
    base = memory._arena.ctypes.data
    own = next(i.record[-1] for i in memory.plan.instructions if "grad" in i.name)  # bytes, if it has any
    allowed = [(a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays]
    places = asked[1 : 1 + asked[0]]
    outside = [p for p in places if not any(low <= p < high for low, high in allowed)]
    assert len(places) > 50
    assert all(base <= p < base + own for p in outside)
    x, ct = arrays
    if by_samples:  # of each register of samples what comes first
        begin, later = ([line for w in ct[0, :, 0] for line in lines(part(w))] for part in (own_samples, other_samples))
    else:
        begin, later = [*lines(x[0]), *lines(ct[0])], [*lines(x[1:]), *lines(ct[1:])]
    if sizes[0] == 64 or not by_samples:
        found_lines = {p // LINE for p in places}
        assert not found_lines & ({*begin} - {*later})  # when these were asked for it would be too late
        assert len(found_lines & {*later}) > 0.85 * len({*later})
    (expected,) = backends.get("reference").compile(graph)(*arrays)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
