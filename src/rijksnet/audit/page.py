"""The audit as one HTML page: no script, no network, its pictures inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from rijksnet.audit import plot, words
from rijksnet.rendering import html
from rijksnet.statistics.bands import BANDS

if TYPE_CHECKING:
    from rijksnet.audit.facts import Audit, ChallengeFacts
    from rijksnet.audit.pairs import Pair, Repeated
    from rijksnet.rendering.pictures import Picture, Pictures

TEMPLATE = "audit.html.j2"

#: Rows of tables; of classes with pictures, and pictures a class; of the smallest classes, a picture each.
LARGEST, PICTURED, PER_CLASS, SMALLEST = 15, 6, 8, 8
#: Pairs shown of each kind; objects with several images, and pictures of each.
PAIRS, OBJECTS, PER_OBJECT = 12, 6, 4
#: Removed classes and rights statements listed.
NAMED = 12
#: Rows of a distribution, the last for all that is larger.
ROWS = 6


@dataclass(frozen=True)
class ChallengeView:
    """A challenge as the page shows it."""

    facts: ChallengeFacts
    curve: Markup
    shares: Markup
    largest: list[tuple[str, int]]
    values: list[tuple[str, int]]  #: objects by how many values they list
    removed: list[tuple[str, int]]  #: the largest classes that the split removes
    pictured: list[tuple[str, list[Picture]]]
    smallest: list[tuple[str, Picture]]


@dataclass(frozen=True)
class PairView:
    """A pair with its two pictures."""

    pair: Pair
    a: Picture
    b: Picture


def page(audit: Audit, pictures: Pictures) -> str:
    """The page; the same audit and pictures give the same text."""
    notable = audit.duplicates.notable if audit.duplicates else ()
    return html.render(
        TEMPLATE,
        audit=audit,
        verdict=words.verdict(audit),
        bands=BANDS,
        colours=plot.COLOURS,
        size=pictures.size,
        challenges=[_challenge(one, pictures) for one in audit.challenges],
        parted=_pairs([pair for pair in notable if pair.parted], pictures),
        contradicting=_pairs([pair for pair in notable if pair.contradicts and not pair.parted], pictures),
        repeated=_repeated(audit, pictures),
        several=pictures.of_objects(OBJECTS, PER_OBJECT),
        images_per_object=_folded(audit.images_per_object),
        named=NAMED,
    )


def _challenge(facts: ChallengeFacts, pictures: Pictures) -> ChallengeView:
    ranked = list(facts.classes.items())
    largest = [label for label, n in ranked[:PICTURED] if n > 1]
    rest = [label for label, _ in ranked[len(largest) :]]
    fewest = [label for label in rest if facts.classes[label] == ranked[-1][1]]
    smallest = _evenly(fewest if len(fewest) >= SMALLEST else rest[-SMALLEST:])
    found = pictures.of_classes(facts.challenge, dict.fromkeys(largest, PER_CLASS) | dict.fromkeys(smallest, 1))
    removed = sorted(facts.split.removed_classes.items(), key=lambda item: (-item[1], item[0])) if facts.split else []
    return ChallengeView(
        facts=facts,
        curve=Markup(plot.rank_frequency(list(facts.classes.values()))),
        shares=Markup(plot.shares(facts.bands)),
        largest=ranked[:LARGEST],
        values=_folded(facts.values),
        removed=removed[:NAMED],
        pictured=[(label, found[label]) for label in largest if found[label]],
        smallest=[(label, found[label][0]) for label in smallest if found[label]],
    )


def _folded(counts: dict[int, int]) -> list[tuple[str, int]]:
    """At most `ROWS` rows of a distribution, in its order; the last sums up what does not fit."""
    rows = [(str(value), n) for value, n in counts.items()]
    if len(rows) <= ROWS:
        return rows
    return [*rows[: ROWS - 1], (f"{rows[ROWS - 1][0]} and more", sum(n for _, n in rows[ROWS - 1 :]))]


def _evenly(labels: list[str]) -> list[str]:
    """At most `SMALLEST` of them, from first to last."""
    step = max(1, len(labels) // SMALLEST)
    return labels[::step][:SMALLEST]


def _repeated(audit: Audit, pictures: Pictures) -> list[tuple[Repeated, Picture]]:
    found = audit.duplicates.repeated if audit.duplicates and pictures.size is not None else ()
    return [(one, pictures.of(one.object_id, one.image)) for one in found[:PAIRS]]


def _pairs(pairs: list[Pair], pictures: Pictures) -> list[PairView]:
    if pictures.size is None:
        return []
    return [
        PairView(pair, pictures.of(pair.object_a, pair.image_a), pictures.of(pair.object_b, pair.image_b))
        for pair in pairs[:PAIRS]
    ]
