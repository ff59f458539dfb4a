"""A collection's objects as suggestions see them: their readable pictures, and what the museum says of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.collections.catalogue import read_catalogue
from rijksnet.data.labelled import pairs_of, read_images
from rijksnet.data.splits import labels_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rijksnet.params import Challenge
    from rijksnet.paths import CollectionPaths


@dataclass(frozen=True)
class Objects:
    """N objects with at least one readable picture, by id; a picture is a row of the pixel files.

    `label` is what the museum says for the challenge, by the paper's rule; None where it says nothing.
    """

    ids: tuple[str, ...]
    rows: tuple[NDArray[np.int64], ...]  #: of each object's pictures, at least one
    images: tuple[tuple[str, ...], ...]  #: their names
    labels: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def position(self) -> dict[str, int]:
        """Of an object by its id."""
        return {object_id: i for i, object_id in enumerate(self.ids)}

    @cached_property
    def blank(self) -> NDArray[np.int64]:
        """Positions of those of which the museum says nothing."""
        return np.array([i for i, label in enumerate(self.labels) if label is None], np.int64)

    @cached_property
    def labelled(self) -> NDArray[np.int64]:
        return np.array([i for i, label in enumerate(self.labels) if label is not None], np.int64)

    def mean(self, of_rows: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of values of each row, (M, Q), the mean over each object's pictures, (n, Q)."""
        found = [of_rows[self.rows[i]].mean(axis=0) for i in positions]
        return np.stack(found) if found else np.zeros((0, of_rows.shape[1]), np.float32)


def read_objects(paths: CollectionPaths, challenge: Challenge) -> Objects:
    """
    Raises:
        CollectionError: the collection has no catalogue or no packed pictures yet.
    """
    packed = read_images(paths.images)
    labels = labels_of(read_catalogue(paths.catalogue), challenge)
    label_of = dict(zip(labels["object_id"], labels["label"], strict=True))
    rows: dict[str, list[tuple[int, str]]] = {}
    for (object_id, image), row in zip(pairs_of(packed), packed["row"].to_pylist(), strict=True):
        rows.setdefault(object_id, []).append((row, image))
    ids = tuple(sorted(rows))
    return Objects(
        ids,
        tuple(np.array([row for row, _ in rows[one]], np.int64) for one in ids),
        tuple(tuple(image for _, image in rows[one]) for one in ids),
        tuple(label_of.get(one) for one in ids),
    )
