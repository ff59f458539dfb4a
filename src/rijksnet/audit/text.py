"""The audit in words: its verdict and a few small tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.audit.words import verdict
from rijksnet.rendering.grid import NOT_APPLICABLE, Grid, escaped
from rijksnet.rendering.html import percent, some, thousands
from rijksnet.statistics.bands import BANDS

if TYPE_CHECKING:
    from rijksnet.audit.facts import Audit, ChallengeFacts
    from rijksnet.audit.pairs import Repeated

#: Rights statements listed.
STATEMENTS = 6

#: Repeated pictures listed.
PICTURES = 12


def text(audit: Audit) -> str:
    """The audit in Markdown."""
    tables = [_classes(audit), _splits(audit), _duplicates(audit), _repeated(audit), _left_out(audit), _rights(audit)]
    parts = [
        f"# Audit of {audit.collection}: {audit.objects:,} objects, {audit.images:,} images",
        "\n".join(f"- {escaped(sentence)}" for sentence in verdict(audit)),
        *(f"## {grid.title}\n\n{grid.markdown()}" for grid in tables if grid.rows),
        *map(escaped, audit.absent),
    ]
    return "\n\n".join(parts) + "\n"


def _classes(audit: Audit) -> Grid:
    """A row a challenge; the columns of bands give classes and their share of the objects."""
    headings = ["challenge", "largest class", "labelled", "classes", "effective", "largest / median"]
    headings += [f"{rule.name} ({rule})" for rule in BANDS]
    rows = []
    for one in audit.challenges:
        label, n = next(iter(one.classes.items()))
        row = [
            one.challenge,
            f"{escaped(label)} {percent(n / one.labelled)}",
            thousands(one.labelled),
            f"{len(one.classes):,}",
        ]
        row += [f"{one.imbalance.effective_classes:,.1f}", f"{one.imbalance.ratio:,.0f}"]
        rows.append(row + [f"{band.classes:,}: {percent(band.share)}" for band in one.bands])
    return Grid("Classes, and the share of the objects in each band", headings, rows, text_columns=2)


def _splits(audit: Audit) -> Grid:
    headings = ["challenge", "split", "classes kept", "objects kept", "train", "validation", "test", "majority"]
    return Grid("What a class in every split keeps", headings, [_split(one) for one in audit.challenges], 2)


def _split(one: ChallengeFacts) -> list[str]:
    split = one.split
    if split is None:
        return [one.challenge, "none possible", *[NOT_APPLICABLE] * 6]
    name = f"{split.rule}, seed 0 drawn here" if split.drawn else split.rule
    if split.folds > 1:
        name = f"first of {split.folds} folds"
    kept = [f"{split.kept[unit]:,} of {split.labelled[unit]:,}" for unit in ("classes", "objects")]
    return [
        one.challenge,
        name,
        *kept,
        *(thousands(of["objects"]) for of in split.splits.values()),
        percent(split.majority),
    ]


def _duplicates(audit: Audit) -> Grid:
    headings = ["challenge", "in different splits", "tested objects like a training object", "with different labels"]
    if audit.duplicates is None:
        return Grid("", headings, [], 1)
    rows = [
        [
            one.challenge,
            _of(one.parted, one.in_splits),
            _of(one.exposed, one.tested),
            _of(one.contradicting, one.labelled),
        ]
        for one in audit.duplicates.challenges
    ]
    found = audit.duplicates
    title = f"Near-duplicate pictures: {some(found.pairs, 'pair')}, {found.same_object:,} of them of one object"
    return Grid(title, headings, rows if found.pairs else [], 1)


def _repeated(audit: Audit) -> Grid:
    headings = ["the first image of it", "objects", "shows next to nothing", "classes", "in splits"]
    found = audit.duplicates.repeated if audit.duplicates else ()
    rows = [
        [
            escaped(one.image),
            thousands(one.objects),
            "yes" if one.blank else "",
            _by(one.labels),
            escaped(_splits_of(one)),
        ]
        for one in found[:PICTURES]
    ]
    return Grid("One picture for several objects", headings, rows, text_columns=1)


def _by(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} of {challenge}" for challenge, n in counts.items() if n)


def _splits_of(one: Repeated) -> str:
    parts = {
        challenge: " / ".join(f"{n:,} {split}" for split, n in its.items()) for challenge, its in one.splits.items()
    }
    return "; ".join(f"{challenge}: {its}" for challenge, its in parts.items() if its)


def _of(n: int | None, total: int | None) -> str:
    return NOT_APPLICABLE if n is None or total is None else f"{n:,} of {total:,}"


def _left_out(audit: Audit) -> Grid:
    parts = (("record", audit.rejects), ("image", audit.unreadable))
    rows = [[what, escaped(one.reason), thousands(one.count)] for what, part in parts for one in part or ()]
    return Grid("Left out", ["what", "reason", "number"], rows, text_columns=2)


def _rights(audit: Audit) -> Grid:
    rows = [[escaped(one.statement) or "(none)", thousands(one.images), percent(one.share)] for one in audit.rights]
    return Grid("Rights statements", ["statement", "images", "of all"], rows[:STATEMENTS], text_columns=1)
