import csv
import io
import math

import numpy as np
import pytest

from pellucid import History
from pellucid.errors import ConfigurationError
from pellucid.train.history import smaller_is_better


@pytest.fixture
def history():
    made = History()
    made.append(0, {"loss": 2.0, "accuracy": 0.5, "val_loss": 3.0, "val_accuracy": 0.4}, 0.25)
    made.append(1, {"loss": 1.5, "accuracy": 0.9, "val_loss": math.nan, "val_accuracy": 0.9}, 0.5)
    made.append(2, {"loss": 1.0, "accuracy": 0.8, "val_loss": 2.5, "val_accuracy": math.nan}, 0.125)
    return made


def test_numbers_are_kept_by_key_and_epoch(history):
    assert history["loss"] == [2.0, 1.5, 1.0]
    assert history.epochs == [0, 1, 2]
    assert len(history) == 3
    assert repr(history) == "History(3 epochs: loss 1, accuracy 0.8, val_loss 2.5, val_accuracy nan)"
    assert repr(History()) == "History(0 epochs)"
    with pytest.raises(ConfigurationError) as error:
        history["val_los"]
    assert str(error.value) == (
        "Unknown history key 'val_los'; known are: accuracy, loss, val_accuracy, val_loss.\n"
        "Hint: did you mean 'val_loss'?"
    )


def test_the_best_epoch_is_of_the_smallest_loss_or_largest_accuracy(history):
    assert history.best() == 2
    assert history.best("loss") == 2
    assert history.best("accuracy") == 1
    assert history.best("val_accuracy") == 1  # NaN is never the best


def test_the_best_epoch_is_counted_from_the_initial_one():
    made = History()
    made.append(7, {"loss": 2.0}, 0.1)
    made.append(8, {"loss": 1.0}, 0.1)
    assert made.best("loss") == 8


def test_a_history_without_numbers_has_no_best_epoch():
    made = History()
    made.append(0, {"val_auc": math.nan}, 0.1)
    with pytest.raises(ConfigurationError) as error:
        made.best("val_auc")
    assert str(error.value) == "The history of 'val_auc' holds no number: there is no best epoch."


@pytest.mark.parametrize(
    ("key", "smaller"),
    [
        ("loss", True),
        ("val_loss", True),
        ("mae", True),
        ("my_error", True),
        ("val_accuracy", False),
        ("top_k_accuracy", False),
        ("price_r2", False),
        ("val_f1", False),
        ("auc", False),
        ("recall_loss", True),  # the loss of an output called "recall"
        ("val_auction_mse", True),
        ("perplexity", True),
    ],
)
def test_whether_smaller_is_better_follows_from_the_name(key, smaller):
    assert smaller_is_better(key) is smaller


def test_an_epoch_that_lacks_a_number_gets_nan():
    made = History()
    made.append(0, {"loss": 1.0}, 0.1)
    made.append(1, {"loss": 0.5, "val_loss": 0.7}, 0.1)
    made.append(2, {"loss": 0.25}, 0.1)
    assert [len(values) for values in made.history.values()] == [3, 3]
    assert np.array_equal(made["val_loss"], [math.nan, 0.7, math.nan], equal_nan=True)
    assert made.best() == 1


def test_the_csv_has_one_row_per_epoch_and_exact_numbers(history, tmp_path):
    history.append(3, {"loss": 0.1 + 0.2, "accuracy": 1, "val_loss": 1e-30, "val_accuracy": 0.0}, 0.1)
    history.to_csv(tmp_path / "deep" / "history.csv")
    text = (tmp_path / "deep" / "history.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [float(row["loss"]) for row in rows] == history["loss"]
    assert rows[1]["val_loss"] == "nan"
    assert rows[1]["seconds"] == "0.5000"
    assert "\r" not in text


def test_arrays_are_left_out_of_the_csv_and_the_picture(tmp_path):
    made = History()
    made.append(0, {"loss": 1.0, "confusion_matrix": np.eye(2)}, 0.1)
    made.append(1, {"loss": 1.0, "confusion_matrix": np.eye(2), "val_confusion_matrix": np.eye(2)}, 0.1)
    assert made.csv_text().splitlines()[0] == "epoch,loss,seconds"
    made.save_plot(tmp_path / "p.png")
    assert repr(made) == "History(2 epochs: loss 1)"


def test_plot_returns_axes_with_training_validation_and_the_best_epoch(history):
    axes = history.plot()
    training, validation, best = axes.get_lines()
    assert training.get_xdata().tolist() == [1, 2, 3]
    assert list(training.get_ydata()) == [2.0, 1.5, 1.0]
    assert validation.get_linestyle() == "--"
    assert validation.get_color() == training.get_color()
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([3], [2.5])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["loss", "validation loss", "best: epoch 3"]
    assert axes.get_xlabel() == "epoch"
    assert axes.get_ylabel() == "loss"


def test_plot_draws_on_given_axes_and_other_keys(history):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert history.plot(["accuracy", "loss"], ax=axes) is axes
    assert axes.get_ylabel() == "accuracy, loss"
    assert len(axes.get_lines()) == 6
    assert history.plot("accuracy").get_ylabel() == "accuracy"
    with pytest.raises(ConfigurationError, match="Unknown history key 'mse'"):
        history.plot(["mse"])


def test_plot_leaves_matplotlibs_global_state_alone(history):
    import sys

    history.plot()
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def png_size(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[12:16] == b"IHDR"
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def test_the_picture_has_a_panel_per_quantity(history, tmp_path):
    from matplotlib.image import imread

    history.save_plot(tmp_path / "curve.png")
    size = png_size((tmp_path / "curve.png").read_bytes())
    assert size == (2 * 5 * 120, round(3.8 * 120))
    pixels = imread(tmp_path / "curve.png")[..., :3]
    for panel in (pixels[:, :600], pixels[:, 600:]):
        ink = np.ptp(panel, axis=2) > 0.3  # the coloured curves
        assert 300 < ink.sum() < 0.05 * panel.size
    history.save_plot(tmp_path / "curve.svg")
    assert b"<svg" in (tmp_path / "curve.svg").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.png", "curve.svg"]


def test_one_epoch_and_nan_alone_can_be_drawn(tmp_path):
    made = History()
    made.append(0, {"loss": 1.0, "val_loss": math.nan}, 0.1)
    made.save_plot(tmp_path / "p.png")
    assert png_size((tmp_path / "p.png").read_bytes()) == (600, 456)


def test_nothing_cannot_be_drawn(tmp_path):
    with pytest.raises(ConfigurationError) as error:
        History().save_plot(tmp_path / "p.png")
    assert str(error.value) == "The history is empty: there is nothing to plot."
    assert History().csv_text() == "epoch,seconds\n"
