import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight

from pellucid.errors import ConfigurationError, DataError
from pellucid.estimators.labels import BINARY, MULTICLASS, MULTILABEL, Labels, probabilities


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.sampled_from([int, float, str]))
def test_labels_come_back_from_sure_outputs(values, kind):
    y = np.array([kind(v) for v in values])
    labels = Labels.of(y)
    binarizer = LabelBinarizer().fit(y)
    assert labels.classes.tolist() == binarizer.classes_.tolist()
    columns = labels.indicators(labels.encode(y))
    assert columns.shape == (len(y), labels.outputs)
    assert np.array_equal(columns, binarizer.transform(y))
    assert labels.decode(columns * 0.8 + 0.1).tolist() == y.tolist()


def test_kinds():
    assert Labels.of(np.array([1, 1])).kind == BINARY
    assert Labels.of(np.array(["a", "b"])).kind == BINARY
    assert Labels.of(np.array([0, 1, 2])).kind == MULTICLASS
    assert Labels.of(np.array([0, 1]), classes=[2, 1, 0]).classes.tolist() == [0, 1, 2]
    several = Labels.of(np.array([[0, 1, 1], [1, 1, 0]]))
    assert (several.kind, several.outputs) == (MULTILABEL, 3)
    assert several.encode(sparse.csr_matrix([[0, 1, 1]])).tolist() == [[0, 1, 1]]


def test_what_is_no_class_is_refused():
    with pytest.raises(DataError, match="Unknown label type: continuous"):
        Labels.of(np.array([0.5, 1.2]))
    with pytest.raises(DataError, match="several columns of classes"):
        Labels.of(np.array([[1, 2], [3, 4]]))
    with pytest.raises(DataError, match=r"y has the classes \[3\], which are not among \[1, 2\]"):
        Labels.of(np.array([1, 2])).encode(np.array([1, 3]))
    with pytest.raises(DataError, match="must have 2 columns"):
        Labels.of(np.array([[0, 1], [1, 0]])).encode(np.ones((3, 3)))


def test_weights_of_classes():
    labels = Labels.of(np.array(["a", "b", "b", "b"]))
    y = np.array(["b", "a", "b", "b"])
    assert labels.weights(None, y) is None
    np.testing.assert_allclose(labels.weights("balanced", y), [2 / 3, 2, 2 / 3, 2 / 3])
    assert labels.weights({"a": 5}, y).tolist() == [1, 5, 1, 1]
    assert labels.weights("balanced", np.array(["a", "a"])).tolist() == [1, 1]
    own = np.array([0.5, 3, 0, 1.5])
    balanced = labels.weights("balanced", y, own)
    assert (balanced * own)[y == "a"].sum() == (balanced * own)[y == "b"].sum() == own.sum() / 2
    by_class = compute_class_weight("balanced", classes=labels.classes, y=y, sample_weight=own)
    np.testing.assert_allclose(balanced, by_class[[1, 0, 1, 1]])
    assert labels.weights("balanced", y, np.array([1, 0, 1, 1])).tolist() == [1, 0, 1, 1]
    with pytest.raises(ConfigurationError, match="one class per sample"):
        Labels.of(np.array([[0, 1], [1, 0]])).weights("balanced", y)


def test_weights_by_name_may_name_a_class_that_a_fold_lacks_but_no_other():
    labels = Labels.of(np.array([0, 1]), classes=[0, 1, 2])
    assert labels.weights({0: 3, 2: 5}, np.array([1, 0])).tolist() == [1, 3]
    fold = Labels.of(np.array(["a", "b"]))
    assert fold.weights({"a": 2, "b": 3, "c": 4}, np.array(["b", "a"])).tolist() == [3, 2]
    with pytest.raises(ConfigurationError) as error:
        fold.weights({"a": 2, "B": 3}, np.array(["b", "a"]))
    assert str(error.value) == "class_weight has weights for ['B'], but the classes are ['a', 'b']."
    for weight in (-1, "many", float("nan"), None):
        with pytest.raises(ConfigurationError, match="the weight of 'a' must be a finite number of at least 0, not"):
            fold.weights({"a": weight}, np.array(["a", "b"]))


def test_a_sparse_matrix_of_labels_comes_back_as_one():
    y = sparse.csr_matrix([[0, 1, 1], [1, 0, 0]])
    found = Labels.of(y).decode(y.toarray() * 0.9)
    assert sparse.issparse(found)
    assert (found != y).nnz == 0
    assert isinstance(Labels.of(y.toarray()).decode(y.toarray() * 0.9), np.ndarray)


def test_two_classes_share_one_output():
    assert probabilities(np.array([[0.25]]), BINARY).tolist() == [[0.75, 0.25]]
    assert probabilities(np.array([[0.2, 0.3, 0.5]]), MULTICLASS).tolist() == [[0.2, 0.3, 0.5]]


def test_the_same_classes():
    a, b = Labels.of(np.array([0, 1])), Labels.of(np.array([1, 0, 0]))
    assert a.equals(b)
    assert not a.equals(Labels.of(np.array([0, 2])))
    assert not a.equals(Labels(MULTICLASS, a.classes))
