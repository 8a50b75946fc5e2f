import threading

import numpy as np
import optuna
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tests.select.nets import X, Y, line, net, regression, same
from tests.select.tuning.cases import SPACE, build, rows, search

from pellucid import EarlyStopping, Input, Sequential, backends, set_seed
from pellucid.data import Dataset, split_indices
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense, Dropout
from pellucid.optim import Adam
from pellucid.select import tune

optuna.logging.set_verbosity(optuna.logging.WARNING)


def alone(params, *, epochs=6, batch_size=16, seed=3, fraction=0.2):
    """The validation accuracy of one configuration, fitted by hand, and its model."""
    train, test = split_indices(Y, fraction, seed, "auto")
    set_seed(seed)
    model = net(params.get("units", 6), learning_rate=params["learning_rate"])
    model.fit(X[train], Y[train], epochs=epochs, batch_size=batch_size, seed=seed, verbose=0)
    return model.evaluate(X[test], Y[test], return_dict=True, verbose=0)["accuracy"], model


def test_every_trial_is_bit_for_bit_the_fit_alone():
    found = search(trials=6)
    for record in found.records:
        assert record.value == alone(record.params)[0]
    assert same(found.model, alone(found.best_params_)[1])


def test_one_at_a_time_the_trials_are_those_of_optuna_with_a_hand_written_objective():
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=3))

    def objective(trial):
        params = {
            "units": trial.suggest_categorical("units", [4, 6]),
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 0.3, log=True),
        }
        return alone(params, epochs=2)[0]

    study.optimize(objective, n_trials=16)
    found = search(trials=16, epochs=2, at_once=1)
    assert [r.params for r in found.records] == [t.params for t in study.trials]
    assert [r.value for r in found.records] == [t.value for t in study.trials]
    assert found.best_trial.number == study.best_trial.number


@pytest.mark.parametrize("pruner", ["none", "median", "hyperband"])
def test_the_same_seed_gives_the_same_trials_on_any_number_of_threads(pruner):
    before = backends.num_threads()
    try:
        found = []
        for threads in (1, 2):
            backends.set_num_threads(threads)
            found.append(search(pruner=pruner, trials=14))
    finally:
        backends.set_num_threads(before)
    assert rows(found[0]) == rows(found[1])
    assert found[0].curves == found[1].curves
    assert same(found[0].model, found[1].model)


def test_another_seed_tries_something_else():
    assert rows(search(trials=3)) != rows(search(trials=3, seed=4))


def test_a_function_of_a_trial_may_choose_the_number_of_layers():
    def conditional(trial):
        count = trial.suggest_int("layers", 1, 3)
        layers = [Dense(trial.suggest_int(f"units{k}", 3, 6), activation="tanh") for k in range(count)]
        model = Sequential([Input((4,)), *layers, Dense(3, activation="softmax")])
        rate = trial.suggest_float("learning_rate", 1e-3, 0.1, log=True)
        model.compile("categorical_crossentropy", Adam(rate), ["accuracy"])
        return model

    found = search(build=conditional, space=None, trials=12)
    table = found.results
    assert set(table["layers"].tolist()) == {1, 2, 3}
    for count, second, third in zip(table["layers"], table["units1"], table["units2"], strict=True):
        assert (second is not None and not np.isnan(second)) == (count > 1)
        assert (third is not None and not np.isnan(third)) == (count > 2)
    assert len(found.model.layers) == found.best_params_["layers"] + 1
    assert same(found.refit().model, found.refit().model)


def test_models_of_a_function_share_populations_and_are_the_fits_alone():
    def made(trial):
        layers = [
            Dense(6, activation="tanh", kernel_regularizer="l2"), Dropout(trial.suggest_float("rate", 0.1, 0.5)),
            Dense(3, activation="softmax"),
        ]  # fmt: skip
        model = Sequential([Input((4,)), *layers])
        model.compile("categorical_crossentropy", Adam(trial.suggest_float("learning_rate", 1e-3, 0.1)), ["accuracy"])
        return model

    found = search(build=made, space=None, trials=4)
    train, test = split_indices(Y, 0.2, 3, "auto")
    for record in found.records:
        set_seed(3)
        model = made(optuna.trial.FixedTrial(record.params))
        model.fit(X[train], Y[train], epochs=6, batch_size=16, seed=3, verbose=0)
        assert record.value == model.evaluate(X[test], Y[test], return_dict=True, verbose=0)["accuracy"]


