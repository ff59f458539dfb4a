"""A run's network as an MLflow model: models from code, weights as safetensors, never a pickle."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rijksnet.runs import code

if TYPE_CHECKING:
    from rijksnet.runs.folder import Run, RunFolder

#: Of the table that a served model answers with.
COLUMNS = ("label", "probability", "ranking", "problem")

REQUIREMENTS = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pillow",
    "pillow-heif",
    "cykooz.resizer",
    "pyarrow",
    "pydantic",
    "safetensors",
    "rich",
)


def save_model(at: RunFolder, run: Run, folder: Path) -> None:
    """Write a run's network as an MLflow model into `folder`/model, with those modules of this package it runs on.

    It takes a table with a column `image` of encoded image files (bytes) and gives labels with their probabilities.
    """
    from importlib.metadata import version

    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    signature = ModelSignature(
        Schema([ColSpec("binary", "image")]),
        Schema(
            [
                ColSpec("string", "label"),
                ColSpec("double", "probability"),
                ColSpec("string", "ranking"),
                ColSpec("string", "problem"),
            ]
        ),
    )
    with TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about an input example, which would have to be a museum's image
        mlflow.pyfunc.save_model(
            folder / "model",
            python_model=str(code.PACKAGE / "serving" / "model.py"),
            artifacts={"weights": at.weights.absolute().as_uri()},
            code_paths=[str(_copy_code(Path(temporary)))],
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            signature=signature,
            model_config=run.inputs,
        )


def _copy_code(folder: Path) -> Path:
    """The package in `folder`, of which only what a served model imports: a store may keep thousands of models."""
    for file in code.closure("rijksnet.serving.model"):
        copy = folder / file.relative_to(code.PACKAGE.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return folder / code.PACKAGE.name
