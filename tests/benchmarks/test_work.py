import numpy as np
import pytest
from benchmarks.nets import lenet, mlp
from benchmarks.work import ESTIMATIONS, TRAININGS, Convolution, Estimation, Kernel, MatMul, Training, kernels

from benchmarks import __main__ as command


def test_shapes_through_lenet():
    shapes = [stage.outputs for stage in lenet().stages()]
    assert shapes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (400,), (120,), (84,), (10,)]


def test_operations_of_products():
    assert MatMul(2, 3, 4).flops == 48
    assert Convolution(1, 5, 1, 1, 3, 0).flops == 2 * 9 * 9


def test_a_convolution_does_not_count_the_border():
    # Along an axis of 3 with a window of 3, the places have 2, 3 and 2 taps inside.
    assert Convolution(1, 3, 1, 1, 3, 1).flops == 2 * 7 * 7


def test_operands_are_single_precision():
    for product in (MatMul(2, 3, 4), Convolution(2, 5, 1, 3, 3, 1)):
        operands = Kernel(product, "forward", 1).operands()
        assert [operand.shape for operand in operands] == list(product.shapes)
        assert {operand.dtype for operand in operands} == {np.dtype("float32")}


def test_data_of_a_training():
    x, y = Training("work", mlp(4, 3), 8, 5).data()
    assert (x.shape, x.dtype, y.shape) == ((40, 4), np.float32, (40,))
    assert Training("work", mlp(4, 3), 8, 5, whole=True).samples == 8


def test_data_of_an_estimation():
    x, y = Estimation("work", "wine").arrays()
    assert (x.shape, y.shape) == ((178, 13), (178,))
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-12)


def test_names_tell_rows_apart():
    for rows in (TRAININGS, kernels(), ESTIMATIONS):
        assert len({row.name for row in rows}) == len(rows)


def test_only_picks_rows_by_their_names():
    (group,) = command.groups("LSTM", quick=True)
    assert [(work.name, work.steps) for work in group if isinstance(work, Training)] == [
        ("LSTM 128 on 28x28, batch 128", 30)
    ]
    assert command.groups("no such row", quick=False) == []


@pytest.mark.parametrize("part", [["--quick"], ["--only", "LeNet"], ["--peers", "jax"], ["--peers"]])
def test_a_part_of_the_suite_does_not_replace_the_record(part, tmp_path):
    out, table = command.places(command.arguments(part), tmp_path)
    assert out.parent == table.parent == tmp_path


def test_the_whole_suite_writes_the_record(tmp_path):
    out, table = command.places(command.arguments([]), tmp_path)
    assert [path.parts[-2:] for path in (out, table)] == [("benchmarks", "results.json"), ("docs", "benchmarks.md")]
    assert command.places(command.arguments(["--quick", "--out", "here.json"]), tmp_path)[0].name == "here.json"
