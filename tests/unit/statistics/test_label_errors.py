from __future__ import annotations

import numpy as np

from rijksnet.statistics.label_errors import doubts


def test_labels_that_were_swapped_are_doubted_first() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 400)
    probabilities = generator.dirichlet(np.ones(4), 400) * 0.5
    probabilities[np.arange(400), truth] += 0.5
    labels, swapped = truth.copy(), generator.choice(400, 20, replace=False)
    labels[swapped] = (labels[swapped] + 1) % 4
    found = doubts(probabilities, labels)
    assert len(found.positions) >= 10
    assert set(found.positions.tolist()) <= set(swapped.tolist())
    assert (np.diff(found.margins) >= 0).all()
    assert (found.instead == truth[found.positions]).mean() > 0.9


def test_confident_is_as_sure_as_those_of_the_class_are_on_average() -> None:
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.3, 0.7], [0.4, 0.6], [0.45, 0.55]])
    labels = np.array([0, 0, 1, 1, 0])
    # of class 1 the average is 0.65, so that 0.55 is no confident answer
    assert doubts(probabilities, labels).positions.tolist() == []
    sure = np.vstack([probabilities[:-1], [0.2, 0.8]])
    found = doubts(sure, labels)
    assert (found.positions.tolist(), found.instead.tolist()) == ([4], [1])
    np.testing.assert_allclose(found.margins, [-0.6])


def test_of_a_class_that_nobody_bears_nothing_is_said() -> None:
    probabilities = np.array([[0.1, 0.2, 0.7], [0.2, 0.1, 0.7]])
    assert doubts(probabilities, np.array([0, 0])).positions.tolist() == []
    assert doubts(np.zeros((0, 3)), np.zeros(0, int)).positions.tolist() == []
