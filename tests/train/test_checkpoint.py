import json
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from safetensors.numpy import save_file

import pellucid
from pellucid import Input, Model, Sequential, load_model, nn, ops, optim, set_seed
from pellucid.errors import FileFormatError
from pellucid.fields import param
from pellucid.nn import BatchNorm, Concatenate, Dense, Dropout, Embedding, Flatten, Lambda
from pellucid.nn.losses import Loss
from pellucid.train.checkpoint import _checksum
from pellucid.train.metrics import F1, Metric
from pellucid.train.serialize import describe

RNG = np.random.default_rng(0)


def saved(model, tmp_path):
    return load_model(model.save(tmp_path / "model.safetensors"))


def same_weights(a, b):
    left, right = a.get_weights(), b.get_weights()
    return left.keys() == right.keys() and all(
        np.array_equal(left[key], right[key]) and left[key].dtype == right[key].dtype for key in left
    )


def same_predictions(a, b, x):
    left, right = a.predict(x), b.predict(x)
    pairs = zip(left, right, strict=True) if isinstance(left, list) else [(left, right)]
    return all(np.array_equal(one, other) for one, other in pairs)


def perturb(model):
    """Give every parameter numbers that no initialiser makes."""
    model.set_weights(
        {
            key: (np.abs(RNG.normal(1.0, 0.1, value.shape))).astype(value.dtype)
            for key, value in model.get_weights().items()
        }
    )


#: For every layer: how it is made, its inputs' shapes and their element type.
LAYERS = {
    "Activation": (lambda: nn.Activation("gelu"), [(4,)]),
    "Add": (lambda: nn.Add(), [(4,), (4,)]),
    "Average": (lambda: nn.Average(), [(4,), (4,), (4,)]),
    "AvgPool1D": (lambda: nn.AvgPool1D(2), [(6, 3)]),
    "AvgPool2D": (lambda: nn.AvgPool2D((2, 3), strides=2), [(6, 6, 2)]),
    "BatchNorm": (lambda: nn.BatchNorm(momentum=0.9, scale=False), [(4,)]),
    "Concatenate": (lambda: nn.Concatenate(axis=1), [(4, 2), (3, 2)]),
    "Conv1D": (lambda: nn.Conv1D(3, 2, padding="same", dilation_rate=2), [(6, 2)]),
    "Conv2D": (lambda: nn.Conv2D(4, (2, 3), strides=(1, 2), groups=2, activation="relu"), [(5, 5, 2)]),
    "Dense": (lambda: nn.Dense(3, activation=ops.tanh, kernel_regularizer="l2"), [(4,)]),
    "Dropout": (lambda: nn.Dropout(0.3, exact=True), [(4,)]),
    "ELU": (lambda: nn.ELU(0.5), [(4,)]),
    "Embedding": (lambda: nn.Embedding(7, 3), [(4,)]),
    "Flatten": (lambda: nn.Flatten(), [(4, 2)]),
    "GRU": (lambda: nn.GRU(3, return_sequences=True), [(4, 2)]),
    "GaussianNoise": (lambda: nn.GaussianNoise(0.5), [(4,)]),
    "GlobalAveragePool": (lambda: nn.GlobalAveragePool(), [(4, 4, 2)]),
    "GlobalMaxPool": (lambda: nn.GlobalMaxPool(), [(4, 2)]),
    "LSTM": (lambda: nn.LSTM(3, go_backwards=True), [(4, 2)]),
    "Lambda": (lambda: nn.Lambda(ops.softsign), [(4,)]),
    "LayerNorm": (lambda: nn.LayerNorm(center=False), [(4,)]),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.3), [(4,)]),
    "MaxPool1D": (lambda: nn.MaxPool1D(2, padding="same"), [(5, 2)]),
    "MaxPool2D": (lambda: nn.MaxPool2D(2), [(4, 4, 1)]),
    "Maximum": (lambda: nn.Maximum(), [(4,), (4,)]),
    "Multiply": (lambda: nn.Multiply(), [(4,), (4,)]),
    "Normalization": (lambda: nn.Normalization(axis=()), [(4, 2)]),
    "Rescaling": (lambda: nn.Rescaling(0.1, -2.0), [(4,)]),
    "Reshape": (lambda: nn.Reshape((2, -1)), [(4,)]),
    "SimpleRNN": (lambda: nn.SimpleRNN(3, activation="relu"), [(4, 2)]),
    "Softmax": (lambda: nn.Softmax(axis=1), [(4, 2)]),
    "Subtract": (lambda: nn.Subtract(), [(4,), (4,)]),
}


