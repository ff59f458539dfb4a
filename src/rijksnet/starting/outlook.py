"""What can be learnt from a collection, before it is: images that are there, classes with enough objects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.collection_params import Cleaning
from rijksnet.collections.build import sift
from rijksnet.collections.cleaning import clean
from rijksnet.collections.cleaning.nothing import says_nothing
from rijksnet.collections.records import Record, Reject
from rijksnet.data.splits import COLUMN_OF
from rijksnet.protocol import label_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rijksnet.params import Challenge

#: Below so many objects a tenth decides nothing: folds test each object once.
SMALL = 5000

FOLDS = 5


@dataclass(frozen=True)
class ChallengeOutlook:
    """A challenge: objects by class, the largest first; and how many classes have too few objects for every part.

    Words for nothing are no classes; `words_for_nothing`: there are some, which the cleaning rule `nothing` drops.
    """

    classes: dict[str, int]
    too_few: int
    words_for_nothing: bool

    @property
    def works(self) -> bool:
        return len(self.classes) - self.too_few >= 2


@dataclass(frozen=True)
class Outlook:
    """Objects and images that can be used, what is left out by reason (an example each), and the challenges."""

    objects: int
    images: int
    left_out: dict[str, tuple[int, str]]
    challenges: dict[Challenge, ChallengeOutlook]

    @property
    def folds(self) -> int:
        return FOLDS if self.objects < SMALL else 1

    @property
    def least(self) -> int:
        """How many objects a class needs to be in every part."""
        return self.folds if self.folds > 1 else 3


def outlook(reader: Iterable[Record | Reject]) -> Outlook:
    """Read a collection as `rijksnet catalogue` does, and count.

    Raises:
        CollectionError: as the reader does.
    """
    items = list(reader)
    cleaned, _ = clean([one for one in items if isinstance(one, Record)], Cleaning(), Path())
    records, rejects = sift([*cleaned, *(one for one in items if isinstance(one, Reject))])
    left_out: dict[str, tuple[int, str]] = {}
    for one in rejects:
        n, example = left_out.get(one.reason, (0, f"{one.object_id} {one.image}: {one.detail}".strip()))
        left_out[one.reason] = n + 1, example
    labels = {one.object_id: {c: label_of(c, getattr(one, field)) for c, field in COLUMN_OF.items()} for one in records}
    found = Outlook(len(labels), len(records), left_out, {})
    for challenge in COLUMN_OF:
        counts = Counter(label for of_object in labels.values() if (label := of_object[challenge]))
        nothing = [label for label in counts if says_nothing(label)]
        for label in nothing:
            del counts[label]
        few = sum(n < found.least for n in counts.values())
        found.challenges[challenge] = ChallengeOutlook(dict(counts.most_common()), few, bool(nothing))
    return found
