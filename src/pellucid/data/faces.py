"""Faces and things that are not faces, 25 x 25 grey pixels."""

from __future__ import annotations

import numpy as np

from pellucid.data.dataset import Dataset
from pellucid.data.split import split_indices
from pellucid.errors import missing_dependency

_FACES = 100


def faces(*, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Load 100 faces (1) and 100 pieces of background (0) of 25 x 25 grey pixels.

    They come with the library scikit-image (``pip install 'pellucid[faces]'``) and need no download.

    Args:
        test_fraction: Share of the images that is held out, stratified by class.
        seed: Seed of the split.

    Returns:
        x float32 [N, 25, 25, 1], 0 (black) to 1 (white); y int32, 0 or 1.

    Raises:
        MissingDependencyError: scikit-image is not installed.
        ConfigurationError: The fraction or the seed is outside its range.

    Source: Huang, Ramesh, Berg, Learned-Miller, "Labeled Faces in the Wild", 2007; the subset of scikit-image.

    >>> faces()                                                                               # doctest: +SKIP
    Dataset('faces': classification into 2 classes, 160 training and 40 test examples of shape [25, 25, 1])
    """
    try:
        from skimage import data
    except ImportError:
        raise missing_dependency("scikit-image", "The data set 'faces'", "faces") from None
    x = np.asarray(data.lfw_subset(), dtype=np.float32)[..., np.newaxis]
    y = (np.arange(len(x)) < _FACES).astype(np.int32)
    train, test = split_indices(y, test_fraction, seed, stratified=True)
    return Dataset(
        name="faces",
        task="classification",
        train=(x[train], y[train]),
        test=(x[test], y[test]),
        feature_names=tuple(f"pixel_{i}_{j}" for i in range(25) for j in range(25)),
        target_names=("background", "face"),
        description="Faces and pieces of background, 25 x 25 grey pixels from 0 (black) to 1 (white).",
        source="Huang, Ramesh, Berg, Learned-Miller: Labeled Faces in the Wild (2007); subset in scikit-image",
        licence="the photographs belong to their makers; made public for research on face recognition",
    )
