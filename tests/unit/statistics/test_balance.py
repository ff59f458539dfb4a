"""Balanced accuracy and macro F1, with intervals over objects."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from rijksnet.runs import metrics
from rijksnet.runs.predictions import Predictions
from rijksnet.statistics.balance import class_differences, class_scores


def answers(n: int, right: float, seed: int, order: int = 0) -> Predictions:
    """Of n objects with an image each, two thirds of them of the first of four classes; in some order."""
    labels = np.random.default_rng(0).choice(4, n, p=[0.67, 0.2, 0.1, 0.03])
    generator = np.random.default_rng(seed)
    predicted = np.where(generator.random(n) < right, labels, generator.integers(0, 4, n))
    probabilities = np.eye(4, dtype=np.float32)[predicted]
    at = np.random.default_rng(order).permutation(n)
    return Predictions("test", [f"o{i}" for i in at], [f"{i}.jpg" for i in at], labels[at], probabilities[at])


def test_values_are_those_of_the_run_and_of_sklearn() -> None:
    found, one = class_scores(answers(300, 0.6, 1)), answers(300, 0.6, 1)
    predicted = one.probabilities.argmax(1)
    assert found.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(one.labels, predicted))
    assert found.macro_f1.value == pytest.approx(f1_score(one.labels, predicted, average="macro"))
    measured = metrics.evaluate(one.probabilities, one.labels)
    assert found.balanced_accuracy.value == pytest.approx(measured["mean_class_accuracy"])
    assert found.macro_f1.value == pytest.approx(measured["macro_f1"])


def test_intervals_are_those_of_a_bootstrap_written_out() -> None:
    one = answers(200, 0.6, 1)
    predicted, generator = one.probabilities.argmax(1), np.random.default_rng(5)
    drawn = [generator.integers(0, 200, 200) for _ in range(2000)]
    by_hand = [metrics.per_class(one.labels[at], predicted[at], 4) for at in drawn]
    recalls = [scores.recall[scores.support > 0].mean() for scores in by_hand]
    found = class_scores(one).balanced_accuracy
    assert (found.low, found.high) == pytest.approx(np.quantile(recalls, [0.025, 0.975]), abs=0.01)


def test_differences_pair_the_same_objects_whatever_their_order() -> None:
    a, b, shuffled = answers(300, 0.8, 1), answers(300, 0.5, 2), answers(300, 0.5, 2, order=9)
    one, two = class_differences(a, b), class_differences(a, shuffled)
    assert one == two
    assert one.balanced_accuracy.value == pytest.approx(
        class_scores(a).balanced_accuracy.value - class_scores(b).balanced_accuracy.value
    )
    assert one.balanced_accuracy.low > 0
    same = class_differences(a, a)
    assert (same.macro_f1.low, same.macro_f1.value, same.macro_f1.high) == (0, 0, 0)


def test_images_of_an_object_are_drawn_together() -> None:
    """Ten objects of thirty equal images each are ten observations, not three hundred."""
    labels = np.repeat(np.arange(10) % 2, 30)
    predicted = np.where(np.repeat(np.arange(10), 30) < 6, labels, 1 - labels)
    probabilities = np.eye(2, dtype=np.float32)[predicted]
    images = [f"{i}.jpg" for i in range(300)]
    objects = [f"o{i // 30}" for i in range(300)]
    together = class_scores(Predictions("test", objects, images, labels, probabilities))
    apart = class_scores(Predictions("test", images, images, labels, probabilities))
    widths = [one.balanced_accuracy.high - one.balanced_accuracy.low for one in (together, apart)]
    assert widths[0] > 3 * widths[1]
