from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from rijksnet.statistics.abstention import LEVEL, fewest, interval, threshold, thresholds


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of a network whose confidence says how often it is right."""
    draw = np.random.default_rng(seed)
    confidence = draw.uniform(0.4, 1, n)
    return confidence, draw.uniform(size=n) < confidence


@pytest.mark.parametrize(("asked", "few"), [(0.95, 67), (0.9, 33), (0.99, 339), (0.5, 5)])
def test_so_many_right_answers_are_needed(asked: float, few: int) -> None:
    assert fewest(asked) == few
    perfect = threshold(np.linspace(1, 0.9, few), np.ones(few, bool), asked)
    assert (perfect.answered, perfect.precision) == (few, 1.0)
    short = threshold(np.linspace(1, 0.9, few - 1), np.ones(few - 1, bool), asked)
    assert (short.answered, short.confidence, short.coverage) == (0, math.inf, 0.0)
    assert math.isnan(short.precision)


def test_the_stated_precision_is_kept_as_often_as_promised() -> None:
    """Precision of all answers above the threshold, of networks that are known: of confidence c uniform in [0.4, 1]
    those above t are right with (1 + t) / 2."""
    found = [threshold(*drawn(seed, 2000), asked=0.9).confidence for seed in range(200)]
    kept = np.mean([(1 + t) / 2 >= 0.9 for t in found])
    assert kept >= LEVEL - 0.04  # two standard errors
    assert np.median(found) < 0.86  # 0.8 is what an oracle would take: little is given away


def test_it_answers_down_to_its_confidence() -> None:
    confidence, correct = drawn(1, 1000)
    found = threshold(confidence, correct, 0.85)
    answered = confidence >= found.confidence
    assert answered.sum() == found.answered
    assert correct[answered].mean() == pytest.approx(found.precision)
    assert found.low < found.precision < found.high
    assert found.coverage == pytest.approx(answered.mean())


def test_equal_confidences_are_answered_together() -> None:
    confidence = np.array([1.0] * 80 + [0.9] * 80)
    all_right = threshold(confidence, np.ones(160, bool), 0.95)
    assert all_right.answered == 160
    half = threshold(confidence, np.arange(160) < 120, 0.95)
    assert (half.answered, half.confidence) == (80, 1.0)


def test_a_wrong_answer_among_the_surest_does_not_end_all() -> None:
    correct = np.ones(300, bool)
    correct[5] = False
    assert threshold(np.linspace(1, 0.5, 300), correct, 0.9).answered == 300


def test_a_network_that_is_never_sure_enough_does_not_answer() -> None:
    assert threshold(np.linspace(1, 0, 500), np.arange(500) % 2 == 0, 0.95).answered == 0
    assert threshold(np.array([]), np.array([], bool), 0.95).answered == 0


def test_the_interval_is_exact() -> None:
    low, high = interval(18, 20)
    assert binom.sf(17, 20, low) == pytest.approx(0.025)
    assert binom.cdf(18, 20, high) == pytest.approx(0.025)
    assert interval(0, 5)[0] == 0
    assert interval(5, 5)[1] == 1


def test_a_class_has_its_own_threshold_where_it_is_answered_often_enough() -> None:
    draw = np.random.default_rng(0)
    answers = np.repeat([0, 1, 2], [400, 400, 20])
    confidence = draw.uniform(0.5, 1, 820)
    labels = answers.copy()
    labels[400:800][draw.uniform(size=400) < 0.3] = 2  # class 1 is answered wrongly, and no confidence tells when
    found = thresholds(confidence, answers, labels, ["wood", "bronze", "gold"], 0.95)
    assert set(found) == {"wood", "bronze", None}
    assert found["wood"].coverage == 1
    assert found["bronze"].answered == 0
    assert (found[None].objects, found[None].answered) == (20, 0)
