import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn import neural_network as theirs
from sklearn.datasets import load_iris, make_classification, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.metrics import accuracy_score

from pellucid.errors import ConfigurationError, DataError
from pellucid.estimators import DivergedError, MLPClassifier, MLPRegressor
from pellucid.optim import Momentum, StepDecay

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Attributes that scikit-learn's estimators have after a fit, by epochs and by L-BFGS.
LISTS = ["loss_curve_", "validation_scores_"]
NUMBERS = [
    "n_iter_",
    "n_layers_",
    "n_outputs_",
    "t_",
    "n_features_in_",
    "loss_",
    "best_loss_",
    "best_validation_score_",
]


def assert_same_fit(ours, other):
    """Every fitted attribute of scikit-learn's estimator, up to rounding."""
    assert ours.out_activation_ == other.out_activation_
    for name in NUMBERS:
        if hasattr(other, name):
            expected = getattr(other, name)
            assert (getattr(ours, name) is None) == (expected is None), name
            if expected is not None:
                assert getattr(ours, name) == pytest.approx(expected, rel=1e-6), name
    for name in LISTS:
        if getattr(other, name, None) is not None:
            np.testing.assert_allclose(getattr(ours, name), getattr(other, name), rtol=1e-5, atol=1e-9, err_msg=name)
    for name in ("coefs_", "intercepts_"):
        for mine, expected in zip(getattr(ours, name), getattr(other, name), strict=True):
            assert mine.dtype == expected.dtype
            np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-7)


SETTINGS = {
    "default": {},
    "sgd": {"solver": "sgd"},
    "plain sgd": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
    "no momentum": {"solver": "sgd", "momentum": 0.0},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2, "tol": 0.01},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.3, "power_t": 0.3},
    "adam takes no heed": {"learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 2},
    "adam's numbers": {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-4, "learning_rate_init": 0.01},
    "two layers": {"hidden_layer_sizes": (12, 7), "activation": "tanh", "batch_size": 32, "alpha": 0.1},
    "one unit": {"hidden_layer_sizes": 1, "activation": "identity"},
    "logistic": {"activation": "logistic", "shuffle": False, "alpha": 0.0},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 4, "validation_fraction": 0.3},
    "lbfgs": {"solver": "lbfgs", "max_iter": 12},
}


@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_same_seed_gives_scikit_learns_classifier(data, name, setting):
    settings = {"max_iter": 25, "random_state": 3, "hidden_layer_sizes": (9,)} | SETTINGS[setting]
    ours = MLPClassifier(**settings).fit(*data[name])
    other = theirs.MLPClassifier(**settings).fit(*data[name])
    assert_same_fit(ours, other)
    np.testing.assert_allclose(ours.predict_proba(data[name][0]), other.predict_proba(data[name][0]), atol=1e-7)
    np.testing.assert_array_equal(ours.predict(data[name][0]), other.predict(data[name][0]))


@pytest.mark.parametrize("setting", [*SETTINGS, "poisson"])
def test_the_same_seed_gives_scikit_learns_regressor(data, setting):
    x, y = data["diabetes"]
    settings = {"max_iter": 25, "random_state": 3, "hidden_layer_sizes": (9,)}
    settings |= {"loss": "poisson"} if setting == "poisson" else SETTINGS[setting]
    ours = MLPRegressor(**settings).fit(x, y / 100)
    other = theirs.MLPRegressor(**settings).fit(x, y / 100)
    assert_same_fit(ours, other)
    np.testing.assert_allclose(ours.predict(x), other.predict(x), rtol=1e-5, atol=1e-7)


def test_several_labels_are_scikit_learns_too():
    x, y = make_multilabel_classification(n_samples=60, random_state=0)
    for settings in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        settings |= {"max_iter": 15, "random_state": 1}
        ours, other = MLPClassifier(**settings).fit(x, y), theirs.MLPClassifier(**settings).fit(x, y)
        assert_same_fit(ours, other)
        np.testing.assert_array_equal(ours.predict(x), other.predict(x))
        assert ours.predict_proba(x).shape == y.shape


