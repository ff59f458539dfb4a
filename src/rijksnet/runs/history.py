"""What an epoch measures: the unit of every history, light to import."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from rijksnet.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Epoch:
    """What one epoch measured; losses are mean cross-entropies (nat), accuracies lie in [0,1]."""

    epoch: int  #: from 0
    time_ms: int  #: when it ended, ms since 1970
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    images_per_s: float  #: while training, validation not counted


HISTORY_COLUMNS = [field.name for field in fields(Epoch)]


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the epochs so far; floats in full, so that what is read back is what was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, HISTORY_COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(epoch) for epoch in history)


def read_history(path: Path) -> list[Epoch]:
    """The epochs in a history file, finished or still growing."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Epoch(int(row["epoch"]), int(row["time_ms"]), *(float(row[name]) for name in HISTORY_COLUMNS[2:]))
            for row in csv.DictReader(file)
        ]
