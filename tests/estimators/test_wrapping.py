"""What all estimators keep: they are plain data, and work wherever scikit-learn's own do."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pellucid.estimators import CNNClassifier, MLPClassifier, MLPRegressor, NeuralNetClassifier, NeuralNetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = {
    "MLPClassifier": MLPClassifier((7,), max_iter=5, dropout=0.1, random_state=0),
    "MLPClassifier, lbfgs": MLPClassifier((7,), max_iter=5, solver="lbfgs", random_state=0),
    "MLPRegressor": MLPRegressor(hidden_layer_sizes=(7,), max_iter=5, random_state=0),
    "NeuralNetClassifier": NeuralNetClassifier(epochs=3, random_state=0),
    "NeuralNetRegressor": NeuralNetRegressor(epochs=3, random_state=0),
    "CNNClassifier": CNNClassifier(filters=(4,), dense=(8,), epochs=3, dropout=0.2, random_state=0),
}
COPIES = {
    "pickle": lambda e: pickle.loads(pickle.dumps(e)),
    "oldest protocol": lambda e: pickle.loads(pickle.dumps(e, protocol=0)),
    "deep copy": copy.deepcopy,
    "copy": copy.copy,
}


def outputs(estimator, x):
    return estimator.predict_proba(x) if hasattr(estimator, "predict_proba") else estimator.predict(x)


@pytest.fixture(params=ESTIMATORS)
def fitted(request, data):
    x, y = data["iris"]
    return clone(ESTIMATORS[request.param]).fit(x, y)


@pytest.mark.parametrize("how", COPIES)
def test_copies_predict_the_same_bits(fitted, data, how):
    x, _ = data["iris"]
    assert np.array_equal(outputs(COPIES[how](fitted), x), outputs(fitted, x))


@pytest.mark.parametrize("how", ["pickle", "deep copy"])
def test_a_copy_goes_on_learning_with_the_same_bits(fitted, data, how):
    x, y = data["iris"]
    if getattr(fitted, "solver", "") == "lbfgs":
        pytest.skip("L-BFGS does not learn in parts")
    twin = COPIES[how](fitted)
    fitted.partial_fit(x, y)
    twin.partial_fit(x, y)
    assert np.array_equal(outputs(twin, x), outputs(fitted, x))


def test_a_copy_is_apart(fitted, data):
    x, y = data["iris"]
    before = outputs(fitted, x)
    copy.deepcopy(fitted).set_params(warm_start=True, random_state=5).fit(x, y)
    assert np.array_equal(outputs(fitted, x), before)


def test_files_of_joblib(fitted, data, tmp_path):
    x, _ = data["iris"]
    joblib.dump(fitted, tmp_path / "estimator.joblib")
    read = joblib.load(tmp_path / "estimator.joblib", mmap_mode="r")
    assert np.array_equal(outputs(read, x), outputs(fitted, x))


def test_the_state_is_plain_data(fitted):
    """No compiled program, no model: numbers, arrays, text, containers, and this package's own records of them."""
    plain = (int, float, str, bool, type(None), np.ndarray, np.generic, np.dtype)

    def check(value, name):
        if isinstance(value, dict):
            value = list(value.values())
        elif type(value).__module__.startswith("pellucid.estimators."):
            value = list(vars(value).values())
        if isinstance(value, (list, tuple)):
            for item in value:
                check(item, name)
        else:
            assert isinstance(value, plain), f"{name}: {type(value)}"

    for name, value in fitted.__getstate__().items():
        check(value, name)


def test_unfitted_estimators_are_cloned_pickled_and_printed():
    for estimator in ESTIMATORS.values():
        for twin in (clone(estimator), pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
            assert twin.get_params() == estimator.get_params()
        assert type(estimator).__name__ in repr(estimator)
        assert estimator._repr_html_()


def test_another_process_predicts_the_same_bits(data, tmp_path):
    x, y = data["iris"]
    found = clone(ESTIMATORS["MLPClassifier"]).fit(x, y)
    (tmp_path / "fitted").write_bytes(pickle.dumps((found, x)))
    code = (
        "import pickle, sys; e, x = pickle.load(open(sys.argv[1], 'rb'));"
        "sys.stdout.buffer.write(e.predict_proba(x).tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "fitted")], capture_output=True, check=True)
    assert done.stdout == found.predict_proba(x).tobytes()


@pytest.mark.parametrize("name", ["MLPClassifier", "NeuralNetClassifier", "CNNClassifier"])
def test_pipelines_searches_and_calibration(data, name):
    x, y = data["iris"]
    pipeline = make_pipeline(StandardScaler(), clone(ESTIMATORS[name]))
    step = pipeline.steps[1][0]
    grid = {f"{step}__{key}": values for key, values in _grid(name).items()}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(x, y)
    assert len(search.cv_results_["mean_test_score"]) == 2
    assert cross_val_score(pipeline, x, y, cv=3, error_score="raise").shape == (3,)
    calibrated = CalibratedClassifierCV(pipeline, cv=3).fit(x, y)
    np.testing.assert_allclose(calibrated.predict_proba(x).sum(axis=1), 1)


def _grid(name):
    return {"alpha": [1e-4, 1.0]} if name == "MLPClassifier" else {"learning_rate": [1e-3, 1e-2]}


def test_a_search_in_two_processes_finds_the_same(data):
    x, y = data["iris"]
    alone, together = (
        GridSearchCV(clone(ESTIMATORS["MLPClassifier"]), {"alpha": [0.01, 1.0]}, cv=2, n_jobs=jobs).fit(x, y)
        for jobs in (1, 2)
    )
    for name in ("mean_test_score", "split0_test_score"):
        assert np.array_equal(alone.cv_results_[name], together.cv_results_[name])


def test_fits_in_threads_give_the_same_bits(data):
    x, y = data["iris"]
    seeds = range(6)
    fits = joblib.Parallel(n_jobs=3, prefer="threads")(
        joblib.delayed(MLPClassifier((7,), max_iter=20, alpha=float(s), random_state=s).fit)(x, y) for s in seeds
    )
    for seed, found in zip(seeds, fits, strict=True):
        alone = MLPClassifier((7,), max_iter=20, alpha=float(seed), random_state=seed).fit(x, y)
        assert found.loss_curve_ == alone.loss_curve_


def test_weights_are_relative(fitted, data):
    x, y = data["iris"]
    weights = np.random.default_rng(0).uniform(0.5, 2, len(x))
    settings = {"alpha": 0.0} if hasattr(fitted, "alpha") else {}
    a, b = (clone(fitted).set_params(**settings).fit(x, y, sample_weight=w) for w in (weights, 8 * weights))
    np.testing.assert_allclose(outputs(a, x), outputs(b, x), rtol=1e-6)


def test_frames_are_taken(fitted, data):
    pandas = pytest.importorskip("pandas")
    x, y = data["iris"]
    frame = pandas.DataFrame(x, columns=list("abcd"))
    found = clone(fitted).fit(frame, y)
    assert found.feature_names_in_.tolist() == list("abcd")
    assert np.array_equal(outputs(found, frame), outputs(fitted, x))
