import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from tests.select.nets import X, Y, line, net, regression, same

from pellucid import EarlyStopping, Input, Sequential, set_seed
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense, Dropout, Normalization
from pellucid.optim import Adam, Momentum
from pellucid.select import cross_validate
from pellucid.select.folds import Fold
from pellucid.select.members import Member, Task, train_members
from pellucid.select.preparing import Inputs
from pellucid.train import structure


def alone(build, seed, fold, x=X, y=Y, **options):
    """The fit of one member alone."""
    set_seed(seed)
    model = build()
    model.fit(x[fold.train], y[fold.train], seed=seed, verbose=0, **options)
    return model


def dropped(learning_rate=0.01, momentum=0.9, l2=0.0, rate=0.1):
    from pellucid.nn.regularizers import L2

    model = Sequential(
        [
            Input((4,)),
            Dense(6, activation="relu", kernel_regularizer=L2(l2)),
            Dropout(rate),
            Dense(3, activation="softmax", kernel_regularizer=L2(l2)),
        ]
    )
    model.compile("categorical_crossentropy", Momentum(learning_rate, momentum), ["accuracy"])
    return model


def test_each_member_is_bit_for_bit_the_same_fit_alone():
    grid = {"learning_rate": [0.01, 0.05], "l2": [0.01, 0.1], "dropout": [0.3], "momentum": [0.5]}
    found = cross_validate(dropped(), X, Y, cv=3, grid=grid, seeds=2, epochs=3, batch_size=16, keep_models=True)
    outcomes, rows = iter(found.scores.outcomes), iter(found.results.rows())
    for c in found.scores.configurations:
        for fold in found.folds:
            for seed in (0, 1):
                outcome, row = next(outcomes), next(rows)
                numbers = (c["learning_rate"], c["momentum"], c["l2"], c["dropout"])
                model = alone(lambda n=numbers: dropped(*n), seed, fold, epochs=3, batch_size=16)
                assert same(model, outcome.model)
                scores = model.evaluate(X[fold.test], Y[fold.test], return_dict=True)
                assert row["validation_loss"] == scores["loss"]
                assert row["validation_accuracy"] == scores["accuracy"]
                assert row["train_loss"] == model.evaluate(X[fold.train], Y[fold.train], return_dict=True)["loss"]
                assert np.array_equal(outcome.outputs, model.predict(X[fold.test]))
                assert (row["seed"], row["learning_rate"], row["l2"]) == (seed, c["learning_rate"], c["l2"])


def test_early_stopping_is_that_of_the_same_fit_alone():
    options = {"epochs": 30, "batch_size": 16, "validation_split": 0.2}
    found = cross_validate(net(), X, Y, cv=3, callbacks=EarlyStopping(patience=2), keep_models=True, seed=5, **options)
    for fold, outcome in zip(found.folds, found.scores.outcomes, strict=True):
        stopping = EarlyStopping(patience=2)
        model = alone(net, 5, fold, callbacks=[stopping], **options)
        assert same(model, outcome.model)
        assert outcome.best_epoch == stopping.best_epoch + 1
        assert outcome.stopped_by == model.history.stopped_by
        assert outcome.history["val_loss"] == model.history["val_loss"]


def test_a_function_builds_each_structure_and_batch_size_as_alone():
    grid = {"units": [2, 5], "batch_size": [8, 32]}
    found = cross_validate(net, X, Y, cv=2, grid=grid, epochs=2, keep_models=True)
    outcomes = iter(found.scores.outcomes)
    for c in found.scores.configurations:
        for fold in found.folds:
            model = alone(lambda c=c: net(c["units"]), 0, fold, epochs=2, batch_size=c["batch_size"])
            assert same(model, next(outcomes).model)


def test_standardised_inputs_and_unbuilt_models_are_as_alone():
    found = cross_validate(
        lambda: net(features=None), X, Y, cv=3, preprocess=StandardScaler(), epochs=2, keep_models=True
    )
    for fold, outcome in zip(found.folds, found.scores.outcomes, strict=True):
        scaled = StandardScaler().fit(X[fold.train]).transform(X)
        assert same(alone(lambda: net(features=None), 0, fold, x=scaled, epochs=2), outcome.model)


def test_an_unbuilt_model_is_not_built_by_cross_validation():
    model = net(features=None)
    cross_validate(model, X, Y, cv=2)
    assert not model.built


