import numpy as np
import pytest

from pellucid import Callback, EarlyStopping, Input, Model, Sequential, ops
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Dense, Lambda
from pellucid.optim import SGD


class Recorder(Callback):
    """Remembers the loss of every batch."""

    def on_train_begin(self, logs=None):
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


def identity(classes):
    """A model that hands its inputs through, so that a batch's loss says which samples were in it."""
    model = Sequential([Input((classes,)), Lambda(lambda x: x)])
    model.compile("categorical_crossentropy", SGD(0.0))
    return model


# Weights of samples and classes.


def gradient_of(line, **weights):
    """dL/dw of the line y = 2 x at (1, 1), (3, 1), from the update by plain gradient descent."""
    model = line(2.0, optimizer=SGD(1.0))
    history = model.fit([[1.0], [3.0]], [1.0, 1.0], batch_size=None, verbose=0, **weights)
    return history["loss"][0], 2.0 - model.get_weights()["line.kernel"].item()


def test_sample_weights_multiply_loss_and_gradient(line):
    # Losses 1 and 25, derivatives 2 and 30; sums are divided by the number of samples.
    assert gradient_of(line) == (13.0, 16.0)
    assert gradient_of(line, sample_weight=[1.0, 1.0]) == (13.0, 16.0)
    assert gradient_of(line, sample_weight=[4.0, 0.5]) == (8.25, 11.5)


def test_a_sample_of_weight_zero_has_no_influence(classifier, blobs):
    x, y = blobs
    weights = np.ones(48)
    weights[::5] = 0
    spoilt = x.copy()
    spoilt[::5] = 100.0
    models = [classifier(), classifier()]
    histories = [
        model.fit(data, y, sample_weight=weights, batch_size=7, seed=1, epochs=2, verbose=0)
        for model, data in zip(models, (x, spoilt), strict=True)
    ]
    assert histories[0]["loss"] == histories[1]["loss"]
    assert np.array_equal(models[0].predict(x), models[1].predict(x))


def test_weights_follow_their_samples_through_shuffling():
    weights = 10.0 ** np.arange(8)
    log = Recorder()
    # Every sample gives its class the "probability" 1 / e, so that its loss is its weight.
    x = np.full((8, 8), np.exp(-1.0))
    identity(8).fit(x, np.arange(8), sample_weight=weights, batch_size=1, seed=3, callbacks=log, verbose=0)
    assert sorted(log.losses) == pytest.approx(weights.tolist(), rel=1e-6)
    assert log.losses != sorted(log.losses)


def test_class_weights_are_weights_of_the_samples():
    def fitted(**options):
        model = Sequential([Input((2,)), Dense(3, activation="softmax", kernel_initializer="ones")])
        model.compile("categorical_crossentropy", SGD(1.0))
        x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5]])
        history = model.fit(x, y, batch_size=None, verbose=0, **options)
        return history["loss"], model.get_weights()["dense.kernel"]

    y = np.array([0, 0, 0, 2])
    by_class, by_sample = fitted(class_weight={0: 0.5, 2: 3.0}), fitted(sample_weight=[0.5, 0.5, 0.5, 3.0])
    assert by_class[0] == by_sample[0]
    assert np.array_equal(by_class[1], by_sample[1])
    # All probabilities are 1/3: the loss is log 3 times the mean weight.
    assert by_class[0][0] == pytest.approx(np.log(3) * 4.5 / 4, rel=1e-6)
    # n / (K n_k) with n = 4 samples of K = 2 classes that occur.
    balanced, explicit = fitted(class_weight="balanced"), fitted(class_weight={0: 4 / (2 * 3), 2: 4 / (2 * 1)})
    assert balanced[0] == explicit[0]
    assert np.array_equal(balanced[1], explicit[1])


def test_class_and_sample_weights_multiply():
    def fitted(**options):
        model = Sequential([Input((1,)), Dense(1, activation="sigmoid", kernel_initializer="ones")])
        model.compile("binary_crossentropy", SGD(1.0))
        model.fit([[1.0], [-2.0]], [1, 0], batch_size=None, verbose=0, **options)
        return model.get_weights()["dense.kernel"].item()

    both = fitted(class_weight={0: 2.0, 1: 3.0}, sample_weight=[0.5, 0.25])
    assert both == fitted(sample_weight=[1.5, 0.5])


