"""What was compiled for a model lives as long as the model, and belongs to it alone."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

from pellucid import Input, Model, Sequential, backends
from pellucid.backends.loop import LoopForm
from pellucid.graph import rewrite, trace
from pellucid.nn import Add, Dense, Dropout
from pellucid.op import Spec

X, Y = np.random.default_rng(0).normal(size=(20, 4)).astype("float32"), np.arange(20) % 3


def in_a_row():
    return Sequential([Input((4,)), Dense(8, activation="relu"), Dropout(0.1), Dense(3, activation="softmax")])


def branched():
    x = Input((4,))
    a, b = Dense(5, activation="tanh")(x), Dense(5)(x)
    return Model(x, Dense(3, activation="softmax")(Add()(a, b)))


def compiled(make, backend="cpu"):
    model = make()
    model.compile("categorical_crossentropy", "adam", ["accuracy"], backend=backend)
    return model


def use(model):
    model.fit(X, Y, batch_size=8, epochs=2, validation_split=0.2, verbose=0, seed=0)
    model.evaluate(X, Y)
    return model.predict(X)


@pytest.fixture
def without_gc():
    """Python looks for no circles in the test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("make", [in_a_row, branched])
def test_a_model_that_nobody_needs_frees_its_memory_at_once(make, backend, without_gc):
    model = compiled(make, backend)
    use(model)
    parts = (model, *model.layers, *model.parameters, model.optimizer)
    alive = [weakref.ref(part) for part in parts]
    del parts
    assert all(reference() is not None for reference in alive)
    del model
    assert [reference() for reference in alive] == [None] * len(alive)


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
@pytest.mark.parametrize("make", [in_a_row, branched])
def test_a_copy_of_a_model_that_has_run_is_a_model_of_its_own(make, way):
    model = compiled(make)
    before = use(model)
    twin = copy.deepcopy(model) if way == "deepcopy" else pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict(X), before)
    assert np.abs(use(twin) - before).max() > 0
    np.testing.assert_array_equal(model.predict(X), before)


def test_a_plan_of_the_engine_cannot_be_copied():
    graph = rewrite(trace(lambda x: x * 2.0, Spec((2, 3), np.dtype("float32"))).graph)
    loop = backends.get("cpu").compile_loop(graph, LoopForm(1))
    memory = loop.plan([np.dtype("float32")]).new_memory()
    with pytest.raises(TypeError, match="holds addresses of its memory: it cannot be copied"):
        copy.deepcopy(memory)
