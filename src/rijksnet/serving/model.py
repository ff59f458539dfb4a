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
        """One row per image: label, its probability, and the ranking as JSON [[label, probability], ...]."""
        rows = []
        for ranked in self.classifier.rank(list(model_input["image"])):
            ranking = json.dumps([[one.label, one.probability] for one in ranked[:RANKED]], ensure_ascii=False)
            rows.append({"label": ranked[0].label, "probability": ranked[0].probability, "ranking": ranking})
        return pd.DataFrame(rows)


mlflow.models.set_model(ArtClassifier())
