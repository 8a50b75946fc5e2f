import numpy as np
import pytest

from pellucid import Callback, Input, Model, Sequential, ops, set_seed
from pellucid.errors import ConfigurationError, DataError, NotBuiltError, ShapeError
from pellucid.nn import BatchNorm, Concatenate, Dense, Dropout, Embedding, Flatten
from pellucid.optim import SGD


def equal_weights(a, b):
    left, right = a.get_weights(), b.get_weights()
    return left.keys() == right.keys() and all(np.array_equal(left[key], right[key]) for key in left)


def two_in_two_out():
    set_seed(0)
    a, b = Input((3,), name="a"), Input((2,), name="b")
    joined = Concatenate()(Dense(4, activation="tanh")(a), Dense(4, activation="tanh")(b))
    return Model([a, b], [Dense(1, name="price")(joined), Dense(3, activation="softmax", name="kind")(joined)])


def two_in_two_out_data(count=10):
    generator = np.random.default_rng(1)
    x = {"a": generator.normal(size=(count, 3)), "b": generator.normal(size=(count, 2))}
    y = {"price": generator.normal(size=count), "kind": generator.integers(0, 3, count)}
    return x, y


# Seeds.


def test_equal_seeds_give_bit_identical_models(classifier, blobs):
    options = {"epochs": 3, "batch_size": 7, "validation_split": 0.25, "seed": 5, "verbose": 0}
    a, b = classifier(dropout=0.5), classifier(dropout=0.5)
    first, second = a.fit(*blobs, **options), b.fit(*blobs, **options)
    assert equal_weights(a, b)
    assert first.history == second.history


@pytest.mark.parametrize("changed", [{"seed": 6}, {"shuffle": False}])
def test_another_seed_or_order_gives_another_model(classifier, blobs, changed):
    a, b = classifier(), classifier()
    a.fit(*blobs, batch_size=7, seed=5, verbose=0)
    b.fit(*blobs, batch_size=7, **{"seed": 5, "verbose": 0, **changed})
    assert not equal_weights(a, b)


def test_the_seed_alone_fixes_dropout(classifier, blobs):
    def fitted(seed):
        model = classifier(dropout=0.5)
        model.fit(*blobs, batch_size=None, shuffle=False, seed=seed, verbose=0)
        return model

    assert equal_weights(fitted(1), fitted(1))
    assert not equal_weights(fitted(1), fitted(2))


def test_set_seed_fixes_fits_without_a_seed(classifier, blobs):
    def fitted():
        model = classifier(dropout=0.5)
        set_seed(3)
        model.fit(*blobs, validation_split=0.2, batch_size=8, verbose=0)
        return model

    assert equal_weights(fitted(), fitted())


def test_set_seed_fixes_initial_parameters():
    def made(seed):
        set_seed(seed)
        return Sequential([Input((4,)), Dense(3)])

    assert equal_weights(made(1), made(1))
    assert not equal_weights(made(1), made(2))


def test_a_fit_does_not_disturb_another(classifier, blobs):
    options = {"epochs": 2, "batch_size": 7, "verbose": 0}
    alone = classifier(dropout=0.5)
    alone.fit(*blobs, seed=2, **options)

    other, after = classifier(seed=9, dropout=0.3), classifier(dropout=0.5)
    other.fit(*blobs, seed=1, **options)
    after.fit(*blobs, seed=2, **options)
    assert equal_weights(alone, after)


def test_a_fit_leaves_numpys_generators_alone(classifier, blobs):
    np.random.seed(4)
    expected = np.random.random(3)
    np.random.seed(4)
    classifier(dropout=0.5).fit(*blobs, seed=1, validation_split=0.2, verbose=0)
    assert np.array_equal(np.random.random(3), expected)


def test_evaluating_and_predicting_leave_the_model_as_it_is(classifier, blobs):
    a, b = classifier(dropout=0.5), classifier(dropout=0.5)
    a.fit(*blobs, epochs=1, seed=1, verbose=0)
    a.evaluate(*blobs)
    a.predict(blobs[0])
    a.fit(*blobs, epochs=2, initial_epoch=1, seed=1, verbose=0)
    b.fit(*blobs, epochs=2, seed=1, verbose=0)
    assert equal_weights(a, b)


