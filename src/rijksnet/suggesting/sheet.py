"""The suggestions as a page to look through: each object's picture, what speaks for its label, and what is doubted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rijksnet.files import replacing
from rijksnet.paths import CollectionPaths
from rijksnet.rendering import html
from rijksnet.rendering.html import percent, some
from rijksnet.rendering.pictures import QUALITY, SIDE, Pictures
from rijksnet.saliency.gallery import over

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rijksnet.rendering.pictures import Picture
    from rijksnet.suggesting.rule import Precision
    from rijksnet.suggesting.suggestion import Doubt, Neighbour, Suggestion, Suggestions

#: So many are shown: of those that are dared, of those that are not, and of doubts. The files have all.
DARED, NOT_DARED, DOUBTED = 300, 60, 60


#: What an object lacks that is blank for a challenge.
WHAT = {"material": "a material", "type": "a type", "artist": "a named maker"}


@dataclass(frozen=True)
class NeighbourCard:
    neighbour: Neighbour
    picture: Picture


@dataclass(frozen=True)
class Card:
    """One object on the page."""

    about: Suggestion | Doubt
    picture: Picture
    looked: str  #: where the network looked, as an address; empty: not computed
    neighbours: list[NeighbourCard]


def write_sheet(found: Suggestions, folder: Path) -> Path:
    """Write `<challenge>.html`: one file, without scripts or network."""
    pictures = Pictures(CollectionPaths(found.collection))
    dared, rest = found.dared, [one for one in found.objects if one.why_not]
    by_label: dict[str, list[Card]] = {}
    for one in dared[:DARED]:
        by_label.setdefault(one.label, []).append(_card(one, pictures, found))
    page = html.render(
        "suggestions.html.j2",
        found=found,
        verdict=verdict(found),
        dared=dared,
        rest=rest,
        shown=min(len(dared), DARED),
        by_label=dict(sorted(by_label.items(), key=lambda item: (-len(item[1]), item[0]))),
        not_dared=[_card(one, pictures, found) for one in rest[:NOT_DARED]],
        doubted=[_card(one, pictures, found) for one in found.doubts[:DOUBTED]],
        thresholds=_thresholds(found),
        size=SIDE,
        what=WHAT[found.challenge],
    )
    file = folder / f"{found.challenge}.html"
    with replacing(file) as partial:
        partial.write_text(page, encoding="utf-8")
    return file


def verdict(found: Suggestions) -> list[str]:
    """What a person should know before they believe any of it, a sentence each."""
    blank, dared = len(found.objects), len(found.dared)
    if blank:
        said = [f"For {dared:,} of {some(blank, 'object')} without {WHAT[found.challenge]} one is suggested."]
    else:
        said = [f"All objects have {WHAT[found.challenge]}."]
    said.append(_measured(found))
    drift = found.drift
    if drift.promised is not None and drift.promised.answered:
        said.append(
            f"By the rule that was set where the network was trained, {_share(drift.promised)} of "
            f"{some(drift.promised.answered, 'answer')} were right here, where {percent(found.asked)} were asked for."
        )
    if drift.unlike is None:
        said.append(
            f"Whether its pictures look like those that the network learnt from is not known: {drift.why_unknown}."
        )
    elif drift.unlike > 3 * drift.expected:
        said.append(
            f"Take care: {percent(drift.unlike)} of these pictures are unlike all that the network learnt from, where "
            f"{percent(drift.expected)} are at home; they get no suggestion."
        )
    return said


def _measured(found: Suggestions) -> str:
    if not found.reference:
        return "No labelled object here shows how often the network is right, so that it dares nothing."
    if not found.measured.answered:
        return (
            f"{some(found.reference, 'labelled object')} that it did not learn from do not show a precision of "
            f"{percent(found.asked)} for any answer: ask for less with --precision, or label more."
        )
    return (
        f"Of {some(found.measured.answered, 'such answer')} to labelled objects that did not set the rule, "
        f"{_share(found.measured)} were right; {percent(found.asked)} were asked for."
    )


def _share(one: Precision) -> str:
    low, high = one.interval
    return f"{percent(one.share)} ({percent(low)} to {percent(high)})"


def _thresholds(found: Suggestions) -> list[list[str]]:
    rows = []
    for name, one in found.rule.thresholds.items():
        shown = [name or "all others"]
        if one.answered:
            shown += [f"{one.confidence:.3f}", f"{one.answered:,} of {one.objects:,}", percent(one.precision)]
            shown += [f"{percent(one.low)} to {percent(one.high)}"]
        else:
            shown += ["never", f"0 of {one.objects:,}", "", ""]
        rows.append(shown)
    return rows


def _card(one: Suggestion | Doubt, pictures: Pictures, found: Suggestions) -> Card:
    near = [NeighbourCard(its, pictures.of(its.object_id, its.image)) for its in one.neighbours]
    its_map = found.maps.get(one.object_id)
    looked = "" if its_map is None else _overlay(pictures, one.images, its_map)
    return Card(one, pictures.of(one.object_id, one.images[0]), looked, near)


def _overlay(pictures: Pictures, images: Sequence[str], its_map: NDArray[np.float32]) -> str:
    """Where the network looked, over the picture in grey."""
    grey = Image.fromarray(pictures.pixels(images[0])).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    drawn = Image.fromarray(its_map).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    mixed = over(np.asarray(grey, np.float64) / 255, np.asarray(drawn, np.float32))
    return html.encoded(Image.fromarray((255 * mixed).astype(np.uint8)), "JPEG", QUALITY)
