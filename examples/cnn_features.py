"""What LeNet-5 learns on MNIST, from low-level to high-level features, and why it decides as it does (decks 000, 001).

The first convolution finds edges, the second arcs and corners, units behind it whole digits; below, what speaks for the
predicted class. Run ``python examples/cnn_features.py [PICTURE.png]``: 10 s on two cores. Without the files of MNIST it
takes scikit-learn's 8 x 8 digits.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential, analysis, data, errors, set_seed
from pellucid.nn import Conv2D, Dense, Flatten, MaxPool2D

METHODS = {
    "saliency": analysis.saliency, "SmoothGrad": lambda *of: analysis.strength(analysis.smooth_gradients(*of)),
    "integrated": analysis.integrated_gradients, "guided": analysis.guided_backpropagation,
    "occlusion": lambda *of: analysis.occlusion(*of, window=4, score="logits"), "Grad-CAM": analysis.grad_cam,
    "deconvnet": lambda model, x, target: analysis.deconvnet(model, x),
}  # fmt: skip
PANELS = [["filters", "mid", "high"], ["maps", "mid", "high"], ["low", "mid", "classes"], ["why"] * 3]


def main(path: str = "cnn_features.png") -> dict[str, float]:
    """Train, look inside, draw; the accuracy, and the share of the images made for classes that are taken for them."""
    try:
        digits = data.load("mnist")
    except errors.DataError:
        digits = data.load("digits")
    (x, y), (x_test, y_test) = digits.train, digits.test
    set_seed(0)
    window = 5 if x.shape[1] == 28 else 3
    first = [Conv2D(6, window, padding="same", activation="relu"), MaxPool2D(2)]
    second = [Conv2D(16, window, activation="relu"), MaxPool2D(2), Flatten()]
    dense = [Dense(120, "relu"), Dense(84, "relu"), Dense(10, "softmax")]
    model = Sequential([Input(x.shape[1:]), *first, *second, *dense])
    model.compile("categorical_crossentropy", "adam", ["accuracy"])
    model.fit(x[:30000], y[:30000], batch_size=64, epochs=2 if len(x) > 30000 else 30, seed=0, verbose=0)
    accuracy, best = model.evaluate(x_test, y_test)[1], analysis.maximise_activation(model)
    recognised = float(np.mean(model.predict(best.images).argmax(axis=1) == best.channels))
    print(f"{accuracy:.1%} of the test digits are right; {recognised:.0%} of the images made for classes, too")
    figure, axes = plt.subplot_mosaic(PANELS, figsize=(14, 13), layout="constrained", height_ratios=[1, 1.3, 2.6, 5.6])
    shown = x_test[[int(np.flatnonzero(y_test == label)[0]) for label in (2, 4, 5, 7)]]
    analysis.plot_filters(model, ax=axes["filters"])
    analysis.plot_feature_maps(model, shown[0], ax=axes["maps"])
    for level, layer, most in (("low", "conv2d", 6), ("mid", "conv2d_1", 16), ("high", "dense", 6)):
        top = analysis.top_patches(model, x, layer)
        analysis.plot_top_patches(top, most=most, ax=axes[level]).set_title(f"{level} level: what excites {layer}")
    analysis.plot_maximised(best, title="images made to excite the classes", ax=axes["classes"])
    predicted = model.predict(shown).argmax(axis=1)
    maps = {name: method(model, shown, predicted) for name, method in METHODS.items()}
    analysis.plot_attributions(shown, maps, names=[f"a {label}" for label in predicted], ax=axes["why"])
    figure.savefig(path, dpi=110)
    return {"accuracy": accuracy, "recognised": recognised}


if __name__ == "__main__":
    main(*sys.argv[1:])