def test_batch_size_and_epochs_may_be_searched():
    space = {"learning_rate": [0.01], "batch_size": [8, 64], "epochs": range(2, 5)}
    found = search(build=net(), space=space, trials=6, sampler="grid")
    assert len(found.results) == 6
    assert found.results["trial_epochs"].tolist() == found.results["epochs"].tolist()
    for record in found.records:
        sizes = {"epochs": record.params["epochs"], "batch_size": record.params["batch_size"]}
        assert record.value == alone(record.params, **sizes)[0]


def test_a_space_may_be_a_function():
    def space(trial):
        rate = trial.suggest_float("learning_rate", 1e-3, 0.1)
        return {"learning_rate": rate, "units": 4 if rate < 0.05 else 6}

    found = search(space=space, trials=5)
    for record in found.records:
        rate = record.params["learning_rate"]
        assert record.value == alone({"learning_rate": rate, "units": 4 if rate < 0.05 else 6})[0]


def test_a_grid_tries_everything_once():
    found = search(space={"units": [4, 5, 6], "learning_rate": [0.01, 0.1]}, trials=None, sampler="grid")
    assert sorted(rows(found, "units", "learning_rate")) == [(u, r) for u in (4, 5, 6) for r in (0.01, 0.1)]


def test_a_grid_of_optunas_own_ends_where_it_ends():
    sampler = optuna.samplers.GridSampler({"units": [4, 6], "learning_rate": [0.01, 0.1, 0.2]}, seed=0)
    found = search(sampler=sampler, trials=20)
    assert sorted(rows(found, "units", "learning_rate")) == [(u, r) for u in (4, 6) for r in (0.01, 0.1, 0.2)]


@pytest.mark.parametrize("sampler", ["random", "cmaes", optuna.samplers.NSGAIISampler(seed=1)])
def test_samplers_by_name_or_of_optunas_own(sampler):
    space = {"learning_rate": (1e-3, 0.3, "log"), "units": (3, 6)}
    found = search(sampler=sampler, space=space)
    assert len(found.results) == 10
    assert all(1e-3 <= rate <= 0.3 for rate in found.results["learning_rate"])


def test_folds_judge_a_trial_by_their_mean():
    found = search(build=net(), space={"learning_rate": [0.01, 0.1]}, sampler="grid", trials=None, validation=3)
    for record in found.records:
        assert len(record.report.folds) == 3
        assert record.value == pytest.approx(np.mean(record.report.folds))
        assert record.report.epochs == 18
    with pytest.raises(ConfigurationError, match="each trial has 3 models, one for each fold"):
        _ = found.model


def test_validation_data_judge_the_trials():
    found = tune(net(), X[:100], Y[:100], space={"learning_rate": (1e-3, 0.1)}, validation=(X[100:], Y[100:]),
                 trials=3, epochs=3, verbose=0)  # fmt: skip
    model = net(learning_rate=found.best_params_["learning_rate"])
    set_seed(0)
    model = net(learning_rate=found.best_params_["learning_rate"])
    model.fit(X[:100], Y[:100], epochs=3, seed=0, verbose=0)
    assert same(model, found.model)
    assert found.best_score_ == model.evaluate(X[100:], Y[100:], return_dict=True, verbose=0)["accuracy"]


def test_a_data_set_gives_its_training_examples():
    x, y = X.astype("float32"), Y.astype("int32")
    data = Dataset("iris", "classification", (x[::2], y[::2]), (x[1::2], y[1::2]), target_names=("a", "b", "c"))
    given = {"space": {"learning_rate": (1e-3, 0.1)}, "trials": 3, "epochs": 2, "verbose": 0}
    assert rows(tune(net(), data, **given), "value") == rows(tune(net(), x[::2], y[::2], **given), "value")


