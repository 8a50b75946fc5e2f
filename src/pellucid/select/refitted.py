"""A model with the preprocessing that its samples went through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.errors import ConfigurationError
from pellucid.select.preparing import transformed


class Refitted:
    """A model trained on everything; samples go through the preprocessing first.

    Attributes:
        model: The model (or estimator) alone.
        preprocess: The fitted transformer, or None.
    """

    def __init__(self, model: Any, preprocess: Any) -> None:
        self.model, self.preprocess = model, preprocess

    def prepared(self, x: Any) -> Any:
        """Samples as the model reads them."""
        return x if self.preprocess is None else transformed(self.preprocess, x)

    def predict(self, x: Any) -> Any:
        """The outputs of the model for samples."""
        return self.model.predict(self.prepared(x))

    def evaluate(self, x: Any, y: Any) -> dict[str, Any]:
        """Loss and metrics of a model, or the score of an estimator."""
        if hasattr(self.model, "evaluate"):
            return self.model.evaluate(self.prepared(x), y, return_dict=True)
        return {"score": float(self.model.score(self.prepared(x), y))}

    def save(self, path: str | Path) -> Path:
        """Write the model to a file.

        Raises:
            ConfigurationError: It is no model of Pellucid's, or its preprocessing is outside of it.
        """
        if not hasattr(self.model, "save") or self.preprocess is not None:
            raise ConfigurationError(
                "Only a model without preprocessing outside of it can be saved.",
                hint="begin the model with a Normalization layer, which is adapted in every fold and saved with it",
            )
        return self.model.save(path)

    def __repr__(self) -> str:
        return f"Refitted({self.model!r}, preprocess={self.preprocess!r})"
