"""Importing the package is quick: libraries that only some features need are loaded by those."""

import os
import subprocess
import sys

import pytest

HEAVY = (
    "sklearn", "scipy.stats", "matplotlib", "rich", "tqdm", "numba", "jax", "torch", "pandas", "polars", "cyclopts",
    "pooch", "tensorboardX", "skimage", "scipy.optimize", "scipy.fft",
)  # fmt: skip


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_importing_loads_no_library_that_only_some_features_need():
    loaded = python(f"import sys, pellucid; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert loaded == "[]\n"


def test_training_loads_no_library_that_only_some_features_need():
    code = f"""
import sys, numpy as np
from pellucid import CSVLog, EarlyStopping, Sequential
from pellucid.nn import Dense
model = Sequential([Dense(2, activation="softmax")])
model.compile("categorical_crossentropy", "adam", ["accuracy", "f1"])
model.fit(np.eye(4), [0, 1, 0, 1], validation_split=0.5, callbacks=EarlyStopping(), verbose=0)
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    assert python(code) == "[]\n"


@pytest.mark.parametrize("name", ["classic", "estimators", "plot"])
def test_packages_on_large_libraries_are_loaded_when_they_are_asked_for(name):
    code = f"""
import sys, pellucid
print("pellucid.{name}" in sys.modules, "{name}" in dir(pellucid), pellucid.{name}.__name__)
"""
    assert python(code) == f"False True pellucid.{name}\n"


def test_a_name_that_the_package_lacks_is_an_attribute_error():
    code = """
import pellucid
try:
    pellucid.clasic
except AttributeError as error:
    print(error)
"""
    assert python(code) == "module 'pellucid' has no attribute 'clasic'\n"


@pytest.mark.parametrize("module", ["pellucid", "pellucid.cli"])
def test_importing_prints_and_warns_nothing(module):
    assert python(f"import {module}") == ""


def test_importing_takes_less_than_three_tenths_of_a_second(tmp_path):
    """Processor time beyond the bare interpreter, with compiled bytecode as after an installation; best of five."""
    environment = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}

    def seconds(code):
        clock = "import time; print(time.process_time())"
        return min(float(python(f"{code}\n{clock}", **environment)) for _ in range(5))

    python("import pellucid", **environment)  # writes the bytecode
    assert seconds("import pellucid") - seconds("pass") < 0.3
