import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.analysis.small_cnns import images, lenet, torch_gradient

from pellucid import Input, Model, Sequential, set_seed
from pellucid.analysis import (
    feature_maps,
    grad_cam,
    gradients,
    integrated_gradients,
    saliency,
    smooth_gradients,
    strength,
)
from pellucid.analysis.attribution import upsampled
from pellucid.analysis.receptive_fields import AxisField
from pellucid.errors import ConfigurationError, DataError
from pellucid.nn import (
    LSTM,
    BatchNorm,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePool,
    MaxPool1D,
)


@pytest.mark.parametrize("score", ["logits", "output"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_are_those_of_pytorch(score, channels):
    model, x = lenet(channels=channels), images(5, channels=channels)
    labels = [0, 1, 2, 3, 4]
    expected = torch_gradient(model, x, labels, of=score)
    np.testing.assert_allclose(gradients(model, x, labels, score=score), expected, rtol=1e-4, atol=1e-6)
    found = saliency(model, x, labels, score=score)
    np.testing.assert_allclose(found, np.abs(expected).max(axis=-1), rtol=1e-4, atol=1e-6)


def test_the_gradient_of_sound_through_strides_dilation_and_normalisation_is_that_of_jax():
    jax = pytest.importorskip("jax")
    set_seed(3)
    model = Sequential(
        [
            Input((20, 2)),
            Conv1D(3, 4, strides=2, activation="tanh"),
            BatchNorm(),
            Conv1D(4, 2, dilation_rate=3, activation="relu"),
            GlobalAveragePool(),
            Dense(3),
        ]
    )
    w = {name: value + np.float32(0.1) for name, value in model.get_weights().items()}
    model.set_weights(w)

    def convolve(x, name, strides=1, dilation=1):
        dimensions = ("NWC", "WIO", "NWC")
        z = jax.lax.conv_general_dilated(
            x, w[f"{name}.kernel"], (strides,), "VALID", rhs_dilation=(dilation,), dimension_numbers=dimensions
        )
        return z + w[f"{name}.bias"]

    def score(x):
        x = jax.numpy.tanh(convolve(x, "conv1d", strides=2))
        x = (x - w["batch_norm.moving_mean"]) / jax.numpy.sqrt(w["batch_norm.moving_variance"] + 1e-3)
        x = x * w["batch_norm.gamma"] + w["batch_norm.beta"]
        x = jax.nn.relu(convolve(x, "conv1d_1", dilation=3)).mean(axis=1)
        return (x @ w["dense.kernel"] + w["dense.bias"])[:, 2].sum()

    x = np.random.default_rng(0).normal(size=(4, 20, 2)).astype("float32")
    np.testing.assert_allclose(gradients(model, x, 2), jax.grad(score)(x), rtol=1e-4, atol=1e-6)


def test_rows_of_features_keep_every_feature():
    model = Sequential([Input((3,)), Dense(1, kernel_initializer="ones")])
    assert saliency(model, np.zeros((2, 3))).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert strength(np.array([[-2.0, 1.0]])).tolist() == [[2.0, 1.0]]


def two_inputs():
    image, number = Input((6, 6, 1), name="image"), Input((2,), name="number")
    joined = Concatenate()(Flatten()(Conv2D(2, 3, activation="relu")(image)), number)
    return Model([image, number], Dense(3)(joined))


def test_several_inputs_get_a_list_in_their_order():
    model = two_inputs()
    x = [images(2, size=6), np.ones((2, 2))]
    found = gradients(model, x, 1)
    assert [part.shape for part in found] == [(2, 6, 6, 1), (2, 2)]
    kernel = model.get_weights()["dense.kernel"]
    np.testing.assert_allclose(found[1], np.broadcast_to(kernel[-2:, 1], (2, 2)), rtol=1e-6)
    assert [part.shape for part in saliency(model, x)] == [(2, 6, 6), (2, 2)]
    parts, gaps = integrated_gradients(model, x, 1, return_gap=True)
    difference = model.predict(x) - model.predict([0 * part for part in x])
    sums = parts[0].sum(axis=(1, 2, 3)) + parts[1].sum(axis=1)
    np.testing.assert_allclose(sums - gaps, difference[:, 1], atol=1e-5)


# SmoothGrad.


def test_smoothgrad_without_noise_is_the_gradient():
    model, x = lenet(), images(2)
    np.testing.assert_allclose(smooth_gradients(model, x, samples=2, noise=0.0), gradients(model, x), atol=1e-6)


def test_smoothgrad_averages_the_gradients_of_noisy_copies():
    model, x = lenet(), images(3)
    noise = np.stack([np.random.Generator(np.random.Philox(np.random.SeedSequence([5, k]))).standard_normal(x.shape)
                      for k in range(4)])  # fmt: skip
    spread = 0.2 * np.ptp(x.reshape(3, -1), axis=1).reshape(3, 1, 1, 1)
    expected = np.mean([gradients(model, (x + spread * e).astype("float32"), [1, 2, 3]) for e in noise], axis=0)
    found = smooth_gradients(model, x, [1, 2, 3], samples=4, noise=0.2, seed=5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_seed_fixes_the_noise_and_the_size_of_batches_does_not():
    model, x = lenet(), images(5)
    one = smooth_gradients(model, x, samples=3, seed=1)
    np.testing.assert_array_equal(one, smooth_gradients(model, x, samples=3, seed=1))
    np.testing.assert_allclose(one, smooth_gradients(model, x, samples=3, seed=1, batch_size=2), rtol=1e-3, atol=1e-5)
    assert not np.array_equal(one, smooth_gradients(model, x, samples=3, seed=2))


# Integrated gradients.


def test_integrated_gradients_are_complete():
    model, x = lenet(), images(6)
    found, gaps = integrated_gradients(model, x, 2, steps=256, return_gap=True, score="output")
    difference = model.predict(x)[:, 2] - model.predict(np.zeros_like(x))[:, 2]
    assert np.abs(difference).max() > 0.05
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), difference, atol=2e-3)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)) - difference, gaps, atol=1e-5)


