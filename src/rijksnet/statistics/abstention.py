"""From which confidence on a network may answer, so that its answers are as often right as a person asks.

Answers are taken from the surest down, and so many are allowed as a test still shows to be right often enough. The
numbers of answers that are tested are fixed beforehand, in sequences that each end at the first that fails, so that
only the number of sequences needs a correction (fixed-sequence testing with several starts, in the manner of Learn then
Test: Angelopoulos et al. 2021). With one, a single wrong answer among the very surest would end all. What holds for the
objects that the threshold was set on holds for others only as far as they are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta, binom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rijksnet.runs.metrics import Booleans, Floats, Integers

#: How sure it is that the precision is at least that asked for.
LEVEL = 0.9

#: Where sequences start, in times the fewest answers that can pass; and numbers tested in each, evenly up to all.
STARTS, STEPS = (1, 2, 4), 50

#: A class has a threshold of its own from so many times the fewest answers on; with less it would hardly ever pass.
ENOUGH = 2


@dataclass(frozen=True)
class Threshold:
    """Answers of at least `confidence` are given; infinite: none are.

    `precision` is the share of right ones among the `answered` of the `objects` that it was set on, and `low` and
    `high` its 95 % interval (Clopper and Pearson); without answers they are not a number, 0 and 1.
    """

    confidence: float
    precision: float
    low: float
    high: float
    answered: int
    objects: int

    @property
    def coverage(self) -> float:
        """The share that is answered."""
        return self.answered / self.objects if self.objects else 0.0


def fewest(asked: float) -> int:
    """So many answers, all right, show a precision of `asked` in (0, 1); fewer cannot."""
    return math.ceil(math.log((1 - LEVEL) / len(STARTS)) / math.log(asked))


def threshold(confidence: Floats, correct: Booleans, asked: float) -> Threshold:
    """The lowest confidence above which answers are right with the precision `asked`, in (0, 1).

    Equal confidences are answered together or not at all.

    Args:
        confidence: (N,), of answers to objects that the network did not learn from.
        correct: (N,).
    """
    order = np.argsort(-confidence, kind="stable")
    sure, right = confidence[order], np.cumsum(correct[order])
    n = len(order)
    allowed = 0
    for start in (times * fewest(asked) for times in STARTS):
        for answers in np.unique(np.linspace(start, n, STEPS).round().astype(int)) if n >= start else ():
            whole = int(np.searchsorted(-sure, -sure[answers - 1], side="right"))  # with all as sure as the last
            wrong = whole - int(right[whole - 1])
            if binom.cdf(wrong, whole, 1 - asked) > (1 - LEVEL) / len(STARTS):
                break
            allowed = max(allowed, whole)
    if not allowed:
        return Threshold(math.inf, math.nan, 0.0, 1.0, 0, n)
    hits = int(right[allowed - 1])
    low, high = interval(hits, allowed)
    return Threshold(float(sure[allowed - 1]), hits / allowed, low, high, allowed, n)


def interval(hits: int, answers: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson 1934)."""
    low = float(beta.ppf(0.025, hits, answers - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, answers - hits)) if hits < answers else 1.0
    return low, high


def thresholds(
    confidence: Floats, answers: Integers, labels: Integers, classes: Sequence[str], asked: float
) -> Mapping[str | None, Threshold]:
    """A threshold for each class that is answered often enough to have its own, and one for all others together (None).

    Args:
        confidence, answers, labels: (N,), as `threshold` takes them; classes by number.
        classes: their names.
    """
    own = [i for i in range(len(classes)) if (answers == i).sum() >= ENOUGH * fewest(asked)]
    found: dict[str | None, Threshold] = {}
    for i in own:
        its = answers == i
        found[classes[i]] = threshold(confidence[its], labels[its] == i, asked)
    rest = ~np.isin(answers, own)
    found[None] = threshold(confidence[rest], labels[rest] == answers[rest], asked)
    return found