def test_normalization_layers_are_adapted_to_the_training_rows_of_each_fold():
    def build():
        model = Sequential([Input((4,)), Normalization(), Dense(3, activation="softmax")])
        model.compile("categorical_crossentropy", Adam(0.01), ["accuracy"])
        return model

    found = cross_validate(build, X, Y, cv=3, seeds=2, epochs=2, keep_models=True)
    for number, outcome in enumerate(found.scores.outcomes):
        fold, seed = found.folds[number // 2], number % 2
        set_seed(seed)
        model = build()
        model.layers[0].adapt(X[fold.train])
        model.fit(X[fold.train], Y[fold.train], seed=seed, epochs=2, verbose=0)
        assert same(model, outcome.model)


def test_optimisers_of_the_grid_take_the_place_of_the_models_own():
    found = cross_validate(net(), X, Y, cv=2, grid={"optimizer": ["sgd", Adam(0.05)]}, keep_models=True)
    names = [type(outcome.model.optimizer).__name__ for outcome in found.scores.outcomes]
    assert names == ["SGD", "SGD", "Adam", "Adam"]
    assert len({id(outcome.model.optimizer) for outcome in found.scores.outcomes}) == 4


def test_configurations_that_differ_in_numbers_share_one_compiled_step():
    structure.SHARED.clear()
    folds = [(np.delete(np.arange(150), test), test) for test in (np.arange(0, 30), np.arange(30, 60))]
    cross_validate(net(), X, Y, cv=folds, grid={"learning_rate": [0.1, 0.2, 0.3]}, batch_size=30, epochs=2)
    steps = [key for key in structure.SHARED._programs if key[0] == "train"]
    assert len(steps) == 1


def test_a_member_that_diverges_is_told_and_the_others_are_scored():
    x, y = regression()
    found = cross_validate(line(), x, y, cv=3, grid={"learning_rate": [0.01, 1e30]}, epochs=3)
    failed = found.results.where(learning_rate=1e30)
    assert all("became" in text for text in failed["failure"])
    assert np.isnan(failed["validation_mae"]).all()
    assert found.best_params_ == {"learning_rate": 0.01}
    assert found.best_score_ < 10
    assert "3 of 6 fits have no score or not all, the first: The " in found.notes[0]


def test_callbacks_may_depend_on_the_member():
    seen = []
    cross_validate(net(), X, Y, cv=2, callbacks=lambda member: [lambda epoch, logs: seen.append((member.seed, epoch))],
                   epochs=2, seeds=[3, 8])  # fmt: skip
    assert sorted(seen) == sorted([(seed, epoch) for seed in (3, 8) for epoch in (0, 1)] * 2)


def test_a_score_that_a_fold_does_not_have_is_told():
    found = cross_validate(
        net(), X, Y, cv=[(np.arange(30, 150), np.arange(30))], scoring="roc_auc_ovr", train_scores=False
    )
    assert np.isnan(found.results["validation_roc_auc_ovr"]).all()
    assert "roc_auc_ovr: " in found.results["failure"][0]
    assert found.results["validation_accuracy"][0] >= 0


def test_several_inputs_and_outputs_are_scored_by_the_models_metrics():
    from pellucid import Model
    from pellucid.nn import Concatenate

    a, b = Input((2,), name="a"), Input((2,), name="b")
    joined = Concatenate()(a, b)
    model = Model([a, b], [Dense(3, activation="softmax", name="kind")(joined), Dense(1, name="size")(joined)])
    model.compile({"kind": "categorical_crossentropy", "size": "mse"}, "adam", {"kind": ["accuracy"]})
    found = cross_validate(model, (X[:, :2], X[:, 2:]), (Y, X[:, 0]), cv=3, epochs=2)
    assert {"validation_kind_accuracy", "validation_size_loss"} <= set(found.results.columns)
    with pytest.raises(DataError, match="several outputs"):
        found.predictions.mean()


def test_a_function_must_return_a_compiled_model():
    with pytest.raises(ConfigurationError, match="must return a compiled model, not NoneType"):
        cross_validate(lambda: None, X, Y)
    with pytest.raises(ConfigurationError, match="not a model that is not compiled"):
        cross_validate(lambda: Sequential([Dense(1)]), X, Y)


def test_a_model_that_a_function_always_gives_stays_as_it_is():
    model = Sequential([Input((4,)), Normalization(), Dense(3, activation="softmax")])
    model.compile("categorical_crossentropy", "sgd", ["accuracy"])
    before = model.get_weights()
    cross_validate(lambda: model, X, Y, cv=2, grid={"optimizer": ["adam"]})
    assert all(np.array_equal(before[name], value) for name, value in model.get_weights().items())
    assert type(model.optimizer).__name__ == "SGD"
    assert model.predict(X).shape == (150, 3)


def test_every_epoch_of_every_member_is_told_and_a_text_ends_it():
    heard = []

    def on_epoch(member, epoch, numbers):
        heard.append((members.index(member), epoch, numbers["val_loss"]))
        return "no hope" if epoch == member.seed else None

    fold = Fold(0, 0, np.arange(0, 150, 2), np.arange(1, 150, 2))
    members = [Member(0, fold, seed) for seed in (0, 2, 9)]
    task = Task(net, Inputs(X, None, Y), Y, 150, [{}], epochs=4, validation_split=0.2, on_epoch=on_epoch)
    outcomes = train_members(task, members)
    assert [o.stopped_by for o in outcomes] == ["no hope", "no hope", None]
    assert [o.epochs for o in outcomes] == [1, 3, 4]
    told = {n: [loss for m, _, loss in sorted(heard) if m == n] for n in range(3)}
    assert told == {n: outcome.history["val_loss"] for n, outcome in enumerate(outcomes)}


def test_on_epoch_does_not_take_the_place_of_another_reason_to_stop():
    fold = Fold(0, 0, np.arange(0, 150, 2), np.arange(1, 150, 2))
    stopping = EarlyStopping("loss", patience=0, min_delta=100.0)
    task = Task(net, Inputs(X, None, Y), Y, 150, [{}], epochs=4, callbacks=[stopping], on_epoch=lambda *_: "mine")
    assert train_members(task, [Member(0, fold, 0)])[0].stopped_by == "mine"
    task = Task(
        net, Inputs(X, None, Y), Y, 150, [{}], epochs=4, callbacks=[stopping], on_epoch=lambda m, e, n: e and "mine"
    )
    assert train_members(task, [Member(0, fold, 0)])[0].stopped_by != "mine"
