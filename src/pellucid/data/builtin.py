"""Small data sets that come with scikit-learn and need no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data.dataset import Dataset
from pellucid.data.split import split_indices


@dataclass(frozen=True)
class _Origin:
    """What a data set holds, where it comes from, and its terms."""

    description: str
    source: str
    licence: str = "CC BY 4.0"


_DIGITS = _Origin(
    "Handwritten digits, 8 x 8 grey pixels from 0 (paper) to 1 (ink).",
    "Alpaydin, Kaynak: Optical Recognition of Handwritten Digits (1998), its test set; UCI Machine Learning "
    "Repository, doi 10.24432/C50P49; copy in scikit-learn",
)
_IRIS = _Origin(
    "Four lengths of the flowers of three species of iris.",
    "Fisher: The use of multiple measurements in taxonomic problems (1936), with the figures of the paper; the UCI "
    "Machine Learning Repository, doi 10.24432/C56C76, has two rows that differ; copy in scikit-learn",
)
_WINE = _Origin(
    "Thirteen chemical figures of wines from three growers.",
    "Aeberhard, Forina: Wine; UCI Machine Learning Repository, doi 10.24432/C5PC7J; copy in scikit-learn",
)
_BREAST_CANCER = _Origin(
    "Thirty figures of cell nuclei in breast tissue, malignant or benign.",
    "Wolberg, Mangasarian, Street: Breast Cancer Wisconsin (Diagnostic) (1995); UCI Machine Learning Repository, "
    "doi 10.24432/C5DW2B; copy in scikit-learn",
)


def digits(*, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Load 1,797 handwritten digits of 8 x 8 grey pixels, ten classes.

    Args:
        test_fraction: Share of the rows that is held out, stratified by class.
        seed: Seed of the split.

    Returns:
        x float32 [N, 8, 8, 1], 0 (paper) to 1 (ink); y int32, 0 to 9.

    Raises:
        ConfigurationError: The fraction or the seed is outside its range.

    Source: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", 1998.

    >>> digits()
    Dataset('digits': classification into 10 classes, 1,438 training and 359 test examples of shape [8, 8, 1])
    """
    from sklearn import datasets

    bunch: Any = datasets.load_digits()
    x = (bunch.images / 16.0).astype(np.float32)[..., np.newaxis]
    return _split("digits", x, bunch, _DIGITS, test_fraction, seed)


def iris(*, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Load Fisher's 150 iris flowers: four lengths in cm, three species.

    Args:
        test_fraction: Share of the rows that is held out, stratified by class.
        seed: Seed of the split.

    Returns:
        x float32 [N, 4] in cm; y int32, 0 to 2.

    Raises:
        ConfigurationError: The fraction or the seed is outside its range.

    Source: Fisher, "The use of multiple measurements in taxonomic problems", 1936.

    >>> iris().target_names
    ('setosa', 'versicolor', 'virginica')
    """
    from sklearn import datasets

    return _table("iris", datasets.load_iris(), _IRIS, test_fraction, seed)


def wine(*, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Load 178 wines: thirteen chemical figures, three growers.

    Args:
        test_fraction: Share of the rows that is held out, stratified by class.
        seed: Seed of the split.

    Returns:
        x float32 [N, 13], in the units of the source; y int32, 0 to 2.

    Raises:
        ConfigurationError: The fraction or the seed is outside its range.

    Source: Aeberhard, Forina, "Wine", UCI Machine Learning Repository.

    >>> wine().input_shape
    (13,)
    """
    from sklearn import datasets

    return _table("wine", datasets.load_wine(), _WINE, test_fraction, seed)


def breast_cancer(*, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Load 569 breast tissue samples: thirty figures of cell nuclei, malignant (0) or benign (1).

    Args:
        test_fraction: Share of the rows that is held out, stratified by class.
        seed: Seed of the split.

    Returns:
        x float32 [N, 30], in the units of the source; y int32, 0 or 1.

    Raises:
        ConfigurationError: The fraction or the seed is outside its range.

    Source: Wolberg, Mangasarian, Street, "Breast Cancer Wisconsin (Diagnostic)", 1995.

    >>> breast_cancer().target_names
    ('malignant', 'benign')
    """
    from sklearn import datasets

    return _table("breast_cancer", datasets.load_breast_cancer(), _BREAST_CANCER, test_fraction, seed)


def _table(name: str, bunch: Any, origin: _Origin, test_fraction: float, seed: int) -> Dataset:
    return _split(name, bunch.data.astype(np.float32), bunch, origin, test_fraction, seed)


def _split(name: str, x: np.ndarray, bunch: Any, origin: _Origin, test_fraction: float, seed: int) -> Dataset:
    y = bunch.target.astype(np.int32)
    train, test = split_indices(y, test_fraction, seed, stratified=True)
    return Dataset(
        name=name,
        task="classification",
        train=(x[train], y[train]),
        test=(x[test], y[test]),
        feature_names=tuple(str(feature) for feature in bunch.feature_names),
        target_names=tuple(str(target) for target in bunch.target_names),
        description=origin.description,
        source=origin.source,
        licence=origin.licence,
    )
