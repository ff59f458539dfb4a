"""What an audit says of near-duplicate pictures: whether splits part them, and whether their labels contradict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from rijksnet.data.duplicates import groups
from rijksnet.protocol import SPLITS, TEST, TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from rijksnet.data.duplicates import RepeatedPicture
    from rijksnet.params import Challenge


@dataclass(frozen=True)
class PairLabels:
    """What one challenge says of the two pictures of a pair: None where a picture has no label, or is in no split."""

    challenge: Challenge
    label_a: str | None
    label_b: str | None
    split_a: str | None
    split_b: str | None

    @property
    def parted(self) -> bool:
        """In two splits: what is learnt from one picture is then asked of nearly the same."""
        return self.split_a is not None and self.split_b is not None and self.split_a != self.split_b

    @property
    def contradicts(self) -> bool:
        """Two labels for nearly the same picture."""
        return self.label_a is not None and self.label_b is not None and self.label_a != self.label_b


@dataclass(frozen=True)
class Pair:
    """Near-duplicate pictures of two objects; `distance` and `difference` as in `rijksnet.data.duplicates`."""

    object_a: str
    image_a: str
    object_b: str
    image_b: str
    distance: int
    difference: float
    sides: tuple[PairLabels, ...]

    @property
    def parted(self) -> bool:
        return any(side.parted for side in self.sides)

    @property
    def contradicts(self) -> bool:
        return any(side.contradicts for side in self.sides)


@dataclass(frozen=True)
class PairCounts:
    """Pairs by what one challenge says of them, and what follows for its test.

    `in_splits`: pairs of which both pictures stand in a split; `parted`: in different ones. `exposed` of the `tested`
    objects of the test split have a near-duplicate among the training objects, directly or through others.
    `contradicting` of the `labelled` pairs (both objects have a label) have two labels. None where there is no split.
    """

    challenge: Challenge
    in_splits: int | None
    parted: int | None
    tested: int | None
    exposed: int | None
    labelled: int
    contradicting: int


@dataclass(frozen=True)
class Duplicates:
    """Near-duplicate pairs: all, those of one object (several photographs of it), and the pictures that are in any.

    `notable` are the pairs that a split parts or whose labels contradict, the most alike first.
    """

    pairs: int
    same_object: int
    images: int
    challenges: tuple[PairCounts, ...]
    notable: tuple[Pair, ...]
    repeated: tuple[Repeated, ...]


@dataclass(frozen=True)
class Repeated:
    """One picture that stands for several objects (see `rijksnet.data.duplicates`), and what challenges say of these.

    `labels` and `splits` count its objects by challenge: of how many classes, and in which splits.
    """

    objects: int
    images: int
    object_id: str
    image: str
    blank: bool
    labels: dict[str, int]
    splits: dict[str, dict[str, int]]


class ChallengeLabels(NamedTuple):
    """What is known of a challenge's objects: `splits` is None where the collection has none."""

    labels: Mapping[str, str | None]  #: by object id
    splits: Mapping[str, str] | None  #: by object id; objects that no split holds are absent


def duplicates(
    found: pa.Table, known: Mapping[Challenge, ChallengeLabels], repeated: Sequence[RepeatedPicture]
) -> Duplicates:
    """The facts of the pairs, and of the repeated pictures, that `rijksnet.data.duplicates` found."""
    pairs = found.to_pandas()
    different = pairs[pairs["object_a"] != pairs["object_b"]]
    sides = {challenge: _sides(different, one) for challenge, one in known.items()}
    notable = np.zeros(len(different), dtype=bool)
    for side in sides.values():
        notable |= (side["parted"] | side["contradicts"]).to_numpy()
    objects = sorted({*pairs["object_a"], *pairs["object_b"]}.union(*(one.labels for one in known.values())))
    group_of = dict(zip(objects, groups(objects, found).tolist(), strict=True))
    counts = (_counts(challenge, one.splits, sides[challenge], group_of) for challenge, one in known.items())
    return Duplicates(
        pairs=len(pairs),
        same_object=len(pairs) - len(different),
        images=len({*pairs["image_a"], *pairs["image_b"]}),
        challenges=tuple(counts),
        notable=_listed(different[notable], {challenge: side[notable] for challenge, side in sides.items()}),
        repeated=tuple(_repeated(one, known) for one in repeated),
    )


def _repeated(found: RepeatedPicture, known: Mapping[Challenge, ChallengeLabels]) -> Repeated:
    labels, splits = {}, {}
    for challenge, one in known.items():
        named = {one.labels.get(object_id) for object_id in found.object_ids} - {None}
        labels[str(challenge)] = len(named)
        stand = Counter(
            one.splits[object_id] for object_id in found.object_ids if one.splits and object_id in one.splits
        )
        splits[str(challenge)] = {split: stand[split] for split in SPLITS if stand[split]}
    return Repeated(len(found.object_ids), found.images, found.object_id, found.image, found.blank, labels, splits)


def _sides(pairs: pd.DataFrame, known: ChallengeLabels) -> pd.DataFrame:
    """One row a pair: the fields of `Side`, and what follows from them; columns of objects, None where unknown."""
    columns = {}
    for end in ("a", "b"):
        object_ids = pairs[f"object_{end}"].tolist()
        columns[f"label_{end}"] = pd.Series([known.labels.get(one) for one in object_ids], dtype=object)
        columns[f"split_{end}"] = pd.Series([(known.splits or {}).get(one) for one in object_ids], dtype=object)
    sides = pd.DataFrame(columns)
    sides["both_split"] = sides["split_a"].notna() & sides["split_b"].notna()
    sides["both_labelled"] = sides["label_a"].notna() & sides["label_b"].notna()
    sides["parted"] = sides["both_split"] & (sides["split_a"] != sides["split_b"])
    sides["contradicts"] = sides["both_labelled"] & (sides["label_a"] != sides["label_b"])
    return sides


def _counts(
    challenge: Challenge, splits: Mapping[str, str] | None, sides: pd.DataFrame, group_of: Mapping[str, int]
) -> PairCounts:
    labelled, contradicting = int(sides["both_labelled"].sum()), int(sides["contradicts"].sum())
    if splits is None:
        return PairCounts(challenge, None, None, None, None, labelled, contradicting)
    trained = {group_of[object_id] for object_id, split in splits.items() if split == TRAIN}
    tested = [group_of[object_id] for object_id, split in splits.items() if split == TEST]
    in_splits, parted = int(sides["both_split"].sum()), int(sides["parted"].sum())
    exposed = sum(group in trained for group in tested)
    return PairCounts(challenge, in_splits, parted, len(tested), exposed, labelled, contradicting)


def _listed(pairs: pd.DataFrame, sides: Mapping[Challenge, pd.DataFrame]) -> tuple[Pair, ...]:
    """The pairs as values, the most alike first."""
    fields = ["label_a", "label_b", "split_a", "split_b"]
    rows = {challenge: list(side[fields].itertuples(index=False, name=None)) for challenge, side in sides.items()}
    columns = ["object_a", "image_a", "object_b", "image_b", "distance", "difference"]
    listed = [
        Pair(
            a, image_a, b, image_b, int(bits), round(float(unlike), 4), tuple(PairLabels(c, *rows[c][i]) for c in rows)
        )
        for i, (a, image_a, b, image_b, bits, unlike) in enumerate(pairs[columns].itertuples(index=False, name=None))
    ]
    return tuple(sorted(listed, key=lambda pair: (pair.difference, pair.distance, pair.object_a, pair.image_a)))
