"""The rule `roles`: what stands around a maker's name, and whether it says that another hand made the object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rijksnet.collections.cleaning.phrases import INSCRIPTION, OTHER_HAND, OTHER_HAND_IN_BRACKETS, THIS_HAND, TRADES
from rijksnet.collections.cleaning.values import words

if TYPE_CHECKING:
    from rijksnet.collections.cleaning.values import Changes, Counts

_LONGEST = max(len(phrase.split()) for phrase in THIS_HAND | OTHER_HAND)
_OWN_DESIGN = re.compile(
    r"(?:naar eigen|after (?:his |her )?own|nach eigene[mrn]|d['’]après son propre) \w+(?: (?:van|by|von|de))?(?:: | )",
    re.IGNORECASE,
)
_HEAD = re.compile(r"(?P<role>[^:,()]+): (?P<name>.+)")
_ASIDE = re.compile(r"(?P<name>.+?)(?: ?\((?P<brackets>[^()]*)\)|, ?(?P<comma>[^,()]*))")


def roles(counts: Counts) -> Changes:
    """Makers' roles are stripped, and makers whose hand it is not are dropped.

    - "prentmaker: Rembrandt van Rijn" is Rembrandt van Rijn: what stands before a colon is a role. So is "naar eigen
      ontwerp van" (after his own design), and inscriptions such as "(vermeld op object)" go.
    - Attributed to, presumably, probably: counts as the maker, for that is the museum's judgement.
    - After, copy, workshop, circle, follower, school, manner, pupil, possibly, formerly attributed to: the value is
      dropped, because another hand made the object, or nobody says that this one did.
    - (I), (II), years and places in brackets stay: they tell namesakes apart.
    - A trade in brackets goes only if most makers of the collection have one. Else it tells namesakes apart as well: in
      the Rijksmuseum "Both, Jan" painted, and "Both, Jan (zilversmid)" did not.
    """
    makers = {value: maker_of(value) for value in counts}
    bare = {maker: without for maker in makers.values() if (without := _without_trade(maker)) != maker}
    if 2 * sum(maker in bare for maker in makers.values()) > len(makers):
        makers = {value: bare.get(maker, maker) for value, maker in makers.items()}
    return {value: maker for value, maker in makers.items() if maker != value}


def maker_of(value: str) -> str:
    """The name in a value without roles, attributions and inscriptions; empty where another hand is meant."""
    before = ""
    while value != before:
        before, value = value, _without_outermost(value)
    return value


def _without_outermost(value: str) -> str:
    if own := _OWN_DESIGN.match(value):
        return value[own.end() :]
    if head := _HEAD.fullmatch(value):
        return "" if _mentions_other_hand(head["role"]) else head["name"]
    if aside := _ASIDE.fullmatch(value):
        said = _said(aside["brackets"] or aside["comma"] or "")
        if said in (OTHER_HAND if aside["brackets"] is None else OTHER_HAND_IN_BRACKETS):
            return ""
        if said in THIS_HAND or said in INSCRIPTION:
            return aside["name"]
    return _without_said(value)


def _without_said(value: str) -> str:
    """ "attributed to Rembrandt" is Rembrandt, "after Rembrandt" nobody; "Nach, Jan" is a name and stays."""
    parts = value.split()
    for length in range(min(_LONGEST, len(parts) - 1), 0, -1):
        phrase = _said(" ".join(parts[:length]))
        if parts[length - 1][-1] in ",.":
            continue
        if phrase in OTHER_HAND:
            return ""
        if phrase in THIS_HAND:
            return " ".join(parts[length:])
    return value


def _mentions_other_hand(role: str) -> bool:
    parts = words(role)
    ranges = [(start, end) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1)]
    return any(" ".join(parts[start:end]) in OTHER_HAND for start, end in ranges)


def _without_trade(maker: str) -> str:
    aside = _ASIDE.fullmatch(maker)
    trades = words((aside and aside["brackets"]) or "")
    return aside["name"] if aside and trades and TRADES.issuperset(trades) else maker


def _said(text: str) -> str:
    return " ".join(words(text))
