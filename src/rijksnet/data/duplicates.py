"""Near-duplicates: images of nearly the same picture, as two photographs of one object or two impressions of a print.

Two images are near-duplicates if their perceptual hashes differ in few bits and their thumbnails agree: hashes find
candidates among millions of pairs, thumbnails throw out those that only resemble each other in their hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rijksnet.data.labelled import read_images
from rijksnet.data.phash import THUMBNAIL_SIDE
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rijksnet.paths import CollectionPaths

#: Most bits of 64 in which the hashes of near-duplicates differ. Of 126 real images, 98 % stay within it when they are
#: cropped by 1 % a side, 100 % when compressed, halved or brightened; two impressions of one print among them are at 6.
MAX_DISTANCE = 6

#: Largest difference (1 − Pearson's correlation) of the thumbnails of near-duplicates. The two impressions are at
#: 0.029, and of crops by 1 % a side 95 % are below it; so are two of 32 million pairs of different drawn objects, with
#: one motif at one place, which without this limit are 466.
MAX_DIFFERENCE = 0.04

#: Standard deviation of a thumbnail, in grey levels, below which it shows no picture: hash and correlation of a blank
#: image are those of its noise. The palest of 126 real images has 5.8.
MIN_CONTRAST = 3.0

#: Mean difference of two blank images' thumbnails, in grey levels, up to which they are one picture.
MAX_NOISE = 2.0

#: Objects from which on it is said that one picture stands for several.
MANY_OBJECTS = 3

#: Pairs above which the search is given up: they are one picture in thousands of versions.
MAX_PAIRS = 2_000_000

#: Columns of the pairs; each pair stands once, (object_a, image_a) before (object_b, image_b).
SCHEMA = pa.schema(
    [
        ("object_a", pa.string()),
        ("image_a", pa.string()),
        ("object_b", pa.string()),
        ("image_b", pa.string()),
        ("distance", pa.uint8()),  # bits
        ("difference", pa.float32()),  # 0 to MAX_DIFFERENCE
    ]
)

_BITS = 64
_CELLS = 2**18  # pairs of hashes that are compared at once: they fit into a core's cache
_CONFIRMED = 2**14  # pairs of thumbnails that are compared at once

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]  #: first, second, distance


def near_duplicates(paths: CollectionPaths) -> pa.Table:
    """The near-duplicates among a collection's packed images, those of one object too: see `SCHEMA`; sorted.

    Images that are equal (same hash, same thumbnail) are listed with the first of them only, so that a placeholder
    that stands for thousands of objects makes thousands of pairs, not millions. Blank images are no duplicates.

    Raises:
        CollectionError: there is no images.parquet; or there are more than `MAX_PAIRS` pairs.
    """
    images, grey = _sorted(paths)
    hashes = images["phash"].to_numpy()
    with_picture = np.flatnonzero(_contrasts(grey) >= MIN_CONTRAST)
    same_as = _first_equals(hashes, grey)
    found = [_equals(with_picture, same_as)]
    apart = with_picture[same_as[with_picture] == with_picture]
    for pairs in close_pairs(hashes[apart], MAX_DISTANCE):
        found.extend(_confirmed(apart[pairs[0]], apart[pairs[1]], pairs[2], grey))
        if (n := sum(len(part[0]) for part in found)) > MAX_PAIRS:
            raise CollectionError(
                f"collection {paths.collection!r} has more than {n} pairs of near-duplicate images: one picture stands "
                "there thousands of times; leave its images out, or set splits.together to `object`"
            )
    first, second, distance, difference = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((second, first))
    a, b = images.take(pa.array(first[order])), images.take(pa.array(second[order]))
    columns = [a["object_id"], a["image"], b["object_id"], b["image"], distance[order], difference[order]]
    return pa.table(columns, schema=SCHEMA)


@dataclass(frozen=True)
class RepeatedPicture:
    """One picture that stands for several objects: perhaps a card that says that there is none.

    `image` of `object_id` is the first of its `images`; `blank`: it shows next to nothing.
    """

    object_ids: tuple[str, ...]  #: sorted
    images: int
    object_id: str
    image: str
    blank: bool


def repeated(paths: CollectionPaths, least: int = MANY_OBJECTS) -> list[RepeatedPicture]:
    """The pictures that stand for at least `least` objects, the most frequent first.

    Equal are those of equal hash and thumbnail; blank ones, whose hash is that of their noise, those of thumbnails that
    differ by less than a file's compression makes them.

    Raises:
        CollectionError: there is no images.parquet.
    """
    images, grey = _sorted(paths)
    same_as = _first_equals(images["phash"].to_numpy(), grey)
    blank = _contrasts(grey) < MIN_CONTRAST
    kinds: list[int] = []  # the first blank image of each kind
    for i in np.flatnonzero(blank).tolist():
        apart = np.abs(grey[kinds].astype(np.int16) - grey[i]).mean(axis=1) if kinds else np.array([])
        if len(apart) and apart.min() <= MAX_NOISE:
            same_as[i] = kinds[int(apart.argmin())]
        else:
            kinds.append(i)
            same_as[i] = i
    order = np.argsort(same_as, kind="stable")
    firsts, starts, counts = np.unique(same_as[order], return_index=True, return_counts=True)
    found = []
    for which in np.flatnonzero(counts >= least):
        its = images.take(pa.array(order[starts[which] : starts[which] + counts[which]])).to_pydict()
        first = images.slice(firsts[which], 1).to_pylist()[0]
        object_ids = tuple(sorted(set(its["object_id"])))
        is_blank = bool(blank[firsts[which]])
        found.append(RepeatedPicture(object_ids, len(its["image"]), first["object_id"], first["image"], is_blank))
    enough = [one for one in found if len(one.object_ids) >= least]
    return sorted(enough, key=lambda one: (-len(one.object_ids), one.object_id, one.image))


def groups(object_ids: Sequence[str], pairs: pa.Table) -> NDArray[np.int64]:
    """The number of each object's group: objects that pairs connect, directly or through others, are in one.

    `object_ids` are different from each other and hold every object of `pairs`.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = {object_id: i for i, object_id in enumerate(object_ids)}
    a, b = ([place[object_id] for object_id in pairs[name].to_pylist()] for name in ("object_a", "object_b"))
    links = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(len(place), len(place)))
    group: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return group


