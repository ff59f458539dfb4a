"""What training reads: which rows of the pixel files belong to a split, with which labels; and the pixels.

Training stages depend on this module, not on those that write the files: numpy and pyarrow only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rijksnet.errors import CollectionError, SplitError
from rijksnet.protocol import SPLITS, TEST, split_in_fold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """The n images of one split, sorted by (object id, image), and their labels."""

    object_ids: tuple[str, ...]
    images: tuple[str, ...]
    rows: NDArray[np.int64]  #: (n,) rows of the pixel files, and of features made from them
    labels: NDArray[np.int64]  #: (n,) indices into `classes`
    relevant: tuple[tuple[int, ...], ...]  #: n times the indices of all classes that the object lists: for rankings
    classes: tuple[str, ...]  #: names, sorted; the same in all three splits

    def __len__(self) -> int:
        return len(self.rows)


def load(split: Path, images: Path, fold: int = 0) -> dict[str, LabelledRows]:
    """The three splits of a challenge, by name, from splits/<challenge>.parquet and images.parquet.

    Args:
        fold: which of the folds, where there are several.

    Raises:
        SplitError: there is no such split, or it names images that are not among the packed ones.
        CollectionError: there is no images.parquet.
    """
    if not split.is_file():
        raise SplitError(f"{split} is not there: run the stage `splits` of this collection first")
    table = pq.read_table(split).sort_by([("object_id", "ascending"), ("image", "ascending")])
    packed = read_images(images)
    row_of = dict(zip(pairs_of(packed), packed["row"].to_pylist(), strict=True))
    pairs = pairs_of(table)
    absent = [pair for pair in pairs if pair not in row_of]
    if absent:
        raise SplitError(
            f"{split} names {len(absent)} images that {images} lacks, the first {absent[0]}: they were made from "
            "different pixels; run the stages `pixels` and `splits` again"
        )
    rows = np.array([row_of[pair] for pair in pairs], dtype=np.int64)
    names, values = table["label"].cast(pa.string()), table["values"].combine_chunks()
    classes = sorted({*names.unique().to_pylist(), *values.flatten().unique().to_pylist()})
    labels = _indices(names, classes)
    relevant = _lists(values, _indices(values.flatten(), classes))
    split_of = np.array(table["split"].cast(pa.string()).to_pylist())
    if "fold" in table.column_names:
        parts = table["fold"].to_numpy()
        dealt = [split_in_fold(part, fold, int(parts.max()) + 1) for part in range(int(parts.max()) + 1)]
        split_of = np.array(dealt)[parts]
    elif fold:
        raise SplitError(f"{split} is one drawn split, and has no fold {fold}: run the stage `splits` again")
    data = {}
    for name in SPLITS:
        at = np.flatnonzero(split_of == name)
        object_ids, image_names = tuple(pairs[i][0] for i in at), tuple(pairs[i][1] for i in at)
        listed = tuple(relevant[i] for i in at)
        data[name] = LabelledRows(object_ids, image_names, rows[at], labels[at], listed, tuple(classes))
    return data


def _indices(names: pa.Array, classes: list[str]) -> NDArray[np.int64]:
    indices: NDArray[np.int64] = pc.index_in(names, pa.array(classes, pa.string())).to_numpy().astype(np.int64)
    return indices


def _lists(values: pa.ListArray, indices: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """`indices`, which belong to the flattened `values`, as the lists that they came from."""
    flat, ends = indices.tolist(), pc.list_value_length(values).to_numpy().cumsum().tolist()
    return [tuple(flat[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def digest(data: Mapping[str, LabelledRows]) -> str:
    """Identity of a split's content, 16 hexadecimal digits: equal if and only if every image has the same split,
    object, label and listed classes. Pixel rows do not count: they say where an image lies, not what it is.

    Listed classes are part of the content only where they are not just the label, as is common.
    """
    content: list[tuple[str | list[str], ...]] = []
    for name, split in data.items():
        labels = split.labels.tolist()
        for object_id, image, label, relevant in zip(
            split.object_ids, split.images, labels, split.relevant, strict=True
        ):
            listed = () if relevant == (label,) else ([split.classes[i] for i in relevant],)
            content.append((object_id, image, split.classes[label], name, *listed))
    content.sort(key=lambda row: row[:2])
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


def folds_in(split: Path) -> int:
    """How many folds splits/<challenge>.parquet has; 1: it is one split."""
    if "fold" not in pq.read_schema(split).names:
        return 1
    return int(pc.max(pq.read_table(split, columns=["fold"])["fold"]).as_py()) + 1


def digest_of(split: Path, images: Path) -> str:
    """Identity of what splits/<challenge>.parquet says: of the one split, or of which fold tests what."""
    folds = folds_in(split)
    if folds == 1:
        return digest(load(split, images))
    return digest({f"fold{fold}": load(split, images, fold)[TEST] for fold in range(folds)})


def pairs_of(table: pa.Table) -> list[tuple[str, str]]:
    """What an image is known by everywhere: its object's id and its own name."""
    return list(zip(table["object_id"].to_pylist(), table["image"].to_pylist(), strict=True))


def read_images(path: Path, *further: str) -> pa.Table:
    """Which image stands in which row of the pixel files: object_id, image, row (int64), and `further` columns.

    Raises:
        CollectionError: there is none, so the pixels are absent or not complete.
    """
    if not path.is_file():
        raise CollectionError(f"{path} is not there: run the stage `pixels` of this collection first")
    return pq.read_table(path, columns=["object_id", "image", "row", *further])


def open_pixels(path: Path) -> NDArray[np.uint8]:
    """A pixel file, memory-mapped for reading: uint8 of shape (N, size, size, 3), RGB, 0 to 255.

    Raises:
        CollectionError: there is none.
    """
    if not path.is_file():
        raise CollectionError(f"{path} is not there: run the stage `pixels` of this collection with this size first")
    array: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return array
