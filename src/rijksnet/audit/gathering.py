"""An audit's facts from a collection's files; what a file is missing for is left out, and said so."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.audit import facts
from rijksnet.audit.facts import Audit
from rijksnet.audit.pairs import ChallengeLabels, duplicates
from rijksnet.collections.catalogue import read_catalogue
from rijksnet.data.duplicates import near_duplicates, repeated
from rijksnet.data.labelled import pairs_of, read_images
from rijksnet.data.splits import COLUMN_OF, drawn_split
from rijksnet.errors import SplitError
from rijksnet.params import Splits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from rijksnet.audit.facts import ChallengeFacts, SplitFacts
    from rijksnet.audit.pairs import Duplicates
    from rijksnet.params import Challenge
    from rijksnet.paths import CollectionPaths

#: The split that is drawn where a collection has none.
AS_IN_THE_PAPER = Splits(rule="paper", seed=0, together="object", folds=1, stratified=False)


def gather(paths: CollectionPaths) -> Audit:
    """All facts of a collection.

    Raises:
        CollectionError: there is no catalogue, or near-duplicates cannot be looked for.
    """
    catalogue = read_catalogue(paths.catalogue)
    absent = _Absent()
    objects = facts.objects_of(catalogue)
    labels = {challenge: facts.labels_by_object(objects, challenge) for challenge in COLUMN_OF}
    challenges = _challenges(paths, catalogue, objects, labels, absent)
    known = {
        one.challenge: ChallengeLabels(labels[one.challenge], _split_of(paths, one.challenge)) for one in challenges
    }
    rejects = _rows(paths.rejects, "records that the catalogue leaves out", "catalogue", absent)
    unreadable = _rows(paths.unreadable, "images that cannot be decoded", "pixels", absent)
    cleaning = _rows(paths.cleaning, "what the cleaning rules changed", "catalogue", absent)
    return Audit(
        collection=paths.collection,
        objects=len(objects),
        images=catalogue.num_rows,
        rejects=None if rejects is None else facts.left_out(rejects),
        unreadable=None if unreadable is None else facts.left_out(unreadable),
        cleaning=None if cleaning is None else facts.cleaned(cleaning),
        rights=facts.rights_of(catalogue),
        images_per_object=facts.images_per_object(catalogue),
        challenges=challenges,
        duplicates=_duplicates(paths, known, absent),
        absent=tuple(absent.said),
    )


class _Absent:
    """Sentences on what is not there."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def file(self, path: Path, what: str, stage: str) -> None:
        self.said.append(f"{what.capitalize()}: not known, for {path.name} is absent (stage `{stage}`).")


def _rows(path: Path, what: str, stage: str, absent: _Absent) -> list[dict[str, str]] | None:
    if not path.is_file():
        absent.file(path, what, stage)
        return None
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# --- challenges ------------------------------------------------------------------------------------------------------


def _challenges(
    paths: CollectionPaths,
    catalogue: pa.Table,
    objects: pd.DataFrame,
    labels: Mapping[Challenge, Mapping[str, str | None]],
    absent: _Absent,
) -> tuple[ChallengeFacts, ...]:
    summary = json.loads(paths.splits_summary.read_text("utf-8")) if paths.splits_summary.is_file() else None
    if summary is None:
        absent.file(paths.splits_summary, "the collection's own splits", "splits")
    found = []
    for challenge in COLUMN_OF:
        if all(label is None for label in labels[challenge].values()):
            absent.said.append(f"{challenge.capitalize()}: no object has one.")
            continue
        split, problem = _split(paths, catalogue, challenge, summary or {})
        found.append(facts.challenge_facts(challenge, objects, labels[challenge], split, problem))
    return tuple(found)


def _split(
    paths: CollectionPaths, catalogue: pa.Table, challenge: Challenge, summary: Mapping[str, Any]
) -> tuple[SplitFacts | None, str]:
    """The split of a challenge, or one drawn of the packed images (of all where none are packed)."""
    if challenge in summary:
        return facts.split_facts(summary[challenge], drawn=False), ""
    if paths.images.is_file():
        packed = set(pairs_of(read_images(paths.images)))
        catalogue = catalogue.filter(pa.array([pair in packed for pair in pairs_of(catalogue)], pa.bool_()))
    try:
        _, said = drawn_split(catalogue, challenge, AS_IN_THE_PAPER, None)
    except SplitError as error:
        return None, str(error)
    return facts.split_facts({"rule": "paper", **said}, drawn=True), ""


def _split_of(paths: CollectionPaths, challenge: Challenge) -> dict[str, str] | None:
    """In which split each object stands; None where there is none."""
    if not paths.split(challenge).is_file():
        return None
    table = pq.read_table(paths.split(challenge), columns=["object_id", "split"])
    return dict(zip(table["object_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def _duplicates(
    paths: CollectionPaths, known: Mapping[Challenge, ChallengeLabels], absent: _Absent
) -> Duplicates | None:
    if not paths.images.is_file():
        absent.file(paths.images, "near-duplicate pictures", "pixels")
        return None
    return duplicates(near_duplicates(paths), known, repeated(paths))
