"""The rules `names` and `unnamed`: one spelling of one person, and makers that name nobody."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from rijksnet.collections.cleaning.phrases import NOBODY, NOT_APPLICABLE, TRADES
from rijksnet.collections.cleaning.values import best, words

if TYPE_CHECKING:
    from rijksnet.collections.cleaning.values import Changes, Counts

_NUMERAL = re.compile(r"[ivx]+|[js]r\.?", re.IGNORECASE)


def names(counts: Counts) -> Changes:
    """Orders of one name become the museum's, "Lastname, Firstname (I)", where that occurs in the collection.

    "Jacob de Gheyn (II)", "de Gheyn, Jacob (II)" and "Gheyn (II), Jacob de" become "Gheyn, Jacob de (II)"; of several
    names with a comma the most frequent is taken. Nothing is guessed: a name without comma stays where no inverted one
    reads the same, and (I), (II), years and trades stay, because they tell namesakes apart. Mere spelling is not
    touched: the rule `spelling` is for that.
    """
    same: dict[str, dict[str, int]] = defaultdict(dict)
    for value, count in counts.items():
        same[_as_read(value)][value] = count
    changes: Changes = {}
    for forms in same.values():
        inverted = {value: count for value, count in forms.items() if _inverted(value)}
        if len(forms) > 1 and inverted:
            chosen = best(inverted)
            changes |= {value: chosen for value in forms if words(value) != words(chosen)}
    return changes


def unnamed(counts: Counts) -> Changes:
    """Makers that name nobody are dropped: anonymous, unknown, various, not applicable, in eight languages.

    The whole value must say so, but for a place or date after a comma or in brackets ("anoniem, Noordelijke
    Nederlanden"). Monogrammists and masters with a name of convenience are makers and stay.
    """
    return {value: "" for value in counts if _nobody(value)}


def _nobody(value: str) -> bool:
    if value.lower() in NOT_APPLICABLE:
        return True
    said = words(re.split(r"[,;:(\[]", value.strip("(["), maxsplit=1)[0])
    if not NOBODY.intersection(said):
        return False
    return NOBODY.union(TRADES).issuperset(said) or (said[0] in NOBODY and said[-1] in TRADES)


def _inverted(value: str) -> tuple[str, str, str] | None:
    """Last name, first name and numeral of "Lastname, Firstname" or "Lastname, Firstname, II"; None for other forms."""
    parts = [part.strip() for part in value.split(",")]
    if len(parts) == 2:
        parts.append("")
    elif len(parts) != 3 or not _NUMERAL.fullmatch(parts[2]):
        return None
    if not parts[0] or not parts[1] or parts[1][0].isdigit():  # "Rembrandt, 1606-1669" is no inverted name
        return None
    return parts[0], parts[1], parts[2]


def _as_read(value: str) -> str:
    """The words of a name in the order in which it is read aloud; what stands in brackets comes last."""
    asides = re.findall(r"(?:^|\s)\(([^()]*)\)", value)
    plain = re.sub(r"(?:^|\s)\([^()]*\)", "", value)
    last, first, numeral = _inverted(plain) or ("", plain, "")
    return " ".join(words(" ".join([first, last, numeral, *asides])))
