"""Beside accuracy, which is mostly that of frequent classes: balanced accuracy and macro F1, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from rijksnet.statistics.significance import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rijksnet.runs.predictions import Predictions

Floats = npt.NDArray[np.float64]

#: Classes are unbalanced where the most frequent has more than so many times an equal share of the test images.
UNBALANCED = 2.0

RESAMPLES = 2000

#: Resamples that are scored at once: of 112,039 images these take 90 MB.
AT_ONCE = 100


@dataclass(frozen=True)
class Estimate:
    """A value, or a difference of two, and its 95 % bootstrap interval over test objects."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ClassScores:
    """What counts every class alike: balanced accuracy (the mean recall of the classes that occur), and macro F1."""

    balanced_accuracy: Estimate
    macro_f1: Estimate


def is_unbalanced(predictions: Predictions) -> bool:
    """Whether the most frequent class has more than `UNBALANCED` times an equal share of the images."""
    counts = np.bincount(predictions.labels, minlength=predictions.probabilities.shape[1])
    return bool(counts.max() * np.count_nonzero(counts) > UNBALANCED * len(predictions.labels))


def class_scores(predictions: Predictions, seed: int = 0) -> ClassScores:
    """Balanced accuracy and macro F1 of one run, with intervals."""
    return _estimated(lambda weights: _scores(predictions, weights), predictions.object_ids, seed)


def class_differences(a: Predictions, b: Predictions, seed: int = 0) -> ClassScores:
    """a − b in both, each resample of objects the same for both.

    Args:
        a, b: of the same images.
    """
    at = a.index.get_indexer(b.index)  # where each image of b stands in a
    assert len(a.labels) == len(b.labels), "both runs answer for the same images"
    assert (at >= 0).all(), "both runs answer for the same images"
    return _estimated(lambda weights: _scores(a, weights) - _scores(b, weights[:, at]), a.object_ids, seed)


def _estimated(score: Callable[[Floats], Floats], object_ids: Sequence[str], seed: int) -> ClassScores:
    """What `score` gives of weights (R, n), how often each image counts: once, and as resamples draw its object."""
    object_of, objects = pd.factorize(np.array(object_ids, dtype=object))
    count, generator = len(objects), np.random.default_rng(seed)
    measured = score(np.ones((1, len(object_of))))[0]
    resampled = [
        score(generator.multinomial(count, np.full(count, 1 / count), size=AT_ONCE)[:, object_of].astype(np.float64))
        for _ in range(RESAMPLES // AT_ONCE)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(resampled), [tail, 1 - tail], axis=0)
    return ClassScores(*(Estimate(*map(float, one)) for one in zip(measured, low, high, strict=True)))


def _scores(predictions: Predictions, weights: Floats) -> Floats:
    """Balanced accuracy and macro F1 at each row of weights, (R, 2): as `runs.metrics.evaluate` has them at ones."""
    from scipy.sparse import csr_array

    labels, predicted = predictions.labels, predictions.probabilities.argmax(axis=1)
    n, classes = predictions.probabilities.shape

    def per_class(index: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_]) -> Floats:
        at = np.flatnonzero(keep)
        members = csr_array((np.ones(len(at)), (at, index[at])), shape=(n, classes))
        return np.asarray(weights @ members)

    hits = per_class(labels, labels == predicted)
    support, answers = (per_class(index, np.ones(n, bool)) for index in (labels, predicted))
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=support > 0)
    f1 = np.divide(2 * hits, support + answers, out=np.zeros_like(hits), where=support + answers > 0)
    tested, occurs = (support > 0).sum(1), (support + answers > 0).sum(1)
    return np.stack([recall.sum(1) / tested, f1.sum(1) / occurs], axis=1)
