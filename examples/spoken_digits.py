"""Spoken digits from the raw waveform against hand-made spectral features (deck 001, end-to-end learning).

The same convolutions hear either energies in 24 bands of pitch, or the samples through one convolution more, whose
filters are learnt: 99.7 % and 90.7 % right on known voices, 79.7 % and 64.1 % on voices never heard; as in the deck,
features win. ``python examples/spoken_digits.py [PICTURE.png]``: 65 s; data: ``$PELLUCID_DATA`` or checked download.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from pellucid import Input, Sequential, data, set_seed
from pellucid.nn import Conv1D, Dense, Dropout, GlobalMaxPool, MaxPool1D
from pellucid.optim import Adam, CosineDecay

EPOCHS, RATE, STYLES = 10, 8000, {"waveform": "C1o", "log-mel": "C0s"}


def train(x: np.ndarray, y: np.ndarray, held: np.ndarray) -> tuple[Sequential, list[float]]:
    """A network that never hears what is held out, and its accuracy there after each epoch."""
    set_seed(0)
    front = [Conv1D(32, 64, strides=16, activation="relu"), MaxPool1D(4)] if x.shape[2] == 1 else []
    layers = [Conv1D(64, 5, activation="relu"), MaxPool1D(2), Conv1D(64, 5, activation="relu"), GlobalMaxPool()]
    model = Sequential([Input(x.shape[1:]), *front, *layers, Dropout(0.3), Dense(10, activation="softmax")])
    schedule = CosineDecay(0.003, EPOCHS * -(-np.sum(~held) // 32))
    model.compile("categorical_crossentropy", Adam(schedule), ["accuracy"])
    history = model.fit(x[~held], y[~held], epochs=EPOCHS, validation_data=(x[held], y[held]), seed=0, verbose=0)
    return model, history["val_accuracy"]


def main(path: str = "spoken_digits.png") -> dict[str, tuple[float, float]]:
    """Train, print, draw; the accuracy of each on known voices and on new ones."""
    takes, found = data.load_takes(), {}
    wave = (wave := data.fit_length(takes.audio, RATE)) / np.sqrt((wave**2).mean(axis=1, keepdims=True))  # equally loud
    folds = [np.isin(takes.speakers, pair) for pair in np.unique(takes.speakers).reshape(3, 2)]
    forms = {"waveform": wave[:, :, None], "log-mel": np.maximum(data.log_mel(wave), -8) / 4}
    figure, (curves, filters) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, x in forms.items():
        model, known = train(x, takes.labels, takes.takes < 5)
        new = np.mean([train(x, takes.labels, held)[1] for held in folds], axis=0)
        found[name] = known[-1], float(new[-1])
        print(f"{name}: {known[-1]:.1%} of new takes of known voices right, {new[-1]:.1%} of voices never heard")
        for share, line, face, kind in ((known, "-", None, "known voices"), (new, ":", "w", "new voices")):
            percent, label = 100 * np.array(share), f"{name}, {kind}"
            curves.plot(range(1, EPOCHS + 1), percent, STYLES[name] + line, mfc=face, label=label)
        if name == "waveform":
            gain = np.abs(np.fft.rfft(model.layers[0].kernel.numpy()[:, 0], axis=0))
            gain = (gain / gain.max(axis=0))[:, gain.argmax(axis=0).argsort()]
            filters.imshow(gain, origin="lower", aspect="auto", extent=(0.5, 32.5, 0, RATE / 2), cmap="cividis")
    curves.set(title="Spoken digits", xlabel="epoch", ylabel="held-out recordings right (%)")
    filters.set(title="gain of the filters learnt", xlabel="filter, by pitch", ylabel="frequency (Hz)")
    curves.legend(loc="lower right")
    figure.savefig(path, dpi=110)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
