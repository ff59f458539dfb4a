from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from rijksnet.runs import metrics


def draw(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random probabilities without ties, and labels that leave some classes out."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.5), size=n).astype(np.float32)
    return probabilities, generator.integers(0, max(1, classes - 2), size=n)


@pytest.mark.parametrize(("n", "classes"), [(1, 2), (50, 3), (200, 8), (400, 60)])
def test_evaluate_agrees_with_sklearn(n: int, classes: int) -> None:
    probabilities, labels = draw(n, classes, seed=n)
    predicted = probabilities.argmax(axis=1)
    scores = metrics.evaluate(probabilities, labels)
    assert scores["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert scores["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average="macro"))
    exact = probabilities.astype(np.float64) / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    expected = sklearn_metrics.log_loss(labels, exact, labels=range(classes))
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)
    if classes > 5:
        top5 = sklearn_metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=range(classes))
        assert scores["top5_accuracy"] == pytest.approx(top5)


def test_evaluate_by_hand() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.5, 0.4]], np.float32)
    scores = metrics.evaluate(probabilities, np.array([0, 1, 1]))
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)  # the third class occurs nowhere: not counted
    assert scores["loss"] == pytest.approx(-(np.log(0.7) + np.log(0.3) + np.log(0.5)) / 3)


def test_top5_of_fewer_than_five_classes_is_always_right() -> None:
    probabilities, labels = draw(30, 4, seed=0)
    assert metrics.evaluate(probabilities, labels)["top5_accuracy"] == 1.0


def test_of_equal_probabilities_the_first_classes_count_as_predicted() -> None:
    probabilities = np.full((7, 7), 1 / 7, np.float32)
    scores = metrics.evaluate(probabilities, np.arange(7))
    assert scores["accuracy"] == pytest.approx(1 / 7)
    assert scores["top5_accuracy"] == pytest.approx(5 / 7)


def test_a_probability_of_zero_gives_a_large_and_finite_loss() -> None:
    scores = metrics.evaluate(np.array([[0.0, 1.0]], np.float32), np.array([0]))
    assert scores["loss"] == pytest.approx(87.336, abs=1e-3)


@pytest.mark.parametrize(
    ("probabilities", "labels", "said"),
    [
        (np.zeros(3), np.zeros(3, int), "shape"),
        (np.ones((2, 2)), np.zeros(3, int), "labels for"),
        (np.ones((0, 2)), np.zeros(0, int), "no object"),
        (np.ones((1, 2)), np.array([-1]), "negative"),
        (np.ones((1, 2)), np.array([2]), "not among"),
        (np.array([[np.nan, 1.0]]), np.array([0]), "not finite"),
    ],
)
def test_evaluate_refuses_what_it_cannot_score(probabilities: np.ndarray, labels: np.ndarray, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        metrics.evaluate(probabilities, labels)


def test_majority_is_that_of_training_and_the_first_of_equals() -> None:
    assert metrics.majority_accuracy(np.array([1, 1, 0]), np.array([0, 0, 1, 2])) == 0.25
    assert metrics.majority_accuracy(np.array([2, 1, 1, 2]), np.array([1, 1, 2])) == pytest.approx(2 / 3)


def test_confusion_matrix_agrees_with_sklearn() -> None:
    probabilities, labels = draw(300, 9, seed=4)
    predicted = probabilities.argmax(axis=1)
    matrix = metrics.confusion_matrix(labels.astype(np.int16), predicted, 9)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, sklearn_metrics.confusion_matrix(labels, predicted, labels=range(9)))


def test_confusion_matrix_of_many_classes_does_not_overflow_small_labels() -> None:
    labels = np.array([1195], np.int16)
    assert metrics.confusion_matrix(labels, np.array([1194], np.int16), 1196)[1195, 1194] == 1


def test_per_class_agrees_with_sklearn() -> None:
    probabilities, labels = draw(60, 9, seed=5)
    predicted = probabilities.argmax(axis=1)
    scores = metrics.per_class(labels, predicted, 9)
    expected = sklearn_metrics.precision_recall_fscore_support(labels, predicted, labels=range(9), zero_division=0)
    for ours, theirs in zip(scores[:4], expected, strict=True):
        np.testing.assert_allclose(ours, theirs)
    np.testing.assert_array_equal(scores.predictions, np.bincount(predicted, minlength=9))


def test_metrics_need_only_numpy() -> None:
    code = "import sys, rijksnet.runs.metrics as m; print({'pandas', 'scipy', 'sklearn', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


# --- the Rijksmuseum Challenge's measures -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "classes"), [(50, 3), (400, 60)])
def test_mean_class_accuracy_agrees_with_sklearn(n: int, classes: int) -> None:
    probabilities, labels = draw(n, classes, seed=n)
    expected = sklearn_metrics.recall_score(
        labels, probabilities.argmax(axis=1), labels=np.unique(labels), average="macro", zero_division=0
    )
    assert metrics.evaluate(probabilities, labels)["mean_class_accuracy"] == pytest.approx(expected)


def eleven_point(scores: np.ndarray, belongs: np.ndarray) -> float:
    """Interpolated average precision from its definition, one recall level and one cut at a time."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    cuts = [(sum(belongs[j] for j in order[:k]), k) for k in range(1, len(order) + 1)]
    total = int(sum(belongs))
    return float(np.mean([max(hits / k for hits, k in cuts if 10 * hits >= level * total) for level in range(11)]))


@pytest.mark.parametrize("seed", range(5))
def test_mean_average_precision_follows_its_definition(seed: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(6), size=40).astype(np.float32)
    relevant = [tuple(generator.choice(5, generator.integers(0, 3), replace=False)) for _ in range(40)]  # 5: nobody's
    belongs = np.array([[q in classes for q in range(6)] for classes in relevant])
    expected = np.mean([eleven_point(probabilities[:, q], belongs[:, q]) for q in range(5)])
    assert metrics.mean_average_precision(probabilities, relevant, range(6)) == pytest.approx(expected)


def test_mean_average_precision_of_a_perfect_ranking_is_one() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]], np.float32)
    assert metrics.mean_average_precision(probabilities, [(0,), (0,), (1,)], [0, 1]) == 1.0
    assert metrics.mean_average_precision(probabilities, [(1,), (1,), (0,)], [0]) == pytest.approx(1 / 3)
    assert metrics.mean_average_precision(probabilities, [(), (), ()], [0, 1]) is None
