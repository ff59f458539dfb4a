"""From a museum's values to labels: named rules, each a pure function of how often each value occurs.

A rule takes the values of one field with their numbers of objects and gives, for the values that it changes, the new
ones, the empty string for those that it drops. So each can be read, tested and reported on its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, get_args

from rijksnet.collection_params import Rule
from rijksnet.collections.catalogue import Change
from rijksnet.collections.cleaning.names import names, unnamed
from rijksnet.collections.cleaning.nothing import nothing
from rijksnet.collections.cleaning.roles import roles
from rijksnet.collections.cleaning.values import FIELDS, Changes, Counts, spelling, tidy
from rijksnet.collections.cleaning.vocabulary import read_vocabulary, vocabulary
from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rijksnet.collection_params import Cleaning
    from rijksnet.collections.records import Record

#: The rules, in the order in which they run.
ORDER: tuple[Rule, ...] = get_args(Rule)

#: Stands for what is done without any rule: Unicode NFC, stripped, runs of white space made one.
TIDY = "tidy"

Labels = tuple[str, ...]
Rewrite = Callable[[Counts], Changes]

_REWRITES: dict[str, Rewrite] = {
    "roles": roles,
    "names": names,
    "unnamed": unnamed,
    "nothing": nothing,
    "spelling": spelling,
}


def clean(records: Sequence[Record], cleaning: Cleaning, raw: Path) -> tuple[list[Record], list[Change]]:
    """Records with their values made labels, and what was changed, sorted by field, rule, -objects and before.

    Always, without any rule: values are tidied (`TIDY`), empty ones dropped, and an object's repeated ones made one.
    Then the rules of each field run, in the order of `ORDER`.

    Args:
        raw: folder that holds `cleaning.vocabulary`.

    Raises:
        CollectionError: the vocabulary cannot be used (see `read_vocabulary`), or has no term of a field whose rules
            ask for it.
    """
    rewrites = {field: _rewrites(field, cleaning, raw) for field in FIELDS}
    columns = [_Column(field, records) for field in FIELDS]
    for column in columns:
        for rule, rewrite in rewrites[column.field]:
            column.apply(rule, rewrite)
        if "first_value" in getattr(cleaning, column.field):
            column.keep_first()
    changes = [change for column in columns for change in column.changes]
    rows = zip(records, *(column.labels for column in columns), strict=True)
    cleaned = [_with(record, creator, type, material) for record, creator, type, material in rows]
    return cleaned, sorted(changes, key=lambda change: (change.field, change.rule, -change.objects, change.before))


class _Column:
    """One field of all records while its rules run, and what they changed."""

    def __init__(self, field: str, records: Sequence[Record]) -> None:
        self.field = field
        self.ids = [record.object_id for record in records]
        self.labels: list[Labels] = [getattr(record, field) for record in records]
        self.changes: list[Change] = []

    def apply(self, rule: str, rewrite: Rewrite) -> None:
        counts = self._objects(self.labels)
        new = {before: after for before, after in rewrite(counts).items() if after != before}
        self._report(rule, {before: (after, counts[before]) for before, after in new.items()})
        if new or rule == TIDY:
            self.labels = [_unique(new.get(value, value) for value in values) for values in self.labels]

    def keep_first(self) -> None:
        """The rule `first_value`: only the first value listed stays."""
        dropped = self._objects([values[1:] for values in self.labels])
        self._report("first_value", {value: ("", count) for value, count in dropped.items()})
        self.labels = [values[:1] for values in self.labels]

    def _objects(self, labels: list[Labels]) -> Counter[str]:
        """How many objects have each value; an object has one record per image."""
        return Counter(
            value for _, value in {(i, v) for i, values in zip(self.ids, labels, strict=True) for v in values}
        )

    def _report(self, rule: str, changed: Mapping[str, tuple[str, int]]) -> None:
        self.changes += [Change(self.field, rule, before, *rest) for before, rest in changed.items()]


def _rewrites(field: str, cleaning: Cleaning, raw: Path) -> list[tuple[str, Rewrite]]:
    """What is done to a field's values, in order."""
    asked: list[Rule] = getattr(cleaning, field)
    rewrites: dict[str, Rewrite] = dict(_REWRITES)
    if "vocabulary" in asked:
        labels = read_vocabulary(cleaning.vocabulary, raw)[field]
        if not labels:
            raise CollectionError(
                f"cleaning.{field} has the rule 'vocabulary', but {cleaning.vocabulary or 'the built-in vocabulary'} "
                f"has no term of {field}: name a file that has, or drop the rule"
            )
        rewrites["vocabulary"] = partial(vocabulary, labels=labels)
    return [(TIDY, _tidied), *((rule, rewrites[rule]) for rule in ORDER if rule in asked and rule != "first_value")]


def _tidied(counts: Counts) -> Changes:
    return {value: tidy(value) for value in counts}


def _unique(values: Iterable[str]) -> Labels:
    return tuple(dict.fromkeys(filter(None, values)))


def _with(record: Record, creator: Labels, type: Labels, material: Labels) -> Record:
    if (record.creator, record.type, record.material) == (creator, type, material):
        return record
    return replace(record, creator=creator, type=type, material=material)
