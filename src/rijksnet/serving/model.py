"""The script that MLflow runs to load a logged model (models from code)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd

#: How many labels the ranking gives.
RANKED = 10


class ArtClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc]
    def load_context(self, context: Any) -> None:
        from rijksnet.serving.classifier import Classifier

        config = context.model_config
        self.classifier = Classifier(Path(context.artifacts["weights"]), **config)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row per image: label, its probability, the ranking as JSON [[label, probability], ...], and `problem`:
        why the image cannot be read, with an empty label and probability 0; else empty."""
        return pd.DataFrame([_row(ranked) for ranked in self.classifier.rank(list(model_input["image"]))])


def _row(ranked: Any) -> dict[str, Any]:
    if isinstance(ranked, Exception):
        return {"label": "", "probability": 0.0, "ranking": "[]", "problem": str(ranked)}
    ranking = json.dumps([[one.label, one.probability] for one in ranked[:RANKED]], ensure_ascii=False)
    return {"label": ranked[0].label, "probability": ranked[0].probability, "ranking": ranking, "problem": ""}


mlflow.models.set_model(ArtClassifier())
