"""The curvature of a loss: products with the Hessian, its eigenvalues and eigenvectors, its trace, its spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.analysis.lanczos import DENSE, extreme_eigenpairs, oriented, quadrature
from pellucid.analysis.spectrum import SpectralDensity
from pellucid.analysis.surface import FULL_HESSIAN, LossSurface, calm_blas
from pellucid.analysis.surfaces import surface_of
from pellucid.errors import ConfigurationError, unknown_name
from pellucid.fields import Integer, optional, positive, require


@dataclass(frozen=True)
class Eigenpairs:
    """Some eigenvalues of a Hessian with their eigenvectors.

    Attributes:
        values: float64 [k], the extreme one first.
        vectors: float64 [n, k], a column of length 1 for each.
        residuals: |H u - λ u| of each: how far λ may lie from a true eigenvalue.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray


@dataclass(frozen=True)
class TraceEstimate:
    """Hutchinson's estimate of a trace.

    Attributes:
        value: The mean of z^T H z over random signs z.
        standard_error: Of that mean; the trace lies within two of them in 95 of 100 cases.
        samples: How many products it took: as many z, or all unit vectors, whose sum is exact.
    """

    value: float
    standard_error: float
    samples: int

    def __float__(self) -> float:
        return self.value


class Curvature:
    """The Hessian of a loss at a place: ``Curvature(model, x, y)`` or ``Curvature(f, w)``.

    Nothing is built that has n² numbers unless ``hessian`` is called: a product H v is the gradient of <gradient, v>
    and costs a few gradients. A model's products are compiled once per size of batch, run in native loops, and add up
    over the batches of a data set of any size. Its layers run at inference: nothing is dropped, and batch normalisation
    takes its moving statistics. Where the loss has kinks (ReLU, max-pooling), the Hessian is that of the smooth piece
    around the place; the bends between pieces have no second derivative and are not in it.

    Args:
        target: A compiled model, a function of its parameters, or a loss surface.
        at: For a model, x and y; for a function, w.
        batch_size: Samples of a model at once (1,024); results do not depend on it.
        dtype: What a model is computed in ("float64"; "float32" is twice as fast).
        sample_weight: The weight of each sample's loss.

    Attributes:
        surface: The loss by its parameters.

    Raises:
        ConfigurationError, DataError: The target and what comes with it do not fit.

    Source: Pearlmutter, "Fast exact multiplication by the Hessian", 1994; Yao et al., "PyHessian", 2020.

    >>> curvature = Curvature(lambda w: (1 - w[0] * w[1]) ** 2, [0.0, 0.0])
    >>> curvature.hvp([1.0, 1.0])
    array([-2., -2.])
    >>> curvature.eigenpairs(2).values
    array([ 2., -2.])
    """

    def __init__(
        self, target: Any, *at: Any, batch_size: int | None = None, dtype: Any = None, sample_weight: Any = None
    ) -> None:
        self.surface: LossSurface = surface_of(
            "Curvature", target, at, batch_size=batch_size, dtype=dtype, sample_weight=sample_weight
        )

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.surface.point.size

    def gradient(self) -> np.ndarray:
        """The gradient [n]."""
        return self.surface.gradient()

    def hvp(self, direction: Any) -> Any:
        """The Hessian times a direction: [n] for a vector [n], arrays by name for arrays by the parameters' names."""
        found = self.surface.hvp(direction)
        return self.surface.split(found) if isinstance(direction, Mapping) else found

    def hessian(self, *, limit: int = FULL_HESSIAN) -> np.ndarray:
        """All second derivatives [n, n].

        Raises:
            ConfigurationError: There are more than ``limit`` parameters.
        """
        return self.surface.hessian(limit=limit)

    def eigenpairs(
        self,
        k: int = 1,
        which: str = "largest",
        *,
        seed: int = 0,
        tolerance: float = 1e-6,
        iterations: int | None = None,
    ) -> Eigenpairs:
        """The k largest or smallest eigenvalues, by their sign and size ("algebraic"), with eigenvectors.

        Args:
            k: How many.
            which: ``"largest"`` or ``"smallest"``: the most negative ones.
            seed: Of the vector that Lanczos' method starts from.
            tolerance: Relative to the width of the spectrum.
            iterations: At most so many restarts.

        Raises:
            ConfigurationError: They were not found.
        """
        require("eigenpairs", "k", k, Integer(1))
        require("eigenpairs", "tolerance", tolerance, positive)
        require("eigenpairs", "iterations", iterations, optional(Integer(1)))
        if which not in ("largest", "smallest"):
            raise unknown_name("end of the spectrum", which, ("largest", "smallest"))
        if k > self.size:
            raise ConfigurationError(f"eigenpairs: {k} eigenvalues were asked for, but there are {self.size}.")
        if self.size <= DENSE or k >= self.size // 2:
            values, vectors = np.linalg.eigh(self.hessian(limit=max(FULL_HESSIAN, DENSE)))
            order = np.argsort(values)[::-1][:k] if which == "largest" else np.argsort(values)[:k]
            values, vectors = values[order], oriented(vectors[:, order])
        else:
            with calm_blas():
                values, vectors = extreme_eigenpairs(
                    self.surface.hvp, self.size, k, largest=which == "largest", seed=seed, tolerance=tolerance,
                    iterations=iterations,
                )  # fmt: skip
        residuals = np.linalg.norm(self.surface.products(vectors.T).T - values * vectors, axis=0)
        return Eigenpairs(values, vectors, residuals)

    def trace(self, samples: int = 100, *, seed: int = 0) -> TraceEstimate:
        """The sum of all eigenvalues, estimated from products with random signs z: E z^T H z = tr H.

        Where there are no more parameters than ``samples``, it is the exact sum, which costs no more.

        Source: Hutchinson, "A stochastic estimator of the trace", 1989.
        """
        require("trace", "samples", samples, Integer(2))
        if self.size <= samples:  # as many products give it exactly
            return TraceEstimate(float(np.trace(self.hessian(limit=max(FULL_HESSIAN, self.size)))), 0.0, self.size)
        signs = np.random.default_rng(seed).integers(0, 2, (samples, self.size)) * 2.0 - 1.0
        found = np.concatenate([np.sum(part * self.surface.products(part), axis=1) for part in _parts(signs)])
        return TraceEstimate(float(found.mean()), float(found.std(ddof=1) / np.sqrt(samples)), samples)

    def spectrum(self, *, runs: int = 10, steps: int = 80, seed: int = 0) -> SpectralDensity:
        """How the eigenvalues are distributed, by stochastic Lanczos quadrature.

        For a random v, m steps of Lanczos' method give m nodes and weights with v^T f(H) v = sum_i weight_i f(node_i)
        for every polynomial f of a degree below 2m; the mean over several v estimates tr f(H) / n. Where there are no
        more parameters than ``runs`` times ``steps`` (and than a full Hessian may have), as many products give all
        eigenvalues exactly, and those are the nodes.

        Args:
            runs: Random vectors.
            steps: Lanczos steps of each.
            seed: Of the vectors.

        Source: Ghorbani et al., "An investigation into neural net optimization via Hessian eigenvalue density", 2019.
        """
        require("spectrum", "runs", runs, Integer(1))
        require("spectrum", "steps", steps, Integer(1))
        if self.size <= min(runs * steps, FULL_HESSIAN):
            return SpectralDensity(np.linalg.eigvalsh(self.hessian()), np.full(self.size, 1 / self.size), self.size)
        starts = np.random.default_rng(seed).integers(0, 2, (runs, self.size)) * 2.0 - 1.0
        with calm_blas():
            found = [quadrature(self.surface.hvp, start, steps) for start in starts]
        nodes, weights = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.argsort(nodes)
        return SpectralDensity(nodes[order], weights[order] / runs, self.size)


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    """The rows in parts of bounded size."""
    most = max(1, (1 << 22) // rows.shape[1])
    return [rows[start : start + most] for start in range(0, len(rows), most)]
