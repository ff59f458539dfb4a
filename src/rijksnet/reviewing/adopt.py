"""From decisions to labels that the next run trains on, where people agree."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rijksnet.collections import decided
from rijksnet.errors import ReviewError
from rijksnet.files import replacing
from rijksnet.reviewing.decisions import NOTHING, labels_given, read

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Challenge
    from rijksnet.paths import CollectionPaths

#: Columns of the table that is written: those that are read, and who decided. Those of one's own stay.
COLUMNS = (*decided.COLUMNS, "who")


@dataclass(frozen=True)
class Adoption:
    """What became of decisions: labels that are new or other now, those that were so already, objects whose label
    nobody gives any more, and, by object id, what people disagree about, which is left as it was."""

    file: Path
    new: int
    kept: int
    withdrawn: list[str]
    disputed: dict[str, dict[str, str]]


def adopt(paths: CollectionPaths, challenge: Challenge, suggestions: Path) -> Adoption:
    """Write decided_labels/<collection>/<challenge>.csv: the labels of all who accepted or corrected a suggestion, and
    nobody of whom says otherwise. What stands there stays, but for what came from people of whom none says it now.

    Args:
        suggestions: what `rijksnet suggest --out` was given.

    Raises:
        ReviewError: nothing is decided, or the decisions are another file.
        CollectionError: the table that stands there cannot be read.
    """
    source = suggestions / paths.collection / f"{challenge}-decisions.jsonl"
    made = read(source)
    if all(one.decision in ("skip", "undo") for one in made):
        raise ReviewError(f"{source} holds no decision: `rijksnet review {paths.collection} {challenge}` makes some")
    said = labels_given(made)
    file = paths.decided(challenge)
    rows, columns = _standing_rows(file)
    before = {key: row["label"] for key, row in rows.items()}
    agreed = {key: set(its.values()).pop() for key, its in said.items() if len(set(its.values())) == 1}
    given = {key: label for key, label in agreed.items() if label != NOTHING}
    reviewers = {one.who for one in made}
    withdrawn = [
        key
        for key, row in rows.items()
        if key not in given
        and row.get("who")
        and set(row["who"].split(SEPARATOR)) <= reviewers
        and row["label"] not in said.get(key, {}).values()
    ]
    for key in withdrawn:
        del rows[key]
    for key, label in given.items():
        rows[key] = {**rows.get(key, {}), "object_id": key, "label": label, "who": SEPARATOR.join(sorted(said[key]))}
    with replacing(file) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for _, row in sorted(rows.items()))
    new = sum(before.get(key) != label for key, label in given.items())
    disputed = {key: its for key, its in said.items() if key not in agreed}
    return Adoption(file, new, len(given) - new, withdrawn, disputed)


#: Between the names of several people.
SEPARATOR = " | "


def _standing_rows(file: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    """What stands in a table already, by object, and its columns.

    Raises:
        CollectionError: it cannot be read.
    """
    if not file.is_file():
        return {}, list(COLUMNS)
    labels = decided.read(file)
    with file.open(encoding="utf-8-sig", newline="") as stream:
        table = csv.DictReader(stream)
        rows = {row["object_id"].strip(): row for row in table if row["object_id"].strip() in labels}
        return rows, list(dict.fromkeys([*(table.fieldnames or ()), *COLUMNS]))
