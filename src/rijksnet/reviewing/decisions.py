"""What people decide about suggestions: appended to a file, a line a decision, never changed and never lost."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

from filelock import FileLock

from rijksnet.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Kind = Literal["accept", "correct", "reject", "skip", "undo"]

#: Decisions that give an object a label.
GIVING: tuple[Kind, ...] = ("accept", "correct")

#: A pause between two decisions after which a person was away, s: it does not count as work.
AWAY_S = 300.0

#: What two reviewers agree on where both reject.
NOTHING = ""


@dataclass(frozen=True)
class Decision:
    """One person's decision about one object. `label` is what the object gets; empty for all but `GIVING`."""

    object_id: str
    challenge: str
    decision: Kind
    label: str
    suggestion: str  #: what the network said first
    confidence: str
    why_not: str  #: why it was not dared; empty: it was
    model: str
    weights: str  #: sha256
    who: str
    at: str  #: ISO 8601, UTC
    seconds: str  #: since the object was shown


COLUMNS = tuple(field.name for field in fields(Decision))


def append(file: Path, decision: Decision) -> None:
    """Add a decision, a line of JSON; it is on the disk when this returns. Several processes may write to one file.

    Raises:
        ReviewError: the file is another one, or cannot be written: then the decision is not in it.
    """
    line = (json.dumps(asdict(decision), ensure_ascii=False) + "\n").encode()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            read(file)
            with file.open("ab+") as kept:
                before = kept.seek(0, os.SEEK_END)
                if before and not _ends_a_line(kept):
                    line = b"\n" + line  # who wrote last died in the middle of a line
                try:
                    kept.write(line)
                    kept.flush()
                    os.fsync(kept.fileno())
                except OSError:
                    kept.truncate(before)
                    raise
    except OSError as error:
        raise ReviewError(f"{file} cannot be written ({error}): the decision is not kept") from error


def _ends_a_line(kept: BinaryIO) -> bool:
    kept.seek(-1, os.SEEK_END)
    return kept.read(1) == b"\n"


def read(file: Path) -> list[Decision]:
    """All decisions, in the order that they were made; none where there is no file. A torn line is no decision.

    Raises:
        ReviewError: it is another file.
    """
    if not file.is_file():
        return []
    lines = [line for line in file.read_bytes().split(b"\n") if line.strip()]
    found = [one for line in lines if (one := _decision(line)) is not None]
    if len(lines) > 1 and not found:
        raise ReviewError(f"{file} holds no decision in {len(lines)} lines: it is another file; move it away")
    return found


def _decision(line: bytes) -> Decision | None:
    with suppress(ValueError, TypeError):
        content = json.loads(line)
        if content["decision"] in get_args(Kind):
            return Decision(**content)
    return None


def as_csv(decisions: Iterable[Decision]) -> str:
    """A row a decision, with `COLUMNS`."""
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in decisions)
    return table.getvalue()


def standing(decisions: Iterable[Decision]) -> dict[tuple[str, str], Decision]:
    """Each person's decision about each object that stands, by (who, object id): the last one that was not undone."""
    found: dict[tuple[str, str], list[Decision]] = {}
    for one in decisions:
        its = found.setdefault((one.who, one.object_id), [])
        if one.decision != "undo":
            its.append(one)
        elif its:
            its.pop()
    return {key: its[-1] for key, its in found.items() if its}


def labels_given(decisions: Iterable[Decision]) -> dict[str, dict[str, str]]:
    """What people say, by object id and who: a label, or NOTHING where they reject what is suggested. Skipping says
    nothing.
    """
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for (who, object_id), one in standing(decisions).items():
        if one.decision != "skip":
            said[object_id][who] = one.label if one.decision in GIVING else NOTHING
    return said


@dataclass(frozen=True)
class Pace:
    """How far one person has come: decided objects, skipped ones not among them, and minutes that a hundred of them
    take; None before there are any."""

    decided: int
    minutes_per_hundred: float | None


def pace(decisions: Sequence[Decision], who: str) -> Pace:
    """Times of more than AWAY_S between being shown and being decided do not count."""
    its = [one for (name, _), one in standing(decisions).items() if name == who and one.decision != "skip"]
    worked = [min(float(one.seconds), AWAY_S) for one in its if _is_number(one.seconds)]
    worked = [seconds for seconds in worked if seconds < AWAY_S]
    return Pace(len(its), sum(worked) / len(worked) / 60 * 100 if worked else None)


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False


@dataclass(frozen=True)
class Agreement:
    """How far two people agree about the `objects` that both decided: share, and Cohen's κ; None where κ is undefined,
    since both always said the same one thing."""

    first: str
    second: str
    objects: int
    share: float
    kappa: float | None


def agreements(decisions: Iterable[Decision]) -> list[Agreement]:
    """Of all pairs of people who decided the same objects (Cohen 1960). Skipped ones are not decided."""
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for object_id, its in labels_given(decisions).items():
        for who, label in its.items():
            said[who][object_id] = label
    return [
        _agreement(a, b, [(said[a][one], said[b][one]) for one in sorted(said[a].keys() & said[b].keys())])
        for a, b in combinations(sorted(said), 2)
        if said[a].keys() & said[b].keys()
    ]


def _agreement(first: str, second: str, pairs: Sequence[tuple[str, str]]) -> Agreement:
    n, labels = len(pairs), {label for pair in pairs for label in pair}
    observed = sum(a == b for a, b in pairs) / n
    by_chance = sum(sum(a == label for a, _ in pairs) / n * sum(b == label for _, b in pairs) / n for label in labels)
    kappa = None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)
    return Agreement(first, second, n, observed, kappa)
