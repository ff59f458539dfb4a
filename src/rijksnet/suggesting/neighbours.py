"""Which labelled objects look most alike to a network, and whether a picture is unlike all that it has learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

#: Pictures that are compared at once: their similarities to 100,000 others are 400 MB.
AT_ONCE = 1024

#: So many of the pictures that a network did not learn from lie closer to those that it did; others are unlike them.
USUAL = 0.99


@dataclass(frozen=True)
class Neighbours:
    """Of each of N pictures the K most similar objects, the most similar first, each by its most similar picture.

    `pictures` (N, K) are positions among the known; `similarities` (N, K) cosines in [-1, 1].
    """

    pictures: NDArray[np.int64]
    similarities: Floats


def directions(features: NDArray[np.floating]) -> Floats:
    """Features, (N, F), as vectors of length 1; those of length 0 stay."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    found: Floats = (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return found


def nearest(asked: Floats, known: Floats, objects: Sequence[str], most: int) -> Neighbours:
    """The known objects whose pictures are most similar to each that is asked for.

    Args:
        asked: directions, (N, F).
        known: directions, (M, F).
        objects: the object that each known picture shows, (M,).
        most: objects wanted, K; fewer where there are fewer.
    """
    _, group = np.unique(np.asarray(objects), return_inverse=True)
    count = min(most, int(group.max()) + 1 if len(group) else 0)
    pictures = np.zeros((len(asked), count), np.int64)
    similarities = np.zeros((len(asked), count), np.float32)
    for start in range(0, len(asked), AT_ONCE):
        part = asked[start : start + AT_ONCE] @ known.T
        for row, similarity in enumerate(part, start):
            chosen = _best_of_each(similarity, group, count)
            pictures[row], similarities[row] = chosen, similarity[chosen]
    return Neighbours(pictures, similarities)


def _best_of_each(similarity: Floats, group: NDArray[np.intp], count: int) -> NDArray[np.int64]:
    """Positions of the most similar picture of each of the `count` most similar groups."""
    looked_at = min(len(similarity), 4 * count)
    while True:
        top = np.argpartition(-similarity, looked_at - 1)[:looked_at]
        top = top[np.lexsort((top, -similarity[top]))]  # of equal ones the first, always
        _, firsts = np.unique(group[top], return_index=True)
        if len(firsts) >= count or looked_at == len(similarity):
            return top[np.sort(firsts)[:count]]
        looked_at = min(len(similarity), 4 * looked_at)


def unlike(nearest_of_validation: Floats) -> float:
    """The similarity to the nearest picture learnt from, below which a picture is unlike all of them.

    Args:
        nearest_of_validation: that similarity, of pictures of the same collection that were not learnt from.
    """
    return float(np.quantile(nearest_of_validation, 1 - USUAL))
