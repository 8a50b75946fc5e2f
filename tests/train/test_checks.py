import subprocess
import sys
import time

import numpy as np
import pytest

from pellucid import Input, Model, Sequential, Tensor, set_num_threads
from pellucid.errors import DataError
from pellucid.nn import Concatenate, Dense, Embedding, Flatten
from pellucid.train import checks
from pellucid.train.checks import as_array, check_finite

SCIKIT_HINT = "\nHint: remove these rows, or fill the gaps, for instance with scikit-learn's SimpleImputer"
TEXT_HINT = "\nHint: turn text and categories into numbers first; data.load_csv does it for tables"


def with_value(value, shape=(48, 4), place=(30, 2)):
    array = np.zeros(shape)
    array[place] = value
    return array


def refused(call):
    with pytest.raises(DataError) as error:
        call()
    return str(error.value)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (with_value(np.nan), f"x holds nan at index [30, 2] (1 such values in these rows).{SCIKIT_HINT}"),
        (with_value(-np.inf), f"x holds -inf at index [30, 2] (1 such values in these rows).{SCIKIT_HINT}"),
        (
            with_value(1e39),
            "x holds 1e+39 at index [30, 2], which is too large for float32.\nHint: bring the data to a smaller scale",
        ),
        (np.zeros((47, 4)), "x has 47 samples but y has 48."),
        (np.zeros((48, 5)), "x has shape [?, 5] but the model was built for [?, 4]."),
        (
            np.zeros((48, 2, 2)),
            "x has shape [?, 2, 2] but the model was built for [?, 4].\nHint: the sizes match: x.reshape((len(x), 4))",
        ),
        (
            np.zeros(4),
            "x has shape [?] but the model was built for [?, 4].\n"
            "Hint: a single sample still needs a batch axis: x[None]",
        ),
        (np.zeros((0, 4)), "x is empty: there is no sample."),
        (None, "x has shape [?] but the model was built for [?, 4]."),
        (np.full((48, 4), "a"), f"x must hold numbers, but its elements are <U1.{TEXT_HINT}"),
        (np.full((48, 4), None, object), f"x holds nan at index [0, 0] (192 such values in these rows).{SCIKIT_HINT}"),
        (np.full((48, 4), "a", object), f"x must hold numbers, but its elements are object.{TEXT_HINT}"),
        (np.zeros((48, 4), complex), f"x must hold numbers, but its elements are complex128.{TEXT_HINT}"),
        (np.zeros((48, 4), "M8[s]"), f"x must hold numbers, but its elements are datetime64[s].{TEXT_HINT}"),
        (
            np.ma.masked_less(np.arange(192.0).reshape(48, 4), 5),
            "x is a masked array with hidden values.\nHint: fill them first: x.filled(...), or remove the rows",
        ),
        ([[10**400, 0, 0, 0]], f"x must hold numbers, but its elements are object.{TEXT_HINT}"),
        ({"z": np.zeros((48, 4))}, "x has the keys ['z'], but the model's inputs are ['x']."),
    ],
    ids=str,
)
def test_wrong_inputs_get_a_sentence_and_train_nothing(classifier, blobs, x, text):
    model = classifier()
    before = model.get_weights()
    assert refused(lambda: model.fit(x, blobs[1], verbose=0)) == text
    assert all(np.array_equal(before[key], value) for key, value in model.get_weights().items())
    assert model.history is None
    if "samples" not in text:
        assert refused(lambda: model.predict(x)) == text
    assert refused(lambda: model.evaluate(x, blobs[1])) == text
    assert refused(lambda: model.train_on_batch(x, blobs[1])) == text


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (None, "y is missing: training and evaluation need targets."),
        (np.zeros(47), "x has 48 samples but y has 47."),
        (5, "x has 48 samples but y has no."),
        (np.full(48, np.nan), f"y holds nan at index [0] (48 such values in these rows).{SCIKIT_HINT}"),
        (
            np.full(48, 3),
            "y: the label 3 in row 0 lies outside the classes 0..2.\n"
            "Hint: the last layer has 3 units; labels must start at 0",
        ),
        (
            with_value(-1, (48,), (7,)),
            "y: the label -1 in row 7 lies outside the classes 0..2.\n"
            "Hint: the last layer has 3 units; labels must start at 0",
        ),
        (np.full(48, 0.5), "y must hold class numbers 0..2, but 0.5 is no whole number."),
        (
            np.full((48, 3), 1.0),
            "y: each row must hold probabilities that add up to 1, but row 0 is [1.0, 1.0, 1.0].\n"
            "Hint: for several labels at once use binary_crossentropy with sigmoid outputs",
        ),
        (np.full(48, "cat"), f"y must hold numbers, but its elements are <U3.{TEXT_HINT}"),
        ({"out": np.zeros(48)}, "y has the keys ['out'], but the model's outputs are ['dense_1']."),
    ],
    ids=str,
)
def test_wrong_targets_get_a_sentence_and_train_nothing(classifier, blobs, y, text):
    model = classifier()
    before = model.get_weights()
    assert refused(lambda: model.fit(blobs[0], y, verbose=0)) == text
    assert refused(lambda: model.evaluate(blobs[0], y)) == text
    assert all(np.array_equal(before[key], value) for key, value in model.get_weights().items())