def test_a_loss_is_made_small():
    x, y = regression()
    found = tune(line(), x, y, space={"learning_rate": (1e-4, 0.3, "log")}, trials=8, epochs=5, verbose=0)
    assert found.goal.name == "mae"
    assert found.best_score_ == min(found.results["value"])
    assert found.summary(show=False)["value"].tolist() == sorted(found.results["value"])


def test_scores_of_scikit_learn_decide_where_they_are_asked_for():
    found = search(scoring="balanced_accuracy", pruner="median", trials=12)
    assert found.goal.name == "balanced_accuracy"
    assert found.best_score_ == max(r.value for r in found.records if r.state == "complete")
    # What is watched beside it is the loss, which is told to the pruner with its sign turned.
    first = found.study.trials[0].intermediate_values
    assert [-v for v in first.values()] == found.curves[0]


def test_early_stopping_watches_the_rows_that_judge_and_says_how_long_to_train_on_everything():
    found = search(build=net(), space={"learning_rate": [0.3]}, trials=1, epochs=60,
                   callbacks=[EarlyStopping("val_loss", 3)], preprocess=StandardScaler())  # fmt: skip
    (record,) = found.records
    assert record.report.epochs == record.report.best_epoch + 3 < 60
    assert len(found.curves[0]) == record.report.epochs
    assert len(found.refit().model.history) == record.report.best_epoch


def test_refit_trains_the_best_configuration_on_all_rows():
    found = search(trials=4)
    set_seed(3)
    model = net(found.best_params_["units"], learning_rate=found.best_params_["learning_rate"])
    model.fit(X, Y, epochs=6, batch_size=16, seed=3, verbose=0)
    assert same(found.refit().model, model)


def test_estimators_are_searched_too():
    space = {"C": (1e-3, 10.0, "log")}
    found = tune(LogisticRegression(max_iter=500), X, Y, space=space, trials=5, validation=3, verbose=0)
    assert found.goal.name == "accuracy"
    assert found.best_params_["C"] == found.refit().model.C


def test_a_refused_configuration_is_a_row_and_the_others_go_on():
    space = {"learning_rate": [-1.0, 0.01, 0.1]}
    found = search(build=net(), space=space, sampler="grid", trials=None)
    by_rate = {row[2]: row[:2] for row in rows(found, "state", "failure", "learning_rate")}
    assert by_rate[0.01] == by_rate[0.1] == ("complete", None)
    assert by_rate[-1.0][0] == "failed"
    assert "learning_rate" in by_rate[-1.0][1]
    assert any("1 failed, the first: trial" in note for note in found.notes)


def test_numbers_that_become_nan_fail_one_trial():
    x, y = regression()
    found = tune(line(), 1e6 * x, y, space={"learning_rate": [1e30, 0.1]}, sampler="grid", epochs=3, verbose=0)
    assert sorted(rows(found, "state", "learning_rate")) == [("complete", 0.1), ("failed", 1e30)]
    assert found.best_params_ == {"learning_rate": 0.1}


def test_where_all_fail_the_error_says_why():
    with pytest.raises(DataError, match=r"Every trial failed, the first one so: .*learning_rate"):
        search(build=net(), space={"learning_rate": [-1.0, -2.0]}, trials=3)


def test_an_error_of_the_users_function_is_a_row_where_others_succeed():
    def fragile(units):
        if units == 4:
            raise RuntimeError("no four units here")
        return net(units)

    found = search(build=fragile, space={"units": [6, 4]}, sampler="grid", trials=None, seed=0)
    assert sorted(rows(found, "state", "failure")) == [
        ("complete", None), ("failed", "RuntimeError: no four units here")]  # fmt: skip


def test_only_the_best_model_is_kept():
    seen = []
    found = search(trials=12, on_trial=seen.append)
    assert [record.number for record in seen] == list(range(12))
    assert found.model.evaluate(X, Y, verbose=0) is not None
    assert found._best.number == found.best_trial.number


