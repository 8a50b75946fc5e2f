import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.analysis.small_cnns import lenet

from pellucid import Input, Model, Sequential
from pellucid.analysis import receptive_field
from pellucid.errors import ConfigurationError, ShapeError
from pellucid.nn import (
    LSTM,
    Add,
    AvgPool1D,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Lambda,
    LayerNorm,
    MaxPool1D,
    Softmax,
)

ONES = {"kernel_initializer": "ones", "use_bias": False}

convolutions = st.builds(
    lambda k, s, d, p: Conv1D(1, k, strides=s, dilation_rate=d, padding=p, **ONES),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(["valid", "same", 2, (0, 3)]),
)
pools = st.builds(
    lambda kind, k, s, p: kind(k, strides=s, padding=p),
    st.sampled_from([MaxPool1D, AvgPool1D]),
    st.integers(1, 3),
    st.sampled_from([None, 1, 2]),
    st.sampled_from(["valid", "same"]),
)


def seen(model, layer, length):
    """Which units change when each place of a sequence of zeros is raised: [place, unit]."""
    made = Model(model.inputs, layer_output(model, layer)).predict(np.eye(length)[..., None])
    return made.reshape(length, -1) != 0


def layer_output(model, layer):
    (call,) = [call for call in model.network.calls if call.layer is layer]
    return call.outputs[0]


@given(st.integers(8, 24), st.lists(st.one_of(convolutions, pools), min_size=1, max_size=4))
def test_a_unit_sees_a_place_exactly_where_raising_it_changes_the_unit(length, layers):
    try:
        model = Sequential([Input((length, 1)), *layers])
    except ShapeError:
        assume(False)
    for layer in model.layers:
        changed = seen(model, layer, length)
        (axis,) = receptive_field(model, layer).axes
        for unit in range(changed.shape[1]):
            assert axis.places(unit) == tuple(np.flatnonzero(changed[:, unit])), (layer, unit)
            start = axis.start(unit)
            assert all(start <= place < start + axis.size for place in axis.places(unit))


def test_lenets_fields_on_images():
    model = lenet()
    fields = {layer.label: receptive_field(model, layer) for layer in model.layers}
    assert [fields[name].size for name in ("conv2d", "max_pool2d", "conv2d_1", "max_pool2d_1")] == [
        (3, 3), (4, 4), (8, 8), (10, 10)
    ]  # fmt: skip
    assert [fields[name].stride for name in ("conv2d", "max_pool2d", "conv2d_1", "max_pool2d_1")] == [
        (1, 1), (2, 2), (2, 2), (4, 4)
    ]  # fmt: skip
    assert fields["conv2d_1"].start == (-1, -1)
    assert fields["conv2d_1"].window((1, 2)) == ((1, 9), (3, 11))
    assert fields["dense"].whole
    assert fields["dense"].places() == (tuple(range(12)), tuple(range(12)))


def test_what_no_window_reaches_is_seen_by_nothing_behind_it():
    model = Sequential([Input((8, 1)), Conv1D(1, 2, strides=3, **ONES), Flatten(), Dense(2, **ONES)])
    assert receptive_field(model, "dense").places() == ((0, 1, 3, 4, 6, 7),)
    assert list(np.flatnonzero(seen(model, model.layers[2], 8)[:, 0])) == [0, 1, 3, 4, 6, 7]


def test_branches_see_together_what_each_of_them_sees():
    x = Input((9, 1))
    near, far = Conv1D(1, 1, **ONES)(x), Conv1D(1, 2, dilation_rate=4, padding=(4, 0), **ONES)(x)
    model = Model(x, Add(name="sum")(near, far))
    assert receptive_field(model, "sum").places((6,)) == ((2, 6),)
    changed = seen(model, model.get_layer("sum"), 9)
    assert list(np.flatnonzero(changed[:, 6])) == [2, 6]


def test_branches_of_different_steps_are_refused():
    x = Input((8, 1))
    slow = Conv1D(1, 1, padding=(0, 8))(x)
    fast = Conv1D(1, 1, strides=1, padding=(0, 24))(x)
    fast = MaxPool1D(2, padding=0)(fast)
    with pytest.raises(ConfigurationError) as error:
        receptive_field(Model(x, Add(name="sum")(slow, fast)), "sum")
    assert str(error.value) == 'The branches that meet in "sum" move over the input by different steps: (1,), (2,).'


def test_an_input_without_positions_does_not_count():
    image, number = Input((6, 1)), Input((2,))
    merged = Concatenate(name="both")(GlobalAveragePool()(Conv1D(2, 3)(image)), number)
    assert receptive_field(Model([image, number], merged), "both").places() == (tuple(range(6)),)


def test_layers_that_work_element_by_element_change_nothing():
    model = Sequential([Input((6, 2)), Conv1D(2, 3), Dropout(0.5), LayerNorm(), Dense(3), Softmax()])
    assert receptive_field(model, "softmax").places((1,)) == ((1, 2, 3),)


@pytest.mark.parametrize("layer", [LSTM(3), Lambda(lambda x: x), Softmax(axis=1)])
def test_what_is_not_known_is_said(layer):
    model = Sequential([Input((6, 2)), Conv1D(2, 3), layer])
    with pytest.raises(
        ConfigurationError, match=rf'What the units of ".*" \({type(layer).__name__}\) see of the input'
    ):
        receptive_field(model, -1)
    assert receptive_field(model, 0).size == (3,)  # what lies before it is


def test_a_unit_that_does_not_exist_is_named():
    (axis,) = receptive_field(Sequential([Input((6, 2)), Conv1D(2, 3)]), 0).axes
    with pytest.raises(ConfigurationError, match="There is no unit 4 on an axis of 4"):
        axis.places(4)
