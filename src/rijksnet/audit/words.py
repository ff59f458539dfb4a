"""The audit in words: its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.rendering.html import percent, some

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rijksnet.audit.facts import Audit, ChallengeFacts
    from rijksnet.audit.pairs import PairCounts

#: Shares from which the verdict speaks of: a challenge's objects without a label or with several values; images and
#: records left out; one class among the tested images.
MANY, LOST, DOMINANT = 0.1, 0.01, 0.5

#: Repeated pictures whose numbers of objects the verdict gives.
FEW = 3


def listed(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def verdict(audit: Audit) -> list[str]:
    """What a curator should know first, a sentence or two each, the most urgent first."""
    said = [
        _repeated(audit),
        _parted(audit),
        _contradicting(audit),
        _dominant(audit),
        _unlabelled(audit),
        _several(audit),
        _kept(audit),
        _left_out(audit),
        _rights(audit),
        "" if audit.duplicates else "Near-duplicate pictures were not looked for: no pixels are packed.",
    ]
    found = [sentence for sentence in said if sentence]
    return found or ["Nothing here needs a curator's attention."]


def _repeated(audit: Audit) -> str:
    found = audit.duplicates.repeated if audit.duplicates else ()
    if not found:
        return ""
    objects = [f"{one.objects:,}" for one in found[:FEW]]
    more = f" and {len(found) - FEW:,} more for fewer" if len(found) > FEW else ""
    what = (
        f"One picture stands for {objects[0]} objects"
        if len(found) == 1
        else (f"{len(found):,} pictures stand for several objects each: {listed(objects)}{more}")
    )
    parted = any(len(splits) > 1 for one in found for splits in one.splits.values())
    return f"{what}{', in different splits' if parted else ''}: perhaps cards that say that there is no image."


def _parted(audit: Audit) -> str:
    if audit.duplicates is None:
        return ""
    if not audit.duplicates.pairs:
        return "There are no near-duplicate pictures."
    parted = [(counts, n, counts.in_splits or 0) for counts in audit.duplicates.challenges if (n := counts.parted)]
    if not parted:
        whole = any(counts.parted is not None for counts in audit.duplicates.challenges)
        pairs = some(audit.duplicates.pairs, "pair")
        return f"There {'is' if audit.duplicates.pairs == 1 else 'are'} {pairs} of near-duplicate pictures; " + (
            "no split parts any." if whole else "no split has been made that could part them."
        )
    pairs = listed(f"{n:,} of {some(total, 'pair')} for {counts.challenge}" for counts, n, total in parted)
    text = f"Splits part near-duplicate pictures: {pairs}. {_exposed([counts for counts, *_ in parted])}"
    rules = {one.split.rule for one in audit.challenges if one.split and not one.split.drawn}
    if "paper" in rules:
        return f"{text} Set splits.together to near_duplicates."
    return f"{text} The split is not drawn here: say so beside its results."


def _exposed(counts: Iterable[PairCounts]) -> str:
    shares = [f"{c.exposed:,} of {c.tested:,} for {c.challenge}" for c in counts if c.exposed]
    if not shares:
        return "No tested object has nearly the same picture among the training objects."
    return f"Of the tested objects, {listed(shares)} have nearly the same picture among the training objects."


def _contradicting(audit: Audit) -> str:
    found = [one for one in (audit.duplicates.challenges if audit.duplicates else ()) if one.contradicting]
    if not found:
        return ""
    pairs = listed(f"{one.contradicting:,} of {some(one.labelled, 'pair')} by {one.challenge}" for one in found)
    return f"Near-duplicate pictures of different objects carry different labels: {pairs}; look at them."


def _dominant(audit: Audit) -> str:
    large = [
        f"“{one.split.majority_class}” {percent(one.split.majority)} for {one.challenge}"
        for one in audit.challenges
        if one.split and one.split.majority >= DOMINANT
    ]
    if not large:
        return ""
    return f"Always answering one class is already right often: {listed(large)}; read macro F1 beside the accuracy."


def _unlabelled(audit: Audit) -> str:
    return _shares(audit, "Many objects have no label", lambda one: one.no_value + one.unnamed, "")


def _several(audit: Audit) -> str:
    return _shares(audit, "Many objects list several values", lambda one: one.several_values, "; the first is learnt")


def _shares(audit: Audit, what: str, count: Callable[[ChallengeFacts], int], end: str) -> str:
    many = [one for one in audit.challenges if count(one) >= MANY * one.objects]
    if not many:
        return ""
    return f"{what}: {listed(f'{percent(count(one) / one.objects)} for {one.challenge}' for one in many)}{end}."


def _kept(audit: Audit) -> str:
    splits = [(one.challenge, one.split) for one in audit.challenges if one.split]
    own = [(challenge, split) for challenge, split in splits if not split.drawn]
    kept = [
        f"{split.kept['classes']:,} of {split.labelled['classes']:,} classes and "
        f"{percent(split.kept['objects'] / split.labelled['objects'])} of the objects for {challenge}"
        for challenge, split in own or splits
    ]
    if not kept:
        return ""
    return f"{'The splits keep' if own else 'A split by the paper’s rule would keep'} {listed(kept)}."


def _left_out(audit: Audit) -> str:
    lost = sum(one.count for part in (audit.rejects, audit.unreadable) for one in part or ())
    read = audit.images + sum(one.count for one in audit.rejects or ())
    if lost < LOST * read:
        return ""
    return f"{percent(lost / read)} of the records or images cannot be used."


def _rights(audit: Audit) -> str:
    without = next((one for one in audit.rights if not one.statement), None)
    if without is None:
        return ""
    return f"{'No image' if without.share == 1 else percent(without.share) + ' of the images'} " + (
        "has a rights statement." if without.share == 1 else "have no rights statement."
    )