def test_several_targets_are_scikit_learns_too():
    x, y = make_regression(60, 5, n_targets=3, random_state=0)
    settings = {"max_iter": 15, "random_state": 1, "early_stopping": True}
    ours, other = MLPRegressor(**settings).fit(x, y), theirs.MLPRegressor(**settings).fit(x, y)
    assert_same_fit(ours, other)
    assert ours.predict(x).shape == y.shape


@given(
    st.integers(2, 40), st.integers(1, 6), st.integers(2, 4), st.integers(1, 50), st.sampled_from(["sgd", "adam"]),
    st.booleans(),
)  # fmt: skip
def test_loss_curves_are_scikit_learns_for_any_sizes(n, features, classes, batch, solver, shuffle):
    random = np.random.default_rng(n * features + batch)
    x, y = random.normal(size=(n, features)), np.arange(n) % classes
    settings = {
        "hidden_layer_sizes": (5,), "batch_size": min(batch, n), "solver": solver, "shuffle": shuffle, "max_iter": 4,
        "random_state": batch, "alpha": 0.5,
    }  # fmt: skip
    ours, other = MLPClassifier(**settings).fit(x, y), theirs.MLPClassifier(**settings).fit(x, y)
    np.testing.assert_allclose(ours.loss_curve_, other.loss_curve_, rtol=1e-5)


def test_from_equal_parameters_and_in_the_order_given_the_loss_curve_is_scikit_learns(data):
    x, y = data["wine"]
    for solver in ("sgd", "adam"):
        settings = {"solver": solver, "shuffle": False, "warm_start": True, "max_iter": 1, "random_state": 0}
        ours, other = MLPClassifier(**settings).fit(x, y), theirs.MLPClassifier(**settings).fit(x, y)
        random = np.random.default_rng(5)
        other.coefs_ = [random.normal(size=c.shape) * 0.2 for c in other.coefs_]
        ours.coefs_, ours.intercepts_ = [c.copy() for c in other.coefs_], [i.copy() for i in other.intercepts_]
        ours.set_params(max_iter=20).fit(x, y)
        other.set_params(max_iter=20).fit(x, y)
        assert len(ours.loss_curve_) == 21
        np.testing.assert_allclose(ours.loss_curve_, other.loss_curve_, rtol=1e-5)


def test_parts_are_learned_as_scikit_learn_does(data):
    x, y = data["iris"]
    for settings in ({}, {"solver": "sgd", "learning_rate": "invscaling"}):
        ours, other = MLPClassifier(random_state=0, **settings), theirs.MLPClassifier(random_state=0, **settings)
        for _ in range(3):
            for rows in (slice(0, 150, 2), slice(1, 150, 2)):
                ours.partial_fit(x[rows], y[rows], classes=[0, 1, 2])
                other.partial_fit(x[rows], y[rows], classes=[0, 1, 2])
        assert_same_fit(ours, other)


def test_full_batches_with_weights_are_scikit_learns(data):
    x, y = data["iris"]
    weights = np.random.default_rng(0).uniform(0, 3, len(x))
    settings = {"max_iter": 30, "random_state": 0, "alpha": 1.0}
    for solver in ("adam", "lbfgs"):
        ours = MLPClassifier(solver=solver, **settings).fit(x, y, sample_weight=weights)
        other = theirs.MLPClassifier(solver=solver, **settings).fit(x, y, sample_weight=weights)
        np.testing.assert_allclose(ours.predict_proba(x), other.predict_proba(x), rtol=1e-5, atol=1e-7)
        assert ours.loss_ == pytest.approx(other.loss_)


def test_full_batches_with_weights_and_a_split_are_scikit_learns(data):
    x, y = data["iris"]
    weights = np.random.default_rng(0).uniform(0, 3, len(x))
    settings = {"max_iter": 30, "random_state": 0, "alpha": 1.0, "early_stopping": True}
    ours = MLPClassifier(**settings).fit(x, y, sample_weight=weights)
    assert_same_fit(ours, theirs.MLPClassifier(**settings).fit(x, y, sample_weight=weights))