# Continuing.


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "momentum"])
def test_continuing_at_initial_epoch_equals_one_longer_fit(classifier, blobs, optimizer):
    options = {"batch_size": 9, "seed": 3, "validation_split": 0.25, "verbose": 0}
    once, twice = classifier(dropout=0.4, optimizer=optimizer), classifier(dropout=0.4, optimizer=optimizer)
    whole = once.fit(*blobs, epochs=5, **options)
    first = twice.fit(*blobs, epochs=2, **options)
    rest = twice.fit(*blobs, epochs=5, initial_epoch=2, **options)
    assert equal_weights(once, twice)
    assert first["val_loss"] + rest["val_loss"] == whole["val_loss"]
    assert rest.epochs == [2, 3, 4]
    assert once.optimizer.iterations == twice.optimizer.iterations == 20


def test_no_epochs_change_nothing(classifier, blobs):
    model, fresh = classifier(), classifier()
    history = model.fit(*blobs, epochs=0, verbose=0)
    assert len(history) == 0
    assert equal_weights(model, fresh)
    assert len(model.fit(*blobs, epochs=2, initial_epoch=2, verbose=0)) == 0


# Batches.


@pytest.mark.parametrize("batch_size", [1, 7, 47, 48, 1000, None])
def test_every_batch_size_sees_every_sample_once(classifier, blobs, batch_size):
    model = classifier()
    sizes = []

    class Count(Callback):
        def on_train_batch_end(self, batch, logs=None):
            sizes.append(logs["size"])

    model.fit(*blobs, batch_size=batch_size, callbacks=[Count()], verbose=0)
    whole = min(batch_size or 48, 48)
    assert sizes == [whole] * (48 // whole) + ([48 % whole] if 48 % whole else [])
    assert model.optimizer.iterations == len(sizes)


def test_one_sample_is_enough(classifier):
    model = classifier(optimizer=SGD(0.5))
    history = model.fit(np.ones((1, 4)), [2], epochs=30, verbose=0)
    assert history["loss"][-1] < history["loss"][0]
    assert model.predict(np.ones((1, 4))).argmax() == 2


def test_a_step_of_gradient_descent_is_the_hand_computed_one(line):
    model = line(2.0, optimizer=SGD(0.1))
    history = model.fit([[1.0], [3.0]], [1.0, 1.0], batch_size=None, verbose=0)
    # Errors 1 and 5; dL/dw = mean(2 e x) = (2 + 30) / 2, dL/db = mean(2 e) = 6.
    assert history["loss"] == [13.0]
    assert model.get_weights()["line.kernel"].item() == pytest.approx(2 - 0.1 * 16)
    assert model.get_weights()["line.bias"].item() == pytest.approx(-0.1 * 6)


def test_a_loss_function_of_ones_own_sees_targets_and_predictions_in_one_shape(line):
    shapes = []

    def squared(y_true, y_pred):
        shapes.append((y_true.spec.shape, y_pred.spec.shape))
        return ops.square(y_pred - y_true)

    own, built_in = line(2.0, loss=squared), line(2.0)
    x, y = [[1.0], [3.0], [4.0]], [1.0, 2.0, 3.0]
    assert own.fit(x, y, verbose=0)["loss"] == built_in.fit(x, y, verbose=0)["loss"]
    assert equal_weights(own, built_in)
    assert set(shapes) == {((3, 1), (3, 1))}


def test_train_on_batch_equals_one_step_of_fit(classifier, blobs):
    a, b = classifier(dropout=0.5), classifier(dropout=0.5)
    history = a.fit(*blobs, batch_size=None, shuffle=False, seed=4, verbose=0)
    logs = b.train_on_batch(*blobs, seed=4)
    assert equal_weights(a, b)
    assert logs == {"loss": history["loss"][0], "accuracy": history["accuracy"][0]}


def test_train_on_batch_weighs_samples(line):
    model = line(2.0, optimizer=SGD(0.1))
    logs = model.train_on_batch([[1.0], [3.0]], [1.0, 1.0], sample_weight=[3.0, 0.0])
    assert logs == {"loss": 1.5}  # 3 * 1^2 / 2
    assert model.get_weights()["line.kernel"].item() == pytest.approx(2 - 0.1 * 3)


# Kinds of data.


def test_lists_frames_and_arrays_train_alike(classifier, blobs):
    pandas = pytest.importorskip("pandas")
    x, y = blobs
    frame = pandas.DataFrame(x, columns=list("abcd"))
    objects = frame.astype(object)
    reference = classifier()
    reference.fit(x, y, seed=1, verbose=0)
    for same_x, same_y in [
        (x.tolist(), y.tolist()),
        (frame, pandas.Series(y, index=range(100, 148))),
        (objects, y.astype(np.uint8)),
        (np.asfortranarray(x), y[:, None]),
        (x[::-1][::-1], y.astype(float)),
        ({"x": x}, [int(label) for label in y]),
    ]:
        model = classifier()
        model.fit(same_x, same_y, seed=1, verbose=0)
        assert equal_weights(model, reference)


def test_one_hot_rows_train_as_class_numbers_do(classifier, blobs):
    x, y = blobs
    a, b = classifier(dtype="float64"), classifier(dtype="float64")
    left = a.fit(x, y, seed=1, epochs=3, verbose=0)
    right = b.fit(x, np.eye(3)[y], seed=1, epochs=3, verbose=0)
    assert left["accuracy"] == right["accuracy"]
    assert np.allclose(left["loss"], right["loss"], rtol=1e-12)


def test_unsigned_bytes_are_taken_as_numbers():
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 1), dtype=np.uint8)

    def fitted(x):
        set_seed(0)
        model = Sequential([Flatten(), Dense(2, activation="softmax")])
        model.compile("categorical_crossentropy")
        model.fit(x, [0, 1, 0, 1, 0, 1], seed=1, verbose=0)
        return model

    assert equal_weights(fitted(images), fitted(images.astype(np.float32)))