def test_every_layer_has_a_sample():
    assert set(LAYERS) == set(nn.LAYERS)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_every_layer_survives(name, tmp_path):
    make, shapes = LAYERS[name]
    layer = make()
    inputs = [Input(shape, layer.input_dtype, name=f"in{i}") for i, shape in enumerate(shapes)]
    model = Model(inputs, layer(*inputs))
    perturb(model)
    found = saved(model, tmp_path)
    assert describe(found.layers[0]) == describe(layer)
    assert same_weights(found, model)
    x = {symbol.name: RNG.integers(0, 7, (3, *symbol.sample_shape)) for symbol in inputs}
    assert same_predictions(found, model, x)


# Architectures.


def test_a_sequential_model_survives(classifier, blobs, tmp_path):
    model = classifier(dropout=0.5, metrics=["accuracy", F1(average="micro")])
    model.fit(*blobs, epochs=2, verbose=0)
    found = saved(model, tmp_path)
    assert type(found) is Sequential
    assert found.name == model.name
    assert found.summary(show=False) == model.summary(show=False)
    assert found.evaluate(*blobs) == model.evaluate(*blobs)
    assert same_weights(found, model)


@pytest.mark.parametrize("first", [Dense(3), Embedding(9, 2)])
def test_double_precision_survives(first, tmp_path):
    model = Sequential([first, Flatten(), Dense(1)], dtype="float64")
    model.predict([[1, 2]])
    found = saved(model, tmp_path)
    assert same_weights(found, model)
    assert same_predictions(found, model, [[1, 2]])


def test_shared_layers_stay_shared(tmp_path):
    a, b = Input((3,), name="a"), Input((3,), name="b")
    shared = Dense(2, name="shared")
    model = Model([a, b], nn.Subtract()(shared(a), shared(b)))
    found = saved(model, tmp_path)
    assert found.count_parameters() == 8
    x = {"a": RNG.normal(size=(4, 3)), "b": RNG.normal(size=(4, 3))}
    assert same_predictions(found, model, x)
    assert np.array_equal(found.predict({"a": x["a"], "b": x["a"]}), np.zeros((4, 2)))


def test_several_inputs_and_outputs_survive(tmp_path):
    a, b = Input((3,), name="a"), Input((2,), "int32", name="b")
    words = Flatten()(Embedding(5, 2)(b))
    joined = Concatenate()(Dense(4)(a), words)
    price, kind = Dense(1, name="price")(joined), Dense(3, activation="softmax", name="kind")(joined)
    model = Model([a, b], [kind, price])
    losses = {"price": "mae", "kind": "categorical_crossentropy"}
    model.compile(losses, "nadam", {"kind": ["accuracy"]}, loss_weights={"price": 0.5, "kind": 2.0})
    x = {"a": RNG.normal(size=(6, 3)), "b": RNG.integers(0, 5, (6, 2))}
    y = {"price": RNG.normal(size=6), "kind": RNG.integers(0, 3, 6)}
    model.fit(x, y, verbose=0)
    found = saved(model, tmp_path)
    assert found.output_names == ("kind", "price")
    assert same_predictions(found, model, x)
    assert found.evaluate(x, y, return_dict=True) == model.evaluate(x, y, return_dict=True)


def test_an_input_that_is_an_output_survives(tmp_path):
    x = Input((3,), name="x")
    model = Model(x, [x, Dense(2)(x)])
    assert same_predictions(saved(model, tmp_path), model, np.ones((2, 3)))


