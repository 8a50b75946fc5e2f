"""Eigenpairs and spectral densities of a symmetric matrix that is known by its products with vectors alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from pellucid.errors import ConfigurationError

#: v [n] -> A v [n].
Product = Callable[[np.ndarray], np.ndarray]

#: A matrix of at most this many rows is built and decomposed whole: that is faster, and exact.
DENSE = 256


def extreme_eigenpairs(
    product: Product, n: int, k: int, *, largest: bool, seed: int, tolerance: float, iterations: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest or smallest (algebraic) eigenvalues, the extreme one first, and their vectors in columns [n, k].

    The smallest ones lie often in a dense cluster near 0, where ARPACK, whose tolerance is relative to the eigenvalue,
    would never be content. So the matrix is shifted by its largest eigenvalue: then the ones that are wanted are the
    largest in size, and the tolerance is relative to the width of the spectrum.

    Raises:
        ConfigurationError: They were not found in so many iterations.
    """
    start = np.random.default_rng(seed).normal(size=n)  # without one, ARPACK draws vectors that differ between runs
    shift = 0.0
    if not largest:
        shift = float(_arpack(product, start, 1, "LA", min(tolerance, 1e-3), iterations)[0][0])

    def shifted(v: np.ndarray) -> np.ndarray:
        return product(v) - shift * v if shift else product(v)

    # ARPACK's own criterion is relative to each eigenvalue found; after the shift that is the spectrum's width.
    values, vectors = _arpack(shifted, start, k, "LA" if largest else "SA", tolerance, iterations)
    order = np.argsort(values)[::-1] if largest else np.argsort(values)
    return values[order] + shift, oriented(vectors[:, order])


def _arpack(
    product: Product, start: np.ndarray, k: int, which: str, tolerance: float, iterations: int | None
) -> tuple[np.ndarray, np.ndarray]:
    n = len(start)
    operator = LinearOperator((n, n), matvec=lambda v: product(np.asarray(v).reshape(-1)), dtype=np.float64)  # type: ignore[call-arg]
    basis = min(n, max(2 * k + 1, 40))
    try:
        settings: dict[str, Any] = {"v0": start, "ncv": basis, "tol": tolerance, "maxiter": iterations}
        found: Any = eigsh(operator, k=k, which=which, **settings)
    except ArpackNoConvergence as error:
        raise ConfigurationError(
            f"Lanczos found {len(error.eigenvalues)} of {k} eigenvalues to the tolerance {tolerance:g}.",
            hint="ask for fewer, for a larger tolerance=, or allow more iterations=",
        ) from None
    return found[0], found[1]


def oriented(vectors: np.ndarray) -> np.ndarray:
    """The vectors (columns), each with the sign that makes its largest component positive."""
    rows = np.argmax(np.abs(vectors) > 0.999 * np.abs(vectors).max(axis=0), axis=0)
    signs = np.sign(vectors[rows, np.arange(vectors.shape[1])])
    return vectors * np.where(signs == 0, 1.0, signs)


def tridiagonal(product: Product, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The diagonal and the side of the tridiagonal matrix that Lanczos' method builds from a vector.

    All vectors are kept and made orthogonal to each other twice: without that, eigenvalues are found several times.
    """
    n = len(start)
    steps = min(steps, n)
    basis = np.zeros((steps, n))
    diagonal, side = np.zeros(steps), np.zeros(max(steps - 1, 0))
    q = start / np.linalg.norm(start)
    for number in range(steps):
        basis[number] = q
        v = product(q)
        diagonal[number] = q @ v
        for _ in range(2):
            v = v - basis[: number + 1].T @ (basis[: number + 1] @ v)
        length = float(np.linalg.norm(v))
        if number + 1 == steps:
            break
        scale = max(float(np.abs(diagonal[: number + 1]).max()), float(side[:number].max(initial=0.0)))
        if length <= 1e-12 * scale or length == 0.0:  # the space is exhausted
            return diagonal[: number + 1], side[:number]
        side[number] = length
        q = v / length
    return diagonal, side


def quadrature(product: Product, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for which sum_i weight_i f(node_i) approximates start^T f(A) start / |start|²."""
    diagonal, side = tridiagonal(product, start, steps)
    matrix = np.diag(diagonal) + np.diag(side, 1) + np.diag(side, -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return nodes, vectors[0] ** 2
