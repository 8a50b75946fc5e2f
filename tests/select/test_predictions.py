import numpy as np
import pytest
from tests.select.nets import X, Y, line, net, regression

from pellucid.errors import DataError
from pellucid.select import cross_validate, splitter


def test_each_row_of_a_partition_is_predicted_by_the_model_that_did_not_see_it():
    found = cross_validate(net(), X, Y, cv=5, epochs=3, keep_models=True)
    for fold, outcome in zip(found.folds, found.scores.outcomes, strict=True):
        assert np.array_equal(
            found.predictions.mean()[fold.test].astype("float32"), outcome.model.predict(X[fold.test])
        )
    assert (found.predictions.times() == 1).all()
    assert (found.predictions.labels() == Y).mean() == pytest.approx(found.best_score_)


def test_rows_of_overlapping_schemes_have_several_predictions():
    found = cross_validate(net(), X, Y, cv=splitter("repeated_stratified", folds=3, repeats=4), seeds=2)
    table = found.predictions.table()
    assert len(table) == 150 * 4 * 2
    assert (found.predictions.times() == 8).all()
    row = table.where(row=7)
    outputs = np.column_stack([row[f"output_{k}"] for k in range(3)])
    assert np.allclose(found.predictions.mean()[7], outputs.mean(axis=0))
    assert set(row["target"]) == {Y[7]}
    assert np.array_equal(row["prediction"], outputs.argmax(axis=1))
    assert sorted({*zip(row["repeat"], row["seed"], strict=True)}) == [(r, s) for r in range(4) for s in range(2)]


def test_rows_that_were_never_tested_have_none():
    found = cross_validate(net(), X, Y, cv="holdout")
    (fold,) = found.folds
    assert np.isnan(found.predictions.mean()[fold.train]).all()
    assert not np.isnan(found.predictions.mean()[fold.test]).any()
    with pytest.raises(DataError, match="120 of 150 rows, such as"):
        found.predictions.labels()


def test_numbers_are_predicted_as_numbers():
    x, y = regression()
    found = cross_validate(line(), x, y, cv=3, epochs=100, grid={"learning_rate": [0.1, 1e-5]})
    assert np.abs(found.predictions.labels() - y).mean() < 0.5
    assert np.abs(found.predictions.labels(1) - y).mean() > 0.5
    assert {"target", "prediction"} <= set(found.predictions.table().columns)
