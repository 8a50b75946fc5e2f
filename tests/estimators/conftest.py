import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

LOADERS = {
    "iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits,
    "diabetes": load_diabetes,
}  # fmt: skip


def scaled(name):
    """A data set of scikit-learn with features of mean 0 and deviation 1."""
    x, y = LOADERS[name](return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.fixture(scope="session")
def data():
    """From a name to (x, y), scaled; nobody changes them."""
    found = {name: scaled(name) for name in LOADERS}
    for x, y in found.values():
        x.flags.writeable = y.flags.writeable = False
    return found