def test_of_a_smooth_function_few_steps_are_exact():
    # f = tanh of a sum: the integral is known.
    model = Sequential([Input((2,)), Dense(1, kernel_initializer="ones", activation="tanh")], dtype="float64")
    found = integrated_gradients(model, [[0.5, -0.2]], 0, steps=8)
    np.testing.assert_allclose(found, np.tanh(0.3) * np.array([[0.5, -0.2]]) / 0.3, rtol=1e-9)


@given(st.integers(0, 11), st.floats(0.5, 3))
def test_an_input_that_alone_differs_and_changes_the_score_gets_all_of_it(place, size):
    model = TANH
    base = np.linspace(-1, 1, 12).reshape(1, 6, 2)
    x = base.copy()
    x.reshape(-1)[place] += size
    found = integrated_gradients(model, x, 1, baseline=base)
    difference = float((model.predict(x) - model.predict(base))[0, 1])
    assert np.count_nonzero(found) == 1
    assert found.reshape(-1)[place] == pytest.approx(difference, rel=1e-4)


set_seed(1)
TANH = Sequential([Input((6, 2)), Conv1D(3, 3, activation="tanh"), Flatten(), Dense(2)], dtype="float64")


def test_of_a_linear_model_the_contributions_are_weight_times_difference():
    model = Sequential([Input((3,)), Dense(2)])
    kernel = model.get_weights()["dense.kernel"]
    x, base = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]), np.array([1.0, 1.0, 1.0])
    found = integrated_gradients(model, x, 1, baseline=base, steps=1)
    np.testing.assert_allclose(found, (x - base) * kernel[:, 1], rtol=1e-5)
    each = integrated_gradients(model, x, 1, baseline=np.stack([base, 2 * base]), steps=1)
    np.testing.assert_allclose(each[1], (x[1] - 2 * base) * kernel[:, 1], rtol=1e-5)


def test_a_baseline_of_another_shape_is_refused():
    with pytest.raises(DataError) as error:
        integrated_gradients(lenet(), images(2), baseline=np.zeros(12))
    assert str(error.value) == (
        "integrated_gradients: the baseline float64[12] is neither a number, nor a sample [12, 12, 1], "
        "nor one for each of 2 samples."
    )


# Grad-CAM.


def test_grad_cam_by_hand():
    """Two channels, global mean, one linear class: a_k is the weight of channel k over the number of positions."""
    model = Sequential(
        [Input((4, 4, 1)), Conv2D(2, 1, activation="relu"), GlobalAveragePool(), Dense(2, use_bias=False)]
    )
    model.set_weights(
        {
            "conv2d.kernel": np.array([[[[1.0, -1.0]]]], "float32"),
            "conv2d.bias": np.zeros(2, "float32"),
            "dense.kernel": np.array([[2.0, -1.0], [3.0, 0.5]], "float32"),
        }
    )
    x = np.zeros((1, 4, 4, 1))
    x[0, 1, 2], x[0, 3, 0] = 4.0, -2.0
    found = grad_cam(model, x, 0, upsample=False)[0]
    expected = np.zeros((4, 4))
    expected[1, 2] = 2 / 16 * 4  # channel 0 is 4 there
    expected[3, 0] = 3 / 16 * 2  # channel 1 is 2 there
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    second = grad_cam(model, x, 1, upsample=False)[0]
    assert second[1, 2] == 0  # -1/16 * 4 speaks against class 1
    assert second[3, 0] == pytest.approx(0.5 / 16 * 2)


