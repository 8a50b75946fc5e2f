import numpy as np
import pytest

from benchmarks import instructions, work
from pellucid.backends.cpu import memory, runner


def test_every_instruction_of_a_row_has_its_times(monkeypatch, capsys):
    small = work.Training("4-16-3, batch 8", work.mlp(4, 16, 3), 8, 3)
    monkeypatch.setattr(instructions, "TRAININGS", (small,))
    instructions.main(small.name, 1, seconds=0.0, least=0.0)
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert small.name in title
    assert head.split()[:2] == ["thread", "0"]
    assert rows[-1].endswith("the step")
    assert any("softmax" in row or "exp" in row for row in rows)
    if runner.can_watch():
        assert float(rows[-1].split()[0]) > 0
    parts = [[float(number) for number in row.split()[:2]] for row in rows]
    np.testing.assert_allclose(np.sum(parts[:-1], axis=0), parts[-1], atol=0.01 * len(rows))


@pytest.mark.skipif(not runner.can_watch(), reason="no program may read this processor's counter of time")
def test_only_what_is_planned_in_the_block_is_watched():
    from pellucid import Input, Sequential, nn

    def fitted(units):
        model = Sequential([Input((5,)), nn.Dense(units)])
        model.compile("mse", "sgd")
        model.fit(np.ones((8, 5), "float32"), np.ones((8, units), "float32"), verbose=0)

    with memory.watching() as seen:
        fitted(7)
    count = len(seen)
    fitted(6)
    assert len(seen) == count > 0
    assert all(each.job.times[0].sum() > 0 for each in seen)
