"""Whether one version of a model may replace another: on the same test objects, and only if it is not worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rijksnet.errors import RunError
from rijksnet.rendering.grid import p_value
from rijksnet.statistics.claims import LEVEL
from rijksnet.statistics.significance import paired_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rijksnet.runs.result import RunResult
    from rijksnet.statistics.significance import PairedTest

#: By how much of all test images a candidate may be worse and still count as as good, where nothing else is asked for.
MARGIN = 0.01


@dataclass(frozen=True)
class Judgement:
    """Whether a candidate may replace a champion, why, and the test that says so; None where they do not compare."""

    accepted: bool
    reason: str
    test: PairedTest | None = None


def judge(candidate: RunResult, champion: RunResult, margin: float = MARGIN) -> Judgement:
    """A candidate is accepted if it is better, or if the interval of the difference excludes being worse by a margin.

    Args:
        margin: share of the test images, in [0,1].
    """
    refusal = _do_not_compare(candidate, champion)
    if refusal:
        return Judgement(False, refusal)
    if candidate.doubts:
        return Judgement(False, f"the candidate is doubtful: {'; '.join(candidate.doubts)}")
    try:
        test = paired_test(candidate.correct(), champion.correct())
    except RunError as error:
        return Judgement(False, f"they were tested on different objects: {error}")
    value = p_value(test.p) if test.p < 0.0001 else f"= {p_value(test.p)}"
    measured = (
        f"{_points(test.difference)} points on the same {test.n:,} test images ({_points(test.low)} to "
        f"{_points(test.high)}, p {value})"
    )
    if test.difference > 0 and test.p < LEVEL:
        return Judgement(True, f"it is better: {measured}", test)
    if test.low >= -margin:
        return Judgement(True, f"it is not worse by {margin:.1%} or more: {measured}", test)
    if test.difference < 0 and test.p < LEVEL:
        return Judgement(False, f"it is worse: {measured}", test)
    return Judgement(False, f"that it is not worse by {margin:.1%} or more is not shown: {measured}", test)


def _do_not_compare(candidate: RunResult, champion: RunResult) -> str:
    """Why the two answer different questions; empty: they do not."""
    of = [(run.key.collection, run.key.challenge, run.key.architecture) for run in (candidate, champion)]
    if of[0] != of[1]:
        return f"the candidate is of {'/'.join(of[0])}, the champion of {'/'.join(of[1])}"
    if candidate.classes != champion.classes:
        new, gone = _apart(candidate.classes, champion.classes)
        return f"their classes differ: {new} are new, {gone} are gone"
    ours, theirs = (run.correct().index for run in (candidate, champion))
    if len(ours) != len(theirs) or not np.array_equal(ours.sort_values(), theirs.sort_values()):
        mine, other = _apart(ours.get_level_values(0), theirs.get_level_values(0))
        return f"they were tested on different objects: the candidate alone on {mine}; the champion on {other}"
    if candidate.split_digest != champion.split_digest:
        return (
            f"they come from different splits ({candidate.split_digest[:12]}…, {champion.split_digest[:12]}…): what "
            "one was tested on, the other may have been trained on, or its labels are others"
        )
    return ""


def _apart(ours: Iterable[str], theirs: Iterable[str]) -> tuple[str, str]:
    """What only the one has, and what only the other."""
    a, b = set(ours), set(theirs)
    return _listed(sorted(a - b)), _listed(sorted(b - a))


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most]) or "none"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")
