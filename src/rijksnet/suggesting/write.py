"""Suggestions as files: a table for a collection system, the same as JSON Lines, and what they rest on."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any

from rijksnet.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rijksnet.suggesting.rule import Precision
    from rijksnet.suggesting.suggestion import Doubt, Neighbour, Suggestion, Suggestions

#: Columns of the table: one row an object; `suggestion` is empty where none is dared.
COLUMNS = (
    "object_id",
    "challenge",
    "suggestion",
    "confidence",
    "why_not",
    "ranked",
    "nearest",
    "similarity",
    "images",
    "model",
    "weights",
    "precision_asked",
)

DOUBT_COLUMNS = ("object_id", "challenge", "label", "instead", "margin", "nearest", "images", "model", "weights")


def write(found: Suggestions, folder: Path, made: str) -> None:
    """Write `<challenge>.csv`, `.jsonl` and `.json`, and `<challenge>-doubts.csv` where labels were checked.

    Args:
        made: when, ISO 8601.
    """
    _table(folder / f"{found.challenge}.csv", COLUMNS, (_row(found, one) for one in found.objects))
    with (
        replacing(folder / f"{found.challenge}.jsonl") as partial,
        partial.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for one in found.objects:
            file.write(json.dumps(_record(found, one), ensure_ascii=False) + "\n")
    doubts = folder / f"{found.challenge}-doubts.csv"
    if found.checked is not None:
        _table(doubts, DOUBT_COLUMNS, (_doubt(found, one) for one in found.doubts))
    else:
        doubts.unlink(missing_ok=True)  # of an earlier call, and of other suggestions
    with replacing(folder / f"{found.challenge}.json") as partial:
        text = json.dumps(summary(found) | {"made": made}, indent=2, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")


def summary(found: Suggestions) -> dict[str, Any]:
    """What the suggestions rest on: model, rule, how often it is right, and how the collection differs from its own."""
    reasons = [one.why_not for one in found.objects if one.why_not]
    return {
        "collection": found.collection,
        "challenge": found.challenge,
        "model": found.model,
        "run": found.run,
        "weights": found.weights,
        "precision_asked": found.asked,
        "blank": len(found.objects),
        "suggested": len(found.dared),
        "not_suggested": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
        "measured": _precision(found.measured),
        "rule": {
            "set_on": found.reference,
            "of_unknown_classes": found.strangers,
            "temperature": found.rule.temperature,
            "thresholds": [
                {
                    "class": name,
                    "confidence": finite(one.confidence),
                    "precision": finite(one.precision),
                    "low": one.low,
                    "high": one.high,
                    "answered": one.answered,
                    "objects": one.objects,
                }
                for name, one in found.rule.thresholds.items()
            ],
        },
        "drift": {
            "unlike": found.drift.unlike,
            "expected": found.drift.expected,
            "unknown_because": found.drift.why_unknown,
            "promised_at_home": _precision(found.drift.promised) if found.drift.promised else None,
        },
        "checked": None if found.checked is None else {"labels": found.checked.answered, "agreed": found.checked.right},
        "unchecked": found.unchecked,
        "doubts": len(found.doubts),
    }


def finite(value: float) -> float | None:
    """The number, or None where there is none: JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def _precision(one: Precision) -> dict[str, Any]:
    low, high = one.interval
    return {
        "right": one.right,
        "answered": one.answered,
        "objects": one.objects,
        "precision": finite(one.share),
        "low": low,
        "high": high,
        "coverage": one.coverage,
    }


def _table(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(found: Suggestions, one: Suggestion) -> dict[str, str]:
    return {
        "object_id": one.object_id,
        "challenge": found.challenge,
        "suggestion": "" if one.why_not else one.label,
        "confidence": f"{one.confidence:.4f}",
        "why_not": one.why_not,
        "ranked": " | ".join(f"{label} {probability:.4f}" for label, probability in one.ranked),
        "nearest": _nearest(one.neighbours),
        "similarity": "" if one.similarity is None else f"{one.similarity:.4f}",
        "images": " | ".join(one.images),
        "model": found.model,
        "weights": found.weights,
        "precision_asked": f"{found.asked:g}",
    }


def _doubt(found: Suggestions, one: Doubt) -> dict[str, str]:
    return {
        "object_id": one.object_id,
        "challenge": found.challenge,
        "label": one.label,
        "instead": one.instead,
        "margin": f"{one.margin:.4f}",
        "nearest": _nearest(one.neighbours),
        "images": " | ".join(one.images),
        "model": found.model,
        "weights": found.weights,
    }


def _nearest(neighbours: Sequence[Neighbour]) -> str:
    return " | ".join(f"{one.object_id}: {one.label} {one.similarity:.3f}" for one in neighbours)


def _record(found: Suggestions, one: Suggestion) -> dict[str, Any]:
    return {
        "object_id": one.object_id,
        "challenge": found.challenge,
        "suggestion": None if one.why_not else one.label,
        "confidence": one.confidence,
        "least_confidence": finite(one.least),
        "why_not": one.why_not or None,
        "ranked": [{"label": label, "probability": probability} for label, probability in one.ranked],
        "nearest": [vars(neighbour) for neighbour in one.neighbours],
        "similarity": one.similarity,
        "images": list(one.images),
        "model": found.model,
        "run": found.run,
        "weights": found.weights,
        "precision_asked": found.asked,
    }
