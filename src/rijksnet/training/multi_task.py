"""One network for several tasks: a softmax layer for each, side by side in one linear layer."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.networks.weights import SOFTMAX
from rijksnet.training.batches import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from rijksnet.data.labelled import LabelledRows


def blocks(classes: Sequence[int]) -> Iterator[slice]:
    """Where each task's classes stand in the common layer, and among its logits."""
    ends = accumulate(classes)
    return (slice(end - n, end) for n, end in zip(classes, ends, strict=True))


def softmax_of(tensors: dict[str, Tensor], block: slice) -> dict[str, Tensor]:
    """A whole network's weights with one task's softmax layer alone."""
    return {name: tensor[block] if name.startswith(SOFTMAX) else tensor for name, tensor in tensors.items()}


def joined(tasks: Sequence[LabelledRows]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The images of T tasks' splits of one collection, each image once.

    Returns:
        Rows of the pixel files, (n,), the first task's first, in the tasks' orders; class indices, (n, T), UNLABELLED
        where an image is not among a task's.
    """
    place = {row: i for i, row in enumerate(dict.fromkeys(row for task in tasks for row in task.rows.tolist()))}
    labels = np.full((len(place), len(tasks)), UNLABELLED, np.int64)
    for t, task in enumerate(tasks):
        labels[[place[row] for row in task.rows.tolist()], t] = task.labels
    return np.fromiter(place, np.int64, len(place)), labels
