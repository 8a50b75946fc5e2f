import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from tests.select.nets import X, Y, line, net, regression

from pellucid import EarlyStopping
from pellucid.errors import ConfigurationError, DataError
from pellucid.select import Bootstrap, Nested, cross_validate

GRID = {"learning_rate": [0.0005, 0.05]}


def test_nested_results_are_those_of_a_hand_written_loop():
    found = cross_validate(net(), X, Y, cv=Nested(3, 2), grid=GRID, epochs=3, preprocess=StandardScaler())
    chosen, outer, inner = [], [], []
    for fold in found.folds:
        scores = [
            cross_validate(
                net(learning_rate=rate), X, Y, cv=[(f.train, f.test) for f in fold.inner], epochs=3,
                preprocess=StandardScaler(),
            ).best_score_
            for rate in GRID["learning_rate"]
        ]  # fmt: skip
        chosen.append(int(np.argmax(scores)))
        inner.append(max(scores))
        model = net(learning_rate=GRID["learning_rate"][chosen[-1]])
        outer.append(cross_validate(model, X, Y, cv=[(fold.train, fold.test)], epochs=3,
                                    preprocess=StandardScaler()).best_score_)  # fmt: skip
    assert found.nested.chosen.tolist() == chosen
    assert found.nested.outer.tolist() == outer
    assert np.allclose(found.nested.inner, inner)
    assert found.nested.score == pytest.approx(np.mean(outer))
    assert found.nested.flat == found.best_score_
    assert found.nested.optimism == found.best_score_ - found.nested.score


def test_choosing_among_many_models_of_noise_looks_good_flat_and_not_nested():
    r = np.random.default_rng(3)
    x, y = r.normal(size=(48, 4)), np.arange(48) % 3
    grid = {"learning_rate": np.geomspace(1e-4, 1, 12).tolist()}
    found = cross_validate(net(), x, y, cv=Nested(4, 4), grid=grid, epochs=4, batch_size=8)
    assert found.nested.flat > found.nested.score
    assert found.nested.optimism > 0
    assert "its optimism is +" in found.nested.text


def test_the_optimism_of_a_loss_is_positive_where_the_flat_loss_is_smaller():
    x, y = regression()
    found = cross_validate(line(), x, y, cv="nested", grid=GRID, scoring="mse")
    assert found.nested.optimism == found.nested.score - found.nested.flat >= 0


def test_bootstrap_estimates_are_those_of_predictions_by_hand():
    found = cross_validate(net(), X, Y, cv=Bootstrap(6, 2), epochs=3, seed=1, keep_models=True)
    wrong, times = np.zeros(150), np.zeros(150)
    for fold, outcome in zip(found.folds, found.scores.outcomes, strict=True):
        wrong[fold.test] += outcome.model.predict(X[fold.test]).argmax(1) != Y[fold.test]
        times[fold.test] += 1
    whole = found.refit(seed=1).predict(X).argmax(1)
    estimate = found.bootstrap()
    assert estimate.out_of_bag == pytest.approx((wrong[times > 0] / times[times > 0]).mean())
    assert estimate.resubstitution == pytest.approx((whole != Y).mean())
    assert min(estimate.resubstitution, estimate.out_of_bag) <= estimate.e632 <= estimate.e632plus


def test_the_bootstrap_of_numbers_estimates_the_squared_error():
    x, y = regression()
    found = cross_validate(line(), x, y, cv=Bootstrap(10), epochs=100, batch_size=8)
    assert found.bootstrap().e632 == pytest.approx(0.01, rel=1)
    assert found.bootstrap().no_information > 1


def test_classes_are_stratified_and_numbers_are_not():
    x, y = regression()
    assert all((np.bincount(Y[f.test]) == 10).all() for f in cross_validate(net(), X, Y, cv=5).folds)
    one_hot = cross_validate(net(), X, np.eye(3)[Y], cv=5)
    assert all((np.bincount(Y[f.test]) == 10).all() for f in one_hot.folds)
    expected = KFold(5, shuffle=True, random_state=0).split(x)
    assert all(
        np.array_equal(f.test, test) for f, (_, test) in zip(cross_validate(line(), x, y).folds, expected, strict=True)
    )