@pytest.mark.parametrize("single", [True, False])
def test_one_output_stays_one_or_a_list_of_one(single, tmp_path):
    x = Input((3,))
    y = Dense(2)(x)
    found = saved(Model(x, y if single else [y]), tmp_path)
    assert isinstance(found.predict(np.ones((1, 3))), np.ndarray if single else list)


def test_nested_models_survive(tmp_path):
    encoder = Sequential([Dense(4, activation="tanh"), BatchNorm()], name="encoder")
    x = Input((3,))
    inner = Input((4,), name="code")
    head = Model(inner, [Dense(1, name="p")(inner), Dense(2, name="q")(inner)], name="head")
    p, q = head(encoder(x))
    model = Model(x, [q, p], name="whole")
    encoder.trainable = False
    model.compile("mse", "adam")
    data, targets = RNG.normal(size=(5, 3)), [RNG.normal(size=(5, 2)), RNG.normal(size=5)]
    model.fit(data, targets, verbose=0)
    found = saved(model, tmp_path)
    assert same_weights(found, model)
    assert same_predictions(found, model, data)
    assert [layer.name for layer in found.layers] == ["encoder", "head"]
    assert [p.name for p in found.trainable_parameters] == [p.name for p in model.trainable_parameters]
    assert {p.name.split(".")[0] for p in found.trainable_parameters} == {"head"}


def test_frozen_models_stay_frozen(classifier, tmp_path):
    model = classifier()
    model.trainable = False
    assert saved(model, tmp_path).trainable_parameters == []


def test_a_model_that_was_not_compiled_survives(tmp_path):
    found = saved(Sequential([Input((2,)), Dense(1)]), tmp_path)
    assert not found.is_compiled
    found.compile("mse")
    found.fit([[1.0, 2.0]], [1.0], verbose=0)


def test_names_with_slashes_and_other_letters_survive(tmp_path):
    model = Sequential([Input((2,)), Dense(2, name="block/größe"), Dense(1, name="b.c")], name="mødel/1")
    model.compile("mse", "adam")
    model.fit([[1.0, 2.0]], [1.0], verbose=0)
    found = saved(model, tmp_path)
    assert same_weights(found, model)
    assert found.name == "mødel/1"
    assert sorted(found.optimizer.state) == ["b.c.bias", "b.c.kernel", "block/größe.bias", "block/größe.kernel"]


# Optimisers.

