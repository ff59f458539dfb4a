"""Whether a trained network is what its training saw: precise statistics about a broken one are worse than none.

Batch normalisation has two faces, the statistics of each batch in training and running ones in use, and what parts
them shows in no loss that training looks at. So three things are asked, none of which fails by chance, or for a network
that merely learns little or too much.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.networks.batch_norm import batch_norms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import nn

    from rijksnet import protocol
    from rijksnet.runs.history import Epoch

#: Training images, at most, that are classified again after training.
SAMPLE = 1000

#: An accuracy is less than another where it is so by this much, in [0, 1], and by so many standard errors.
MARGIN, STANDARD_ERRORS = 0.05, 2.5

#: A batch this small has no statistics worth the name.
FEW_IMAGES = 8

#: Running statistics have settled once less than this share of them is what they started from.
SETTLED = 0.1


def sample(n: int) -> NDArray[np.int64]:
    """Positions of the images to classify again, among `n`: always the same, in their order."""
    return np.sort(np.random.default_rng(0).permutation(n)[:SAMPLE])


@dataclass(frozen=True)
class Accuracy:
    """An accuracy in [0, 1], and on how many images."""

    accuracy: float
    n: int

    def is_less_than(self, other: Accuracy) -> bool:
        """By more than chance, and by a margin that matters."""
        pooled = (self.accuracy * self.n + other.accuracy * other.n) / (self.n + other.n)
        error = sqrt(pooled * (1 - pooled) * (1 / self.n + 1 / other.n))
        return other.accuracy - self.accuracy > max(MARGIN, STANDARD_ERRORS * error)

    def __str__(self) -> str:
        return f"{self.accuracy:.1%}"


@dataclass(frozen=True)
class TrainingOutcome:
    """What is known of a training once it has ended, for one task."""

    model: nn.Module
    recipe: protocol.Recipe
    history: Sequence[Epoch]
    tested: int  #: the epoch whose weights are tested, from 0
    train_images: int
    validation_images: int
    frozen_batch: bool  #: its inputs are features that were normalised with the statistics of their batch

    @property
    def batches(self) -> int:
        """In an epoch."""
        return -(-self.train_images // self.recipe.batch_size)

    def unsettled(self, epochs: int) -> float:
        """The share of the running statistics that after so many epochs is what they started from."""
        layers = batch_norms(self.model)
        slowest = max((1 - (layer.momentum or 0.0) for layer in layers), default=0.0)
        return slowest ** (self.batches * epochs) if layers else 0.0


def doubts(of: TrainingOutcome, in_use: Accuracy) -> list[str]:
    """Why the network's figures may not be what its recipe gives, a sentence each; mostly none.

    Args:
        in_use: what the tested weights get of `sample` in evaluation mode.
    """
    seen = [Accuracy(epoch.train_accuracy, of.train_images) for epoch in of.history]
    validated = [Accuracy(epoch.validation_accuracy, of.validation_images) for epoch in of.history]
    found = []
    if in_use.is_less_than(seen[of.tested]):
        found.append(
            f"in use it classifies {in_use} of {in_use.n:,} training images rightly, where training itself saw "
            f"{seen[of.tested]} in that epoch ({of.tested})"
        )
    # in the first epoch nothing can have been learnt by heart: each image was new when training classified it
    if validated[0].is_less_than(seen[0]) and of.unsettled(1) < SETTLED:
        found.append(
            f"after the first epoch {validated[0]} of the validation images were right, and during it {seen[0]} of the "
            "training images, which were as new"
        )
    for name, accuracies in (("training", seen), ("validation", validated)):
        if (fall := _fall(accuracies)) is not None:
            best, worst = fall
            found.append(
                f"{name} accuracy fell from {accuracies[best]} in epoch {best} to {accuracies[worst]} in epoch {worst}"
            )
    return [f"{what}; likely cause: {_cause(of)}" for what in found]


def _fall(accuracies: Sequence[Accuracy]) -> tuple[int, int] | None:
    """The epochs between which most was lost of what had been reached, if that is more than chance."""
    best, worst, most = 0, None, 0.0
    for epoch, one in enumerate(accuracies):
        lost = accuracies[best].accuracy - one.accuracy
        if lost > most and one.is_less_than(accuracies[best]):
            worst, most = (best, epoch), lost
        if lost < 0:
            best = epoch
    return worst


def _cause(of: TrainingOutcome) -> str:
    """What most probably breaks such a network."""
    steps, smallest = of.batches * (of.tested + 1), of.train_images // of.batches
    rate = f"the learning rate, {of.recipe.optimiser.learning_rate:g}, is too high"
    if of.frozen_batch:
        return (
            "features were normalised with the statistics of their batch while it trained, and are with running ones "
            "in use, as in old Keras: set training.batch_norm.frozen to 'running'"
        )
    if not batch_norms(of.model):
        return rate
    if smallest < FEW_IMAGES:
        return f"batch normalisation over batches of {smallest} images: train on more"
    if (left := of.unsettled(of.tested + 1)) > SETTLED:
        return (
            f"after {steps} steps {left:.0%} of batch normalisation's running statistics are still those that training "
            "began with: train longer, or set training.batch_norm.constants to 'own'"
        )
    return f"{rate}, or the running statistics of batch normalisation lag behind the weights"