def test_weights_need_one_loss_per_sample(line):
    model = line(2.0, loss=lambda y_true, y_pred: ops.mean(ops.square(y_pred - y_true)))
    assert model.fit([[1.0], [3.0]], [1.0, 1.0], verbose=0)["loss"] == [13.0]
    with pytest.raises(ConfigurationError) as error:
        model.fit([[1.0], [3.0]], [1.0, 1.0], sample_weight=[1.0, 2.0], verbose=0)
    assert str(error.value) == (
        "Weights of samples or classes need a loss of one number per sample, but the loss function returns one number "
        "for the batch.\nHint: leave out the mean over the samples"
    )


# Validation.


def test_the_split_keeps_the_proportions_of_the_classes(classifier):
    y = np.repeat([0, 1, 2], [60, 30, 10])  # sorted: the last fifth, as Keras takes it, would lack a class
    history = classifier(metrics=["confusion_matrix"]).fit(
        np.zeros((100, 4)), y, validation_split=0.2, seed=1, verbose=0
    )
    assert history["val_confusion_matrix"][0].sum(axis=1).tolist() == [12, 6, 2]
    assert history["confusion_matrix"][0].sum(axis=1).tolist() == [48, 24, 8]


def split_of(seed):
    """Rows trained on and mean square of the rows set apart, for the model y = x with targets 0."""
    model = Sequential([Input((1,)), Lambda(lambda x: x)])
    model.compile("mse", SGD(0.0))
    log = Recorder()
    history = model.fit(
        np.arange(20.0)[:, None], np.zeros(20), batch_size=1, validation_split=0.25, seed=seed, callbacks=log, verbose=0
    )
    return set(np.sqrt(log.losses).round().astype(int).tolist()), history["val_loss"][0]


def test_rows_set_apart_by_the_seed_are_not_trained_on():
    for seed in (0, 1):
        trained, validation_loss = split_of(seed)
        rest = sorted(set(range(20)) - trained)
        assert len(trained) == 15
        assert validation_loss == pytest.approx(np.mean(np.square(rest)))
        assert rest != list(range(15, 20))  # not the last rows
    assert split_of(0) == split_of(0)
    assert split_of(0) != split_of(1)


def test_validation_data_are_evaluated_after_each_epoch(classifier, blobs):
    x, y = blobs
    model = classifier()
    after = []
    history = model.fit(
        x[:30],
        y[:30],
        epochs=3,
        validation_data=(x[30:], y[30:]),
        callbacks=[lambda epoch, logs: after.append(model.evaluate(x[30:], y[30:]))],
        verbose=0,
    )
    assert np.transpose([history["val_loss"], history["val_accuracy"]]) == pytest.approx(np.array(after), rel=1e-6)


def test_validation_data_may_carry_weights_or_be_a_generator(classifier, blobs):
    x, y = blobs
    weights = np.linspace(0, 2, 48)

    def validated(data):
        return classifier().fit(x, y, epochs=2, seed=1, validation_data=data, verbose=0)["val_loss"]

    assert validated((x, y, weights)) != validated((x, y))
    parts = [(x[:20], y[:20]), (x[20:], y[20:])]
    assert validated(lambda: iter(parts)) == pytest.approx(validated((x, y)), rel=1e-6)


def test_validation_every_other_epoch_leaves_gaps(classifier, blobs, tmp_path):
    model = classifier()
    history = model.fit(*blobs, epochs=5, validation_split=0.25, validation_every=2, seed=0, verbose=0)
    assert np.isnan(history["val_loss"]).tolist() == [True, False, True, False, True]
    assert not np.isnan(history["loss"]).any()
    assert history.best("val_loss") in (1, 3)
    history.save_plot(tmp_path / "curve.png")
    assert history.csv_text().count("\n") == 6


