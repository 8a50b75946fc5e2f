"""The folder of one training run: the model, its history, a picture, and what is needed to use it again.

==================  ===========================================================================
model.safetensors   the model with its optimiser's state
history.csv         one row per epoch
learning_curve.png  the same as a picture
run.json            data set, settings, results, versions, the meaning of a table's columns, how texts are encoded
recording/          what was recorded during training, where that was asked for
==================  ===========================================================================
"""

from __future__ import annotations

import json
import math
import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import Encoder, TableSchema
from pellucid.data.encoders import describe_encoder, restore_encoder
from pellucid.errors import ConfigurationError, FileFormatError
from pellucid.train.checkpoint import load_model
from pellucid.train.files import write_atomically
from pellucid.train.history import History

MODEL, HISTORY, CURVE, RUN = "model.safetensors", "history.csv", "learning_curve.png", "run.json"
RECORDING = "recording"
_FORMAT = "pellucid-run"


@dataclass(frozen=True)
class RunRecord:
    """What ``run.json`` says.

    Attributes:
        data: Name or path of the data set.
        task: ``"classification"`` or ``"regression"``.
        target_names: The classes.
        settings: What the run was started with.
        results: Losses and metrics on the held-out data.
        schema: The meaning of a table's columns, or None.
        encoder: How further texts or sounds are encoded, or None.
    """

    data: str
    task: str
    target_names: tuple[str, ...]
    settings: dict[str, Any]
    results: dict[str, float]
    schema: TableSchema | None
    encoder: Encoder | None = None


def new_folder(out: str | None, name: str) -> Path:
    """A folder for a run: the given one, or a fresh one under ``runs/`` named by data set and time.

    Raises:
        ConfigurationError: The folder holds files already; nothing is overwritten.
    """
    if out is not None:
        folder = Path(out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(
                f"The folder {folder} holds files already; a run does not overwrite them.",
                hint="choose another --out, or remove the folder",
            )
        return make(folder)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder, again = Path("runs") / f"{name}-{stamp}", 2
    while True:
        try:
            return make(folder, exist_ok=False)
        except FileExistsError:  # another run of the same second has claimed it
            folder, again = Path("runs") / f"{name}-{stamp}-{again}", again + 1


def make(folder: Path, *, exist_ok: bool = True) -> Path:
    """Create the folder before training, so that a path that cannot be written to costs no time.

    Raises:
        ConfigurationError: It cannot be created.
        FileExistsError: It exists already, and ``exist_ok`` is False.
    """
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except OSError as error:
        if isinstance(error, FileExistsError) and not exist_ok:
            raise
        raise ConfigurationError(f"The run folder {folder} cannot be made: {error.strerror}.") from None
    return folder


def write(folder: Path, model: Any, history: History, record: RunRecord) -> None:
    """Write all files of a run; ``run.json`` comes last, so that a folder with it is complete."""
    model.save(folder / MODEL)
    if len(history):
        history.to_csv(folder / HISTORY)
        history.save_plot(folder / CURVE)
    content = {
        "format": _FORMAT,
        "data": record.data,
        "task": record.task,
        "target_names": list(record.target_names),
        "settings": record.settings,
        "results": {key: _finite(value) for key, value in record.results.items() if np.ndim(value) == 0},
        "schema": None if record.schema is None else record.schema.to_dict(),
        "encoder": describe_encoder(record.encoder),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }
    write_atomically(folder / RUN, (json.dumps(content, indent=2) + "\n").encode())


def _finite(value: Any) -> float | None:
    """A number as JSON can write it; None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def read(path: str | Path) -> tuple[Any, RunRecord]:
    """The model and the record of a run folder.

    Raises:
        FileFormatError: The folder is not that of a complete run.
    """
    folder = Path(path)
    if folder.is_file():
        folder = folder.parent
    try:
        content = json.loads((folder / RUN).read_text())
    except OSError:
        raise FileFormatError(
            f"{path} is not the folder of a run: it has no {RUN}.", hint="train one: pellucid train digits --out FOLDER"
        ) from None
    except ValueError:
        raise FileFormatError(f"{folder / RUN} is damaged: it is not JSON.") from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise FileFormatError(f"{folder / RUN} is not the record of a Pellucid run.")
    try:
        schema = None if content["schema"] is None else TableSchema.from_dict(content["schema"])
        record = RunRecord(
            content["data"],
            content["task"],
            tuple(content["target_names"]),
            content["settings"],
            {key: math.nan if value is None else value for key, value in content["results"].items()},
            schema,
            restore_encoder(content.get("encoder")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{folder / RUN} lacks {error}.") from None
    return load_model(folder / MODEL), record
