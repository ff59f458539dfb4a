"""How far attention moved: two maps of the same image compared, one of each of two networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Shift:
    """Measures of n pairs of maps, each float64 (n,).

    `correlation` is Spearman's, in [-1, 1]; `divergence` Jensen and Shannon's of the maps as distributions over
    pixels, in [0, 1] bit; `displacement` the distance of their centres of mass, as a share of the diagonal, in [0, 1].
    """

    correlation: NDArray[np.float64]
    divergence: NDArray[np.float64]
    displacement: NDArray[np.float64]


def shift(a: Maps, b: Maps) -> Shift:
    """What happened to attention from maps `a` to maps `b`, both (n, H, W) and ≥ 0; a map of zeros counts as even."""
    return Shift(
        np.array([_spearman(one, other) for one, other in zip(a, b, strict=True)]),
        np.array([_divergence(one, other) for one, other in zip(a, b, strict=True)]),
        np.linalg.norm(_centres(a) - _centres(b), axis=1) / np.hypot(a.shape[1] - 1, a.shape[2] - 1),
    )


def between_images(maps: Maps) -> Shift:
    """The same measures between each map and the next image's: what no relation between two maps looks like."""
    return shift(maps, np.roll(maps, -1, axis=0))


def _spearman(one: Maps, other: Maps) -> float:
    from scipy.stats import rankdata

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0  # an even map orders nothing
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


def _divergence(one: Maps, other: Maps) -> float:
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(_distribution(one).ravel(), _distribution(other).ravel(), base=2) ** 2)


def _distribution(saliency: Maps) -> NDArray[np.float64]:
    total = saliency.sum(dtype=np.float64)
    return saliency / total if total > 0 else np.full(saliency.shape, 1 / saliency.size)


def _centres(maps: Maps) -> NDArray[np.float64]:
    """Centres of mass, (n, 2), px."""
    y, x = np.mgrid[: maps.shape[1], : maps.shape[2]]
    shares = np.stack([_distribution(one) for one in maps])
    return np.stack([(shares * y).sum((1, 2)), (shares * x).sum((1, 2))], axis=1)
