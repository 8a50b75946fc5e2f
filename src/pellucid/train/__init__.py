"""Training: models, callbacks, metrics, histories, files."""

from pellucid.train.callbacks import (
    BatchReport,
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    LearningRateSchedule,
    ReduceOnPlateau,
    TensorBoard,
)
from pellucid.train.checkpoint import MODEL_CLASSES, load_model
from pellucid.train.history import History
from pellucid.train.model import Model
from pellucid.train.population import Population
from pellucid.train.recording import Recorder, Recording
from pellucid.train.sequential import Sequential

MODEL_CLASSES.update(Model=Model, Sequential=Sequential)

__all__ = [
    "BatchReport", "CSVLog", "Callback", "Checkpoint", "EarlyStopping", "History", "LearningRateSchedule", "Model",
    "Population", "Recorder", "Recording", "ReduceOnPlateau", "Sequential", "TensorBoard", "load_model",
]  # fmt: skip
