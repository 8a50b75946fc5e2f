import numpy as np
import pytest
from tests.analysis.small_cnns import images, lenet, torch_gradient, torch_lenet

from pellucid import Input, Model, Sequential, set_seed
from pellucid.analysis import deconvnet, feature_maps, gradients, guided_backpropagation
from pellucid.errors import ConfigurationError
from pellucid.nn import Activation, Add, Conv1D, Conv2D, Dense, Flatten, MaxPool2D


def test_guided_back_propagation_is_that_of_pytorch_with_a_rectifying_relu():
    model, x = lenet(), images(5)
    expected = torch_gradient(model, x, range(5), "guided")
    np.testing.assert_allclose(guided_backpropagation(model, x, list(range(5))), expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(expected, torch_gradient(model, x, range(5)))


def test_the_deconvnet_is_that_of_pytorch_with_a_relu_that_rectifies_the_way_back():
    torch = pytest.importorskip("torch")
    model, x = lenet(), images(4)
    leaf = torch.tensor(x, requires_grad=True)
    maps = torch_lenet(model, "deconvnet")(leaf)["conv2d_1"]
    (maps[:, 2] * maps[:, 2].detach()).sum().backward()
    found = deconvnet(model, x, "conv2d_1", 2, positions="all")
    np.testing.assert_allclose(found, leaf.grad.numpy(), rtol=1e-4, atol=1e-6)
    assert not np.allclose(found, deconvnet(model, x, "conv2d_1", 2, positions="all", rule="guided"))


def test_of_a_linear_network_the_deconvnet_is_the_transposed_map():
    set_seed(0)
    model = Sequential([Input((9, 2)), Conv1D(3, 3, strides=2, use_bias=False), Conv1D(2, 2, use_bias=False)])
    # The matrix of the whole map, column by column.
    matrix = np.stack([model.predict(unit.reshape(1, 9, 2)).ravel() for unit in np.eye(18)], axis=1)
    x = np.random.default_rng(0).normal(size=(3, 9, 2)).astype("float32")
    for row, maps in enumerate(model.predict(x)):
        kept = np.zeros_like(maps)
        kept[:, 1] = maps[:, 1]
        found = deconvnet(model, x, channel=1, positions="all")[row]
        np.testing.assert_allclose(found.ravel(), matrix.T @ kept.ravel(), rtol=1e-4, atol=1e-5)
        strongest = np.zeros_like(maps)
        strongest[maps[:, 1].argmax(), 1] = maps[:, 1].max()
        found = deconvnet(model, x, channel=1)[row]
        np.testing.assert_allclose(found.ravel(), matrix.T @ strongest.ravel(), rtol=1e-4, atol=1e-5)


def test_unpooling_goes_to_the_place_that_won():
    model = Sequential([Input((4, 4, 1)), Conv2D(1, 1, kernel_initializer="ones"), MaxPool2D(2)])
    x = np.zeros((1, 4, 4, 1))
    x[0, 3, 2], x[0, 0, 1] = 5.0, 2.0
    found = deconvnet(model, x, "max_pool2d", positions="all")[0, :, :, 0]
    assert found[3, 2] == 5
    assert found[0, 1] == 2
    assert found.sum() == 7


def test_without_a_channel_each_samples_strongest_is_projected():
    model, x = lenet(), images(6)
    strongest = feature_maps(model, x, "conv2d_1").max(axis=(1, 2)).argmax(axis=1)
    assert len(set(strongest)) > 1
    np.testing.assert_array_equal(deconvnet(model, x), deconvnet(model, x, "conv2d_1", strongest))


def test_what_a_unit_does_not_see_gets_nothing():
    model, x = lenet(), images(1)
    maps = feature_maps(model, x, "conv2d_1")[0, ..., 0]
    row, column = np.unravel_index(maps.argmax(), maps.shape)
    found = deconvnet(model, x, "conv2d_1", 0)[0, ..., 0]
    seen = np.zeros((12, 12), bool)
    seen[max(2 * row - 1, 0) : 2 * row + 7, max(2 * column - 1, 0) : 2 * column + 7] = True
    assert found[seen].any()
    assert not found[~seen].any()


def test_every_relu_has_the_rule_as_a_layer_and_in_branches_too():
    """y = relu(x) + relu(-x), times -1: the guided signal is stopped at both, the gradient at one."""
    x = Input((2,))
    minus = Dense(2, use_bias=False, name="minus")
    out = Dense(1, use_bias=False, name="out")
    model = Model(x, out(Add()(Activation("relu")(x), Activation("relu", name="second")(minus(x)))))
    model.set_weights({"minus.kernel": -np.eye(2, dtype="float32"), "out.kernel": np.array([[-1.0], [1.0]], "float32")})
    point = np.array([[3.0, -4.0]])
    assert gradients(model, point, 0).tolist() == [[-1, -1]]
    assert guided_backpropagation(model, point, 0).tolist() == [[0, -1]]
    assert gradients(model, point, 0, rule="deconvnet").tolist() == [[0, 0]]  # 1 - 1 through both branches


def test_other_activations_keep_their_derivative():
    set_seed(0)
    model = Sequential([Input((5, 1)), Conv1D(2, 2, activation="tanh"), Flatten(), Dense(2)])
    x = np.random.default_rng(1).normal(size=(2, 5, 1))
    np.testing.assert_array_equal(guided_backpropagation(model, x, 0), gradients(model, x, 0))


def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError) as error:
        deconvnet(lenet(), images(1), "conv2d", 3)
    assert str(error.value) == 'deconvnet: there is no channel 3; "conv2d" has 3 channels, 0 to 2.'
