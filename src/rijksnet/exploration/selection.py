"""Which trial wins, by the validation split alone, and how much of its lead is owed to having chosen among many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rijksnet.exploration.board import Attempt

RESAMPLES = 2_000
CONFIDENCE = 0.95


def ranked(places: Sequence[Attempt]) -> list[Attempt]:
    """The complete trials, the best first: by validation accuracy, equals by their loss, then by their place."""
    complete = [place for place in places if place.state == "complete"]
    return sorted(complete, key=_rank)


def _rank(place: Attempt) -> tuple[float, float, int]:
    assert place.outcome is not None
    return -place.outcome.accuracy, place.outcome.loss, place.slot


def front(places: Sequence[Attempt]) -> list[Attempt]:
    """The complete trials that none beats in accuracy without costing more, the most accurate first."""
    best: list[Attempt] = []
    for place in ranked(places):
        assert place.outcome is not None
        if all(place.outcome.cost < other.outcome.cost for other in best if other.outcome):
            best.append(place)
    return best


@dataclass(frozen=True)
class Selection:
    """Validation accuracies in [0, 1]: as measured, and corrected for having been chosen among `trials`.

    `gain` is corrected − fixed on the same resamples; `low` and `high` bound its 95 % interval.
    """

    trials: int
    images: int
    accuracy: float
    fixed: float
    corrected: float
    gain: float
    low: float
    high: float


def correct(hits: NDArray[np.bool_], fixed: NDArray[np.bool_], objects: Sequence[str], seed: int = 0) -> Selection:
    """Bootstrap bias correction (Tsamardinos, Greasidou and Borboudakis 2018): choose anew on each resample of the
    validation objects, and measure what was chosen on the objects that the resample leaves out.

    Args:
        hits: (T, n), whether each complete trial classifies each validation image rightly, the best trial first.
        fixed: (n,), whether the fixed choice does.
        objects: (n,), which object each image shows: objects are drawn with all their images.
        seed: of the resampling.
    """
    codes = np.unique(np.asarray(objects), return_inverse=True)[1]
    number = int(codes.max()) + 1
    rng = np.random.default_rng(seed)
    ours, theirs = hits.astype(np.float32), fixed.astype(np.float32)
    corrected, gains = [], []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, number, number), minlength=number)[codes]
        out = times == 0
        if not out.any():
            continue
        chosen = int((ours @ times.astype(np.float32)).argmax())  # the first of equals: the better by rank
        corrected.append(float(ours[chosen, out].mean()))
        gains.append(float((ours[chosen, out] - theirs[out]).mean()))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(gains, [tail, 1 - tail])
    return Selection(
        trials=len(hits),
        images=hits.shape[1],
        accuracy=float(hits[0].mean()),
        fixed=float(fixed.mean()),
        corrected=float(np.mean(corrected)),
        gain=float(np.mean(gains)),
        low=float(low),
        high=float(high),
    )
