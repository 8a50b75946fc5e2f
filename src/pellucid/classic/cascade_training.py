"""Training an attentional cascade: stage after stage, each on the windows that all stages before let through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from pellucid.classic.boosting import Round, SortedFeatures, boost
from pellucid.classic.cascade import Cascade, Stage
from pellucid.classic.detection import Level, pyramid
from pellucid.classic.haar import HaarFeatures, Windows, grey_levels
from pellucid.data.distort import distort
from pellucid.data.split import split_indices
from pellucid.errors import DataError
from pellucid.fields import Configured, Integer, Interval, boolean, param
from pellucid.seeds import generator
from pellucid.shapes import show

#: So many windows are looked at one by one; where there are more, their images are scanned.
_FEW = 50_000

#: The best of all windows that cover an object is surer than this share of the objects as they were cut out.
_UNSURE = 0.25


@dataclass(frozen=True)
class StageReport:
    """What the training of one stage came to.

    Attributes:
        number: From 1.
        features: How many the stage has.
        objects, negatives: Windows that it was trained on.
        detection_rate, false_positive_rate: On the windows held out.
        background_rate: Share of all background windows that the stages before let through.
        target: What the false-positive rate should be at most.
    """

    number: int
    features: int
    objects: int
    negatives: int
    detection_rate: float
    false_positive_rate: float
    background_rate: float
    target: float = 1.0

    @property
    def met(self) -> bool:
        """Whether the stage reached its target; else it ended with as many features as it may have."""
        return self.false_positive_rate <= self.target

    def __str__(self) -> str:
        text = (
            f"stage {self.number:2}: {self.features:3} features, detects {self.detection_rate:.1%}, "
            f"lets {self.false_positive_rate:.1%} of {self.negatives} hard negatives through "
            f"({self.background_rate:.4%} of the background came here)"
        )
        return text if self.met else f"{text}: more than {self.target:.0%}"


class CascadeTrainer(Configured):
    """Trains an attentional cascade of strong classifiers over Haar-like features.

    Each stage is boosted until, with its threshold lowered to keep ``detection_rate`` of the held-out objects, it lets
    at most ``false_positive_rate`` of the held-out negatives through. Then the stages so far search the backgrounds,
    and what they wrongly let through is what the next stage is trained on. The cascade's ``least_confidence`` is what
    three quarters of the held-out objects reach that pass all stages.

    Args:
        stages: The most stages.
        detection_rate: Share of the held-out objects that a stage has to keep, of what the stages before have kept:
            after k stages at least its k-th power is there.
        false_positive_rate: Share of the held-out negatives that a stage may let through; one that needs more than
            ``features`` for it misses it, which its report says.
        target: The training ends once the cascade lets at most this share of all background windows through.
        features: The most features of a stage.
        negatives: Windows from the backgrounds for each stage.
        held_out: Share of objects and negatives that a stage's threshold and rates are measured on.
        pool: Haar-like features that each stage chooses from, drawn anew from all those of the window.
        reject_flat: Whether windows are rejected before the first stage that have less contrast than the objects have,
            but for a share of 1 - ``detection_rate`` of them.
        mirrored: Whether each object is also learnt as its mirror image, and looked for so.
        distortions: How many times each training object is also learnt a little moved, turned and stretched.
        factor: Between the scales at which the backgrounds are searched.
        seed: Fixes the split and which windows are drawn; the same seed gives the same cascade.

    Source: Viola, Jones, "Rapid object detection using a boosted cascade of simple features", 2001, table 2; deck 001.

    >>> r = np.random.default_rng(3)
    >>> noise = r.integers(0, 200, (3, 60, 60)).astype("uint8")
    >>> squares = r.integers(0, 100, (40, 9, 9)).astype("uint8")
    >>> squares[:, 2:7, 2:7] += 120
    >>> cascade = CascadeTrainer(stages=3, pool=500).train(squares, noise)
    >>> noise[0, 20:29, 30:39] = squares[0]
    >>> [found] = cascade.detect(noise[0], neighbours=2)
    >>> (found.top, found.left, found.height)
    (20.0, 30.0, 9.0)
    """

    stages: int = param(default=12, check=Integer(1))
    detection_rate: float = param(default=0.98, check=Interval(0, 1, closed="right"))
    false_positive_rate: float = param(default=0.4, check=Interval(0, 1, closed="neither"))
    target: float = param(default=1e-6, check=Interval(0, 1, closed="left"))
    features: int = param(default=100, check=Integer(1))
    negatives: int = param(default=1000, check=Integer(2))
    held_out: float = param(default=0.4, check=Interval(0, 1, closed="neither"))
    pool: int = param(default=10_000, check=Integer(1))
    reject_flat: bool = param(default=True, check=boolean)
    mirrored: bool = param(default=True, check=boolean)
    distortions: int = param(default=1, check=Integer(0))
    factor: float = param(default=1.25, check=Interval(1, float("inf"), closed="neither"))
    seed: int = param(default=0, check=Integer(0))

    def train(
        self,
        objects: Any,
        backgrounds: Sequence[Any],
        others: Any = None,
        report: Callable[[StageReport], None] | None = None,
    ) -> Cascade:
        """Train.

        Args:
            objects: Windows of the object [N, height, width], uint8 or floats from 0 to 1.
            backgrounds: Images of any size on which the object is not to be seen.
            others: Further windows without the object, [M, height, width].
            report: Called after each stage.

        Raises:
            DataError: There are too few objects, hardly a window fits into the backgrounds, or nothing tells them
                apart.
        """
        windows = Windows(objects).images
        learnt, measured = self._objects(windows)
        ground = _Background(backgrounds, windows.shape[1:], self.factor, others)
        table = HaarFeatures(windows.shape[1:])
        cascade = Cascade(ground.window, (), self._least_contrast(Windows(measured)), mirrored=self.mirrored)
        measured = measured[cascade.predict(measured)]
        held_out = len(measured)
        while len(cascade) < self.stages:
            draw = generator(self.seed, len(cascade))
            negatives, rate = ground.hard_windows(cascade, self.negatives, draw)
            too_few = len(negatives) < max(2, self.negatives // 20) or not len(learnt)
            if len(cascade) and (rate <= self.target or too_few):
                break
            if len(negatives) < 2:
                raise _unlearnable("the backgrounds hold no two windows with as much contrast as the objects have")
            # What earlier stages have lost is lost: the later ones are not measured on it again.
            to_keep = self.detection_rate ** (len(cascade) + 1) * held_out
            stage = self._stage(
                table.sample(self.pool, draw), (learnt, measured), _parted(negatives, self.held_out, draw), to_keep
            )
            if not len(stage):
                if not len(cascade):
                    raise _unlearnable("no Haar-like feature tells the objects from the backgrounds")
                break
            if report is not None:
                rates = stage.detection_rate, stage.false_positive_rate
                sizes = len(cascade) + 1, len(stage), len(learnt), len(negatives)
                report(StageReport(*sizes, *rates, rate, self.false_positive_rate))
            cascade = replace(cascade, stages=(*cascade.stages, stage))
            learnt, measured = (part[stage.passes(Windows(part))] for part in (learnt, measured))
        sureness = np.sort(cascade.confidence(Windows(measured)))
        return replace(cascade, least_confidence=float(sureness[int(_UNSURE * len(sureness))]))

    def _least_contrast(self, objects: Windows) -> float:
        """What the wanted share of the objects has at least."""
        contrasts = np.sort(1 / objects.inverse)
        least = float(contrasts[int((1 - self.detection_rate) * len(contrasts))])
        return least * (1 - 1e-9) if self.reject_flat else 0.0  # an object of just that contrast is kept

    def _objects(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The objects to train on, and those to measure on; an object's variants are on its own side."""
        if len(windows) < 4:
            raise DataError(f"CascadeTrainer needs at least 4 windows of the object, there are {len(windows)}.")
        parts = split_indices(np.zeros(len(windows)), self.held_out, self.seed, stratified=False)
        learnt, measured = (self._with_mirror_images(windows[part]) for part in parts)
        return np.concatenate([learnt, *self._distorted(learnt)]), measured

    def _with_mirror_images(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate([images, images[:, :, ::-1]]) if self.mirrored else images

    def _distorted(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """The images again and again, each time distorted in another way."""
        # What comes from outside of an image is 0: so its edge is drawn out first.
        edge = -(-max(images.shape[1:]) // 4)
        padded = np.pad(images, [(0, 0), (edge, edge), (edge, edge)], mode="edge")[..., np.newaxis]
        for number in range(self.distortions):
            seed = int(generator(self.seed, number, 1).integers(1 << 62))
            turned = distort(padded, seed, shift=1.0, rotation=8.0, scale=0.08, shear=0.05)
            yield np.clip(turned[:, edge:-edge, edge:-edge, 0] + 0.5, 0, 255).astype(np.uint8)

    def _stage(
        self, table: HaarFeatures, objects: Sequence[np.ndarray], negatives: Sequence[np.ndarray], to_keep: float
    ) -> Stage:
        """Boost until the rates on the held-out windows are good enough."""
        windows = [Windows(np.concatenate(parts)) for parts in zip(objects, negatives, strict=True)]
        labels = [np.repeat([1, -1], [len(p), len(n)]) for p, n in zip(objects, negatives, strict=True)]
        # As in Viola and Jones, objects and negatives start with the same weight in all.
        weights = np.where(labels[0] > 0, 0.5 / len(objects[0]), 0.5 / len(negatives[0]))
        features = SortedFeatures(lambda start, stop: table.values(windows[0], slice(start, stop)), len(table))
        may_lose = min(int(len(objects[1]) - to_keep + 1e-9), len(objects[1]) - 1)
        rounds: list[Round] = []
        score = np.zeros(len(labels[1]))
        threshold, rates = 0.0, (1.0, 1.0)
        for found in boost(features, labels[0], weights):
            rounds.append(found)
            feature = found.stump.feature
            column = table.values(windows[1], slice(feature, feature + 1))[0]
            score = score + found.weight * found.stump.predict(column)
            threshold = float(np.sort(score[labels[1] > 0])[may_lose])
            passed = score >= threshold
            rates = float(passed[labels[1] > 0].mean()), float(passed[labels[1] < 0].mean())
            if rates[1] <= self.false_positive_rate or len(rounds) == self.features:
                break
        return Stage(
            tuple(table[found.stump.feature] for found in rounds),
            tuple(replace(found.stump, feature=number) for number, found in enumerate(rounds)),
            tuple(found.weight for found in rounds),
            threshold,
            *rates,
        )


def _unlearnable(reason: str) -> DataError:
    return DataError(f"CascadeTrainer: {reason}.", hint="give other images, or set reject_flat=False")


def _parted(windows: np.ndarray, held_out: float, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Windows to train on, and windows to measure on."""
    order = draw.permutation(len(windows))
    held = min(max(round(held_out * len(windows)), 1), len(windows) - 1)
    return windows[np.sort(order[held:])], windows[np.sort(order[:held])]


class _Background:
    """Where negatives come from: images without the object at all scales, and single windows without it."""

    def __init__(self, images: Sequence[Any], window: tuple[int, int], factor: float, others: Any) -> None:
        self.window = window
        self.others = np.empty((0, *window), np.uint8) if others is None else Windows(others).images
        if self.others.shape[1:] != window:
            raise DataError(f"others are windows {show(self.others.shape[1:])}, but the objects {show(window)}.")
        self.levels: list[Level] = [
            level for image in images for level in pyramid(grey_levels(image), window, factor=factor)
        ]
        self.size = sum(int(np.prod(np.subtract(level.image.shape, window) + 1)) for level in self.levels)
        if self.size < 2:
            raise DataError(
                f"CascadeTrainer: {self.size} windows {show(window)} fit into the {len(images)} backgrounds, which are "
                "too few to learn from.",
                hint="give larger images on which the object is not to be seen",
            )
        #: For each level the places of the windows that the cascade lets through.
        self._alive: list[np.ndarray] = []

    def hard_windows(self, cascade: Cascade, count: int, draw: np.random.Generator) -> tuple[np.ndarray, float]:
        """What a cascade takes for the object: ``count`` random windows at most, and the share of all windows.

        From call to call the cascade grows by one stage: what it has rejected stays so.
        """
        places = self._survivors(cascade)
        edges = np.cumsum([0, *map(len, places)])
        total = int(edges[-1])
        chosen = np.sort(draw.choice(total, min(count, total), replace=False))
        few = [own[some] for own, some in zip(places, _split(chosen, edges), strict=True)]
        return np.concatenate([self.others[cascade.predict(self.others)], self._crops(few)]), total / self.size

    def _survivors(self, cascade: Cascade) -> list[np.ndarray]:
        """For each level the places of the windows that pass all stages."""
        if len(cascade) > 1 and sum(len(own) for own in self._alive) <= _FEW:
            passed = cascade.stages[-1].passes(Windows(self._crops(self._alive)))
            self._alive = [own[part] for own, part in zip(self._alive, self._by_level(passed), strict=True)]
        else:
            scans = (cascade.scan(level.image)[0].passed == len(cascade) for level in self.levels)
            self._alive = [np.flatnonzero(passed).astype(np.int32) for passed in scans]
        return self._alive

    def _by_level(self, passed: np.ndarray) -> list[np.ndarray]:
        return np.split(passed, np.cumsum([len(own) for own in self._alive])[:-1])

    def _crops(self, places: Sequence[np.ndarray]) -> np.ndarray:
        """The windows at some places of each level, numbered along its rows."""
        windows = [np.empty((0, *self.window), np.uint8)]
        for level, own in zip(self.levels, places, strict=True):
            views = np.lib.stride_tricks.sliding_window_view(level.image, self.window)
            windows.append(views[np.divmod(own, views.shape[1])])
        return np.concatenate(windows)


def _split(chosen: np.ndarray, edges: np.ndarray) -> Iterator[np.ndarray]:
    """For each part between two edges the chosen numbers in it, counted from its start."""
    for low, high in pairwise(edges):
        yield chosen[np.searchsorted(chosen, low) : np.searchsorted(chosen, high)] - low
