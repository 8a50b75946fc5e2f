"""All that can be drawn of what a network with convolutions has learned, for reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.analysis.attribution import grad_cam, integrated_gradients, saliency
from pellucid.analysis.deconvolution import deconvnet, guided_backpropagation
from pellucid.analysis.feature_plots import (
    plot_attributions,
    plot_feature_maps,
    plot_filters,
    plot_maximised,
    plot_top_patches,
)
from pellucid.analysis.features import top_patches
from pellucid.analysis.maximisation import maximise_activation
from pellucid.analysis.occluding import occlusion
from pellucid.analysis.probe import Probe
from pellucid.analysis.receptive_fields import field_of
from pellucid.analysis.wiring import Step, Wiring
from pellucid.errors import ConfigurationError, DataError
from pellucid.fields import Integer, require

Page = tuple[str, Any]


def feature_overview(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    layers: Sequence[Any] | None = None,
    samples: int = 4,
    scan: int = 2000,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> list[Page]:
    """Pictures of the convolutions of a model, from low to high, and of why it decides as it does.

    For each convolution the filters, the maps of the first sample and the patches that excite each channel most; then
    the images that excite the classes most; then for some samples saliency, guided back-propagation, integrated
    gradients, Grad-CAM, the deconvnet and occlusion.

    Args:
        model: The model, built, with one input [height, width, channel] or [length, channel].
        x: Inputs as for ``predict``.
        y: Labels [N] or one-hot rows, for the captions.
        layers: The convolutions to look at; by default all, and of more than three the first, the middle and the last.
        samples: How many inputs are explained, the first ones; with labels, the first of each class before the second.
        scan: How many inputs are searched for patches, the first ones.
        class_names: Names of the classes.
        seed: Fixes the noise that ascents start from.

    Returns:
        (title, figure) pairs in the order in which to show them; the figures belong to no window.

    Raises:
        ConfigurationError: The model has no convolution, or not one input with positions.
        DataError: x does not fit the model, or y not x.
    """
    owner = "feature_overview"
    require(owner, "samples", samples, Integer(1))
    require(owner, "scan", scan, Integer(1))
    wiring = Wiring(model)
    looked_at = _low_mid_high(wiring) if layers is None else [wiring.step(layer) for layer in layers]
    if len(wiring.inputs) != 1 or len(wiring.values[wiring.inputs[0]][0]) < 2:
        raise ConfigurationError(f"{owner}: the model must have one input with positions, [N, ..., channel].")
    x = Probe(owner, model, x).arrays[0][:scan]
    pages: list[Page] = []
    for step in looked_at:
        pages.append((f"Filters of {step.name}", plot_filters(model, step.name).figure))
        pages.append((f"Feature maps of {step.name}", plot_feature_maps(model, x[:1], step.name).figure))
        if _field_known(wiring, step):
            shown = range(min(16, wiring.channels(step.outputs[0], owner)))
            top = top_patches(model, x, step.name, channels=list(shown), before_activation=True)
            pages.append((f"Top patches of {step.name}", plot_top_patches(top).figure))
    pages.append(_exciting(model, wiring, x, class_names, seed))
    labels = _labels(y, len(x))
    rows = np.arange(min(samples, len(x))) if labels is None else _of_each(labels, samples)
    pages.append(_explained(model, wiring, x[rows], None if labels is None else labels[rows], class_names))
    return pages


def _labels(y: Any, count: int) -> np.ndarray | None:
    """The labels of the first samples, rows of 0 and 1 as numbers."""
    if y is None:
        return None
    if len(np.asarray(y)) < count:
        raise DataError(f"feature_overview: there are {count} samples but only {len(np.asarray(y))} labels.")
    found = np.asarray(y)[:count]
    return found.argmax(axis=1) if found.ndim == 2 and found.shape[1] > 1 else found


def _of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """The rows of so many samples: the first of each class, then the second of each, in their order in the data."""
    seen: dict[Any, int] = {}
    turn = np.empty(len(labels), np.intp)
    for row, label in enumerate(labels.reshape(len(labels), -1)[:, 0].tolist()):
        turn[row] = seen[label] = seen.get(label, -1) + 1
    return np.sort(np.argsort(turn, kind="stable")[:count])


def _low_mid_high(wiring: Wiring) -> list[Step]:
    every = list({id(step.layer): step for step in wiring.convolutions()}.values())
    return every if len(every) <= 3 else [every[0], every[len(every) // 2], every[-1]]


def _field_known(wiring: Wiring, step: Step) -> bool:
    try:
        field_of(wiring, step.outputs[0])
    except ConfigurationError:
        return False
    return True


def _exciting(model: Any, wiring: Wiring, x: np.ndarray, names: Sequence[str] | None, seed: int) -> Page:
    """Images that excite the classes."""
    low, high = float(x.min()), float(x.max())
    classes = range(min(wiring.channels(wiring.outputs[0], "the output"), 32))
    found = maximise_activation(model, list(classes), value_range=(low, high if high > low else low + 1), seed=seed)
    title = f"{'Images' if x.ndim == 4 else 'Inputs'} that excite the classes most"
    return title, plot_maximised(found, names=names, title=f"{title}, and their logits").figure


def _explained(
    model: Any, wiring: Wiring, x: np.ndarray, labels: np.ndarray | None, names: Sequence[str] | None
) -> Page:
    """A row per sample: the sample, and what each method says of the predicted class."""
    predicted = model.predict(x)
    predicted = predicted[0] if isinstance(predicted, list) else predicted
    chosen = predicted.reshape(len(x), -1, predicted.shape[-1]).max(axis=1).argmax(axis=1)
    window = max(2, min(x.shape[1:-1]) // 5)
    methods = {
        "saliency": saliency(model, x, chosen),
        "guided": guided_backpropagation(model, x, chosen),
        "integrated": integrated_gradients(model, x, chosen),
        "occlusion": occlusion(model, x, chosen, window=window, stride=max(1, window // 3), score="logits"),
        "deconvnet": deconvnet(model, x),
    }
    if _field_known(wiring, wiring.convolutions()[-1]):
        methods["Grad-CAM"] = grad_cam(model, x, chosen)
    truth = [None if labels is None else labels[row] for row in range(len(x))]
    if predicted.shape[-1] > 1:
        title = "Why: what speaks for the predicted class"
        rows = [_caption(k, true, names) for k, true in zip(chosen, truth, strict=True)]
    else:  # one number, of which classes need a limit that only the loss knows
        title = "Why: what makes the output larger"
        outputs = predicted.reshape(len(x), -1).max(axis=1)
        rows = [_output_caption(value, true, names) for value, true in zip(outputs, truth, strict=True)]
    return title, plot_attributions(x, methods, names=rows, title=title).figure


def _caption(predicted: int, true: Any, names: Sequence[str] | None) -> str:
    def name(label: Any) -> str:
        return str(label) if names is None else str(names[int(label)])

    if true is None or (np.ndim(true) == 0 and int(true) == predicted):
        return name(predicted)
    return f"{name(predicted)}, not {name(np.ravel(true)[0])}"


def _output_caption(output: float, true: Any, names: Sequence[str] | None) -> str:
    if true is None:
        return f"{output:.3g}"
    label = np.ravel(true)[0]
    return f"{output:.3g} for {f'{label:.3g}' if names is None else names[int(label)]}"
