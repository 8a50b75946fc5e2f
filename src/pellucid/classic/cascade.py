"""The attentional cascade of Viola and Jones: strong classifiers in a row, each of which may reject a window.

Most windows of an image hold nothing that looks like the object, and the first stages see that with a few features.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.backends import scans
from pellucid.backends.scans import CascadeTable, WindowScan
from pellucid.classic.boosting import Stump, votes
from pellucid.classic.detection import Detection, Level, non_maximum_suppression, pyramid
from pellucid.classic.haar import (
    PATTERNS,
    HaarFeature,
    Windows,
    corners_of,
    grey_levels,
    integral_image,
    inverse_contrast,
)
from pellucid.errors import ConfigurationError, DataError, FileFormatError
from pellucid.fields import Integer
from pellucid.shapes import show

_FORMAT = "pellucid cascade 1"


@dataclass(frozen=True)
class Stage:
    """A strong classifier: a window passes where sum_t alpha_t h_t >= threshold.

    Attributes:
        features: The Haar-like feature of each stump.
        stumps: Their thresholds and votes; ``stump.feature`` counts within this stage.
        weights: alpha_t.
        threshold: Lower than 0 lets more windows pass.
        detection_rate, false_positive_rate: Of this stage alone, on the windows held out for it in training.
    """

    features: tuple[HaarFeature, ...]
    stumps: tuple[Stump, ...]
    weights: tuple[float, ...]
    threshold: float
    detection_rate: float
    false_positive_rate: float

    def __len__(self) -> int:
        return len(self.stumps)

    def score(self, windows: Windows) -> np.ndarray:
        """sum_t alpha_t h_t for each window, [N]."""
        columns = windows.values(_corners(self.features))
        return votes(self.stumps, self.weights, list(columns), len(windows))

    def passes(self, windows: Windows) -> np.ndarray:
        """Whether each window passes, [N]."""
        return self.score(windows) >= self.threshold


@dataclass(frozen=True)
class ScanReport:
    """What a cascade cost on the windows of an image.

    Attributes:
        windows: How many were looked at, at all scales.
        entered: Windows that each stage looked at; one number more at the end: those that passed all stages.
        stage_features: Features of each stage.
        features: Features evaluated in all.
    """

    windows: int
    entered: tuple[int, ...]
    stage_features: tuple[int, ...]
    features: int

    @property
    def features_per_window(self) -> float:
        """Mean number of features that were evaluated for a window."""
        return self.features / max(self.windows, 1)

    @property
    def features_per_stage(self) -> tuple[float, ...]:
        """The share of each stage in ``features_per_window``."""
        pairs = zip(self.entered, self.stage_features, strict=False)
        return tuple(count * size / max(self.windows, 1) for count, size in pairs)

    def __add__(self, other: ScanReport) -> ScanReport:
        entered = tuple(a + b for a, b in zip(self.entered, other.entered, strict=True))
        return ScanReport(self.windows + other.windows, entered, self.stage_features, self.features + other.features)

    def __str__(self) -> str:
        lines = [f"{self.windows:,} windows, {self.features_per_window:.2f} features each on average"]
        for number, (size, count) in enumerate(zip(self.stage_features, self.entered, strict=False), 1):
            share, own = count / max(self.windows, 1), self.features_per_stage[number - 1]
            lines.append(f"stage {number:2}: {size:3} features, entered by {share:9.4%}, {own:.3f} a window")
        lines.append(f"passed all: {self.entered[-1]:,} windows")
        return "\n".join(lines)


@dataclass(frozen=True)
class Cascade:
    """A trained detector; see :class:`CascadeTrainer` for how to get one.

    Attributes:
        window: Height and width of the windows.
        stages: In the order in which a window meets them.
        least_contrast: A window whose grey levels deviate less than this is rejected before the first stage; for
            pictures darker than those of the training, ``dataclasses.replace`` gives a cascade with less.
        least_confidence: What ``detect`` asks of the surest window of a detection, unless told otherwise.
        mirrored: Whether the object's mirror image was learnt, too: then ``detect`` looks at it once more.

    Source: Viola, Jones, "Rapid object detection using a boosted cascade of simple features", 2001; deck 001.

    >>> dark_left = Stage((HaarFeature("two-x", 0, 0, 4, 2),), (Stump(0, -4.0, 1, -1),), (1.0,), 0.0, 1.0, 0.5)
    >>> cascade = Cascade((4, 4), (dark_left,))
    >>> image = np.zeros((4, 6), "uint8"); image[:, 4:] = 200
    >>> cascade.scan(image)[0].passed
    array([[0, 1, 1]], dtype=int32)
    """

    window: tuple[int, int]
    stages: tuple[Stage, ...] = field(repr=False)
    least_contrast: float = 0.0
    least_confidence: float = 0.0
    mirrored: bool = False

    def __len__(self) -> int:
        return len(self.stages)

    def predict(self, windows: Any) -> np.ndarray:
        """True for each window [N, height, width] (uint8 or floats from 0 to 1) that passes every stage, [N].

        Raises:
            DataError: The windows are of another size.
        """
        ready = windows if isinstance(windows, Windows) else Windows(windows)
        if ready.images.shape[1:] != self.window:
            raise DataError(
                f"The cascade looks at windows {show(self.window)}, not {show(ready.images.shape[1:])}.",
                hint="use detect() for whole images",
            )
        passed = self._contrasting(ready.inverse) > 0
        for stage in self.stages:
            passed &= stage.passes(ready)
        return passed

    def confidence(self, windows: Windows) -> np.ndarray:
        """How far windows are above the stages' thresholds, in shares of the votes, summed over the stages; [N]."""
        margins = [(stage.score(windows) - stage.threshold) / sum(stage.weights) for stage in self.stages]
        return np.sum(margins, axis=0) if margins else np.zeros(len(windows))

    def scan(self, image: Any, step: int = 1) -> tuple[WindowScan, ScanReport]:
        """Look at every window of one image at its own scale.

        Args:
            image: [height, width] or [height, width, 3], uint8 or floats from 0 to 1; at least as large as a window.
            step: Pixels between windows.

        Raises:
            DataError: The image is of another kind, or too small.
            ConfigurationError: The step is not at least 1.
        """
        image = grey_levels(image)
        if image.shape[0] < self.window[0] or image.shape[1] < self.window[1]:
            raise DataError(f"No window {show(self.window)} fits into an image {show(image.shape)}.")
        message = Integer(1)(step)
        if message:
            raise ConfigurationError(f"Cascade: step must be {message}, not {step!r}.")
        exact = integral_image(image)
        inverse = self._contrasting(inverse_contrasts(exact, image, self.window, step))
        found = scans.chosen().scan_windows(exact.astype(np.int32), inverse, self.table, step)
        reached = np.bincount(found.passed.ravel() + 1, minlength=len(self) + 2)
        entered = np.cumsum(reached[::-1])[::-1][1:]
        sizes = tuple(len(stage) for stage in self.stages)
        report = ScanReport(inverse.size, tuple(int(n) for n in entered), sizes, int(found.features.sum()))
        return found, report

    def _contrasting(self, inverse: np.ndarray) -> np.ndarray:
        """The factors of windows, 0 for those with too little contrast."""
        return np.where(inverse * self.least_contrast <= 1, inverse, 0.0)

    def survivors(
        self, image: Any, *, factor: float = 1.2, step: int = 1, smallest: float = 0, largest: float = np.inf
    ) -> Iterator[tuple[Level, np.ndarray, np.ndarray, ScanReport]]:
        """For each scale: the level, places (row, column) [K, 2] of windows that pass all stages, their confidence."""
        grey = grey_levels(image)
        for level in pyramid(grey, self.window, factor=factor, smallest=smallest, largest=largest):
            found, report = self.scan(level.image, step)
            places = np.argwhere(found.passed == len(self))
            yield level, places * step, found.confidence[tuple(places.T)], report

    def detect(
        self,
        image: Any,
        *,
        factor: float = 1.1,
        step: int = 1,
        smallest: float = 0,
        largest: float = np.inf,
        overlap: float = 0.3,
        neighbours: int = 3,
        confidence: float | None = None,
    ) -> list[Detection]:
        """Find the objects in an image, the surest first.

        Args:
            image: [height, width] or [height, width, 3], uint8 or floats from 0 to 1.
            factor: Between the scales at which the image is searched.
            step: Pixels between windows at each scale.
            smallest, largest: Heights in pixels of the objects.
            overlap: Windows whose intersection over union is above this are one object (non-maximum suppression).
            neighbours: An object counts where at least so many windows saw it beside the best one: a true object is
                seen at several places and scales, a chance pattern seldom. Where the cascade is ``mirrored``, half as
                many of these windows must show it when they are mirrored, too, which chance patterns hardly ever do.
                A finer search (``factor``, ``step``) meets an object in more windows: 3 suits a factor of 1.1.
            confidence: What the best window must have; ``least_confidence`` by default.

        Raises:
            DataError: The image is of another kind.
            ConfigurationError: A setting is outside its range.
        """
        scales: dict[str, Any] = {"factor": factor, "step": step, "smallest": smallest, "largest": largest}
        merging: dict[str, Any] = {"overlap": overlap, "neighbours": neighbours, "confidence": confidence}
        found, _ = self.detect_with_report(image, **merging, **scales)
        return found

    def detect_with_report(
        self,
        image: Any,
        *,
        overlap: float = 0.3,
        neighbours: int = 3,
        confidence: float | None = None,
        factor: float = 1.1,
        **scales: Any,
    ) -> tuple[list[Detection], ScanReport]:
        """As ``detect``, and what the search cost."""
        message = Integer(0)(neighbours)
        if message:
            raise ConfigurationError(f"Cascade: neighbours must be {message}, not {neighbours!r}.")
        report = ScanReport(0, (0,) * (len(self) + 1), tuple(len(stage) for stage in self.stages), 0)
        boxes, scores, twice = [np.empty((0, 4))], [np.empty(0)], [np.empty(0, bool)]
        for level, places, sureness, cost in self.survivors(image, factor=factor, **scales):
            report = report + cost
            boxes.append(np.stack(level.box(places[:, 0], places[:, 1], self.window), axis=-1))
            scores.append(sureness)
            twice.append(self._passes_mirrored(level, places))
        least = self.least_confidence if confidence is None else confidence
        every = np.concatenate(boxes), np.concatenate(scores), np.concatenate(twice)
        found = _merged(*every, overlap, neighbours)
        return [detection for detection in found if detection.confidence >= least], report

    def _passes_mirrored(self, level: Level, places: np.ndarray) -> np.ndarray:
        """Whether the mirror images of windows at some places pass, too; true where those were not learnt."""
        if not self.mirrored or not len(places):
            return np.ones(len(places), bool)
        views = np.lib.stride_tricks.sliding_window_view(level.image, self.window)
        return self.predict(views[tuple(places.T)][:, :, ::-1])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cascade as a text file (JSON); numbers come back exactly."""
        content = {
            "format": _FORMAT,
            "window": list(self.window),
            "least_contrast": self.least_contrast,
            "least_confidence": self.least_confidence,
            "mirrored": self.mirrored,
            "stages": [asdict(stage) for stage in self.stages],
        }
        # A threshold of minus infinity is no JSON number: null stands for it.
        for stage in content["stages"]:
            for stump in stage["stumps"]:
                stump["threshold"] = stump["threshold"] if np.isfinite(stump["threshold"]) else None
        Path(path).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Cascade:
        """Read a cascade that ``save`` wrote.

        Raises:
            FileFormatError: The file is damaged, or of another kind.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"its format is {content['format']!r}")
            height, width = content["window"]
            stages = tuple(_stage(part) for part in content["stages"])
            least = float(content["least_contrast"]), float(content["least_confidence"])
            return cls((int(height), int(width)), stages, *least, mirrored=content.get("mirrored", False) is True)
        except (ValueError, KeyError, TypeError, ConfigurationError) as error:
            raise FileFormatError(f"{path} is no cascade that can be read: {error!r}.") from error

    @cached_property
    def table(self) -> CascadeTable:
        """The cascade as arrays, as the scans read it."""
        stumps = [stump for stage in self.stages for stump in stage.stumps]
        weights = np.array([weight for stage in self.stages for weight in stage.weights], np.float64)
        first = np.cumsum([0, *(len(stage) for stage in self.stages)]).astype(np.int64)
        return CascadeTable(
            corners=_corners([feature for stage in self.stages for feature in stage.features]),
            cut=np.array([stump.threshold for stump in stumps], np.float64),
            left=weights * np.array([stump.left for stump in stumps], np.float64),
            right=weights * np.array([stump.right for stump in stumps], np.float64),
            first=first,
            threshold=np.array([stage.threshold for stage in self.stages], np.float64),
            scale=np.array([1 / sum(stage.weights) for stage in self.stages], np.float64),
        )