def test_a_time_limit_ends_the_search_after_a_turn():
    found = search(trials=1000, time_limit=1e-6 + 0.2, at_once=3)
    assert 3 <= len(found.results) < 1000
    assert len(found.results) % 3 == 0


def test_the_summary_ranks_the_trials_and_warns_of_its_optimism(capsys):
    found = search(pruner="median", trials=14)
    found.summary(top=3)
    text = capsys.readouterr().out
    complete = [record for record in found.records if record.state == "complete"]
    pruned = len(found.records) - len(complete)
    assert text.startswith(f"accuracy (larger is better): 14 trials ({len(complete)} complete, {pruned} pruned) in ")
    assert f"... and {len(complete) - 3} more" in text
    assert f"the best of {len(complete)} validation scores is too good as an estimate" in text
    assert f"best: accuracy {found.best_score_:.4f} of trial {found.best_trial.number}: units=" in text
    assert repr(found).startswith("Search(14 trials: best accuracy ")


def test_ctrl_c_returns_what_is_there():
    done = []

    def interrupt(record):
        done.append(record)
        if len(done) == 6:
            raise KeyboardInterrupt

    found = search(trials=50, on_trial=interrupt)
    assert found.interrupted
    assert {"running", "waiting"}.isdisjoint(record.state for record in found.records)
    assert sum(record.state == "complete" for record in found.records) >= 6
    assert len(found.records) < 50


def test_nothing_of_the_search_stays_behind_as_a_thread():
    before = threading.active_count()
    search(trials=4)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"space": None}, "Without a space, the function needs_two must take one argument, the trial, not 2."),
        ({"sampler": "tpa"}, "Unknown sampler 'tpa'; known are: cmaes, grid, random, tpe."),
        ({"pruner": "meedian"}, "Unknown pruner 'meedian'; known are: hyperband, median, none."),
        ({"trials": 0}, "tune: trials must be a whole number of at least 1, or None, not 0."),
        ({"space": {"unit": [1]}}, "Unknown grid parameter 'unit'"),
        ({"space": {"units": 4}}, "space: 'units' must be (low, high), (low, high, 'log'), a range or a list of"),
        ({"sampler": "grid"}, "sampler='grid' needs the values of 'learning_rate' as a list or a range"),
        ({"storage": "search.txt"}, "storage must be 'memory', a journal file, a URL of a database"),
        ({"validation": "nested"}, "tune: validation cannot be nested: the search is the inner one."),
        ({"executor": "thread"}, "executor: executor must be one of"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(given, text):
    def needs_two(units, depth):
        return net(units)

    with pytest.raises(ConfigurationError) as error:
        search(build=needs_two if given == {"space": None} else build, **given)
    assert text in str(error.value)


def test_a_model_without_a_space_leaves_nothing_to_choose():
    with pytest.raises(ConfigurationError, match="There is nothing to choose from: space is missing"):
        tune(net(), X, Y)


def test_targets_must_be_as_many_as_samples():
    with pytest.raises(DataError, match="x has 150 samples but y has 149"):
        tune(net(), X, Y[1:], space={"learning_rate": (0.1, 0.2)})


def test_values_that_no_storage_could_keep_are_given_as_they_are():
    def stacked(hidden):
        model = Sequential(
            [Input((4,)), *(Dense(n, activation="tanh") for n in hidden), Dense(3, activation="softmax")]
        )
        model.compile("categorical_crossentropy", Adam(0.05), ["accuracy"])
        return model

    found = search(build=stacked, space={"hidden": [(4,), (4, 5)]}, sampler="grid", trials=None)
    assert sorted(found.results["hidden"]) == ["(4, 5)", "(4,)"]
    assert all(record.state == "complete" for record in found.records)


def test_trials_of_the_space_come_from_its_ranges():
    found = search(space=SPACE, trials=8)
    assert set(found.results["units"]) <= {4, 6}
