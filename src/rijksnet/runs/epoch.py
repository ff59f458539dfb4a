"""What an epoch measures: the unit of every history, light to import."""

from __future__ import annotations

from dataclasses import dataclass


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
