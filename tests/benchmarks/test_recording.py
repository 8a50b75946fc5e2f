from benchmarks import recording
from pellucid.train.running import TrainingRun


def test_every_network_has_a_row_for_each_way_to_fit(monkeypatch, capsys):
    monkeypatch.setattr(recording, "EPOCHS", 2)
    recording.main(1, [*recording.NETWORKS][-2:], steps=6, processor=True)
    rows = [line[24:].rsplit("(", 1)[0] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[9:24].strip() for row in rows] == [how.name for how in recording.CANDIDATES] * 2
    assert [int(row[:8]) for row in rows] == [6] * len(rows)
    assert [int(row[24:34]) for row in rows] == [0, 0, 2, 2, 6, 0] * 2
    assert [float(rows[0].split()[place]) for place in (-3, -1)] == [0.0, 1.0]
    assert all(float(row.split()[-1]) > 0 for row in rows)


def test_every_network_has_steps_of_its_own(monkeypatch, capsys):
    monkeypatch.setattr(recording, "EPOCHS", 2)
    monkeypatch.setattr(recording, "NETWORKS", {"3-4-10, batch 2": 8})
    monkeypatch.setattr(recording, "STEPS", 4)
    recording.main(1, ["3-4-10, batch 2", "3-5-10, batch 2"], processor=True)
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [int(line[24:32]) for line in rows] == [8] * len(recording.CANDIDATES) + [4] * len(recording.CANDIDATES)


def test_the_median_and_the_quartiles_of_the_ratios_are_told():
    found = recording.summed("stats", [2.0, 3.0, 4.0, 10.0, 5.0], [1.0, 2.0, 4.0, 4.0, 1.0], 7)
    assert (found.seconds, found.recorded, found.more, found.ratio) == (4.0, 7, 1.0, 2.0)
    assert found.spread == (1.5, 2.5)


def test_numbers_are_watched_again_after_the_block():
    watch = TrainingRun._watch
    with recording.unwatched():
        assert TrainingRun._watch is not watch
    assert TrainingRun._watch is watch