def close_pairs(hashes: NDArray[np.uint64], distance: int) -> Iterator[Pairs]:
    """All pairs of hashes that differ in at most `distance` bits, each once, in parts of bounded size; first < second.

    Cut into `distance` + 1 pieces, two such hashes have at least one piece in common: differences cannot be in all of
    them (the pigeonhole principle). So only hashes with an equal piece are compared; at a distance of 6, a seventieth
    of all pairs if they are random.
    """
    edges = np.linspace(0, _BITS, distance + 2).astype(int).tolist()
    pieces = [np.uint64((1 << end) - (1 << start)) for start, end in pairwise(edges)]
    for i, piece in enumerate(pieces):
        keys = hashes & piece
        order = np.argsort(keys, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
            yield from _close_members(hashes, members, distance, pieces[:i])


def _close_members(
    hashes: NDArray[np.uint64], members: NDArray[np.int64], distance: int, earlier: Sequence[np.uint64]
) -> Iterator[Pairs]:
    """The close pairs among `members`, without those that have an `earlier` piece in common: they were found there."""
    if len(members) < 2:
        return
    step = max(1, _CELLS // len(members))
    for start in range(0, len(members), step):
        rows, columns = members[start : start + step], members[start:]
        apart = np.bitwise_count(hashes[rows][:, None] ^ hashes[columns])
        row, column = np.nonzero(apart <= distance)
        row, column = row[row < column], column[row < column]
        first, second = rows[row], columns[column]
        unlike = hashes[first] ^ hashes[second]
        new = np.ones(len(first), dtype=bool)
        for piece in earlier:
            new &= (unlike & piece) != 0
        if new.any():
            yield first[new], second[new], apart[row, column][new]


def _sorted(paths: CollectionPaths) -> tuple[pa.Table, NDArray[np.uint8]]:
    """The packed images by (object_id, image), with their hashes; and their thumbnails, (n, 256)."""
    images = read_images(paths.images, "phash", "thumbnail")
    # a table of more than 2 GiB of bytes cannot be sorted, and its thumbnails as objects would take half as much again
    grey = [_pixels_of(chunk) for chunk in images["thumbnail"].chunks]
    images = images.drop_columns("thumbnail")
    order = pc.sort_indices(images, [("object_id", "ascending"), ("image", "ascending")])
    thumbnails = np.concatenate(grey) if grey else np.empty((0, THUMBNAIL_SIDE**2), np.uint8)
    return images.take(order), thumbnails[order.to_numpy()]


def _pixels_of(thumbnails: pa.BinaryArray) -> NDArray[np.uint8]:
    ends = np.frombuffer(thumbnails.buffers()[1], np.int32)[thumbnails.offset :]
    content = np.frombuffer(thumbnails.buffers()[2] or b"", np.uint8)
    return content[ends[0] : ends[len(thumbnails)]].reshape(len(thumbnails), -1)


def _normalised(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Thumbnails (n, 256) brought to mean 0 and length 1, so that products are correlations; and their contrasts."""
    normal = grey.astype(np.float32)
    normal -= normal.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", normal, normal))
    normal /= np.maximum(length, np.float32(1e-6))[:, None]
    return normal, length / np.float32(np.sqrt(grey.shape[1]))


def _contrasts(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    parts = [_normalised(grey[start : start + _CONFIRMED])[1] for start in range(0, len(grey), _CONFIRMED)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _first_equals(hashes: NDArray[np.uint64], grey: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each image, the first that is equal to it; mostly itself."""
    same_as = np.arange(len(hashes))
    order = np.argsort(hashes, kind="stable")
    alike = np.flatnonzero(np.diff(hashes[order]) == 0)
    first: dict[tuple[int, bytes], int] = {}
    for i in sorted({*order[alike].tolist(), *order[alike + 1].tolist()}):
        same_as[i] = first.setdefault((int(hashes[i]), grey[i].tobytes()), i)
    return same_as


Confirmed = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], NDArray[np.float32]]


def _equals(with_picture: NDArray[np.int64], same_as: NDArray[np.int64]) -> Confirmed:
    second = with_picture[same_as[with_picture] != with_picture]
    return same_as[second], second, np.zeros(len(second), np.uint8), np.zeros(len(second), np.float32)


def _confirmed(
    first: NDArray[np.int64], second: NDArray[np.int64], distance: NDArray[np.uint8], grey: NDArray[np.uint8]
) -> Iterator[Confirmed]:
    """Those pairs whose thumbnails agree, with their differences."""
    for start in range(0, len(first), _CONFIRMED):
        part = slice(start, start + _CONFIRMED)
        a, b = first[part], second[part]
        normal_a, normal_b = _normalised(grey[a])[0], _normalised(grey[b])[0]
        difference = np.maximum(1 - np.einsum("ij,ij->i", normal_a, normal_b), np.float32(0))
        keep = difference <= MAX_DIFFERENCE
        if keep.any():
            yield a[keep], b[keep], distance[part][keep], difference[keep]
