"""Which labels are probably wrong: confident learning (Northcutt, Jiang and Chuang 2021).

cleanlab's own package is under the AGPL, which a museum's software could not be combined with; the method is short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rijksnet.runs.metrics import Floats, Integers


@dataclass(frozen=True)
class Doubts:
    """K of N labels that a network doubts, the likeliest error first.

    `positions` (K,) among the N; `instead` (K,) the class that it would give; `margins` (K,) the label's probability
    less that of the most probable other class, in [-1, 1], rising.
    """

    positions: NDArray[np.int64]
    instead: NDArray[np.int64]
    margins: NDArray[np.float64]


def doubts(probabilities: Floats, labels: Integers) -> Doubts:
    """The labels against which a network confidently answers something else.

    Confident of a class is an answer at least as sure as the average of those that bear its label; of several such
    classes the most probable one counts. Ranked by normalised margin, as cleanlab does.

    Args:
        probabilities: (N, Q), of objects that the network did not learn from.
        labels: (N,), in [0, Q).
    """
    n, classes = probabilities.shape
    everything = np.arange(n)
    given = probabilities[everything, labels].astype(np.float64)
    bearers = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, given, minlength=classes)
    usual = np.where(bearers > 0, sums / np.maximum(bearers, 1), np.inf)  # a class that nobody bears is nobody's
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    instead = confident.argmax(axis=1)
    others = probabilities.astype(np.float64).copy()
    others[everything, labels] = -1.0
    margins = given - others.max(axis=1)
    doubted = np.flatnonzero((confident.max(axis=1) >= 0) & (instead != labels))
    order = doubted[np.argsort(margins[doubted], kind="stable")]
    return Doubts(order, instead[order].astype(np.int64), margins[order])
