import gc
import weakref

import numpy as np
import pytest
from tests.analysis.small_cnns import images, lenet

from pellucid import Input, Sequential
from pellucid.analysis import feature_maps, gradients, saliency
from pellucid.analysis.probe import Probe, Request, program
from pellucid.analysis.wiring import Wiring
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import Conv1D, Conv2D, Dense, Embedding, Flatten, GlobalAveragePool, Lambda


@pytest.mark.parametrize("batch_size", [1, 3, 4, 256])
def test_the_size_of_the_batches_does_not_matter(batch_size):
    model, x = lenet(), images(7)
    whole = gradients(model, x)
    np.testing.assert_allclose(gradients(model, x, batch_size=batch_size), whole, rtol=1e-4, atol=1e-6)


def test_both_backends_see_the_same():
    model, x = lenet(), images(3)
    found = gradients(model, x, 1, rule="guided")
    model.compile("categorical_crossentropy", backend="reference")
    np.testing.assert_allclose(gradients(model, x, 1, rule="guided"), found, rtol=1e-4, atol=1e-6)


def test_new_weights_are_seen_at_once_and_nothing_is_compiled_again():
    model, x = lenet(), images(3)
    before = feature_maps(model, x, before_activation=True)
    wiring = Wiring(model)
    request = Request((wiring.output_of("conv2d", before_activation=True),))
    compiled = program(wiring, request, 4)
    model.get_layer("conv2d").bias.assign(model.get_layer("conv2d").bias.numpy() + 1)
    np.testing.assert_allclose(feature_maps(model, x, before_activation=True), before + 1, rtol=1e-5, atol=1e-6)
    assert program(Wiring(model), request, 4) is compiled


def test_a_changed_layer_is_compiled_anew():
    model, x = lenet(), images(3)
    assert feature_maps(model, x).min() == 0
    model.get_layer("conv2d").activation = None
    assert feature_maps(model, x).min() < 0


@pytest.mark.parametrize("own_class", [False, True])
def test_a_model_that_nobody_needs_is_freed(own_class):
    class Mine(Sequential):
        def __init__(self, layers):
            super().__init__(layers)

    model = lenet()
    if own_class:
        model = Mine([Input((12, 12, 1)), *lenet().layers[:1]])
    feature_maps(model, images(2))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_memory_mapped_images_are_read_batch_by_batch(tmp_path):
    x = images(9)
    mapped = np.memmap(tmp_path / "x", "float32", "w+", shape=x.shape)
    mapped[:] = x
    model = lenet()
    np.testing.assert_array_equal(feature_maps(model, mapped, batch_size=4), feature_maps(model, x, batch_size=4))


def test_float64_models_are_looked_at_in_float64():
    model = Sequential([Input((6, 2)), Conv1D(3, 3, activation="tanh"), Flatten(), Dense(2)], dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 6, 2))
    step = 1e-6 * np.eye(12)[5].reshape(6, 2)
    difference = (model.predict(x + step) - model.predict(x - step))[:, 1] / 2e-6
    found = gradients(model, x, 1)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[:, 2, 1], difference, rtol=1e-8)


def test_texts_have_a_gradient_by_their_embedding_only():
    model = Sequential(
        [Input((5,), dtype="int32"), Embedding(7, 3), Conv1D(4, 2, activation="relu"), Flatten(), Dense(2)]
    )
    x = np.array([[0, 1, 2, 3, 6]])
    with pytest.raises(ConfigurationError) as error:
        saliency(model, x)
    assert str(error.value) == (
        "saliency: the input holds integers, which have no gradient.\n"
        "Hint: the output of a layer has one: gradients(..., wrt='embedding')"
    )
    assert gradients(model, x, wrt="embedding").shape == (1, 5, 3)
    assert saliency(model, x, wrt="embedding").shape == (1, 5)


def test_a_layer_that_the_target_does_not_depend_on_has_a_gradient_of_zero():
    model = Sequential([Input((4,)), Lambda(lambda x: x * 0 + 1), Dense(2)])
    assert not gradients(model, np.ones((2, 4)), 0).any()


def test_wrong_data_get_the_sentence_that_predict_gives():
    with pytest.raises(DataError, match=r"x has shape \[\?, 9, 9, 1\] but the model was built for"):
        gradients(lenet(), np.zeros((2, 9, 9, 1)))
    with pytest.raises(ConfigurationError, match="gradients: batch_size must be a whole number of at least 1, not 0"):
        gradients(lenet(), images(2), batch_size=0)


def test_a_batch_that_is_not_full_is_filled_up_and_cut():
    probe = Probe("test", lenet(), images(5), batch_size=4)
    assert list(probe.parts()) == [slice(0, 4), slice(4, 5)]
    assert [len(values) for _, (values,) in probe.forward(0)] == [4, 1]


def test_large_images_go_through_in_smaller_batches():
    model = Sequential([Input((512, 512, 1)), Conv2D(16, 1), GlobalAveragePool(), Dense(2)])
    x = np.zeros((7, 512, 512, 1), "float32")
    assert Probe("test", model, x, batch_size=256).batch == 4
    assert Probe("test", model, x, batch_size=3).batch == 3
    assert gradients(model, x, 0).shape == x.shape