def _corners(features: Sequence[HaarFeature]) -> scans.Corners:
    kinds = tuple(PATTERNS)
    rows = [(kinds.index(f.kind), f.top, f.left, f.height, f.width) for f in features]
    return corners_of(np.array(rows, np.int64).reshape(-1, 5), kinds)


def inverse_contrasts(exact: np.ndarray, image: np.ndarray, window: tuple[int, int], step: int) -> np.ndarray:
    """One over the contrast of every window."""
    squares = integral_image(image.astype(np.int64) ** 2)
    height, width = window

    def sums(table: np.ndarray) -> np.ndarray:
        all_of = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
        return all_of[::step, ::step]

    return inverse_contrast(sums(exact), sums(squares), height * width)


def _merged(
    boxes: np.ndarray, scores: np.ndarray, twice: np.ndarray, overlap: float, neighbours: int
) -> list[Detection]:
    """One detection for each group of overlapping boxes that is large enough: the mean of its boxes.

    Args:
        twice: Whether a box shows the object in its mirror image, too; half of ``neighbours`` must.
    """
    kept, owner = non_maximum_suppression(boxes, scores, overlap)
    found = []
    for position, number in enumerate(kept):
        own = owner == position
        group = boxes[own]
        if len(group) > neighbours and 2 * twice[own].sum() >= neighbours:
            top, left, bottom, right = (float(edge) for edge in group.mean(axis=0))
            found.append(Detection(top, left, bottom - top, right - left, float(scores[number]), len(group) - 1))
    return found


def _stage(content: dict[str, Any]) -> Stage:
    """A stage from a file."""
    features = tuple(HaarFeature(**part) for part in content["features"])
    stumps = tuple(
        Stump(s["feature"], float("-inf" if s["threshold"] is None else s["threshold"]), s["left"], s["right"])
        for s in content["stumps"]
    )
    weights = tuple(float(weight) for weight in content["weights"])
    if not len(features) == len(stumps) == len(weights):
        raise ValueError("a stage's features, stumps and weights differ in number")
    return Stage(
        features, stumps, weights, float(content["threshold"]),
        float(content["detection_rate"]), float(content["false_positive_rate"]),
    )  # fmt: skip