def test_single_precision_stays_single_and_everything_else_is_double(data):
    x, y = data["wine"]
    settings = {"max_iter": 5, "random_state": 0}
    single = MLPClassifier(**settings).fit(x.astype("float32"), y)
    assert {c.dtype for c in [*single.coefs_, *single.intercepts_]} == {np.dtype("float32")}
    assert single.predict_proba(x.astype("float32")).dtype == np.float32
    whole = MLPClassifier(**settings).fit(np.round(x).astype(int), y)
    assert whole.coefs_[0].dtype == np.float64
    other = theirs.MLPClassifier(**settings).fit(x.astype("float32"), y)
    np.testing.assert_allclose(single.loss_curve_, other.loss_curve_, rtol=1e-4)


def test_equal_seeds_give_equal_bits_and_others_do_not(data):
    x, y = data["digits"]
    first, second, third = (MLPClassifier(max_iter=4, dropout=0.2, random_state=seed).fit(x, y) for seed in (0, 0, 1))
    assert first.loss_curve_ == second.loss_curve_
    assert all(np.array_equal(a, b) for a, b in zip(first.coefs_, second.coefs_, strict=True))
    assert first.loss_curve_ != third.loss_curve_


def test_a_generator_of_random_numbers_ends_where_scikit_learns_would(data):
    x, y = data["iris"]
    ours, other = np.random.RandomState(0), np.random.RandomState(0)
    MLPClassifier(random_state=ours, max_iter=60, tol=0.02).fit(x, y)
    theirs.MLPClassifier(random_state=other, max_iter=60, tol=0.02).fit(x, y)
    assert ours.randint(2**31) == other.randint(2**31)


def test_the_users_seeds_are_left_alone(data):
    from pellucid import set_seed
    from pellucid.seeds import next_seed

    set_seed(0)
    expected = next_seed()
    set_seed(0)
    MLPClassifier(max_iter=2).fit(*data["iris"]).predict(data["iris"][0])
    assert next_seed() == expected


def test_several_labels_in_a_sparse_matrix_are_predicted_as_one():
    x, y = make_multilabel_classification(n_samples=60, random_state=0)
    ours, other = (make(max_iter=15, random_state=1).fit(x, sparse.csr_matrix(y)) for make in
                   (MLPClassifier, theirs.MLPClassifier))  # fmt: skip
    assert type(ours.predict(x)) is type(other.predict(x))
    assert (ours.predict(x) != other.predict(x)).nnz == 0
    assert ours.score(x, sparse.csr_matrix(y)) == other.score(x, sparse.csr_matrix(y))


# What scikit-learn's lack.


def test_dropout_leaves_units_out_in_training_alone(data):
    x, y = data["digits"]
    plain, dropped = (MLPClassifier(max_iter=5, dropout=rate, random_state=0).fit(x, y) for rate in (0.0, 0.5))
    assert dropped.loss_curve_[-1] > plain.loss_curve_[-1]
    assert np.array_equal(dropped.predict_proba(x), dropped.predict_proba(x))
    assert dropped.score(x, y) > 0.8


def test_class_weights_multiply_sample_weights(data):
    x, y = data["iris"]
    weights = np.random.default_rng(1).uniform(1, 2, len(x))
    by_class = MLPClassifier(max_iter=10, random_state=0, class_weight={0: 1, 1: 5, 2: 1}).fit(x, y, weights)
    by_sample = MLPClassifier(max_iter=10, random_state=0).fit(x, y, weights * np.where(y == 1, 5, 1))
    np.testing.assert_allclose(by_class.predict_proba(x), by_sample.predict_proba(x), rtol=1e-9)


def test_balanced_classes_help_the_rare_one():
    x, y = make_classification(600, weights=[0.95], flip_y=0, class_sep=0.6, random_state=0)
    found = [MLPClassifier(max_iter=40, class_weight=w, random_state=0).fit(x, y) for w in (None, "balanced")]
    rare = [accuracy_score(y[y == 1], m.predict(x[y == 1])) for m in found]
    assert rare[1] > rare[0]


@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy", lambda y, p: ((y - p) ** 2).sum(1)])
def test_other_losses_of_a_classifier(data, loss):
    x, y = data["iris"]
    found = MLPClassifier(loss=loss, max_iter=300, learning_rate_init=0.01, random_state=0).fit(x, y)
    assert found.score(x, y) > 0.95
    assert found.loss_curve_[-1] < 0.5 * found.loss_curve_[0]


