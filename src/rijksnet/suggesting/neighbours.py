"""Which labelled objects look most alike to a network, and whether a picture is unlike all that it has learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.suggesting.suggestion import Neighbour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rijksnet.suggesting.answers import Answers
    from rijksnet.suggesting.objects import Objects

    Floats = NDArray[np.float32]

#: Labelled objects that are shown with each suggestion.
NEAREST = 3

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


def closest(asked: Floats, known: Floats) -> Floats:
    """The similarity of each to the most similar known picture, (N,); arguments as of `nearest`, M at least 1."""
    parts = [(asked[start : start + AT_ONCE] @ known.T).max(axis=1) for start in range(0, len(asked), AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


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


class LabelledNeighbours:
    """The labelled objects of a collection that look most alike."""

    def __init__(self, objects: Objects, answers: Answers) -> None:
        self._objects, self._its = objects, directions(answers.features)
        pairs = [(row, i) for i in objects.labelled for row in objects.rows[i]]
        self._rows = np.array([row for row, _ in pairs], np.int64)
        self._of = [i for _, i in pairs]
        self._image = {row: name for i in objects.labelled for row, name in self._named(i)}
        self._known, self._ids = self._its[self._rows], [objects.ids[i] for i in self._of]

    def _named(self, position: int) -> list[tuple[int, str]]:
        return list(zip(self._objects.rows[position].tolist(), self._objects.images[position], strict=True))

    def of(self, positions: NDArray[np.int64]) -> list[tuple[Neighbour, ...]]:
        """Of each object, by any of its pictures; never itself."""
        if not len(self._rows) or not len(positions):
            return [()] * len(positions)
        rows = np.concatenate([self._objects.rows[i] for i in positions])
        whose = np.repeat(np.arange(len(positions)), [len(self._objects.rows[i]) for i in positions])
        found = nearest(self._its[rows], self._known, self._ids, NEAREST + 1)
        best: list[dict[int, tuple[float, int]]] = [{} for _ in positions]
        for place, chosen, similarities in zip(whose, found.pictures, found.similarities, strict=True):
            for known, similarity in zip(chosen.tolist(), similarities.tolist(), strict=True):
                at = self._of[known]
                if at != positions[place] and similarity > best[place].get(at, (-2.0, 0))[0]:
                    best[place][at] = (similarity, int(self._rows[known]))
        ranked = [sorted(its.items(), key=lambda item: (-item[1][0], item[0]))[:NEAREST] for its in best]
        return [tuple(self._neighbour(at, row, similarity) for at, (similarity, row) in its) for its in ranked]

    def to(self, features: NDArray[np.floating]) -> list[tuple[Neighbour, ...]]:
        """Of pictures that are not the collection's, by their features, (n, F)."""
        if not len(self._rows):
            return [()] * len(features)
        found = nearest(directions(features), self._known, self._ids, NEAREST)
        return [
            tuple(
                self._neighbour(self._of[known], int(self._rows[known]), float(similarity))
                for known, similarity in zip(chosen.tolist(), similarities, strict=True)
            )
            for chosen, similarities in zip(found.pictures, found.similarities, strict=True)
        ]

    def _neighbour(self, at: int, row: int, similarity: float) -> Neighbour:
        return Neighbour(self._objects.ids[at], self._image[row], self._objects.labels[at] or "", similarity)
