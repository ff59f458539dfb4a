"""Accuracy on frequent and on rare classes: what a mean over images hides of a long-tailed collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.errors import RunError
from rijksnet.protocol import TRAIN
from rijksnet.statistics.bands import BANDS, BandRule
from rijksnet.statistics.significance import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from rijksnet.runs.predictions import Predictions

#: The audit's bands, here by a class's training images; a split that is not the paper's may leave a class without any.
RULES = (*BANDS, BandRule("unseen", 0, 0))


@dataclass(frozen=True)
class Tail:
    """The classes of one band and the test images of them: `rule` says how many training images such a class has,
    `accuracy` in [0, 1] is the share of the images classified rightly, `low` and `high` its 95 % Wilson interval."""

    name: str
    rule: str
    classes: int
    images: int
    accuracy: float
    low: float
    high: float


def train_counts(split_file: Path, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Training images of each class, int64 (Q,), in a split file (splits/<challenge>.parquet); 0 where it has none.

    Raises:
        RunError: there is no such file.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not split_file.is_file():
        raise RunError(f"{split_file} is not a file: split the collection again (dvc repro, or dvc checkout)")
    table = pq.read_table(split_file, columns=["label", "split"])
    training = table.filter(pc.equal(table["split"].cast(pa.string()), TRAIN))
    counts = {
        count["values"]: count["counts"] for count in pc.value_counts(training["label"].cast(pa.string())).to_pylist()
    }
    return np.array([counts.get(name, 0) for name in classes], np.int64)


def accuracy_by_tail(predictions: Predictions, train_counts: npt.NDArray[np.int64]) -> list[Tail]:
    """Accuracy on the test images of the classes of each band that has any, the most frequent classes first.

    Args:
        train_counts: (Q,), training images of each class.
    """
    assert len(train_counts) == predictions.probabilities.shape[1], "one count a class"
    correct = predictions.probabilities.argmax(axis=1) == predictions.labels
    tails = []
    for rule in RULES:
        within = (train_counts >= rule.least) & (train_counts <= (np.inf if rule.most is None else rule.most))
        tested = within[predictions.labels]
        if tested.any():
            accuracy, images = float(correct[tested].mean()), int(tested.sum())
            low, high = wilson_interval(accuracy, images)
            tails.append(Tail(rule.name, str(rule), int(within.sum()), images, accuracy, low, high))
    return tails