# What is refused, before anything is trained.


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, or None for all data at once, not 0."),
        (
            {"batch_size": 2.5},
            "batch_size must be a whole number of at least 1, or None for all data at once, not 2.5.",
        ),
        (
            {"batch_size": True},
            "batch_size must be a whole number of at least 1, or None for all data at once, not True.",
        ),
        ({"epochs": -1}, "fit: epochs must be a whole number of at least 0, not -1."),
        ({"epochs": 1.5}, "fit: epochs must be a whole number of at least 0, not 1.5."),
        ({"initial_epoch": "1"}, "fit: initial_epoch must be a whole number of at least 0, not '1'."),
        ({"validation_every": 0}, "fit: validation_every must be a whole number of at least 1, not 0."),
        ({"seed": -1}, "fit: seed must be a whole number of at least 0, not -1."),
        ({"seed": 1.0}, "fit: seed must be a whole number of at least 0, not 1.0."),
        ({"validation_split": 1.0}, "fit: validation_split must lie in [0, 1), not 1.0."),
        ({"validation_split": -0.1}, "fit: validation_split must lie in [0, 1), not -0.1."),
        ({"validation_split": True}, "fit: validation_split must lie in [0, 1), not True."),
        (
            {"validation_split": 0.1, "validation_data": ([[0.0] * 4], [0])},
            "fit: give validation_data or validation_split, not both.",
        ),
        ({"steps_per_epoch": 0}, "fit: steps_per_epoch must be a whole number of at least 1, not 0."),
        (
            {"steps_per_epoch": 3},
            "fit: steps_per_epoch goes with a generator.\nHint: for arrays, give batch_size",
        ),
        (
            {"class_weight": [1.0, 2.0, 3.0]},
            "class_weight must be 'balanced' or a dict of class to weight, not [1.0, 2.0, 3.0].",
        ),
        ({"class_weight": {0: 1.0, 1: 1.0, 2: -1.0}}, "class_weight of class 2 must be at least 0, not -1.0."),
        ({"verbose": "loud"}, "verbose must be 'auto', 0 (nothing), 1 (bar) or 2 (lines), not 'loud'."),
        (
            {"callbacks": [EarlyStopping]},
            "EarlyStopping is a class; pass an object of it.\nHint: EarlyStopping(...)",
        ),
        ({"callbacks": ["stop"]}, "A callback must be a Callback or a function f(epoch, logs), not 'stop'."),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_trained(classifier, blobs, options, text):
    model = classifier()
    before = model.get_weights()
    with pytest.raises(ConfigurationError) as error:
        model.fit(*blobs, **{"verbose": 0, **options})
    assert str(error.value) == text
    assert all(np.array_equal(before[key], value) for key, value in model.get_weights().items())
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"class_weight": {0: 1.0}}, "class_weight has no weight for the classes [1, 2]."),
        ({"sample_weight": [1.0]}, "sample_weight must hold one number for each of 48 samples, not [1]."),
        ({"sample_weight": 2.0}, "sample_weight must hold one number for each of 48 samples, not []."),
        ({"sample_weight": [-1.0] * 48}, "sample_weight must not be negative, but -1.0 is there."),
        ({"validation_data": ([[0.0] * 4],)}, "validation_data must be (x, y) or (x, y, sample_weight)."),
        ({"validation_data": ([[0.0] * 4], [7])}, "validation_data: y: the label 7 in row 0 lies outside the classes"),
    ],
)
def test_data_beside_x_and_y_are_checked_before_the_first_step(classifier, blobs, options, text):
    model = classifier()
    before = model.get_weights()
    with pytest.raises(DataError) as error:
        model.fit(*blobs, verbose=0, **options)
    assert str(error.value).startswith(text)
    assert all(np.array_equal(before[key], value) for key, value in model.get_weights().items())


def test_class_weights_need_classes_and_one_output(line):
    with pytest.raises(DataError) as error:
        line().fit([[1.0], [2.0]], [0.5, 1.5], class_weight="balanced", verbose=0)
    assert str(error.value) == "class_weight needs targets that are classes, one per sample."
    x = Input((2,))
    model = Model(x, [Dense(2, activation="softmax")(x), Dense(2, activation="softmax")(x)])
    model.compile("categorical_crossentropy")
    with pytest.raises(ConfigurationError) as error:
        model.fit([[1.0, 2.0]], [[0], [1]], class_weight="balanced", verbose=0)
    assert str(error.value) == "class_weight works for models of one output.\nHint: use sample_weight instead"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"validation_split": 0.5}, "fit: a generator cannot be split.\nHint: pass validation_data"),
        (
            {"sample_weight": [1.0]},
            "fit: with a generator, yield (x, y, sample_weight) instead of passing weights.",
        ),
        (
            {"class_weight": "balanced"},
            "fit: 'balanced' needs all labels at once; give the weights of the classes.",
        ),
    ],
)
def test_what_a_generator_cannot_do_is_said(classifier, blobs, options, text):
    with pytest.raises(ConfigurationError) as error:
        classifier().fit(iter([blobs]), verbose=0, **options)
    assert str(error.value) == text
