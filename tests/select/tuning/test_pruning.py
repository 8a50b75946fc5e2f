import optuna
import pytest
from tests.select.nets import X, Y, net
from tests.select.tuning.cases import rows, search

from pellucid.select import tune
from pellucid.select.task import Member
from pellucid.select.tuning.goals import Goal
from pellucid.select.tuning.library import quiet
from pellucid.select.tuning.pruning import PRUNED, Judge

ACCURACY = Goal("accuracy", True)
CURVES = [[0.2, 0.4, 0.6, 0.8], [0.3, 0.5, 0.5, 0.5], [0.1, 0.1, 0.7, 0.9], [0.5, 0.6, 0.7, 0.8]]


class Fold:
    """Stands for the rows of a member, which a judge does not look at."""


def judged(study, curves, *, goal=ACCURACY, key="val_accuracy"):
    """Judge the curves of one turn, all epochs of one after the other; the epochs that each was trained for."""
    trials = {k: study.ask() for k in range(len(curves))}
    with quiet():
        judge = Judge(study, trials, goal)
    lengths = []
    for number, curve in enumerate(curves):
        member = Member(number, Fold(), 0)
        length = next((e + 1 for e, v in enumerate(curve) if judge(member, e, {key: v}) == PRUNED), len(curve))
        lengths.append(length)
        for step, value in judge.reports(number).items():
            trials[number].report(value, step)
        for name, value in judge.attributes(number).items():
            study._storage.set_trial_system_attr(trials[number]._trial_id, name, value)
        pruned = number in judge.pruned
        state = optuna.trial.TrialState.PRUNED if pruned else None
        study.tell(trials[number], None if pruned else judge.reports(number)[len(curve)], state=state)
    return lengths


def study_with(pruner):
    with quiet():
        return optuna.create_study(study_name="judged", direction="maximize", pruner=pruner)


def theirs(pruner, turns):
    """The epochs that Optuna's own loop trains one trial after the other, where each curve is a trial."""
    study, lengths = study_with(pruner), []
    for curve in [curve for turn in turns for curve in turn]:
        trial = study.ask()
        for epoch, value in enumerate(curve):
            trial.report(value, epoch + 1)
            if trial.should_prune():
                break
        pruned = trial.should_prune()
        lengths.append(epoch + 1)
        study.tell(trial, None if pruned else curve[-1], state=optuna.trial.TrialState.PRUNED if pruned else None)
    return lengths


@pytest.mark.parametrize(
    "make",
    [
        lambda: optuna.pruners.MedianPruner(n_startup_trials=1),
        lambda: optuna.pruners.SuccessiveHalvingPruner(),
        lambda: optuna.pruners.HyperbandPruner(max_resource=4, reduction_factor=2),
        lambda: optuna.pruners.ThresholdPruner(lower=0.3),
    ],
)
def test_turns_of_one_trial_are_judged_as_by_optuna(make):
    study = study_with(make())
    found = [length for curve in CURVES * 2 for length in judged(study, [curve])]
    assert found == theirs(make(), [CURVES, CURVES])


@pytest.mark.parametrize("pruner", [optuna.pruners.SuccessiveHalvingPruner(), optuna.pruners.MedianPruner(1)])
def test_trials_of_one_turn_do_not_see_each_other(pruner):
    forwards, backwards = study_with(pruner), study_with(pruner)
    judged(forwards, CURVES)
    judged(backwards, CURVES)
    assert judged(forwards, CURVES) == judged(backwards, CURVES[::-1])[::-1]


def test_what_is_watched_may_be_a_loss_where_the_score_is_to_be_large():
    study = study_with(optuna.pruners.MedianPruner(n_startup_trials=1))
    judged(study, [[3.0, 2.0, 1.0]], key="val_loss")
    assert study.trials[0].intermediate_values == {1: -3.0, 2: -2.0, 3: -1.0}
    assert judged(study, [[3.5, 3.4], [2.0, 1.0]], key="val_loss") == [1, 2]


def test_folds_are_judged_by_their_mean_at_the_same_epoch():
    study = study_with(optuna.pruners.MedianPruner(n_startup_trials=1))
    judged(study, [[0.4, 0.6]])
    with quiet():
        judge = Judge(study, {0: study.ask()}, ACCURACY)
    member = Member(0, Fold(), 0)
    assert [judge(member, e, {"val_accuracy": v}) for e, v in enumerate((0.5, 0.7))] == [None, None]
    judge.next_fold()
    assert judge(member, 0, {"val_accuracy": 0.4}) is None  # the mean is 0.45
    assert judge(member, 1, {"val_accuracy": 0.3}) == PRUNED  # the mean is 0.5, below 0.6
    assert judge.curve(0) == {1: 0.45, 2: 0.5}


def test_pruned_trials_stop_early_and_say_so():
    found = search(pruner="median", trials=20, epochs=10)
    pruned = [record for record in found.records if record.state == "pruned"]
    assert pruned
    for record in pruned:
        assert record.report.epochs == len(record.report.curve) < 11
        assert record.value == record.report.curve[-1] == record.report.folds[0]
    assert sum(r.report.epochs for r in found.records) < 20 * 10


def test_on_folds_a_pruned_trial_is_not_trained_on_those_that_are_left():
    found = tune(net(), X, Y, space={"learning_rate": [1e-5, 1e-4, 0.03, 0.1]}, sampler="random", trials=16, at_once=4,
                 epochs=6, validation=3, pruner=optuna.pruners.MedianPruner(n_startup_trials=2), verbose=0)  # fmt: skip
    folds = {record.state: len(record.report.folds) for record in found.records}
    assert folds["complete"] == 3
    assert any(len(record.report.folds) < 3 for record in found.records if record.state == "pruned")


@pytest.mark.slow
def test_pruning_is_the_same_with_every_executor():
    plain = search(pruner="median", trials=12)
    assert rows(search(pruner="median", trials=12, executor="processes", n_jobs=2)) == rows(plain)