def test_the_same_seed_gives_the_same_bits_and_another_one_other_numbers():
    a, b, c = (cross_validate(net(), X, Y, cv=3, seed=s, epochs=2).results["validation_loss"] for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_first_score_decides_else_the_first_metric_else_the_loss():
    assert cross_validate(net(), X, Y, cv=2).scores.primary == "accuracy"
    assert cross_validate(net(metrics=()), X, Y, cv=2).scores.primary == "loss"
    assert cross_validate(net(), X, Y, cv=2, scoring=["f1_macro", "log_loss"]).scores.primary == "f1_macro"
    x, y = regression()
    found = cross_validate(line(), x, y, cv=3, grid=GRID, epochs=5)
    assert found.best_score_ == found.scores.mean().min()


def test_early_stopping_watches_rows_of_its_own_unless_told_otherwise():
    found = cross_validate(net(), X, Y, cv=3, callbacks=[EarlyStopping(patience=1)], epochs=4)
    assert "val_loss" in found.scores.outcomes[0].history.history
    assert not found.notes
    watched = cross_validate(net(), X, Y, cv=3, callbacks=[EarlyStopping(patience=1)], epochs=4, watch=True)
    assert "the test rows decided when training stopped" in watched.notes[0]


def test_weights_of_samples_count_in_the_training_of_their_rows_only():
    weights = np.where(np.arange(150) < 30, 0.0, 1.0)
    found = cross_validate(net(), X, Y, cv=[(np.arange(150) < 100, np.arange(150) >= 100)], sample_weight=weights,
                           keep_models=True)  # fmt: skip
    model = net().clone(0)
    model.fit(X[:100], Y[:100], sample_weight=weights[:100], seed=0, verbose=0)
    assert np.array_equal(found.scores.outcomes[0].outputs, model.predict(X[100:]))


def test_a_bar_counts_the_fits_where_it_is_wanted(capsys):
    cross_validate(net(), X, Y, cv=3, verbose=1)
    assert "3/3" in capsys.readouterr().err
    cross_validate(net(), X, Y, cv=3)
    assert capsys.readouterr().err == ""


def test_ctrl_c_keeps_what_was_finished():
    count = 0

    def interrupt(member):
        nonlocal count
        count += 1
        if count == 5:
            raise KeyboardInterrupt
        return []

    found = cross_validate(net(), X, Y, cv=10, callbacks=interrupt, epochs=2)
    assert found.interrupted
    done = ~np.isnan(found.results["validation_loss"])
    assert 1 <= done.sum() < 10
    assert set(found.results["failure"][~done]) == {"interrupted"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"grid": {"learning_rat": [1]}}, ConfigurationError, "Unknown grid parameter 'learning_rat'"),
        ({"seeds": 0}, ConfigurationError, "seeds must be a whole number of at least 1"),
        ({"seeds": [1, 1]}, ConfigurationError, "seeds holds one seed twice"),
        ({"seed": -1}, ConfigurationError, "seed must be a whole number"),
        ({"validation_split": 1.0}, ConfigurationError, "validation_split must be a number in"),
        ({"validation_split": 0.1, "watch": True}, ConfigurationError, "not both"),
        ({"watch": 1}, ConfigurationError, "watch must be True or False"),
        ({"verbose": 3}, ConfigurationError, "verbose must be one of"),
        ({"epochs": -1}, ConfigurationError, "epochs must be a whole number"),
        ({"grid": {"momentum": [0.5]}}, ConfigurationError, "Adam has no momentum"),
        ({"groups": [1]}, DataError, "one group for each of 150 rows"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        cross_validate(net(), X, Y, **options)


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="x has 150 samples but y has 149"):
        cross_validate(net(), X, Y[:-1])
    with pytest.raises(DataError, match="x is empty"):
        cross_validate(net(), X[:0], Y[:0])
    with pytest.raises(
        ConfigurationError, match="must be a compiled Model, a function that builds one, or an estimator"
    ):
        cross_validate(LogisticRegression, X, Y)
    with pytest.raises(DataError, match="cannot split these 2 rows"):
        cross_validate(net(), X[:2], Y[:2], cv=5)


def test_where_every_fit_fails_the_first_reason_is_told():
    x, y = regression()
    with pytest.raises(DataError, match="Every fit failed, the first one so: The "):
        cross_validate(line(), x, y, grid={"learning_rate": [1e30]})
