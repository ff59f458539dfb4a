"""Values as text: what is always tidied, when two are the same but for their spelling, and the rule `spelling`."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from functools import cache

#: The fields that hold labels.
FIELDS = ("creator", "type", "material")

#: How many objects of a collection have a value.
Counts = Mapping[str, int]

#: What a rule does to a collection's values: old value to new one, the empty string where it is dropped.
Changes = dict[str, str]

#: Letters whose stroke or ligature Unicode does not take apart.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


def tidy(value: str) -> str:
    """Unicode NFC, stripped, each run of white space one space."""
    return " ".join(unicodedata.normalize("NFC", value).split())


def words(value: str) -> list[str]:
    """The words of a value without case, diacritics and punctuation: "Gheyn, Jacob de (II)" is gheyn jacob de ii.

    Symbols stay ("P+P" is not "PP"), and so do marks that are no accents, as in Japanese.
    """
    return "".join(map(_bare, unicodedata.normalize("NFKD", value.casefold().translate(_PLAIN)))).split()


def fold(value: str) -> str:
    """What two values have in common that differ only in case, diacritics, white space or punctuation.

    Single letters keep apart, so that "A. Liamet" is not "Aliamet". A value of nothing but punctuation stays itself.
    """
    return "".join(f" {word} " if len(word) == 1 else word for word in words(value)) or value


def best(spellings: Mapping[str, int]) -> str:
    """The spelling that most objects have; of equals the first by alphabet."""
    return min(spellings, key=lambda value: (-spellings[value], value))


def spelling(counts: Counts) -> Changes:
    """Values that differ only in case, diacritics, white space or punctuation take the most frequent spelling."""
    alike: dict[str, dict[str, int]] = defaultdict(dict)
    for value, count in counts.items():
        alike[fold(value)][value] = count
    changes: Changes = {}
    for spellings in alike.values():
        chosen = best(spellings)
        changes |= {value: chosen for value in spellings if value != chosen}
    return changes


@cache
def _bare(letter: str) -> str:
    if "\u0300" <= letter <= "\u036f":
        return ""
    return " " if unicodedata.category(letter)[0] in "ZP" or unicodedata.category(letter) == "Cf" else letter
