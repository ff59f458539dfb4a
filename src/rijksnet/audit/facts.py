"""What an audit says, as typed values: of the collection as a whole, and of its classes per challenge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from rijksnet.collections.catalogue import Change
from rijksnet.data.splits import COLUMN_OF
from rijksnet.protocol import label_of
from rijksnet.statistics.bands import BANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from rijksnet.audit.pairs import Duplicates
    from rijksnet.params import Challenge
    from rijksnet.statistics.bands import BandRule

#: What is counted: values, or pairs of them.
T = TypeVar("T", str, tuple[str, str])


#: Examples kept of each cleaning rule, and pairs of values kept of each challenge: the most frequent.
EXAMPLES, VALUE_PAIRS = 5, 10


# --- the collection --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LeftOut:
    """Records or images left out for one reason; `example` is the first of them."""

    reason: str
    count: int
    example: str


@dataclass(frozen=True)
class CleaningFacts:
    """What one rule did to one field: distinct values changed, objects they stood in, the most frequent changes."""

    field: str
    rule: str
    values: int
    objects: int
    examples: tuple[Change, ...]


@dataclass(frozen=True)
class Rights:
    """Images under one rights statement; `statement` is empty for those without any. `share` is of all images."""

    statement: str
    images: int
    share: float


# --- a challenge -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Band:
    """The classes of one band (see `BANDS`) and their objects; `share` is of the labelled objects."""

    name: str
    sizes: str
    classes: int
    objects: int
    share: float


@dataclass(frozen=True)
class Imbalance:
    """`ratio`: the largest class over the median one; `effective_classes`: exp of the entropy (nats) of the classes'
    shares, the number of equally large classes that would be as hard to guess."""

    largest: int
    median: float
    ratio: float
    effective_classes: float


@dataclass(frozen=True)
class ValuePair:
    """Two values that objects list together."""

    first: str
    second: str
    objects: int


@dataclass(frozen=True)
class SplitFacts:
    """What a split keeps: only classes that occur in every part; see `rijksnet.data.splits.summarise`.

    `drawn`: made here, by the paper's rule with seed 0, because the collection has no split of its own. `labelled`,
    `kept` and `splits` count objects, images and classes; `removed_classes` says how many objects each had; `majority`
    is the accuracy of always answering the most frequent class of the training split, `majority_class`.
    """

    rule: str
    folds: int  #: of which the first is shown; 1: it is one split
    drawn: bool
    labelled: dict[str, int]
    kept: dict[str, int]
    splits: dict[str, dict[str, int]]
    removed_classes: dict[str, int]
    majority_class: str
    majority: float


@dataclass(frozen=True)
class ChallengeFacts:
    """The classes of one challenge; an object's class is `rijksnet.protocol.label_of`."""

    challenge: Challenge
    labelled: int  #: objects with a class
    no_value: int  #: objects that list nothing
    unnamed: int  #: objects whose value names no class, such as `anoniem`
    classes: dict[str, int]  #: objects by class, the largest first
    bands: tuple[Band, ...]
    imbalance: Imbalance
    values: dict[int, int]  #: objects by how many values they list
    value_pairs: tuple[ValuePair, ...]
    split: SplitFacts | None
    split_problem: str  #: why there is no split; empty where there is one

    @property
    def objects(self) -> int:
        return self.labelled + self.no_value + self.unnamed

    @property
    def several_values(self) -> int:
        """Objects that list more than one value."""
        return sum(objects for values, objects in self.values.items() if values > 1)

    def band(self, name: str) -> Band:
        return next(band for band in self.bands if band.name == name)


@dataclass(frozen=True)
class Audit:
    """Everything the audit says. None where the files that would tell are absent; `absent` says which and why."""

    collection: str
    objects: int
    images: int
    rejects: tuple[LeftOut, ...] | None
    unreadable: tuple[LeftOut, ...] | None
    cleaning: tuple[CleaningFacts, ...] | None
    rights: tuple[Rights, ...]
    images_per_object: dict[int, int]  #: objects by how many images they have
    challenges: tuple[ChallengeFacts, ...]
    duplicates: Duplicates | None
    absent: tuple[str, ...]


# --- how they are counted --------------------------------------------------------------------------------------------