def test_the_absolute_error_is_robust():
    x = np.linspace(-1, 1, 80)[:, None]
    y = 2 * x[:, 0]
    y[::10] += 20
    squared, absolute = (
        MLPRegressor(loss=loss, hidden_layer_sizes=(1,), activation="identity", max_iter=800, learning_rate_init=0.05,
                     random_state=0, tol=0).fit(x, y)
        for loss in ("squared_error", "mae")
    )  # fmt: skip
    clean = np.delete(np.arange(80), np.arange(0, 80, 10))
    error = [np.abs(m.predict(x[clean]) - y[clean]).mean() for m in (squared, absolute)]
    assert error[1] < 0.2 < 1.0 < error[0]


def test_the_loss_of_the_samples_that_are_set_apart(data):
    x, y = data["wine"]
    found = MLPClassifier(early_stopping=True, max_iter=30, random_state=0).fit(x, y)
    assert len(found.validation_loss_curve_) == len(found.validation_scores_) == found.n_iter_
    assert found.validation_loss_curve_[-1] < found.validation_loss_curve_[0]
    assert MLPClassifier(max_iter=2).fit(x, y).validation_loss_curve_ is None


def test_with_early_stopping_the_best_network_is_kept(data):
    x, y = data["diabetes"]
    found = MLPRegressor(early_stopping=True, max_iter=300, learning_rate_init=0.05, random_state=0).fit(x, y)
    assert found.best_validation_score_ == max(found.validation_scores_)
    assert found.n_iter_ < 300


@pytest.mark.parametrize("solver", ["rmsprop", "AdamW", Momentum(StepDecay(0.1, factor=0.5, every=10), 0.9)])
def test_any_optimiser_is_a_solver(data, solver):
    x, y = data["iris"]
    found = MLPClassifier(solver=solver, learning_rate_init=0.01, max_iter=60, random_state=0).fit(x, y)
    assert found.score(x, y) > 0.9
    again = MLPClassifier(solver=solver, learning_rate_init=0.01, max_iter=60, random_state=0).fit(x, y)
    assert again.loss_curve_ == found.loss_curve_  # the optimiser that was given keeps no state


def test_a_schedule_goes_on_from_part_to_part(data):
    x, y = data["iris"]
    schedule = StepDecay(0.5, factor=0.1, every=2)
    parts = MLPClassifier(solver=Momentum(schedule, 0.9), shuffle=False, random_state=0)
    for _ in range(4):
        parts.partial_fit(x, y, classes=[0, 1, 2])
    whole = MLPClassifier(solver=Momentum(schedule, 0.9), shuffle=False, random_state=0, max_iter=4).fit(x, y)
    assert parts.loss_curve_ == whole.loss_curve_


# Stopping.


def test_what_has_not_converged_is_said(data):
    with pytest.warns(ConvergenceWarning, match="MLPClassifier: training took all 3 epochs"):
        MLPClassifier(max_iter=3).fit(*data["iris"])
    with pytest.warns(ConvergenceWarning, match="L-BFGS ended before it converged"):
        MLPRegressor(solver="lbfgs", max_iter=2).fit(*data["diabetes"])