def test_ragged_lists_are_no_array(classifier):
    model = classifier()
    for waiting in (model, Sequential([Dense(3)])):
        text = refused(lambda model=waiting: model.predict([[1.0, 2.0, 3.0, 4.0], [5.0]]))
        assert text.startswith("x does not form an array: ")
        assert text.endswith("inhomogeneous part.")


@pytest.mark.parametrize("x", [5.0, None, [1.0, 2.0]])
def test_a_model_that_waits_for_data_needs_two_axes(x):
    model = Sequential([Dense(3)])
    assert refused(lambda: model.predict(x)) == (
        f"x has shape {list(np.shape(x))}, but a batch of samples has at least 2 axes [sample, features].\n"
        "Hint: one feature per sample still needs an axis: x[:, None]"
    )
    assert not model.built


def test_a_list_of_one_sample_is_a_batch_of_one():
    model = Sequential([Dense(2)])
    assert model.predict([[1.0, 2.0, 3.0]]).shape == (1, 2)


@pytest.mark.parametrize("wrap", [lambda x: (x,), lambda x: {"x": x}, Tensor, lambda x: x.tolist()])
def test_one_input_may_come_as_a_tuple_dict_tensor_or_list(wrap):
    x = np.ones((2, 3), np.float32)
    waiting, built = Sequential([Dense(2)]), Sequential([Input((3,)), Dense(2)])
    assert waiting.predict(wrap(x)).shape == built.predict(wrap(x)).shape == (2, 2)


def test_grey_images_without_a_channel_axis_get_a_hint():
    model = Sequential([Input((5, 5, 1)), Flatten(), Dense(1)])
    assert refused(lambda: model.predict(np.zeros((2, 5, 5)))) == (
        "x has shape [?, 5, 5] but the model was built for [?, 5, 5, 1].\n"
        "Hint: grey images need a channel axis: x[..., None]"
    )


def test_embeddings_take_whole_numbers_of_their_range():
    model = Sequential([Input((2,), "int32"), Embedding(10, 2, name="words"), Flatten(), Dense(1)])
    assert refused(lambda: model.predict([[1.5, 2.0]])) == "x must hold whole numbers (int32), not fractions."
    for bad in (10, -1):
        assert refused(lambda bad=bad: model.predict([[0, bad]])) == (
            f'layer "words": the integer {bad} lies outside 0..9.\n'
            "Hint: input_dim must be at least the largest integer plus 1"
        )
    assert refused(lambda: model.predict([[0, 2**40]])).startswith('layer "words": the integer 1099511627776 lies')


def test_inputs_and_outputs_of_several_are_named():
    a, b = Input((2,), name="a"), Input((3,), name="b")
    joined = Concatenate()(a, b)
    model = Model([a, b], [Dense(1, name="price")(joined), Dense(2, name="size")(joined)])
    model.compile("mse")
    x = {"a": np.zeros((4, 2)), "b": np.zeros((4, 3))}
    y = [np.zeros(4), np.zeros((4, 2))]
    model.fit(x, y, verbose=0)
    for given, text in [
        ({"a": x["a"]}, "x has the keys ['a'], but the model's inputs are ['a', 'b']."),
        ([x["a"]], "x has 1 arrays, but the model has 2 inputs: ['a', 'b']."),
        (x["a"], "x must be a list or dict of 2 arrays, one for each of the inputs ['a', 'b']."),
        ([x["b"], x["a"]], "x of input 'a' has shape [?, 3] but the model was built for [?, 2]."),
        ([x["a"], x["b"][:3]], "input 'b' has 3 samples, but 'a' has 4."),
        (
            [x["a"], x["b"] * np.nan],
            f"x of input 'b' holds nan at index [0, 0] (12 such values in these rows).{SCIKIT_HINT}",
        ),
    ]:
        assert refused(lambda given=given: model.fit(given, y, verbose=0)) == text
    for given, text in [
        (y[:1], "y has 1 arrays, but the model has 2 outputs: ['price', 'size']."),
        (
            {"price": y[0], "sice": y[1]},
            "y has the keys ['price', 'sice'], but the model's outputs are ['price', 'size'].",
        ),
        ([y[0], y[1][:2]], "x has 4 samples but y of output 'size' has 2."),
        ([y[0], y[0]], "y of output 'size' has shape [?] but the predictions have [?, 2]."),
    ]:
        assert refused(lambda given=given: model.fit(x, given, verbose=0)).splitlines()[0] == text


