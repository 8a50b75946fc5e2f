import pytest

from pellucid.select.tuning.goals import Goal
from pellucid.select.tuning.progress import TrialProgress
from pellucid.select.tuning.records import INTERRUPTED, Report, TrialRecord

ACCURACY = Goal("accuracy", True)


def trials(*states):
    return [TrialRecord(number, state, value) for number, (state, value) in enumerate(states)]


def test_lines_tell_each_best_trial_and_the_last_one(capsys):
    with TrialProgress(4, 2, ACCURACY) as progress:
        for record in trials(("complete", 0.5), ("pruned", 0.9), ("complete", 0.7), ("failed", float("nan"))):
            progress.trial(record)
    assert capsys.readouterr().out.splitlines() == [
        "1/4 trials, best accuracy 0.5000",
        "3/4 trials, best accuracy 0.7000, pruned 1",
        "4/4 trials, best accuracy 0.7000, pruned 1, failed 1",
    ]


def test_what_the_storage_holds_counts(capsys):
    with TrialProgress(10, 2, Goal("loss", False), done=8, best=0.3) as progress:
        for record in trials(("complete", 0.4), ("complete", 0.2)):
            progress.trial(record)
    assert capsys.readouterr().out == "10/10 trials, best loss 0.2000\n"


@pytest.mark.parametrize("verbose", [0, "auto"])
def test_nothing_is_shown_where_nothing_was_asked_for(capsys, verbose):
    with TrialProgress(1, verbose, ACCURACY) as progress:
        progress.trial(TrialRecord(0, "complete", 0.5))
    assert capsys.readouterr() == ("", "")


def test_a_bar_begins_where_the_search_left_off(capsys):
    with TrialProgress(10, 1, ACCURACY, done=8, best=0.9) as progress:
        progress.trial(TrialRecord(8, "pruned", 0.2))
    err = capsys.readouterr().err
    assert "9/10" in err
    assert "best accuracy=0.9000, pruned=1" in err


def test_a_trial_that_was_interrupted_is_none(capsys):
    with TrialProgress(1, 2, ACCURACY) as progress:
        progress.trial(TrialRecord(0, "failed", float("nan"), {}, Report(failure=INTERRUPTED)))
    assert capsys.readouterr().out == ""
