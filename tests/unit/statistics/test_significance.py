from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from rijksnet.errors import RunError
from rijksnet.statistics import significance
from rijksnet.statistics.significance import (
    bootstrap_interval,
    fold_test,
    holm,
    mcnemar,
    paired_test,
    standard_error,
    wilson_interval,
)


def answers(correct: list[int], name: str, objects: list[str] | None = None) -> pd.Series[bool]:
    names = objects or [f"object {i}" for i in range(len(correct))]
    index = pd.MultiIndex.from_arrays([names, [f"{i}.jpg" for i in range(len(correct))]], names=["object_id", "image"])
    return pd.Series(np.array(correct, bool), index=index, name=name)


def test_by_hand() -> None:
    a = answers([1, 1, 1, 1, 1, 1, 1, 0, 1, 0], "a")
    b = answers([1, 0, 0, 0, 0, 0, 0, 1, 1, 0], "b")
    test = paired_test(a, b)
    assert (test.n, test.objects, test.better_a, test.better_b) == (10, 10, 6, 1)
    assert (test.accuracy_a, test.accuracy_b) == pytest.approx((0.8, 0.3))
    assert test.difference == pytest.approx(0.5)
    assert test.p == pytest.approx(2 * (1 + 7) / 2**7)  # P(at most 1 of 7 heads), both sides
    assert test.low < 0.5 < test.high


def test_order_of_the_images_does_not_matter() -> None:
    a, b = answers([1, 1, 0, 1, 0], "a"), answers([0, 1, 1, 0, 0], "b")
    assert paired_test(a, b) == paired_test(a.iloc[::-1], b.sample(frac=1, random_state=1))


def test_swapping_the_runs_turns_the_difference_round() -> None:
    a, b = answers([1, 1, 1, 0, 1, 0], "a"), answers([0, 1, 0, 1, 0, 0], "b")
    there, back = paired_test(a, b), paired_test(b, a)
    assert there.difference == -back.difference
    assert there.p == back.p
    assert (there.better_a, there.better_b) == (back.better_b, back.better_a)


def test_runs_that_answer_alike_do_not_differ() -> None:
    test = paired_test(answers([1, 0, 1], "a"), answers([1, 0, 1], "b"))
    assert (test.difference, test.low, test.high, test.p) == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(("a", "b"), [(0, 5), (5, 0), (6, 1), (12, 12), (40, 21)])
def test_mcnemar_is_the_exact_binomial(a: int, b: int) -> None:
    assert mcnemar(a, b) == pytest.approx(binomtest(min(a, b), a + b, 0.5).pvalue)


def test_interval_is_that_of_a_bootstrap_written_out() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.random(200) < 0.8, generator.random(200) < 0.7
    test = paired_test(answers(a.tolist(), "a"), answers(b.tolist(), "b"))
    rows = generator.integers(0, 200, size=(20_000, 200))
    low, high = np.quantile((a.astype(float) - b)[rows].mean(axis=1), [0.025, 0.975])
    assert (test.low, test.high) == pytest.approx((low, high), abs=0.006)


def test_images_of_one_object_count_as_one_piece_of_evidence() -> None:
    """Ten images of two objects: the same answers as images would be significant, as objects they cannot be."""
    objects = ["vase"] * 5 + ["jug"] * 5
    test = paired_test(answers([1] * 10, "a", objects), answers([0] * 10, "b", objects))
    assert (test.n, test.objects, test.better_a, test.better_b) == (10, 2, 2, 0)
    assert test.p == pytest.approx(0.5)
    assert test.difference == 1.0


def test_interval_resamples_objects_with_all_their_images() -> None:
    objects = [f"object {i // 4}" for i in range(200)]
    generator = np.random.default_rng(5)
    by_object = generator.integers(-1, 2, size=50)
    a, b = np.repeat(by_object > 0, 4), np.repeat(by_object < 0, 4)
    test = paired_test(answers(a.tolist(), "a", objects), answers(b.tolist(), "b", objects))
    rows = generator.integers(0, 50, size=(20_000, 50))
    low, high = np.quantile(by_object[rows].mean(axis=1), [0.025, 0.975])
    assert (test.low, test.high) == pytest.approx((low, high), abs=0.021)


def test_a_seed_gives_the_same_interval() -> None:
    a, b = answers([1, 0, 1, 1, 0, 1], "a"), answers([0, 0, 1, 0, 1, 1], "b")
    assert paired_test(a, b, seed=4) == paired_test(a, b, seed=4)


def test_different_test_objects_are_refused_and_counted() -> None:
    a, b = answers([1, 1, 1, 1], "run a"), answers([1, 1, 1, 1, 1, 1], "run b").iloc[3:]
    with pytest.raises(
        RunError, match=r"run a and run b .* 3 images only in the first, 2 only in the second, 1 in both"
    ):
        paired_test(a, b)


def test_an_image_predicted_twice_is_refused() -> None:
    a = answers([1, 1], "run a")
    with pytest.raises(RunError, match="run a predicts 2 images more than once"):
        paired_test(pd.concat([a, a]).rename("run a"), a)