def test_numbers_of_every_type_become_arrays():
    for values in ([1, 2], (1.5, 2), np.float16([1]), [True], Tensor([1.0]), np.array([1, 2.5], object)):
        assert as_array(values, "x").dtype.kind in "fiub"


@pytest.mark.parametrize("shape", [(9, 400), (9, 20, 20, 1), (9, 800)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_in_wide_rows_that_is_not_finite_is_named(value, shape):
    array = np.ones(shape, np.float32)
    array = array[:, ::2] if shape[1] == 800 else array
    place = (4, *(n - 1 for n in array.shape[1:]))
    array[place] = value
    with pytest.raises(DataError, match=rf"x holds {value} at index \[{', '.join(map(str, place))}\]"):
        check_finite(array, "x")


def test_large_finite_numbers_pass():
    huge = np.full(100, 3e38, np.float32)
    huge[::2] *= -1
    check_finite(huge, "x", np.dtype("float32"))
    check_finite(np.full(100, 1.7e308), "x")  # their sum overflows
    check_finite(np.full((3, 400), 3e38, np.float32), "x")
    check_finite(np.full(3, 1e300), "x", np.dtype("float64"))
    check_finite(np.zeros((0, 3)), "x")
    check_finite(np.array([1, 2]), "x")


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_place_is_told_whoever_finds_it(threads, monkeypatch):
    monkeypatch.setattr("pellucid.train.checks._CHUNK", 10)
    set_num_threads(threads)
    try:
        array = np.ones((50, 2))
        check_finite(array, "x")
        array[[41, 17, 33], [0, 1, 1]] = np.nan, np.inf, np.nan
        with pytest.raises(DataError, match=r"x holds inf at index \[17, 1\] \(1 such"):
            check_finite(array, "x")
    finally:
        set_num_threads(None)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_comes_long_after_a_bad_element_is_not_read(threads, monkeypatch):
    read, plain = [], checks._is_finite

    def slowly(part, dtype):
        read.append(len(part))
        time.sleep(0.002)
        return plain(part, dtype)

    monkeypatch.setattr(checks, "_CHUNK", 100)
    monkeypatch.setattr(checks, "_is_finite", slowly)
    set_num_threads(threads)
    try:
        array = np.ones(20_000)
        array[0] = np.nan
        with pytest.raises(DataError, match=r"x holds nan at index \[0\]"):
            check_finite(array, "x")
        assert len(read) < 100  # of 200
    finally:
        set_num_threads(None)


def test_the_users_error_settings_of_numpy_play_no_part(recwarn):
    signalling = np.array([0x7FF0000000000001], np.uint64).view(np.float64)
    with np.errstate(all="raise"):
        check_finite(np.array([1e-60, 1.0]), "x", np.dtype("float32"))
        with pytest.raises(DataError, match=r"holds 1e\+300 at index \[0\], which is too large for float32"):
            check_finite(np.array([1e300, 1.0]), "x", np.dtype("float32"))
    with pytest.raises(DataError, match="holds nan"):
        check_finite(signalling, "x", np.dtype("float32"))
    assert not recwarn.list


def test_data_are_checked_while_the_interpreter_ends():
    text = """
import atexit
import numpy as np
from pellucid import set_num_threads
from pellucid.train import checks
set_num_threads(2)
checks._CHUNK = 10
atexit.register(lambda: (checks.check_finite(np.ones((50, 2)), "x"), print("checked")))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "checked\n", done.stderr


def test_a_machine_without_the_engines_compiler_trains_with_the_reference():
    text = """
import sys
sys.modules["llvmlite"] = None
import numpy as np
from pellucid import Sequential, Input, backends
from pellucid.nn import Dense
from pellucid.train import checks
checks._CHUNK = 10
model = Sequential([Input((3,)), Dense(2), Dense(1)])
model.compile("mse", "sgd")
model.fit(np.random.rand(20, 3), np.random.rand(20), epochs=1, verbose=0)
print("fitted on", backends.num_threads())
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "fitted on 1\n", done.stderr


def test_a_list_of_one_array_is_the_data_of_the_one_input_and_output():
    x, y = np.random.default_rng(0).random((6, 2)), np.arange(6.0)
    symbol = Input((2,))
    checks = []
    for outputs in (Dense(1)(symbol), [Dense(1)(symbol)]):
        model = Model(symbol, outputs)
        model.compile("mse", "sgd", None)
        checks.append(model.checks())
    for own in checks:
        for wrap in (lambda a: a, lambda a: [a], lambda a: (a,)):
            found_x, found_y = own.both(wrap(x), wrap(y))
            np.testing.assert_array_equal(found_x[0], x)
            np.testing.assert_array_equal(found_y[0].ravel(), y)
    found, _ = checks[0].both([np.array([1.0, 2.0])], [np.array([3.0])])  # a list of one row
    assert found[0].shape == (1, 2)
