"""What a network says of pictures, once it is known how often it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rijksnet.statistics.calibration import rescale
from rijksnet.suggesting.suggestion import UNLIKE, UNSURE, Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rijksnet.suggesting.likeness import Learnt
    from rijksnet.suggesting.rule import Rule
    from rijksnet.suggesting.suggestion import Neighbour

#: Classes that are named, the most probable first.
RANKED = 3


def advise(
    rule: Rule,
    known: Learnt | str,
    probabilities: NDArray[np.float32],
    similarity: NDArray[np.float32] | None,
    neighbours: Sequence[tuple[Neighbour, ...]],
    ranked: int = RANKED,
) -> list[Advice]:
    """Advice on each of N pictures or objects.

    Args:
        known: what the network learnt from, or why that is not known.
        probabilities: (N, Q), as the network gives them.
        similarity: (N,), to what it learnt from; None: it is not known.
        neighbours: of each.
        ranked: classes that are named.
    """
    decision, scaled = rule.decide(probabilities), rescale(probabilities, rule.temperature)
    found = []
    for at, near in enumerate(neighbours):
        its = None if similarity is None else float(similarity[at])
        is_unlike = not isinstance(known, str) and its is not None and its < known.least
        order = np.argsort(-scaled[at], kind="stable")[:ranked]
        found.append(
            Advice(
                tuple((rule.classes[i], float(scaled[at, i])) for i in order),
                rule.threshold(int(decision.best[at])).confidence,
                UNLIKE if is_unlike else "" if decision.dared[at] else UNSURE,
                its,
                near,
            )
        )
    return found