def test_grad_cam_follows_from_maps_and_gradients_of_any_layer():
    model, x = lenet(), images(3)
    maps = feature_maps(model, x, "conv2d")
    weights = gradients(model, x, 3, wrt="conv2d").mean(axis=(1, 2), keepdims=True)
    expected = np.maximum((maps * weights).sum(axis=-1), 0)
    np.testing.assert_allclose(grad_cam(model, x, 3, "conv2d", upsample=False), expected, rtol=1e-4, atol=1e-7)
    last = grad_cam(model, x, 3)
    assert last.shape == (3, 12, 12)
    np.testing.assert_array_equal(last, grad_cam(model, x, 3, "conv2d_1"))


def test_maps_are_drawn_out_between_the_centres_of_what_units_see():
    axis = AxisField(9, 2, 3, (1, 2, 3), lambda units: set())  # centres 2 and 5
    found = upsampled(np.array([[0.0, 3.0]]), (axis,))
    assert found.tolist() == [[0, 0, 0, 1, 2, 3, 3, 3, 3]]


def test_sequences_have_a_line_for_a_map():
    model = Sequential([Input((12, 2)), Conv1D(3, 3, activation="relu"), MaxPool1D(2), Flatten(), Dense(2)])
    x = np.random.default_rng(0).normal(size=(2, 12, 2))
    assert grad_cam(model, x).shape == (2, 12)
    assert grad_cam(model, x, layer="max_pool1d", upsample=False).shape == (2, 5)


def test_a_layer_without_positions_and_a_model_without_convolutions_are_named():
    with pytest.raises(ConfigurationError) as error:
        grad_cam(lenet(), images(1), layer="dense")
    assert str(error.value) == (
        "grad_cam: the layer makes [?, 6], which has no positions.\n"
        "Hint: choose a convolution or a pooling layer before Flatten"
    )
    with pytest.raises(ConfigurationError, match="has no convolution; its layers are: Dense"):
        grad_cam(Sequential([Input((3,)), Dense(2)]), np.ones((1, 3)))


def test_integrated_gradients_of_words_are_those_of_their_embedding():
    set_seed(0)
    model = Sequential([Input((6,), dtype="int32"), Embedding(9, 4), LSTM(5), Dense(3, "softmax")])
    x = np.random.default_rng(0).integers(0, 9, (5, 6))
    model.compile("categorical_crossentropy")
    found, gap = integrated_gradients(model, x, 1, wrt="embedding", return_gap=True, batch_size=2)
    assert found.shape == (5, 6, 4)
    np.testing.assert_allclose(gap, 0, atol=1e-5)
    # The rest of the network as one of its own: of its input they are the same.
    vectors = feature_maps(model, x, "embedding")
    rest = Sequential([Input((6, 4)), LSTM(5), Dense(3, "softmax")])
    rest.set_weights({name: value for name, value in model.get_weights().items() if name != "embedding.embeddings"})
    np.testing.assert_allclose(found, integrated_gradients(rest, vectors, 1), atol=1e-6)
    base = vectors[0]  # another text in place of zeros
    found, gap = integrated_gradients(model, x, 1, wrt="embedding", baseline=base, return_gap=True)
    np.testing.assert_allclose(found[0], 0, atol=1e-7)
    np.testing.assert_allclose(found, integrated_gradients(rest, vectors, 1, baseline=base), atol=1e-6)
    with pytest.raises(DataError, match=r"baseline float64\[6\] is neither a number, nor a sample \[6, 4\]"):
        integrated_gradients(model, x, 1, wrt="embedding", baseline=np.zeros(6))


def test_integrated_gradients_inside_of_a_network_leave_its_other_branch_as_it_is():
    a, b = Input((3,)), Input((2,))
    hidden = Dense(4, "tanh", name="hidden")(a)
    model = Model([a, b], Dense(2)(Concatenate()([hidden, b])))
    r = np.random.default_rng(0)
    x = [r.normal(size=(4, 3)), r.normal(size=(4, 2))]
    found, gap = integrated_gradients(model, x, 0, wrt="hidden", return_gap=True)
    kernel = model.get_weights()["dense.kernel"]
    np.testing.assert_allclose(found, feature_maps(model, x, "hidden") * kernel[:4, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gap, 0, atol=1e-6)