def test_a_model_of_double_precision_stays_in_it(classifier, blobs):
    model = classifier(dtype="float64")
    model.fit(*blobs, sample_weight=np.ones(48), verbose=0)
    assert {p.dtype for p in model.parameters} == {np.dtype("float64")}
    assert model.predict(blobs[0]).dtype == np.float64
    slots = [slot.dtype for own in model.optimizer.state.values() for slot in own.values()]
    assert set(slots) == {np.dtype("float64")}


def test_integers_reach_an_embedding():
    set_seed(0)
    model = Sequential([Embedding(10, 3), Flatten(), Dense(1)])
    model.compile("mse", SGD(0.5))
    x = np.array([[1, 2], [3, 4]])
    model.predict(x)
    before = model.get_weights()["embedding.embeddings"]
    model.fit(x, [0.0, 1.0], verbose=0)
    changed = np.any(model.get_weights()["embedding.embeddings"] != before, axis=1)
    assert changed.tolist() == [False, True, True, True, True, False, False, False, False, False]
    assert np.array_equal(model.predict(x.astype(float)), model.predict(x))


def test_every_embedding_is_checked_against_its_own_input_only():
    a, b = Input((1,), "int32", name="a"), Input((1,), "int32", name="b")
    joined = Concatenate()(Embedding(100, 2)(a), Embedding(10, 2, name="small")(b))
    model = Model([a, b], Dense(1)(Flatten()(joined)))
    model.compile("mse")
    model.fit([[[50], [99]], [[1], [2]]], [0.0, 1.0], verbose=0)
    with pytest.raises(DataError, match=r'layer "small": the integer 50 lies outside 0\.\.9'):
        model.predict([[[1], [2]], [[50], [1]]])


def test_embeddings_inside_of_a_nested_model_are_checked_too():
    inner = Sequential([Input((2,), "int32"), Embedding(5, 3, name="words"), Flatten()])
    tokens = Input((2,), "int32")
    model = Model(tokens, Dense(1)(inner(tokens)))
    with pytest.raises(DataError, match=r'layer "words": the integer 7 lies outside 0\.\.4'):
        model.predict([[1, 7]])


# Several inputs and outputs.


def test_dicts_lists_and_orders_of_inputs_and_targets_are_the_same():
    x, y = two_in_two_out_data()
    losses = {"kind": "categorical_crossentropy", "price": "mse"}
    metrics = {"kind": ["accuracy"], "price": ["mae"]}
    models = [two_in_two_out() for _ in range(2)]
    models[0].compile(losses, "adam", metrics, loss_weights={"kind": 0.5, "price": 2.0})
    models[1].compile(["mse", "categorical_crossentropy"], "adam", metrics, loss_weights=[2.0, 0.5])
    models[0].fit(x, y, epochs=2, batch_size=4, seed=1, verbose=0)
    models[1].fit([x["a"], x["b"]], [y["price"], y["kind"]], epochs=2, batch_size=4, seed=1, verbose=0)
    assert equal_weights(*models)
    prices, kinds = models[0].predict(x)
    assert prices.shape == (10, 1)
    assert kinds.shape == (10, 3)