OPTIMIZERS = [
    *(make() for make in optim.OPTIMIZERS.values()),
    optim.SGD(optim.StepDecay(0.1, factor=0.5, every=3), momentum=0.9, nesterov=True, weight_decay=0.01),
    optim.Momentum(optim.ExponentialDecay(0.1, decay_steps=5, staircase=True)),
    optim.RMSProp(optim.CosineDecay(0.01, 20), momentum=0.5, centered=True),
    optim.Adam(optim.WarmUp(optim.CosineDecay(0.01, 20), 4), clip_norm=1.0),
    optim.AdamW(optim.OneCycle(0.01, 20), clip_value=0.5, decay_biases=True),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_resumed_training_equals_uninterrupted_training(classifier, blobs, tmp_path, optimizer):
    options = {"batch_size": 11, "seed": 4, "validation_split": 0.25, "verbose": 0}

    def fresh():
        return type(optimizer)(**optimizer.config())

    through = classifier(dropout=0.3, optimizer=fresh())
    whole = through.fit(*blobs, epochs=4, **options)

    broken = classifier(dropout=0.3, optimizer=fresh())
    broken.fit(*blobs, epochs=2, **options)
    resumed = saved(broken, tmp_path)
    rest = resumed.fit(*blobs, epochs=4, initial_epoch=2, **options)

    assert same_weights(through, resumed)
    assert rest["val_loss"] == whole["val_loss"][2:]
    assert repr(resumed.optimizer) == repr(optimizer)
    assert resumed.optimizer.iterations == through.optimizer.iterations
    for name, slots in through.optimizer.state.items():
        for slot, value in slots.items():
            assert np.array_equal(resumed.optimizer.state[name][slot], value)


def test_a_learning_rate_that_was_lowered_is_the_one_saved(classifier, tmp_path):
    model = classifier(optimizer=optim.SGD(0.5))
    model.optimizer.learning_rate = 0.125
    assert saved(model, tmp_path).optimizer.learning_rate == 0.125


def test_every_loss_and_its_settings_survive(tmp_path):
    from pellucid.nn import losses

    for loss in (losses.Huber(0.5), losses.SumSquaredError(half=True), losses.BinaryCrossentropy(True, 0.1)):
        model = Sequential([Input((2,)), Dense(1)])
        model.compile(loss)
        assert repr(saved(model, tmp_path).objective.losses[0]) == repr(loss)


# The user's own.


class Scale(nn.Layer):
    start: float = param(default=1.0)

    def build(self, shape):
        self.factor = self.add_parameter("factor", (shape[-1],), nn.initializers.Constant(self.start))

    def call(self, x):
        return x * self.factor


class Block(nn.Layer):
    units: int = param(default=3)

    def setup(self):
        self.inner = Dense(self.units)

    def call(self, x):
        return self.inner(x) + x


class Cube(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.abs(y_pred - y_true) ** 3, 1)


class Largest(Metric):
    combine = "concatenate"
    default_name = "largest"
    statistics_count = 1

    def statistics(self, y_true, y_pred):
        return (ops.abs(y_pred - y_true),)

    def result(self, totals):
        return float(totals[0].max())


def squash(x):
    return ops.tanh(x) * 0.5


def own_loss(y_true, y_pred):
    return ops.square(y_pred - y_true)


def own_metric(y_true, y_pred):
    return ops.abs(y_pred - y_true)


OWN = [Scale, Block, Cube, Largest, squash, own_loss, own_metric]


@pytest.mark.parametrize(("loss", "metric"), [(Cube(), Largest()), (own_loss, own_metric)])
def test_what_is_the_users_own_survives(tmp_path, loss, metric):
    model = Sequential([Input((3,)), Scale(2.0), Block(), Lambda(squash), Dense(1, activation=squash)])
    model.compile(loss, "adam", [metric])
    x, y = RNG.normal(size=(5, 3)), RNG.normal(size=5)
    model.fit(x, y, verbose=0)
    path = model.save(tmp_path / "model")
    found = load_model(path, custom=OWN)
    assert same_weights(found, model)
    assert same_predictions(found, model, x)
    assert found.evaluate(x, y, return_dict=True) == model.evaluate(x, y, return_dict=True)
    with pytest.raises(FileFormatError) as error:
        load_model(path, custom=OWN[1:])
    assert str(error.value) == (
        f"{path}: The file uses the class 'Scale' of your own, which was not given.\n"
        "Hint: pass it: load_model(path, custom=[Scale])"
    )


# The file.


def test_equal_models_make_equal_files(classifier, blobs, tmp_path):
    contents = []
    for name in "ab":
        model = classifier(dropout=0.2)
        model.fit(*blobs, seed=1, verbose=0)
        contents.append(model.save(tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert load_model(tmp_path / "a").save(tmp_path / "c").read_bytes() == contents[0]


def test_the_file_is_plain_safetensors(classifier, blobs, tmp_path):
    model = classifier()
    model.fit(*blobs, verbose=0)
    tensors = load_tensors(model.save(tmp_path / "m").read_bytes())
    own = {f"model/{name}" for name in model.get_weights()}
    state = {f"optimizer/{name}/{slot}" for name in model.get_weights() for slot in "mv"}
    assert set(tensors) == own | state
    for name, value in model.get_weights().items():
        assert np.array_equal(tensors[f"model/{name}"], value)


def test_arrays_in_another_memory_order_are_saved_right(tmp_path):
    model = Sequential([Input((3,)), Dense(4, name="d")])
    values = RNG.normal(size=(4, 3)).astype(np.float32).T
    for strange in (values, np.asfortranarray(values), np.repeat(values, 2, axis=1)[:, ::2], values[::-1, ::-1]):
        model.set_weights({"d.kernel": strange, "d.bias": np.zeros(4, np.float32)})
        assert np.array_equal(saved(model, tmp_path).get_weights()["d.kernel"], strange)


def test_state_in_another_memory_order_is_saved_right(classifier, blobs, tmp_path):
    model = classifier()
    model.fit(*blobs, verbose=0)
    slot = model.optimizer.slots_of(model.layers[0].kernel)["m"]
    values = slot.numpy().copy()
    slot.replace(np.asfortranarray(values))
    assert not slot.numpy().flags.c_contiguous
    assert np.array_equal(saved(model, tmp_path).optimizer.state["dense.kernel"]["m"], values)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_file_has_the_permissions_of_an_ordinary_new_file(classifier, tmp_path):
    path = classifier().save(tmp_path / "m")
    (tmp_path / "ordinary").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_save_that_is_cut_off_leaves_the_old_file(classifier, blobs, tmp_path, monkeypatch, error):
    model = classifier()
    path = model.save(tmp_path / "m")
    kept, predictions = path.read_bytes(), model.predict(blobs[0])
    model.fit(*blobs, verbose=0)

    def fail(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(type(error)):
            model.save(path)
    assert path.read_bytes() == kept
    assert np.array_equal(load_model(path).predict(blobs[0]), predictions)
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


def test_no_pickle_is_anywhere_in_the_source():
    source = Path(pellucid.__file__).parent
    words = re.compile(
        r"\b(pickle|cPickle|dill|cloudpickle|joblib|marshal|shelve)\b|allow_pickle=True|(?<![.\w])(eval|exec)\("
    )
    # joblib starts worker processes there, and keeps no file; what it cannot send is told by this error.
    known = re.compile(r"\bjoblib\b|^from pickle import PicklingError$")
    found = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in sorted(source.rglob("*.py"))
        for line in path.read_text().splitlines()
        if words.search(line) and not (known.search(line) and path.parent.name == "executors")
    ]
    assert found == []


# Damage.


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    set_seed(0)
    model = Sequential([Input((3,)), Dense(2, activation="tanh"), Dropout(0.5), Dense(1, kernel_regularizer="l2")])
    model.compile("huber", optim.Adam(optim.StepDecay(0.1)), ["mae"], loss_weights=0.5)
    model.fit(RNG.normal(size=(4, 3)), RNG.normal(size=4), seed=0, verbose=0)
    return model.save(tmp_path_factory.mktemp("original") / "m").read_bytes()


def refused(path, content, **options):
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as error:
        load_model(path, **options)
    assert str(path) in str(error.value)
    return str(error.value)


def test_every_flipped_byte_is_noticed(original, tmp_path):
    path = tmp_path / "m"
    for position in range(len(original)):
        damaged = bytearray(original)
        damaged[position] ^= 1 << (position % 8)
        refused(path, bytes(damaged))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_truncation_and_extension_is_noticed(original, tmp_path, data):
    length = data.draw(st.integers(0, len(original) - 1))
    refused(tmp_path / "m", original[:length])
    refused(tmp_path / "m", original + data.draw(st.binary(min_size=1, max_size=20)))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_noise_is_no_model(tmp_path, content):
    refused(tmp_path / "m", content)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, reason in [(tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")]:
        with pytest.raises(FileFormatError) as error:
            load_model(path)
        assert str(error.value) == f"The model file {path} cannot be read: {reason}."


def test_an_empty_file_is_damaged(tmp_path):
    path = tmp_path / "m"
    assert refused(path, b"") == (
        f"{path} is damaged, or no model file.\nHint: take an earlier checkpoint, or save the model again"
    )


def test_other_safetensors_files_are_no_models(tmp_path):
    path = tmp_path / "m"
    save_file({"weight": np.zeros(3)}, path)
    text = f"{path} holds tensors but no Pellucid model.\nHint: only files written by model.save can be loaded"
    assert refused(path, path.read_bytes()) == text
    save_file({"weight": np.zeros(3)}, path, metadata={"format": "pt"})
    assert refused(path, path.read_bytes()) == text


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"pellucid-model"', "{}", "[" * 100_000, "\ud800"])
def test_other_descriptions_are_no_models(tmp_path, text):
    try:
        content = save_tensors({"a": np.zeros(1)}, {"pellucid": text})
    except UnicodeEncodeError:
        header = b'{"__metadata__":{"pellucid":"\\ud800"}}'
        content = len(header).to_bytes(8, "little") + header
    refused(tmp_path / "m", content)


def forged(original, change):
    """The file with a changed description and the right checksum, as an attacker could write it."""
    tensors = load_tensors(original)
    length = int.from_bytes(original[:8], "little")
    description = json.loads(json.loads(original[8 : 8 + length])["__metadata__"]["pellucid"])
    description.pop("sha256")
    change(description, tensors)
    description["sha256"] = _checksum(description, tensors)
    return save_tensors(tensors, {"pellucid": json.dumps(description, sort_keys=True)})


def replaced(*path, value):
    def change(description, tensors):
        place = description
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def test_a_forged_file_with_nothing_changed_is_loaded(original, tmp_path):
    (tmp_path / "m").write_bytes(forged(original, lambda description, tensors: None))
    assert load_model(tmp_path / "m").count_parameters() == 11


@pytest.mark.parametrize("name", ["os.system", "system", "__import__", "builtins.eval", "Sequential", "object"])
def test_planted_class_names_are_refused(original, tmp_path, name, monkeypatch):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("a command was run"))
    planted = {"kind": "layer", "class": name, "config": {"command": "true"}}
    text = refused(tmp_path / "m", forged(original, replaced("model", "layers", 0, value=planted)))
    assert text == f"{tmp_path / 'm'}: The layer {name!r} is not known to this version."
    planted["kind"] = "custom"
    text = refused(tmp_path / "m", forged(original, replaced("training", "optimizer", value=planted)), custom=[Scale])
    assert "of your own, which was not given" in text


def test_a_newer_version_says_so(original, tmp_path):
    path = tmp_path / "m"
    assert refused(path, forged(original, replaced("version", value=2))) == (
        f"{path} has the version 2 of the format; this program reads 1.\n"
        "Hint: install the version of Pellucid that wrote it"
    )


def remove(name):
    def change(description, tensors):
        del tensors[name]

    return change


def reshape(description, tensors):
    tensors["model/dense.kernel"] = tensors["model/dense.kernel"].T.copy()


def stranger(description, tensors):
    tensors["optimizer/nobody/m"] = np.zeros(1)


def functional(key, value):
    """The model told call by call, with one entry changed."""

    def change(description, tensors):
        description["model"]["sequential"] = False
        description["model"][key] = value

    return change


DENSE = {"kind": "layer", "class": "Dense", "config": {"units": 2}}


@pytest.mark.parametrize(
    "change",
    [
        remove("model/dense.kernel"),
        reshape,
        stranger,
        replaced("model", value=None),
        replaced("model", "layers", value=[]),
        replaced("model", "layers", 0, value=DENSE | {"config": {"units": 10**15}}),
        replaced("model", "layers", 0, value={"kind": "optimizer", "class": "SGD", "config": {}}),
        replaced("model", "layers", 0, value=[["nested"] * 3]),
        replaced("model", "layers", 0, value={"activation": "relu"}),
        replaced("model", "layers", 0, value=DENSE | {"config": None}),
        replaced("model", "layers", 0, value={"kind": [], "class": {}, "config": {}}),
        replaced("model", "inputs", 0, "shape", value=[-1]),
        replaced("model", "inputs", 0, "dtype", value="object"),
        replaced("model", "dtype", value="complex64"),
        functional("outputs", [[99, 0]]),
        functional("calls", [[0, [[5, 0]]]]),
        functional("calls", 3),
        replaced("training", value=3),
        replaced("training", "losses", value=["os.system"]),
        replaced("training", "loss_weights", value=[None]),
        replaced("training", "metrics", value={"nobody": []}),
        replaced("training", "iterations", value="many"),
        replaced("training", "iterations", value=None),
        replaced("training", "optimizer", "config", "learning_rate", value={"kind": "schedule"}),
    ],
)
def test_forged_descriptions_give_the_one_error(original, tmp_path, change):
    refused(tmp_path / "m", forged(original, change))
