"""Random distortions of images: more training data from the data there are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pellucid.dtypes import is_float
from pellucid.errors import ConfigurationError, DataError
from pellucid.shapes import show


def distort(
    images: np.ndarray,
    seed: int,
    *,
    shift: float = 1.5,
    rotation: float = 10.0,
    scale: float = 0.1,
    shear: float = 0.1,
    elastic: float = 0.0,
    smoothness: float = 4.0,
) -> np.ndarray:
    """Every image moved, turned, stretched and (with ``elastic``) bent a little, each in its own way.

    Each image is resampled (linearly) at x' = A x + t + u(x): A a random turn, stretch and shear, t a shift, u a smooth
    random field (Simard, Steinkraus and Platt 2003). What comes from outside the image is 0.

    Args:
        images: [N, height, width, channel].
        seed: The same seed gives the same distortions.
        shift: Largest shift in pixels.
        rotation: Largest turn in degrees.
        scale: Largest relative stretch of each axis.
        shear: Largest shear.
        elastic: Deviation of the smooth field in pixels; 1 to 2 suits digits of 28 pixels.
        smoothness: Deviation of the filter that smooths the field, in pixels.

    Returns:
        Images of the same shape; float32, or the images' own float type.

    Raises:
        DataError: The images do not have four axes.

    >>> distort(np.ones((2, 8, 8, 1), "float32"), seed=0).shape
    (2, 8, 8, 1)
    """
    from scipy.ndimage import map_coordinates

    images = np.asarray(images)
    if images.ndim != 4:
        raise DataError(f"distort takes images [N, height, width, channel], not {show(images.shape)}.")
    for name, value in (("shift", shift), ("rotation", rotation), ("scale", scale), ("elastic", elastic)):
        if not (value >= 0 and math.isfinite(value)):
            raise ConfigurationError(f"distort: {name} must be a finite number of at least 0, not {value!r}.")
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    dtype = images.dtype if is_float(images.dtype) else np.dtype("float32")
    out = np.empty(images.shape, dtype)
    height, width = images.shape[1:3]
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).astype(np.float64)
    centre = np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
    for image, target in zip(images, out, strict=True):
        places = np.tensordot(_matrix(generator, rotation, scale, shear), grid - centre, 1) + centre
        places += generator.uniform(-shift, shift, 2)[:, None, None]
        if elastic:
            places += _smooth_field(generator, (height, width), elastic, smoothness)
        for channel in range(images.shape[3]):
            map_coordinates(image[:, :, channel], places, target[:, :, channel], order=1, mode="constant")
    return out


def _matrix(generator: np.random.Generator, rotation: float, scale: float, shear: float) -> np.ndarray:
    """A random turn, stretch and shear."""
    angle = math.radians(generator.uniform(-rotation, rotation))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    stretch = np.diag(1 + generator.uniform(-scale, scale, 2))
    return turn @ stretch @ np.array([[1.0, generator.uniform(-shear, shear)], [0.0, 1.0]])


def _smooth_field(
    generator: np.random.Generator, shape: tuple[int, int], deviation: float, smoothness: float
) -> np.ndarray:
    """Two random displacement maps, smoothed and scaled to a deviation in pixels."""
    from scipy.ndimage import gaussian_filter

    field = generator.uniform(-1, 1, (2, *shape))
    smooth = np.stack([gaussian_filter(part, smoothness, mode="constant") for part in field])
    return smooth * (deviation / max(float(smooth.std()), 1e-12))


def distorted_batches(
    x: np.ndarray, y: np.ndarray, *, batch_size: int = 128, seed: int = 0, **options: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An endless stream of batches of newly distorted images, for ``fit(..., steps_per_epoch=...)``.

    Args:
        x: Images [N, height, width, channel].
        y: Targets [N, ...].
        batch_size: Images per batch; the last batch of a pass holds what is left.
        seed: Fixes the order and the distortions.
        options: As for :func:`distort`.

    >>> batches = distorted_batches(np.ones((6, 8, 8, 1)), np.arange(6), batch_size=4)
    >>> [len(next(batches)[0]) for _ in range(4)]
    [4, 2, 4, 2]
    """
    if len(x) != len(y) or len(x) == 0:
        raise DataError(f"distorted_batches: x has {len(x)} samples but y has {len(y)}.")
    if batch_size < 1:
        raise ConfigurationError(f"distorted_batches: batch_size must be at least 1, not {batch_size!r}.")
    sequence = np.random.SeedSequence(seed)
    while True:
        order_seed, *batch_seeds = sequence.spawn(1 + -(-len(x) // batch_size))
        order = np.random.Generator(np.random.Philox(order_seed)).permutation(len(x))
        for number, child in enumerate(batch_seeds):
            rows = order[number * batch_size : (number + 1) * batch_size]
            yield distort(x[rows], int(child.generate_state(1, np.uint64)[0]), **options), y[rows]