def test_the_loss_of_several_outputs_is_the_weighted_sum():
    x, y = two_in_two_out_data()
    model = two_in_two_out()
    model.compile(
        {"price": "mse", "kind": "categorical_crossentropy"}, metrics={"kind": "accuracy"}, loss_weights=[2.0, 0.5]
    )
    logs = model.evaluate(x, y, return_dict=True)
    prices, kinds = model.predict(x)
    price = np.square(prices[:, 0] - y["price"]).mean()
    kind = -np.log(kinds[np.arange(10), y["kind"]]).mean()
    assert list(logs) == ["loss", "price_loss", "kind_loss", "kind_accuracy"]
    assert logs["price_loss"] == pytest.approx(price, rel=1e-6)
    assert logs["kind_loss"] == pytest.approx(kind, rel=1e-6)
    assert logs["loss"] == pytest.approx(2 * price + 0.5 * kind, rel=1e-6)
    assert logs["kind_accuracy"] == np.mean(kinds.argmax(1) == y["kind"])


def test_an_output_of_weight_zero_does_not_train():
    x, y = two_in_two_out_data()
    model = two_in_two_out()
    model.compile(["mse", "categorical_crossentropy"], "sgd", loss_weights=[1.0, 0.0])
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    after = model.get_weights()
    assert np.array_equal(before["kind.kernel"], after["kind.kernel"])
    assert not np.array_equal(before["price.kernel"], after["price.kernel"])


# Evaluating and predicting.


@pytest.mark.parametrize("batch_size", [1, 7, 48, None])
def test_evaluation_does_not_depend_on_the_batch_size(classifier, blobs, batch_size):
    model = classifier(metrics=["accuracy", "f1", "auc", "top_k_accuracy"])
    model.fit(*blobs, verbose=0)
    whole = model.evaluate(*blobs, batch_size=48, return_dict=True)
    parts = model.evaluate(*blobs, batch_size=batch_size, return_dict=True)
    assert parts == pytest.approx(whole, rel=1e-6)


def test_predictions_do_not_depend_on_the_batch_size(classifier, blobs):
    model = classifier()
    whole = model.predict(blobs[0], batch_size=None)
    assert whole.shape == (48, 3)
    for batch_size in (1, 7, 48):
        assert np.allclose(model.predict(blobs[0], batch_size=batch_size), whole, atol=1e-6, rtol=0)


def test_a_prediction_is_an_array_of_its_own(classifier, blobs):
    model = classifier()
    first = model.predict(blobs[0])
    kept = first.copy()
    first[:] = -1
    assert np.array_equal(model.predict(blobs[0]), kept)


def test_what_evaluate_returns(classifier, blobs):
    plain, rich = classifier(metrics=()), classifier(metrics=["accuracy", "f1"])
    loss = plain.evaluate(*blobs)
    assert isinstance(loss, float)
    assert rich.evaluate(*blobs)[0] == loss
    assert len(rich.evaluate(*blobs)) == 3
    named = rich.evaluate(*blobs, return_dict=True)
    assert list(named) == ["loss", "accuracy", "f1"]
    assert list(named.values()) == rich.evaluate(*blobs)


def test_evaluation_weighs_samples(line):
    model = line(2.0)
    assert model.evaluate([[1.0], [3.0]], [1.0, 1.0], sample_weight=[4.0, 0.5]) == (4 * 1 + 0.5 * 25) / 2


def test_evaluation_reads_generators(classifier, blobs):
    x, y = blobs
    model = classifier()
    parts = [(x[i : i + 20], y[i : i + 20]) for i in (0, 20, 40)]
    assert model.evaluate(iter(parts)) == pytest.approx(model.evaluate(x, y), rel=1e-6)
    assert model.evaluate(lambda: iter(parts), steps=1) == pytest.approx(model.evaluate(x[:20], y[:20]), rel=1e-6)


def test_dropout_is_for_training_only():
    model = Sequential([Input((50,)), Dropout(0.5)])
    x = np.ones((2, 50), np.float32)
    assert np.array_equal(model.predict(x), x)


def test_batch_norm_learns_its_statistics_in_training_only():
    x = np.random.default_rng(0).normal(3.0, 2.0, (32, 2))
    model = Sequential([Input((2,)), BatchNorm(momentum=0.5, name="norm")])
    model.compile("mse", SGD(0.0))
    model.evaluate(x, x)
    model.predict(x)
    assert model.get_weights()["norm.moving_mean"].tolist() == [0.0, 0.0]
    model.fit(x, x, batch_size=None, verbose=0)
    after = model.get_weights()
    assert np.allclose(after["norm.moving_mean"], 0.5 * x.mean(axis=0), rtol=1e-5)
    assert np.allclose(after["norm.moving_variance"], 0.5 + 0.5 * x.var(axis=0), rtol=1e-5)