def test_no_image_is_refused() -> None:
    with pytest.raises(RunError, match="run a has no test object"):
        paired_test(answers([], "run a"), answers([1], "run b"))


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (3, 7), (811, 1000), (1, 1)])
def test_wilson_interval_agrees_with_scipy(right: int, n: int) -> None:
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_mcnemar_of_a_published_example() -> None:
    """The worked example of R's package exact2x2 (Fay 2010): 2 and 9 discordant pairs."""
    assert mcnemar(2, 9) == pytest.approx(0.06543, abs=5e-6)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_of_published_examples(right: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3."""
    assert wilson_interval(right / n, n) == pytest.approx((low, high), abs=5e-5)


def test_holm_of_a_published_example() -> None:
    """Four p-values of which Holm's procedure rejects the first and the last at 0.05 (Wikipedia, Holm–Bonferroni)."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_as_statsmodels_computes_it(seed: int) -> None:
    p_values = [round(p, 2) for p in np.random.default_rng(seed).uniform(0, 0.3, 12)]  # some of them equal
    assert holm(p_values) == multipletests(p_values, method="holm")[1].tolist()


def test_holm_of_one_test_or_none_corrects_nothing() -> None:
    assert holm([0.0312]) == [0.0312]
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(20))
def test_holm_rejects_what_its_stepwise_procedure_rejects(seed: int) -> None:
    generator = np.random.default_rng(seed)
    p_values = (generator.random(generator.integers(1, 9)) ** 3).tolist()
    corrected = holm(p_values)
    for level in (0.01, 0.05, 0.2, 0.5):
        rejected: set[int] = set()
        for step, i in enumerate(np.argsort(p_values)):
            if p_values[i] > level / (len(p_values) - step):
                break
            rejected.add(int(i))
        assert {i for i, p in enumerate(corrected) if p <= level} == rejected


def test_standard_error_of_objects_with_one_image_is_the_binomial_one() -> None:
    assert standard_error(answers([1] * 30 + [0] * 10, "a")) == pytest.approx(np.sqrt(0.75 * 0.25 / 40))


def test_standard_error_is_the_spread_of_redrawn_objects() -> None:
    """Objects of one to five images that are right or wrong together: redrawing whole objects, written out."""
    generator = np.random.default_rng(11)
    images = generator.integers(1, 6, size=150)
    right = generator.random(150) < 0.6
    objects = np.repeat([f"object {i}" for i in range(150)], images).tolist()
    rows = generator.integers(0, 150, size=(20_000, 150))
    redrawn = (right * images)[rows].sum(axis=1) / images[rows].sum(axis=1)
    found = standard_error(answers(np.repeat(right, images).tolist(), "a", objects))
    assert found == pytest.approx(redrawn.std(), rel=0.03)


@pytest.mark.parametrize("several_images", [False, True])
def test_interval_covers_the_true_difference_as_often_as_it_says(
    several_images: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,000 test sets of 250 objects, drawn from a population whose difference is known: 95 % within 2 points."""
    monkeypatch.setattr(significance, "RESAMPLES", 1000)  # enough here, and ten times as fast
    generator, simulations, n = np.random.default_rng(17), 1000, 250
    images = generator.integers(1, 4, size=(simulations, n)) if several_images else np.ones((simulations, n), int)
    drawn = generator.choice([1, -1, 0], p=[0.18, 0.10, 0.72], size=(simulations, n))
    gains = drawn * images  # an object's images are answered alike
    intervals = np.array([bootstrap_interval(gains[i], images[i]) for i in range(simulations)])
    covered = np.mean((intervals[:, 0] <= 0.08) & (intervals[:, 1] >= 0.08))
    assert covered == pytest.approx(0.95, abs=0.02)


def test_over_folds_by_hand() -> None:
    """Five differences: mean 0.03, sample variance 0.00025; (1/5 + 1/3)·0.00025 has the root 0.011547."""
    found = fold_test([0.01, 0.02, 0.03, 0.04, 0.05])
    assert found.difference == pytest.approx(0.03)
    assert (found.high - found.low) / 2 == pytest.approx(2.776445 * 0.0115470, rel=1e-5)
    assert found.p == pytest.approx(2 * stats.t.sf(0.03 / 0.0115470, 4), rel=1e-4)
    assert found.folds == 5


def test_over_folds_that_all_agree() -> None:
    assert fold_test([0.0, 0.0, 0.0]).p == 1
    assert fold_test([0.1, 0.1, 0.1]).p == pytest.approx(0)


def test_over_folds_chance_alone_is_found_in_less_than_one_of_twenty() -> None:
    """Two classifiers that are alike, on 40 objects a fold: the correction errs on the side of caution."""
    rng = np.random.default_rng(0)
    found = [fold_test((rng.binomial(40, 0.7, 5) - rng.binomial(40, 0.7, 5)) / 40).p < 0.05 for _ in range(2000)]
    assert np.mean(found) < 0.05
