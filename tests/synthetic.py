"""Synthetic records: what a run leaves on disk, with answers that a test can count by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.runs.key import RunKey


def write_run(
    runs_root: Path,
    key: RunKey,
    correct: Sequence[bool],
    classes: int = 3,
    first_object: int = 0,
    epochs: int = 3,
    doubts: Sequence[str] = (),
) -> Path:
    """A run whose i-th test image is classified rightly where `correct[i]`, and 2 validation images."""
    root = runs_root / str(key)
    root.mkdir(parents=True)
    labels = np.arange(len(correct)) % classes
    predicted = np.where(correct, labels, (labels + 1) % classes)
    accuracy = float(np.mean(correct))
    _write_predictions(root, labels, predicted, classes, first_object)
    scores = {
        "accuracy": accuracy,
        "top5_accuracy": 1.0,
        "mean_class_accuracy": accuracy,
        "macro_f1": accuracy,
        "loss": 1.0,
    }
    metrics = {
        "test": {**scores, "n": len(correct)},
        "validation": {**scores, "n": 2},
        "majority_accuracy": 0.25,
        "epochs": epochs,
        "best_epoch": 1,
    }
    (root / "metrics.json").write_text(json.dumps(metrics))
    steps = np.arange(epochs)
    history = {"epoch": steps, "time_ms": 1000 * steps, "train_loss": 2.0 - 0.1 * steps, "train_accuracy": 0.1 * steps}
    history |= {"validation_loss": 2.0 + abs(steps - 1), "validation_accuracy": 0.1 * steps, "images_per_s": 100.0}
    pd.DataFrame(history).to_csv(root / "history.csv", index=False)
    run = {
        "key": asdict(key),
        "params": {
            "protocol": "as_written",
            "normalisation": "unit",
            "batch_norm_constants": "own",
            "batch_norm_frozen": "running",
            "input_size": 64,
            "squares": "stretched",
            "split_rule": "paper",
        },
        "started_ms": 0,
        "ended_ms": 1,
        "classes": [f"class {i}" for i in range(classes)],
        "digests": {"split": "5" * 64, "initial_weights": "b" * 64},
        "files": {"weights.safetensors": "a" * 64},
        "lineage": {"git_commit": "c" * 40},
        "parameters": 23_456_789,
        "feature_size": 2048,
        "best_epoch": 1,
        "doubts": list(doubts),
    }
    (root / "run.json").write_text(json.dumps(run))
    return root


def _write_predictions(root: Path, labels: np.ndarray, predicted: np.ndarray, classes: int, first_object: int) -> None:
    n = len(labels)
    probabilities = np.full((n + 2, classes), 0.1 / max(classes - 1, 1), np.float32)
    probabilities[np.arange(n), predicted] = 0.9
    flat = pa.array(probabilities.ravel())
    table = pa.table(
        {
            "object_id": [f"object {first_object + i}" for i in range(n)] + ["validation 0", "validation 1"],
            "image": [f"{first_object + i}.jpg" for i in range(n)] + ["v0.jpg", "v1.jpg"],
            "split": ["test"] * n + ["validation"] * 2,
            "label": pa.array([*labels, 0, 0], pa.int16()),
            "probabilities": pa.FixedSizeListArray.from_arrays(flat, classes),
        }
    )
    pq.write_table(table.take(list(reversed(range(n + 2)))), root / "predictions.parquet")


def write_splits(data_root: Path, collection: str, samples: dict[str, tuple[int, list[str]]]) -> None:
    """splits.json of a collection: challenge → (objects kept, names of the classes kept)."""
    summary = {
        challenge: {
            "labelled": {"objects": objects + 5, "classes": len(classes) + 2},
            "kept": {"objects": objects, "classes": len(classes)},
            "digest": f"digest of {challenge}",
            "class_names": classes,
        }
        for challenge, (objects, classes) in samples.items()
    }
    folder = data_root / collection
    folder.mkdir(parents=True)
    (folder / "splits.json").write_text(json.dumps(summary))