# Weights and layers.


def test_weights_are_copies(classifier):
    model = classifier()
    weights = model.get_weights()
    weights["dense.bias"][:] = 7
    assert model.get_weights()["dense.bias"].tolist() == [0.0] * 5


def test_weights_of_other_names_or_shapes_are_refused(classifier):
    model = classifier()
    weights = model.get_weights()
    bias = weights.pop("dense.bias")
    with pytest.raises(ConfigurationError) as error:
        model.set_weights({**weights, "dens.bias": bias})
    assert str(error.value) == "set_weights: missing are ['dense.bias'], unknown are ['dens.bias']."
    with pytest.raises(ShapeError):
        model.set_weights({**weights, "dense.bias": np.zeros(4)})


def test_a_layer_is_found_by_name(classifier):
    model = classifier()
    assert model.get_layer("dense_1") is model.layers[-1]
    with pytest.raises(ConfigurationError) as error:
        model.get_layer("dens_1")
    assert str(error.value) == "Unknown layer 'dens_1'; known are: dense, dense_1.\nHint: did you mean 'dense_1'?"


def test_a_frozen_layer_stays_as_it_is(classifier, blobs):
    model = classifier()
    before = model.get_weights()
    model.fit(*blobs, verbose=0)
    middle = model.get_weights()
    model.layers[0].trainable = False
    model.fit(*blobs, verbose=0)
    after = model.get_weights()
    assert not np.array_equal(before["dense.kernel"], middle["dense.kernel"])
    assert np.array_equal(middle["dense.kernel"], after["dense.kernel"])
    assert not np.array_equal(middle["dense_1.kernel"], after["dense_1.kernel"])


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_batch_end"])
@pytest.mark.parametrize("first", [True, False])
def test_a_callback_may_freeze_layers_and_train_them_again(classifier, blobs, hook, first):
    x, y = blobs
    model = classifier()
    layer = model.layers[0]
    layer.trainable = first
    seen = []

    class Switch(Callback):
        def watch(self, *_):
            seen.append(layer.kernel.numpy().copy())
            layer.trainable = not first

    setattr(Switch, hook, Switch.watch)
    before = layer.kernel.numpy().copy()
    model.fit(x, y, epochs=4, seed=0, verbose=0, callbacks=[Switch()])
    after = layer.kernel.numpy()
    if first:
        assert np.array_equal(after, seen[0])
    else:
        assert np.array_equal(seen[0], before)
        assert not np.array_equal(after, before)
    layer.trainable = True
    kept = layer.kernel.numpy().copy()
    model.fit(x, y, epochs=1, seed=0, verbose=0)
    assert not np.array_equal(layer.kernel.numpy(), kept)


def test_a_callback_may_freeze_a_parameter_and_change_its_mind(classifier, blobs):
    x, y = blobs
    model = classifier()
    kernel, layer, kept = model.layers[0].kernel, model.layers[0], []

    class Switch(Callback):
        def on_epoch_begin(self, epoch):
            kernel.trainable = epoch != 1
            layer.trainable = epoch != 3
            kept.append(kernel.numpy().copy())

    model.fit(x, y, epochs=6, seed=0, verbose=0, callbacks=[Switch()])
    changed = [not np.array_equal(a, b) for a, b in zip(kept, [*kept[1:], kernel.numpy()], strict=True)]
    assert changed == [True, False, True, False, True, True]


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_epoch_end"])
def test_a_model_in_training_is_not_compiled(classifier, blobs, hook):
    class Compiles(Callback):
        pass

    setattr(Compiles, hook, lambda self, *_, **__: self.model.compile("categorical_crossentropy", "adam"))
    model = classifier()
    with pytest.raises(ConfigurationError, match="is in training, and cannot be compiled until that has ended"):
        model.fit(*blobs, epochs=2, callbacks=Compiles(), verbose=0)
    model.compile("categorical_crossentropy", "adam")
    assert len(model.fit(*blobs, epochs=2, verbose=0)) == 2


def test_a_model_in_training_is_not_compiled_after_a_fit_inside_of_its_fit(classifier, blobs):
    def once(epoch, logs):
        model.fit(*blobs, epochs=1, verbose=0)
        model.compile("categorical_crossentropy", "adam")

    model = classifier()
    with pytest.raises(ConfigurationError, match="is in training"):
        model.fit(*blobs, epochs=2, callbacks=once, verbose=0)
    model.compile("categorical_crossentropy", "adam")