def left_out(rows: Iterable[Mapping[str, str]]) -> tuple[LeftOut, ...]:
    """Rejects or unreadable images (columns object_id, image, reason, detail) by reason, the most frequent first."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for row in rows:
        counts[row["reason"]] += 1
        name = row["image"] or row["object_id"]
        first.setdefault(row["reason"], ": ".join(part for part in (name, row["detail"]) if part))
    return tuple(LeftOut(reason, n, first[reason]) for reason, n in _most_frequent(counts))


def cleaned(rows: Iterable[Mapping[str, str]]) -> tuple[CleaningFacts, ...]:
    """What each rule changed, from the rows of cleaning.csv (see `rijksnet.collections.catalogue.Change`)."""
    changes: dict[tuple[str, str], list[Change]] = {}
    for row in rows:
        change = Change(row["field"], row["rule"], row["before"], row["after"], int(row["objects"]))
        changes.setdefault((change.field, change.rule), []).append(change)
    return tuple(
        CleaningFacts(field, rule, len(found), sum(one.objects for one in found), tuple(found[:EXAMPLES]))
        for (field, rule), found in changes.items()
    )


def rights_of(catalogue: pa.Table) -> tuple[Rights, ...]:
    """Shares of the rights statements, the most frequent first."""
    counts = Counter(statement.strip() for statement in catalogue["rights"].to_pylist())
    return tuple(Rights(name, n, n / catalogue.num_rows) for name, n in _most_frequent(counts))


def images_per_object(catalogue: pa.Table) -> dict[int, int]:
    """Objects by how many images they have."""
    images = Counter(catalogue["object_id"].to_pylist())
    return dict(sorted(Counter(images.values()).items()))


def objects_of(catalogue: pa.Table) -> pd.DataFrame:
    """object_id and, per challenge, the column of its values (lists): one row an object, for all of an object's images
    have the same labels (see `rijksnet.collections.build`)."""
    frame = pd.DataFrame({"object_id": catalogue["object_id"].to_pylist()})
    for challenge, column in COLUMN_OF.items():
        frame[challenge] = pd.Series(catalogue[column].to_pylist(), dtype=object)
    return frame.drop_duplicates("object_id", ignore_index=True)


def labels_by_object(objects: pd.DataFrame, challenge: Challenge) -> dict[str, str | None]:
    """The class of every object, None where it has none."""
    labels = (label_of(challenge, values) for values in objects[challenge])
    return dict(zip(objects["object_id"], labels, strict=True))


def challenge_facts(
    challenge: Challenge,
    objects: pd.DataFrame,
    labels: Mapping[str, str | None],
    split: SplitFacts | None,
    split_problem: str = "",
) -> ChallengeFacts:
    """The facts of one challenge, from `objects_of` and `labels_by_object`; at least one object has a class."""
    listed: list[Sequence[str]] = [[one for one in values if one.strip()] for values in objects[challenge]]
    classes = dict(_most_frequent(Counter(label for label in labels.values() if label is not None)))
    labelled, no_value = sum(classes.values()), sum(not values for values in listed)
    together = Counter(pair for values in listed for pair in combinations(sorted(set(values)), 2))
    return ChallengeFacts(
        challenge=challenge,
        labelled=labelled,
        no_value=no_value,
        unnamed=len(objects) - labelled - no_value,
        classes=classes,
        bands=tuple(_band(rule, list(classes.values()), labelled) for rule in BANDS),
        imbalance=imbalance(list(classes.values())),
        values=dict(sorted(Counter(map(len, listed)).items())),
        value_pairs=tuple(ValuePair(*pair, n) for pair, n in _most_frequent(together)[:VALUE_PAIRS]),
        split=split,
        split_problem=split_problem,
    )


def imbalance(counts: Sequence[int]) -> Imbalance:
    """How unequal classes of these numbers of objects are; at least one class."""
    shares = np.array(counts) / sum(counts)
    entropy = -float(np.sum(shares * np.log(shares)))
    middle = float(median(counts))
    return Imbalance(max(counts), middle, max(counts) / middle, float(np.exp(entropy)))


def split_facts(said: Mapping[str, Any], drawn: bool) -> SplitFacts:
    """From what splits.json says of a challenge."""
    return SplitFacts(
        rule=said["rule"],
        folds=said.get("folds", 1),
        drawn=drawn,
        labelled=said["labelled"],
        kept=said["kept"],
        splits=said["splits"],
        removed_classes=said["removed_classes"],
        majority_class=said["majority"]["class"],
        majority=said["majority"]["share"],
    )


def _band(rule: BandRule, counts: Sequence[int], labelled: int) -> Band:
    within = [n for n in counts if n >= rule.least and (rule.most is None or n <= rule.most)]
    return Band(rule.name, str(rule), len(within), sum(within), sum(within) / labelled)


def _most_frequent(counts: Counter[T]) -> list[tuple[T, int]]:
    """By falling count, equal ones in the order of their names: the same for the same counts."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
