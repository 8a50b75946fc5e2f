from benchmarks import crowded


def test_every_network_has_a_row_for_each_number_of_busy_processes(monkeypatch, capsys):
    monkeypatch.setattr(crowded, "usable_cores", lambda: 1)
    crowded.main(rounds=1, seconds=0.01)
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row[:24].strip() for row in rows] == [name for name in crowded.NETWORKS for _ in range(2)]
    assert all(float(row.split()[-1]) > 0 for row in rows)


def test_busy_processes_end_with_the_block():
    with crowded.busy(1):
        pass
