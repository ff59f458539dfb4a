"""What tests of several rooms make: a run's run, whole and quickly, as a training leaves it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import rijksnet
from rijksnet.networks import weights
from rijksnet.networks.architectures import Network
from rijksnet.networks.weights import Design
from rijksnet.protocol import InputNormalisation
from rijksnet.runs import metrics
from rijksnet.runs.folder import Run, RunFolder
from rijksnet.runs.history import Epoch, write_history
from rijksnet.runs.key import RunKey
from rijksnet.runs.predictions import Predictions, write_predictions
from rijksnet.runs.writing import write_metrics

COLLECTION = "miniature-rijksmuseum"
KEY = RunKey(COLLECTION, "type", "test_resnet", "fine_tuning", "imagenet")
CLASSES = ["drawing", "print", "schilderij – olieverf"]
STARTED_MS = 1_700_000_000_000
INPUT_SIZE = 64
DESIGN = Design("test_resnet", {}, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))

#: What `rijksnet.stages.train` writes of a run's parameters.
PARAMS: dict[str, Any] = {
    "optimiser": "sgd",
    "learning_rate": 0.001,
    "batch_size": 32,
    "protocol": "as_written",
    "normalisation": "unit",
    "batch_norm_constants": "own",
    "batch_norm_frozen": "running",
    "input_size": INPUT_SIZE,
    "squares": "stretched",
    "split_rule": "paper",
    "classes": len(CLASSES),
    "train_images": 80,
    "validation_images": 4,
    "test_images": 10,
}


def epochs(n: int, started_ms: int = STARTED_MS) -> list[Epoch]:
    """`n` epochs of a second each, with values that need all the digits of a float."""
    return [
        Epoch(i, started_ms + 1000 * (i + 1), 1.1 / (i + 3), i / 7, 1 + abs(i - 1) / 3, 1 / (i + 3), 1000 / 7)
        for i in range(n)
    ]


@functools.cache
def network(seed: int, normalisation: InputNormalisation = "unit") -> Network:
    """A tiny network whose weights follow from the seed; its classes lie apart."""
    torch.manual_seed(seed)
    made = Network(DESIGN, len(CLASSES), normalisation).eval()
    torch.nn.init.normal_(made.softmax.weight)
    return made


def modules(*names: str) -> set[Path]:
    """Files of the package by their paths in it, all of which are there: a test that forbids others forbids nothing."""
    files = {Path(rijksnet.__file__).parent / name for name in names}
    assert not [file for file in files if not file.is_file()]
    return files


def write_run(
    key: RunKey = KEY,
    *,
    seed: int = 0,
    right: int = 7,
    n_epochs: int = 3,
    started_ms: int = STARTED_MS,
    split_rule: str = "paper",
) -> RunFolder:
    """Write a complete run into the working directory's runs/.

    Args:
        seed: settles the weights.
        right: how many of the ten test images are classified rightly.
    """
    at = RunFolder.of(key)
    write_history(at.history, epochs(n_epochs, started_ms))
    answers = [_answers("test", 10, right), _answers("validation", 4, 2)]
    write_predictions(at.predictions, answers)
    measured = {one.split: metrics.evaluate(one.probabilities, one.labels) | {"n": len(one.labels)} for one in answers}
    write_metrics(at.metrics, {**measured, "majority_accuracy": 0.4, "epochs": n_epochs, "best_epoch": 1})
    tensors: dict[str, Tensor] = network(seed).weights()
    weights.save(at.weights, tensors, DESIGN, CLASSES)
    at.write(run(key, n_epochs, started_ms, split_rule))
    return at


def run(key: RunKey = KEY, n_epochs: int = 3, started_ms: int = STARTED_MS, split_rule: str = "paper") -> Run:
    return Run(
        key=key,
        started_ms=started_ms,
        ended_ms=started_ms + 1000 * n_epochs + 500,
        params=PARAMS | {"split_rule": split_rule},
        classes=CLASSES,
        parameters=473_000,
        feature_size=48,
        best_epoch=1,
        digests={"split": "5" * 64, "initial_weights": "b" * 64},
        lineage={"git_commit": "c" * 40, "git_dirty": False, "torch": "2.14.0"},
        files={},
    )


def _answers(split: str, n: int, right: int) -> Predictions:
    labels = np.arange(n) % len(CLASSES)
    predicted = np.where(np.arange(n) < right, labels, (labels + 1) % len(CLASSES))
    probabilities = np.full((n, len(CLASSES)), 0.1, np.float32)
    probabilities[np.arange(n), predicted] = 0.8
    names: Sequence[str] = [f"{split}-{i}" for i in range(n)]
    return Predictions(split, names, [f"{name}.jpg" for name in names], labels, probabilities)
