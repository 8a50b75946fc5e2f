import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from tests.select.nets import X, Y, line, net, regression, same

from pellucid import EarlyStopping, Input, Sequential, load_model, set_seed
from pellucid.errors import ConfigurationError
from pellucid.nn import Dense, Normalization
from pellucid.select import corrected_interval, cross_validate

GRID = {"learning_rate": [0.0005, 0.05], "units": [3, 6]}
FOUND = cross_validate(net, X, Y, cv=4, grid=GRID, seeds=2, epochs=4, preprocess=StandardScaler())


def test_results_hold_a_row_per_fit():
    assert len(FOUND.results) == 4 * 4 * 2
    assert FOUND.results.columns[:6] == ("configuration", "repeat", "fold", "seed", "learning_rate", "units")
    assert FOUND.results["fold"][:8].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert FOUND.results["seed"][:4].tolist() == [0, 1, 0, 1]
    assert (FOUND.results["epochs"] == 4).all()
    assert (FOUND.results["seconds"] > 0).all()


def test_the_summary_follows_from_the_results(capsys):
    table = FOUND.summary(show=False)
    assert table is not None
    for row in table.rows():
        own = FOUND.results.where(configuration=row["configuration"])
        scores = own["validation_accuracy"].reshape(4, 2)
        assert row["mean"] == pytest.approx(scores.mean())
        assert row["deviation"] == pytest.approx(scores.mean(axis=1).std(ddof=1))
        assert row["of_seeds"] == pytest.approx(scores.std(axis=1, ddof=1).mean())
        sizes = [np.mean([len(getattr(f, part)) for f in FOUND.folds]) for part in ("train", "test")]
        assert (row["low"], row["high"]) == pytest.approx(corrected_interval(scores.mean(axis=1), *sizes))
        assert row["train"] == pytest.approx(own["train_accuracy"].mean())
    assert list(table["rank"]) == sorted(table["rank"])
    assert FOUND.summary() is None
    printed = capsys.readouterr().out
    assert "accuracy (larger is better): 4 configurations x 4 folds x 2 seeds" in printed
    assert "cv='nested' gives an honest one" in printed


def test_the_best_is_the_first_of_the_summary_by_any_score():
    assert FOUND.best_["configuration"] == FOUND.best_index_
    assert FOUND.best_score_ == FOUND.scores.mean().max()
    assert FOUND.best_params_["learning_rate"] == 0.05
    by_loss = FOUND.summary("loss", show=False)
    assert by_loss is not None
    assert by_loss["mean"][0] == FOUND.scores.mean("loss").min()
    assert "best accuracy" in repr(FOUND)
    with pytest.raises(ConfigurationError, match="Unknown score 'acc'"):
        FOUND.summary("acc")


def test_cv_results_have_a_split_per_fold_and_seed():
    found = FOUND.cv_results_
    assert sum(key.endswith("test_score") and key.startswith("split") for key in found) == 8
    assert np.allclose(found["mean_test_score"], FOUND.scores.mean())
    assert np.allclose(found["mean_test_loss"], FOUND.scores.mean("loss"))
    assert found["rank_test_score"].dtype == np.int32
    assert found["param_units"].tolist() == [c["units"] for c in FOUND.scores.configurations]


def test_a_score_that_falls_is_turned_for_scikit_learn():
    x, y = regression()
    found = cross_validate(line(), x, y, cv=3, grid={"learning_rate": [0.01, 0.1]}, epochs=3).cv_results_
    assert np.array_equal(found["mean_test_score"], -found["mean_test_mae"])
    assert found["rank_test_score"].argmin() == found["mean_test_score"].argmax()


def test_equal_means_share_a_rank_and_parameters_that_a_configuration_lacks_are_masked():
    found = cross_validate(net(), X, Y, cv=2, grid=[{"learning_rate": [0.01]}, {"epochs": [1]}])
    assert found.cv_results_["param_epochs"].mask.tolist() == [True, False]
    assert found.scores.rank().tolist() == [1, 1]


def test_parameters_have_the_array_types_that_scikit_learn_gives_them():
    x, y = X[::3], Y[::3]
    grid = [
        {"n_neighbors": [1, 3], "weights": ["uniform"], "metric_params": [None]},
        {"n_neighbors": [5], "p": [1, 2.5]},
    ]
    theirs = GridSearchCV(KNeighborsClassifier(), grid, cv=3).fit(x, y).cv_results_
    ours = cross_validate(KNeighborsClassifier(), x, y, cv=3, grid=grid).cv_results_
    for name in ("param_n_neighbors", "param_weights", "param_metric_params", "param_p"):
        assert ours[name].dtype == theirs[name].dtype
        assert ours[name].tolist() == theirs[name].tolist()
    assert set(theirs) <= set(ours)


def test_a_parameter_stands_beside_what_was_measured_under_its_name():
    found = cross_validate(
        net(), X, Y, cv=2, grid={"epochs": [9, 2]}, callbacks=EarlyStopping("loss", min_delta=9.0, patience=1)
    )
    assert found.results["param_epochs"].tolist() == [9, 9, 2, 2]
    assert found.results["epochs"].tolist() == [2, 2, 2, 2]
    assert sorted(found.summary(show=False)["param_epochs"].tolist()) == [2, 9]


@pytest.mark.parametrize("ask", [lambda k: FOUND.refit(k), lambda k: FOUND.predictions.mean(k)])
@pytest.mark.parametrize("number", [-1, 99])
def test_there_is_no_other_configuration(ask, number):
    with pytest.raises(ConfigurationError, match=rf"There is no configuration {number} among \d+, counted from 0"):
        ask(number)


def test_refit_trains_the_best_on_everything():
    again = FOUND.refit()
    set_seed(0)
    model = net(FOUND.best_params_["units"], learning_rate=0.05)
    model.fit(StandardScaler().fit_transform(X), Y, epochs=4, seed=0, verbose=0)
    assert same(again.model, model)
    assert again.evaluate(X, Y)["accuracy"] > 0.8
    other = FOUND.refit(configuration=1, seed=7)
    assert other.model.layers[0].units == FOUND.scores.configurations[1]["units"]


def test_refit_stops_where_the_folds_stopped():
    found = cross_validate(net(), X, Y, cv=3, epochs=9, callbacks=[EarlyStopping(patience=1)], watch=True)
    expected = max(1, round(float(np.mean([o.best_epoch for o in found.scores.outcomes]))))
    assert len(found.refit().model.history) == expected
    split = cross_validate(net(), X, Y, cv=3, epochs=3, callbacks=[EarlyStopping(patience=1)])
    assert "val_loss" in split.refit().model.history.history


def test_a_model_that_prepares_its_inputs_itself_is_saved_whole(tmp_path):
    def build():
        model = Sequential([Input((4,)), Normalization(), Dense(3, activation="softmax")])
        model.compile("categorical_crossentropy", "adam", ["accuracy"])
        return model

    again = cross_validate(build, X, Y, cv=2, epochs=2).refit()
    assert np.allclose(again.model.layers[0].mean.numpy(), X.mean(axis=0), rtol=1e-5)
    assert np.array_equal(load_model(again.save(tmp_path / "m.safetensors")).predict(X), again.predict(X))
    with pytest.raises(ConfigurationError, match="begin the model with a Normalization layer"):
        FOUND.refit().save(tmp_path / "n.safetensors")


def test_estimates_of_other_schemes_are_refused():
    with pytest.raises(ConfigurationError, match="was not nested"):
        _ = FOUND.nested
    with pytest.raises(ConfigurationError, match="was not the bootstrap"):
        FOUND.bootstrap()
