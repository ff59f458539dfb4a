"""Labels that people have decided on, laid over a museum's own: decided_labels/<collection>/<challenge>.csv."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rijksnet.collections.catalogue import Change
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rijksnet.collections.records import Record
    from rijksnet.paths import CollectionPaths

#: The record's field that each challenge predicts.
FIELD_OF = {"artist": "creator", "type": "type", "material": "material"}

COLUMNS = ("object_id", "label")

#: What cleaning.csv calls it.
RULE = "decided"


@dataclass(frozen=True)
class Overlay:
    """What was laid over: records, what that changed, and how many labels are of objects that are not here."""

    records: list[Record]
    changes: list[Change]
    absent: int


def lay_over(records: Sequence[Record], paths: CollectionPaths) -> Overlay:
    """The records with what people decided in place of what the museum says; without a table, as they are.

    Raises:
        CollectionError: a table lacks a column, or an object has two labels.
    """
    by_field = {
        field: read(paths.decided(challenge))
        for challenge, field in FIELD_OF.items()
        if paths.decided(challenge).is_file()
    }
    if not by_field:
        return Overlay(list(records), [], 0)
    here = {record.object_id for record in records}
    changed = []
    before: dict[tuple[str, str], tuple[str, ...]] = {}
    for record in records:
        decided: dict[str, Any] = {
            field: (labels[record.object_id],) for field, labels in by_field.items() if record.object_id in labels
        }
        for field, label in decided.items():
            if getattr(record, field) != label:
                before[record.object_id, field] = getattr(record, field)
        changed.append(replace(record, **decided) if decided else record)
    return Overlay(changed, _changes(before, by_field), sum(len(labels.keys() - here) for labels in by_field.values()))


def _changes(
    before: Mapping[tuple[str, str], tuple[str, ...]], by_field: Mapping[str, Mapping[str, str]]
) -> list[Change]:
    counted = Counter(
        (field, " | ".join(values), by_field[field][object_id]) for (object_id, field), values in before.items()
    )
    return [Change(field, RULE, old, new, n) for (field, old, new), n in sorted(counted.items())]


def read(file: Path) -> dict[str, str]:
    """The label of each object, from a CSV file in UTF-8 with `COLUMNS`; others are ignored, as are rows without label.

    Raises:
        CollectionError: it lacks a column, or an object has two labels.
    """
    labels: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
                raise CollectionError(f"{file} lacks the columns {missing}; it has {rows.fieldnames}")
            for row in rows:
                object_id = unicodedata.normalize("NFC", (row["object_id"] or "").strip())
                label = (row["label"] or "").strip()
                if object_id and label and labels.setdefault(object_id, label) != label:
                    raise CollectionError(
                        f"{file}, line {rows.line_num}: object {object_id!r} is {label!r} here and "
                        f"{labels[object_id]!r} before: give it one label"
                    )
    except (UnicodeDecodeError, csv.Error) as error:
        raise CollectionError(f"{file} cannot be read as CSV in UTF-8: {error}") from error
    return labels
