"""What people decide about suggestions: appended to a table, a row a decision, never changed and never lost."""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from dataclasses import dataclass, fields
from itertools import combinations
from typing import TYPE_CHECKING, Literal, get_args

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
    """Add a decision; it is on the disk when this returns. Several processes may write to the same table.

    Raises:
        ReviewError: the table is another one, or cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow([getattr(decision, name) for name in COLUMNS])
    with FileLock(f"{file}.lock"):
        try:
            with file.open("a+", encoding="utf-8", newline="") as table:
                table.seek(0)
                head = table.readline().rstrip("\r\n")
                if head and head != ",".join(COLUMNS):
                    raise ReviewError(f"{file} begins with {head[:200]!r}, not with {','.join(COLUMNS)}: move it away")
                table.seek(0, os.SEEK_END)
                whole = "" if head else ",".join(COLUMNS) + "\n"
                if head and not _ends_with_a_line(file):
                    whole = "\n"  # who wrote last died in the middle of a row
                table.write(whole + row.getvalue())
                table.flush()
                os.fsync(table.fileno())
        except OSError as error:
            raise ReviewError(f"{file} cannot be written ({error}): the decision is not kept") from error


def _ends_with_a_line(file: Path) -> bool:
    with file.open("rb") as table:
        table.seek(-1, os.SEEK_END)
        return table.read(1) == b"\n"


def read(file: Path) -> list[Decision]:
    """All decisions, in the order that they were made; none where there is no table. A torn row is no decision.

    Raises:
        ReviewError: it is another table.
    """
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as table:
        rows = csv.reader(table)
        head = next(rows, [])
        if tuple(head) != COLUMNS:
            raise ReviewError(f"{file} has the columns {head}, not {list(COLUMNS)}: it is no table of decisions")
        whole = [row for row in rows if len(row) == len(COLUMNS) and row[2] in get_args(Kind)]
        return [Decision(**dict(zip(COLUMNS, row, strict=True))) for row in whole]  # type: ignore[arg-type]


def standing(decisions: Iterable[Decision]) -> dict[tuple[str, str], Decision]:
    """Each person's last decision about each object, by (who, object id), but for those that were undone."""
    found: dict[tuple[str, str], Decision] = {}
    for one in decisions:
        if one.decision == "undo":
            found.pop((one.who, one.object_id), None)
        else:
            found[one.who, one.object_id] = one
    return found


@dataclass(frozen=True)
class Pace:
    """How far one person has come: decided objects, and minutes a hundred of them take; None before there are any."""

    decided: int
    minutes_per_hundred: float | None


def pace(decisions: Sequence[Decision], who: str) -> Pace:
    """Times of more than AWAY_S between being shown and being decided do not count."""
    its = [one for (name, _), one in standing(decisions).items() if name == who]
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
    for (who, object_id), one in standing(decisions).items():
        if one.decision != "skip":
            said[who][object_id] = one.label if one.decision in GIVING else NOTHING
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