def test_what_has_converged_is_not(data):
    x, y = data["iris"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = MLPClassifier(tol=0.1, n_iter_no_change=3).fit(x, y)
        endless = MLPClassifier(tol=10.0, n_iter_no_change=np.inf, max_iter=30)
        with pytest.warns(ConvergenceWarning):
            endless.fit(x, y)
    assert found.n_iter_ < 200
    assert endless.n_iter_ == 30


def test_progress_is_printed(data, capsys):
    MLPClassifier(max_iter=40, tol=0.5, n_iter_no_change=2, verbose=True, random_state=0).fit(*data["iris"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("Iteration 1, loss = ")
    assert printed[-1].endswith("in 2 epochs in a row: stopping.")


def test_ctrl_c_keeps_what_was_learned(data, monkeypatch):
    from pellucid.estimators.descent import Block

    done = []
    advance = Block.advance

    def interrupted(self, epochs):
        done.append(epochs)
        if len(done) == 3:
            raise KeyboardInterrupt
        advance(self, epochs)

    monkeypatch.setattr(Block, "advance", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        found = MLPClassifier(random_state=0).fit(*data["iris"])
    assert found.n_iter_ == len(found.loss_curve_) == sum(done[:2])
    assert found.predict(data["iris"][0]).shape == (150,)


# Data.


def test_labels_may_be_words(data):
    x, y = data["iris"]
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    found = MLPClassifier(max_iter=100, learning_rate_init=0.01, random_state=0).fit(x, words)
    assert found.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert found.score(x, words) > 0.9
    np.testing.assert_allclose(np.exp(found.predict_log_proba(x)), found.predict_proba(x))


def test_sparse_matrices_are_taken(data):
    x, y = data["digits"]
    x = np.maximum(x, 0)
    dense = MLPClassifier(max_iter=3, random_state=0).fit(x, y)
    found = MLPClassifier(max_iter=3, random_state=0).fit(sparse.csr_matrix(x), y)
    assert np.array_equal(found.predict_proba(sparse.csc_matrix(x)), dense.predict_proba(x))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_are_taken_and_their_columns_remembered(library):
    frames = pytest.importorskip(library)
    x, y = load_iris(return_X_y=True)
    frame = frames.DataFrame({f"f{i}": x[:, i] for i in range(4)})
    found = MLPClassifier(max_iter=3, random_state=0).fit(frame, frames.Series(y))
    assert found.feature_names_in_.tolist() == ["f0", "f1", "f2", "f3"]
    assert np.array_equal(found.predict(frame), MLPClassifier(max_iter=3, random_state=0).fit(x, y).predict(x))
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame[["f1", "f0", "f2", "f3"]])
    with pytest.warns(UserWarning, match="valid feature names"):
        found.predict(x)


def test_importance_of_features(data):
    x, y = data["iris"]
    found = MLPClassifier(max_iter=100, random_state=0).fit(x, y)
    importance = permutation_importance(found, x, y, n_repeats=3, random_state=0).importances_mean
    assert importance[2:].min() > importance[:2].max()  # the petals tell the kinds apart


def test_whoever_changes_an_array_changes_the_predictions(data):
    x, y = data["iris"]
    found = MLPClassifier(max_iter=3, random_state=0).fit(x, y)
    found.coefs_[-1][...] = 0
    found.intercepts_[-1][...] = [0, 5, 0]
    assert set(found.predict(x)) == {1}


# Errors.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1}, "MLPClassifier: alpha must be a finite number of at least 0, not -1."),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be a whole number > 0 or a list of whole numbers"),
        ({"solver": "adamm"}, "MLPClassifier: solver must be 'lbfgs', an Optimizer or one of 'adadelta'"),
        ({"learning_rate": "fast"}, "learning_rate must be one of 'constant', 'invscaling', 'adaptive', not 'fast'."),
        ({"batch_size": 0}, "batch_size must be a whole number > 0, or 'auto', not 0."),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), not 1.0."),
        ({"class_weight": "equal"}, "class_weight must be None, 'balanced' or a dict of class to weight"),
        ({"loss": "log_los"}, "Unknown loss 'log_los'"),
        ({"loss": "hinge"}, "A classifier's loss is computed from probabilities"),
        ({"activation": "logistc"}, "(?s)Unknown activation 'logistc'; known are: .*did you mean 'logistic'"),
        ({"activation": 3}, "MLPClassifier: activation must be the name of an activation, or a function, not 3."),
        ({"random_state": "a"}, "MLPClassifier: random_state must be None, a whole number from 0 to 4294967295 or"),
        ({"class_weight": {7: 1}}, r"class_weight has weights for \[7\], but the classes are \[0, 1, 2\]."),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be a whole number of at least 1, or infinity"),
        ({"validation_fraction": 1.0}, r"validation_fraction must be a number in \[0, 1\)"),
    ],
)
def test_a_parameter_outside_its_range_is_named(data, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        MLPClassifier(**settings).fit(*data["iris"])


def test_sizes_in_the_place_of_the_loss_are_told_where_they_belong(data):
    for sizes in ((5,), 5):
        with pytest.raises(ConfigurationError) as caught:
            MLPRegressor(sizes).fit(*data["diabetes"])
        assert str(caught.value) == (
            f"MLPRegressor: loss must be the name of a loss, a Loss or a function, not {sizes}.\n"
            f"Hint: loss comes first, as in scikit-learn; write hidden_layer_sizes={sizes}"
        )


def test_a_diverging_training_is_an_error(data):
    x, y = data["diabetes"]
    with pytest.raises(DivergedError, match=r"MLPRegressor: training in epoch \d+ gave non-finite") as caught:
        MLPRegressor(solver="sgd", learning_rate_init=1e6, max_iter=50, random_state=0).fit(x, y)
    assert isinstance(caught.value, ValueError)


def test_errors_of_going_on(data):
    x, y = data["iris"]
    warm = MLPClassifier(warm_start=True, max_iter=2).fit(x, y)
    with pytest.raises(DataError, match=r"warm_start goes on with a network for the classes \[0, 1, 2\]"):
        warm.fit(x[:100], y[:100])
    with pytest.raises(ConfigurationError, match=r"hidden_layer_sizes is \[5\], but the network .* has \[100\]"):
        warm.set_params(hidden_layer_sizes=5).fit(x, y)
    with pytest.raises(DataError, match="classes must be passed in the first call of partial_fit"):
        MLPClassifier().partial_fit(x, y)
    part = MLPClassifier().partial_fit(x, y, classes=[0, 1, 2])
    with pytest.raises(DataError, match=r"classes=\[0, 1\] is not what the first call"):
        part.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(DataError, match=r"y has the classes \[7\], which are not among \[0, 1, 2\]"):
        part.partial_fit(x[:1], [7])
    with pytest.raises(ConfigurationError, match="does not support early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(x, y, classes=[0, 1, 2])
    with pytest.raises(DataError, match="y has 2 columns"):
        MLPRegressor(warm_start=True, max_iter=1).fit(x, y).fit(x, np.c_[y, y])
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


def test_errors_of_data(data):
    x, y = data["iris"]
    with pytest.raises(NotFittedError):
        MLPRegressor().predict(x)
    with pytest.raises(DataError, match="Unknown label type: continuous"):
        MLPClassifier().fit(x, y + 0.5)
    with pytest.raises(DataError, match="several columns of classes"):
        MLPClassifier().fit(x, np.c_[y, y])
    with pytest.raises(ConfigurationError, match="class_weight needs one class per sample"):
        MLPClassifier(class_weight="balanced").fit(x, np.c_[y > 0, y > 1].astype(int))
    with pytest.raises(DataError, match="-1"):
        MLPClassifier().fit(x, y, sample_weight=-np.ones(150))
    with pytest.raises(
        DataError, match=r"early_stopping cannot set validation_fraction=0\.0 of 150 samples apart: The"
    ):
        MLPClassifier(early_stopping=True, validation_fraction=0.0).fit(x, y)
    with pytest.raises(DataError, match=r"cannot set validation_fraction=0\.1 of 5 samples apart: The least populated"):
        MLPClassifier(early_stopping=True).fit(x[:5], [0, 0, 0, 0, 1])
    with pytest.raises(DataError, match="validation set would have 1 sample"):
        MLPRegressor(early_stopping=True).fit(x[:5], y[:5])
    with pytest.raises(DataError, match="Poisson loss takes counts"):
        MLPRegressor(loss="poisson").fit(x, y - 1)
    with pytest.warns(UserWarning, match="batch_size is 500, but there are 150 samples"):
        MLPClassifier(batch_size=500, max_iter=1).fit(x, y)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_held_out_scores_are_scikit_learns_over_several_seeds(data, name):
    from sklearn.model_selection import train_test_split

    x, y = data[name]
    pair = (MLPRegressor, theirs.MLPRegressor) if name == "diabetes" else (MLPClassifier, theirs.MLPClassifier)
    scores = np.empty((5, 2))
    for seed in range(5):
        split = train_test_split(x, y, test_size=0.3, random_state=seed)
        for column, make in enumerate(pair):
            fitted = make(random_state=seed, max_iter=100).fit(split[0], split[2])
            scores[seed, column] = fitted.score(split[1], split[3])
    ours, other = scores.mean(axis=0)
    assert ours == pytest.approx(other, abs=0.005)
