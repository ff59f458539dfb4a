"""The class filters of the Rijksmuseum Challenge 2014, for its own official split.

Source: Mensink and van Gemert 2014, and their released code (github.com/tmensink/rijkschallenge, rijks_load.m).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rijksnet.protocol import REST, SPLITS, TEST

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Makers that are no class of their own: their objects go to `REST`.
UNNAMED = frozenset({"anoniem", "unknown"})

#: Test objects that a class must have at least (`minTstOcc`).
LEAST_IN_TEST = 10


def kept_classes(
    values: Sequence[Collection[str]], splits: Sequence[str], least_in_test: int = LEAST_IN_TEST
) -> set[str]:
    """Classes that occur in all three splits, and in at least `least_in_test` test objects.

    `values[i]` are all values that object i lists, not only its first, and `splits[i]` is its split; an object in none
    of the three ("") does not count. Types and materials are filtered by this alone.
    """
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for listed, split in zip(values, splits, strict=True):
        if split in counts:
            counts[split].update(set(listed))
    everywhere = set.intersection(*(set(count) for count in counts.values()))
    return {name for name in everywhere if counts[TEST][name] >= least_in_test}


def kept_creators(values: Sequence[Collection[str]], splits: Sequence[str]) -> set[str]:
    """The creators that are classes of their own: `kept_classes` without the unnamed ones."""
    return {name for name in kept_classes(values, splits) if name.lower() not in UNNAMED}


def creator_class(values: Sequence[str], kept: Collection[str]) -> str:
    """The class of an object by `creator`: its first creator where that one is kept, else `rest`.

    Every object has a class: the unnamed and those without any creator are `rest`, too.
    """
    return values[0] if values and values[0] in kept else REST
