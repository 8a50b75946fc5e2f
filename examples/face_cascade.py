"""Viola and Jones' face detector: boosted Haar-like features in an attentional cascade, from 100 small faces.

Run ``python examples/face_cascade.py [PICTURE.png]``; the images come with scikit-image (``pip install
'pellucid[faces]'``). The training takes some twenty seconds on two cores, the search a fraction of one.
"""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

from pellucid.classic import Cascade, CascadeTrainer, Detection, ScanReport

WITHOUT_FACES = (
    "brick", "chelsea", "clock", "coffee", "coins", "grass", "gravel", "hubble_deep_field", "immunohistochemistry",
    "moon", "page", "retina", "rocket", "stereo_motorcycle", "text",
)  # fmt: skip


def train() -> Cascade:
    """Learn faces from 100 of them, 100 other windows, and images without faces, upright and turned."""
    windows = data.lfw_subset()
    images = [getattr(data, name)() for name in WITHOUT_FACES]
    images = [image[0] if isinstance(image, tuple) else image for image in images]
    backgrounds = [np.rot90(image, turns) for turns in range(4) for image in images]
    return CascadeTrainer().train(windows[:100], backgrounds, windows[100:], report=print)


def draw(image: np.ndarray, found: list[Detection], path: str) -> None:
    """Save the picture with a box around each face."""
    figure, axes = plt.subplots(figsize=(6, 6))
    axes.imshow(image)
    axes.set_axis_off()
    for box in found:
        axes.add_patch(plt.Rectangle((box.left, box.top), box.width, box.height, fill=False, color="lime", linewidth=3))
        label = {"color": "black", "bbox": {"facecolor": "lime", "edgecolor": "none", "pad": 2}}
        axes.text(box.left, box.top - 10, f"a face: {box.neighbours + 1} windows agree", **label)
    figure.savefig(path, bbox_inches="tight", pad_inches=0)
    plt.close(figure)


def main(path: str = "face_cascade.png") -> tuple[list[Detection], ScanReport]:
    """Train, search the astronaut's picture, report, and save the picture."""
    started = time.perf_counter()
    cascade = train()
    trained = time.perf_counter()
    found, report = cascade.detect_with_report(data.astronaut(), factor=1.05, neighbours=5)
    print(f"{trained - started:.1f} s of training, {time.perf_counter() - trained:.2f} s of search")
    print(report)
    for box in found:
        print(f"a face at row {box.top:.0f}, column {box.left:.0f}, {box.height:.0f} pixels high")
    draw(data.astronaut(), found, path)
    return found, report


if __name__ == "__main__":
    main(*sys.argv[1:])
