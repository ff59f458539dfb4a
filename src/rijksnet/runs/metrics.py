"""Accuracy, F1 and their kin in numpy alone: every training ends with them, and importing sklearn costs a second.

Throughout, `probabilities` is float32 of shape (N, Q) in [0, 1], a row an image; `labels` and `predicted` are
integers of shape (N,) in [0, Q). N is at least 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]
Booleans = npt.NDArray[np.bool_]

#: A probability below the smallest normal float32 counts as that, so that the loss stays finite (at most 87.3).
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)


class PerClass(NamedTuple):
    """One value a class, arrays of shape (Q,).

    Precision, recall and F1 are float64 in [0, 1], and 0 where they are undefined (sklearn's `zero_division=0`);
    `support` (labels) and `predictions` are int64 counts.
    """

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    support: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]


def evaluate(probabilities: Floats, labels: Integers) -> dict[str, float]:
    """What a run scores on one split.

    Returns:
        accuracy: share of images whose most probable class is theirs; of equal classes the first is taken.
        top5_accuracy: share whose class is among the min(5, Q) most probable, ties as above.
        mean_class_accuracy: mean over the classes that occur among the labels of the share of their images that are
            classified rightly, as `sklearn.metrics.balanced_accuracy_score`; the creators' measure of the Rijksmuseum
            Challenge.
        macro_f1: mean F1 over the classes that occur among labels or predictions, as
            `sklearn.metrics.f1_score(average="macro")`; classes that occur in neither do not count.
        loss: mean categorical cross-entropy, nats.
    """
    _check(probabilities, labels)
    n, classes = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    of_label = probabilities[np.arange(n), labels]
    scores = per_class(labels, predicted, classes)
    occurs = (scores.support + scores.predictions) > 0
    return {
        "accuracy": float(np.mean(predicted == labels)),
        "top5_accuracy": float(np.mean(_rank(probabilities, labels) < 5)),
        "mean_class_accuracy": float(np.mean(scores.recall[scores.support > 0])),
        "macro_f1": float(np.mean(scores.f1[occurs])),
        "loss": float(-np.mean(np.log(np.maximum(of_label.astype(np.float64), SMALLEST_PROBABILITY)))),
    }


def mean_average_precision(
    probabilities: Floats, relevant: Sequence[Sequence[int]], ranked: Sequence[int]
) -> float | None:
    """Mean over classes of the average precision of ranking all N images by their probability of the class: what the
    Rijksmuseum Challenge measures for types and materials, interpolated at eleven recalls as its `eval_map.m` does.

    Args:
        relevant: for each image the classes that the museum lists, any number of them.
        ranked: the classes to average over; those that no image has are left out.

    Returns:
        A value in [0, 1]; None if no image has a ranked class. Equally probable images count in their given order.
    """
    belongs = np.zeros(probabilities.shape, bool)
    for i, classes in enumerate(relevant):
        belongs[i, list(classes)] = True
    precisions = [_average_precision(probabilities[:, q], belongs[:, q]) for q in ranked if belongs[:, q].any()]
    return float(np.mean(precisions)) if precisions else None


def _average_precision(scores: Floats, belongs: Booleans) -> float:
    hits = np.cumsum(belongs[np.argsort(-scores, kind="stable")])
    best_from_here = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    reached = np.searchsorted(hits, -(-np.arange(11) * hits[-1] // 10))  # where each recall 0, 0.1 … 1 is first had
    return float(np.mean(best_from_here[reached]))


def majority_accuracy(train_labels: Integers, labels: Integers) -> float:
    """Share of `labels` that are the most frequent training class (of equals the first): the score of no insight."""
    return float(np.mean(labels == np.bincount(train_labels).argmax()))


def confusion_matrix(labels: Integers, predicted: Integers, classes: int) -> npt.NDArray[np.int64]:
    """Counts, int64 of shape (Q, Q): row = label, column = prediction."""
    pairs = labels.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def per_class(labels: Integers, predicted: Integers, classes: int) -> PerClass:
    """Precision, recall, F1 and counts of each of the `classes` classes."""
    hits = np.bincount(labels[labels == predicted], minlength=classes)
    support = np.bincount(labels, minlength=classes)
    predictions = np.bincount(predicted, minlength=classes)
    return PerClass(
        precision=_ratio(hits, predictions),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + predictions),
        support=support,
        predictions=predictions,
    )


def _ratio(numerator: Integers, denominator: Integers) -> npt.NDArray[np.float64]:
    quotient = np.zeros(numerator.shape)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def _rank(probabilities: Floats, labels: Integers) -> npt.NDArray[np.intp]:
    """How many classes stand before the label, (N,): those more probable, and equal ones with a smaller index."""
    of_label = probabilities[np.arange(len(labels)), labels][:, np.newaxis]
    earlier = np.arange(probabilities.shape[1]) < labels[:, np.newaxis]
    before = (probabilities > of_label) | ((probabilities == of_label) & earlier)
    rank: npt.NDArray[np.intp] = np.count_nonzero(before, axis=1)
    return rank


def _check(probabilities: Floats, labels: Integers) -> None:
    assert probabilities.ndim == 2, f"probabilities have shape {probabilities.shape}, not (N, Q)"
    assert labels.shape == probabilities.shape[:1], f"{labels.shape} labels for {probabilities.shape} probabilities"
    assert labels.size > 0, "no object to evaluate"
    assert labels.min() >= 0, "a label is negative"
    assert labels.max() < probabilities.shape[1], "a label is not among the classes"
    assert np.isfinite(probabilities).all(), "a probability is not finite"
