"""Building the catalogue: one row per object and image of a collection, cleaned.

What was left out stands in rejects.csv, and what was done to the labels in cleaning.csv.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.collection_params import Cleaning
from rijksnet.collections.catalogue import SCHEMA, Change
from rijksnet.collections.cleaning import clean
from rijksnet.collections.cleaning.values import FIELDS
from rijksnet.collections.records import Reason, Record, Reject
from rijksnet.errors import CollectionError
from rijksnet.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rijksnet.collections.records import Reader
    from rijksnet.paths import CollectionPaths

NO_RULES = Cleaning()


@dataclass(frozen=True)
class CatalogueCounts:
    """What `build` found: how many objects and images stay, rejects by reason, and values changed by field and rule."""

    objects: int
    images: int
    rejects: dict[Reason, int]
    changed: dict[str, int]

    def __str__(self) -> str:
        left_out = ", ".join(f"{n} × {reason}" for reason, n in self.rejects.items()) or "nothing"
        changed = ", ".join(f"{n} × {rule}" for rule, n in self.changed.items())
        cleaned = f"; values changed: {changed}" if changed else ""
        return f"{self.images} images of {self.objects} objects; left out: {left_out}{cleaned}"


def build(reader: Reader, paths: CollectionPaths, cleaning: Cleaning = NO_RULES, raw: Path = Path()) -> CatalogueCounts:
    """Read a collection, clean its labels, and write its catalogue, its rejects and what cleaning changed.

    Args:
        raw: the collection's folder, which holds `cleaning.vocabulary`.

    Raises:
        CollectionError: the source cannot be used (see the reader), no image of it can, the vocabulary cannot be used,
            or one object has two values of a label, when cleaned.
    """
    items, changes = _cleaned(list(reader), cleaning, raw)
    records, rejects = _sift(items)
    counts = CatalogueCounts(
        len({r.object_id for r in records}),
        len(records),
        dict(Counter(r.reason for r in rejects)),
        dict(Counter(f"{change.field} {change.rule}" for change in changes)),
    )
    paths.catalogue.unlink(missing_ok=True)  # never an old catalogue beside new rejects
    _write(rejects, Reject, paths.rejects)
    _write(changes, Change, paths.cleaning)
    if not records:
        raise CollectionError(f"collection {paths.collection!r} has no usable image ({counts}): see {paths.rejects}")
    records.sort(key=lambda record: (record.object_id, record.image))
    columns = {name: [getattr(record, name) for record in records] for name in SCHEMA.names}
    with replacing(paths.catalogue) as part:
        pq.write_table(pa.table(columns, schema=SCHEMA), part)
    return counts


def _cleaned(
    items: Sequence[Record | Reject], cleaning: Cleaning, raw: Path
) -> tuple[list[Record | Reject], list[Change]]:
    """The items in their order, the records among them cleaned."""
    cleaned, changes = clean([item for item in items if isinstance(item, Record)], cleaning, raw)
    following = iter(cleaned)
    return [next(following) if isinstance(item, Record) else item for item in items], changes


def _sift(items: Iterable[Record | Reject]) -> tuple[list[Record], list[Reject]]:
    """Records that stay, and rejects with those added that only the whole shows: an image named more than once."""
    kept: dict[str, Record] = {}
    first: dict[str, Record] = {}
    rejects: list[Reject] = []
    for item in items:
        if isinstance(item, Reject):
            rejects.append(item)
            continue
        _require_equal_labels(first.setdefault(item.object_id, item), item)
        owner = kept.setdefault(item.image, item)
        if owner is item:
            continue
        # An image under two objects could stand in two splits at once.
        reason = Reason.DUPLICATE if owner.object_id == item.object_id else Reason.TAKEN
        rejects.append(Reject(item.object_id, item.image, reason, f"kept for object {owner.object_id!r}"))
    return list(kept.values()), rejects


def _require_equal_labels(first: Record, record: Record) -> None:
    for label in FIELDS:
        values = list(getattr(first, label)), list(getattr(record, label))
        if values[0] != values[1]:
            raise CollectionError(
                f"object {record.object_id!r} has two values of {label}: {values[0]} with image {first.image!r} and "
                f"{values[1]} with image {record.image!r}; give it one, or give the objects different ids"
            )


def _write(rows: Sequence[Reject | Change], kind: type[Reject | Change], path: Path) -> None:
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in fields(kind)])
        writer.writerows(astuple(row) for row in rows)