def test_a_model_whose_layers_are_all_frozen_can_be_fitted(classifier, blobs):
    model, fresh = classifier(), classifier()
    model.trainable = False
    history = model.fit(*blobs, verbose=0)
    assert equal_weights(model, fresh)
    assert len(history) == 1


def test_compiled_programs_are_reused_and_do_not_pile_up(classifier):
    model = classifier(metrics=())
    for count in (*range(1, 60), 59):
        model.train_on_batch(np.ones((count, 4)), np.zeros(count, int), seed=0)
    assert len(model.programs.kept) == 32


def test_compiling_again_changes_loss_and_optimiser(classifier, blobs):
    model = classifier()
    model.fit(*blobs, verbose=0)
    model.compile("mse", SGD(0.5), ["mae"])
    history = model.fit(blobs[0], np.eye(3)[blobs[1]], verbose=0)
    assert list(history.history) == ["loss", "mae"]
    assert model.optimizer.iterations == 2


def test_the_forward_graph_is_printed_the_same_for_equal_models(classifier):
    text = str(classifier(dropout=0.5).forward_graph(3, training=True))
    assert text == str(classifier(seed=1, dropout=0.5).forward_graph(3, training=True))
    assert text.startswith("graph sequential(x: float32[3, 4], key: uint32[2], dense.kernel: float32[4, 5]")
    assert "random_uniform" not in str(classifier(dropout=0.5).forward_graph(3))


# What is refused.


def test_a_model_that_is_not_compiled_says_so(blobs):
    model = Sequential([Input((4,)), Dense(3)])
    text = 'The model "sequential" is not compiled.\nHint: call model.compile(loss=..., optimizer=...) first'
    for call in (
        lambda: model.fit(*blobs, verbose=0),
        lambda: model.evaluate(*blobs),
        lambda: model.train_on_batch(*blobs),
        lambda: model.optimizer,
        lambda: model.objective,
    ):
        with pytest.raises(NotBuiltError) as error:
            call()
        assert str(error.value) == text


def test_a_model_that_is_not_built_says_so(tmp_path):
    model = Sequential([Dense(3)])
    text = (
        'The model "sequential" does not know the shape of its input yet.\n'
        "Hint: begin it with Input(shape), call build(shape), or fit it"
    )
    for call in (model.summary, lambda: model.network, lambda: model.save(tmp_path / "m")):
        with pytest.raises(NotBuiltError) as error:
            call()
        assert str(error.value) == text
    assert repr(model) == "Sequential('sequential', not built)"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"loss": "msee"}, "Unknown loss 'msee'"),
        ({"loss": "mse", "optimizer": "adamm"}, "Unknown optimizer 'adamm'"),
        ({"loss": "mse", "metrics": ["acuracy"]}, "Unknown metric 'acuracy'"),
        ({"loss": "mse", "backend": "refrence"}, "Unknown backend 'refrence'"),
    ],
)
@pytest.mark.parametrize("built", [True, False])
def test_unknown_names_get_the_nearest_spelling(arguments, text, built):
    model = Sequential([*([Input((4,))] if built else []), Dense(3)])
    with pytest.raises(ConfigurationError) as error:
        model.compile(**arguments)
    assert str(error.value).startswith(f"{text}; known are: ")
    near = {"msee": "mse", "adamm": "adam", "acuracy": "accuracy", "refrence": "reference"}[text.split("'")[1]]
    # Two names can be equally near ("adam", "adamw").
    assert str(error.value).splitlines()[1].startswith(f"Hint: did you mean '{near}")


def test_an_output_that_is_no_symbol_is_refused():
    with pytest.raises(ConfigurationError) as error:
        Model(Input((2,)), np.zeros(3))
    assert str(error.value) == (
        "Model takes symbols, not array([0., 0., 0.]).\nHint: start with x = Input(shape) and call layers on it"
    )


def test_keras_short_names_and_no_metrics_are_understood():
    model = Sequential([Input((2,)), Dense(1, activation="sigmoid")])
    model.compile("bce", "sgd", metrics=None)
    assert model.evaluate(np.zeros((4, 2)), np.ones(4), return_dict=True).keys() == {"loss"}
    model.compile("bce", "sgd", metrics=["acc"])
    assert model.evaluate(np.zeros((4, 2)), np.ones(4), return_dict=True).keys() == {"loss", "acc"}
