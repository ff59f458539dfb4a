"""From decisions to labels that the next run trains on, where people agree."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rijksnet.collections import decided
from rijksnet.errors import ReviewError
from rijksnet.files import replacing
from rijksnet.reviewing.decisions import GIVING, NOTHING, read, standing

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Challenge
    from rijksnet.paths import CollectionPaths

#: Columns of the table that is written: those that are read, and who decided.
COLUMNS = (*decided.COLUMNS, "who")


@dataclass(frozen=True)
class Adoption:
    """What became of decisions: labels that are new or other now, those that were so already, and, by object id, what
    people disagree about, which is left as it was."""

    file: Path
    new: int
    kept: int
    disputed: dict[str, dict[str, str]]


def adopt(paths: CollectionPaths, challenge: Challenge, suggestions: Path) -> Adoption:
    """Write decided_labels/<collection>/<challenge>.csv: the labels of all who accepted or corrected a suggestion, and
    nobody of whom says otherwise; labels that stand there already stay.

    Args:
        suggestions: what `rijksnet suggest --out` was given.

    Raises:
        ReviewError: nothing is decided, or the decisions are another table.
        CollectionError: the table that stands there cannot be read.
    """
    source = suggestions / paths.collection / f"{challenge}-decisions.csv"
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for (who, object_id), one in standing(read(source)).items():
        if one.decision != "skip":
            said[object_id][who] = one.label if one.decision in GIVING else NOTHING
    if not said:
        raise ReviewError(f"{source} holds no decision: `rijksnet review {paths.collection} {challenge}` makes some")
    file = paths.decided(challenge)
    before = decided.read(file) if file.is_file() else {}
    people = _people(file)
    agreed = {key: set(its.values()).pop() for key, its in said.items() if len(set(its.values())) == 1}
    given = {key: label for key, label in agreed.items() if label != NOTHING}
    labels = before | given
    people |= {key: " | ".join(sorted(said[key])) for key in given}
    with replacing(file) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((key, label, people.get(key, "")) for key, label in sorted(labels.items()))
    new = sum(before.get(key) != label for key, label in given.items())
    return Adoption(file, new, len(given) - new, {key: its for key, its in said.items() if key not in agreed})


def _people(file: Path) -> dict[str, str]:
    """Who decided what stands in a table already."""
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return {row["object_id"].strip(): row.get("who") or "" for row in csv.DictReader(stream)}
