from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rijksnet.exploration.selection import correct


def hits(accuracies: list[float], n: int, seed: int = 0) -> Any:
    generator = np.random.default_rng(seed)
    return np.stack([generator.random(n) < accuracy for accuracy in accuracies])


def objects(n: int) -> list[str]:
    return [f"object {i}" for i in range(n)]


def by_accuracy(found: Any) -> Any:
    return found[np.argsort(-found.mean(1), kind="stable")]


def test_the_best_of_many_equals_flatters_itself() -> None:
    """200 recipes, all right with probability one half: the best looks far better, and is worth one half."""
    n = 200
    tried, fixed = by_accuracy(hits([0.5] * 200, n)), hits([0.5], n, seed=1)[0]
    found = correct(tried, fixed, objects(n))
    assert found.accuracy == tried[0].mean() > 0.58
    assert found.corrected == pytest.approx(0.5, abs=0.04)
    assert found.low < 0 < found.high
    assert (found.trials, found.images) == (200, n)


def test_a_true_gain_stays() -> None:
    n = 1000
    tried, fixed = by_accuracy(hits([0.8, *[0.5] * 30], n)), hits([0.5], n, seed=1)[0]
    found = correct(tried, fixed, objects(n))
    assert found.gain == pytest.approx(0.3, abs=0.04)
    assert found.low > 0.2
    assert found.corrected == pytest.approx(found.accuracy, abs=0.01), "no other was ever chosen"


def test_one_trial_needs_no_correction() -> None:
    tried, fixed = hits([0.7], 300), hits([0.6], 300, seed=1)[0]
    found = correct(tried, fixed, objects(300))
    assert found.corrected == pytest.approx(tried.mean(), abs=0.01)
    assert found.gain == pytest.approx(tried.mean() - fixed.mean(), abs=0.01)


def test_images_of_one_object_stay_together() -> None:
    """Ten images an object, all right or all wrong: as certain as one image an object, not ten times as certain."""
    few, fixed = hits([0.7] * 3, 40), hits([0.5], 40, seed=1)[0]
    each = correct(few, fixed, objects(40))
    repeated = correct(np.repeat(few, 10, axis=1), np.repeat(fixed, 10), np.repeat(objects(40), 10).tolist())
    assert (repeated.low, repeated.high) == pytest.approx((each.low, each.high))


def test_the_same_seed_gives_the_same_interval() -> None:
    tried, fixed = by_accuracy(hits([0.5, 0.6, 0.7], 60)), hits([0.5], 60, seed=1)[0]
    assert correct(tried, fixed, objects(60)) == correct(tried, fixed, objects(60))
