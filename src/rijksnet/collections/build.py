"""Building the catalogue: one row per object and image of a collection, cleaned.

What was left out stands in rejects.csv, and what was done to the labels in cleaning.csv.
"""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.collection_params import Cleaning
from rijksnet.collections.catalogue import SCHEMA, Change
from rijksnet.collections.cleaning import clean
from rijksnet.collections.cleaning.nothing import says_nothing
from rijksnet.collections.cleaning.values import FIELDS
from rijksnet.collections.decided import lay_over
from rijksnet.collections.records import Reason, Record, Reject
from rijksnet.errors import CollectionError
from rijksnet.files import replacing
from rijksnet.paths import DECIDED_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rijksnet.collections.records import Reader
    from rijksnet.paths import CollectionPaths

NO_RULES = Cleaning()


@dataclass(frozen=True)
class CatalogueCounts:
    """What `build` found: how many objects and images stay, rejects by reason, values changed by field and rule.

    `empty_words` are labels that say that there is none, by field, with their numbers of objects.
    """

    objects: int
    images: int
    rejects: dict[Reason, int]
    changed: dict[str, int]
    empty_words: dict[str, dict[str, int]]
    decided_elsewhere: int = 0  #: labels that people decided on, of objects that are not here

    def __str__(self) -> str:
        left_out = ", ".join(f"{n} × {reason}" for reason, n in self.rejects.items()) or "nothing"
        changed = ", ".join(f"{n} × {rule}" for rule, n in self.changed.items())
        cleaned = f"; values changed: {changed}" if changed else ""
        said = f"{self.images} images of {self.objects} objects; left out: {left_out}{cleaned}"
        if self.decided_elsewhere:
            said += f"\n{DECIDED_LABELS} has {self.decided_elsewhere:,} labels of objects that are not here"
        for field, found in self.empty_words.items():
            named = ", ".join(f"{value!r} of {objects:,} objects" for value, objects in found.items())
            said += f"\n{field} has labels that say that there is none: {named}. cleaning.{field}: [nothing] drops them"
        return said


def build(reader: Reader, paths: CollectionPaths, cleaning: Cleaning = NO_RULES, raw: Path = Path()) -> CatalogueCounts:
    """Read a collection, clean its labels, and write its catalogue, its rejects and what cleaning changed.

    Args:
        raw: the collection's folder, which holds `cleaning.vocabulary`.

    Raises:
        CollectionError: the source cannot be used (see the reader), no image of it can, or the vocabulary cannot, or
            the labels that people have decided on.
    """
    items, changes = _cleaned([_with_one_id(item) for item in reader], cleaning, raw)
    records, rejects = sift(items)
    overlay = lay_over(records, paths)
    records, changes = overlay.records, [*changes, *overlay.changes]
    counts = CatalogueCounts(
        len({r.object_id for r in records}),
        len(records),
        dict(Counter(r.reason for r in rejects)),
        dict(Counter(f"{change.field} {change.rule}" for change in changes)),
        {field: found for field in FIELDS if (found := _empty_words(records, field))},
        overlay.absent,
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


def _empty_words(records: Sequence[Record], field: str) -> dict[str, int]:
    """Labels of a field that say that there is none, the most frequent first."""
    labels = Counter(label for _, label in {(one.object_id, label) for one in records for label in getattr(one, field)})
    return {label: objects for label, objects in labels.most_common() if says_nothing(label)}


def _with_one_id(item: Record | Reject) -> Record | Reject:
    """The same object has the same id, in whichever Unicode form a row spells it."""
    if unicodedata.is_normalized("NFC", item.object_id):
        return item
    return replace(item, object_id=unicodedata.normalize("NFC", item.object_id))


def _cleaned(
    items: Sequence[Record | Reject], cleaning: Cleaning, raw: Path
) -> tuple[list[Record | Reject], list[Change]]:
    """The items in their order, the records among them cleaned."""
    cleaned, changes = clean([item for item in items if isinstance(item, Record)], cleaning, raw)
    following = iter(cleaned)
    return [next(following) if isinstance(item, Record) else item for item in items], changes


def sift(items: Sequence[Record | Reject]) -> tuple[list[Record], list[Reject]]:
    """Records that stay, and rejects with those added that only the whole shows: an image named more than once, and all
    images of an object of which they say different things. Where one says nothing, what another says holds."""
    labels, contradictions = _labels_of_objects(item for item in items if isinstance(item, Record))
    kept: dict[str, Record] = {}
    rejects: list[Reject] = []
    for item in items:
        if isinstance(item, Reject):
            rejects.append(item)
            continue
        if item.object_id in contradictions:
            rejects.append(Reject(item.object_id, item.image, Reason.CONTRADICTION, contradictions[item.object_id]))
            continue
        if not (item.creator and item.type and item.material):
            creator, type_, material = (labels[item.object_id].get(field, ()) for field in FIELDS)
            if (creator, type_, material) != (item.creator, item.type, item.material):
                item = replace(item, creator=creator, type=type_, material=material)
        owner = kept.setdefault(item.image, item)
        if owner is item:
            continue
        # An image under two objects could stand in two splits at once.
        reason = Reason.DUPLICATE if owner.object_id == item.object_id else Reason.TAKEN
        rejects.append(Reject(item.object_id, item.image, reason, f"kept for object {owner.object_id!r}"))
    return list(kept.values()), rejects


def _labels_of_objects(
    records: Iterable[Record],
) -> tuple[dict[str, dict[str, tuple[str, ...]]], dict[str, str]]:
    """Each object's labels by field; and of objects that have two of one, which."""
    labels: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    said_by: dict[tuple[str, str], str] = {}
    contradictions: dict[str, str] = {}
    for record in records:
        of_object = labels[record.object_id]
        for field, values in zip(FIELDS, (record.creator, record.type, record.material), strict=True):
            if values and of_object.setdefault(field, values) == values:
                said_by.setdefault((record.object_id, field), record.image)
            elif values:
                contradictions.setdefault(
                    record.object_id,
                    f"{field} is {list(of_object[field])} with image {said_by[record.object_id, field]!r} and "
                    f"{list(values)} with image {record.image!r}: give it one, or give the objects different ids",
                )
    return labels, contradictions


def _write(rows: Sequence[Reject | Change], kind: type[Reject | Change], path: Path) -> None:
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        names = [field.name for field in fields(kind)]
        writer.writerow(names)
        writer.writerows(map(attrgetter(*names), rows))
