"""Is a difference between two runs more than chance? Paired tests and confidence intervals over test objects."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from rijksnet.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95
RESAMPLES = 10_000

Counts = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class PairedTest:
    """Two classifiers, a and b, on the same `n` images of the same `objects` objects.

    Accuracies are shares of the images, `difference` is a − b, and `low` and `high` bound its 95 % paired bootstrap
    interval. `better_a` and `better_b` count the objects of which a and b classify more images rightly; `p` is the
    exact two-sided p-value of these counts, which is McNemar's where an object has one image. Objects, not images, are
    taken as independent, and each classifier as given: what another seed would have trained is another question.
    """

    n: int
    objects: int
    accuracy_a: float
    accuracy_b: float
    difference: float
    low: float
    high: float
    better_a: int
    better_b: int
    p: float


def paired_test(correct_a: pd.Series[bool], correct_b: pd.Series[bool], seed: int = 0) -> PairedTest:
    """Exact McNemar test and paired bootstrap interval of the accuracy difference a − b.

    Args:
        correct_a, correct_b: whether each image was classified rightly, indexed by (object_id, image); `name` names
            the run in error messages. The two are joined on the index, so their order does not matter.
        seed: of the bootstrap's resampling.

    Raises:
        RunError: the two do not cover the same images, one lists an image twice, or there is none.
    """
    _check_same_images(correct_a, correct_b)
    a = correct_a.to_numpy(dtype=bool)
    b = correct_b.reindex(correct_a.index).to_numpy(dtype=bool)
    object_of, objects = pd.factorize(correct_a.index.get_level_values(0))
    gains = np.zeros(len(objects), np.int64)
    np.add.at(gains, object_of, a.astype(np.int64) - b)
    low, high = bootstrap_interval(gains, np.bincount(object_of), seed)
    better_a, better_b = int(np.sum(gains > 0)), int(np.sum(gains < 0))
    return PairedTest(
        n=len(a),
        objects=len(objects),
        accuracy_a=float(a.mean()),
        accuracy_b=float(b.mean()),
        difference=int(gains.sum()) / len(a),
        low=low,
        high=high,
        better_a=better_a,
        better_b=better_b,
        p=mcnemar(better_a, better_b),
    )


@dataclass(frozen=True)
class FoldTest:
    """The mean of a difference between two classifiers over folds, its 95 % interval and its two-sided p.

    Each fold trains both anew, so that this counts what other training images would change, too. But folds share most
    of those, and no estimate of their variance is unbiased (Bengio and Grandvalet 2004); this one is enlarged by the
    share of test to training images, and so errs on the side of caution (Nadeau and Bengio 2003).
    """

    folds: int
    difference: float
    low: float
    high: float
    p: float


def fold_test(differences: Sequence[float]) -> FoldTest:
    """Corrected resampled t-test over k >= 3 folds, of which k − 2 train and one tests.

    Args:
        differences: a − b on the test split of each fold.
    """
    from scipy.stats import t

    values, folds = np.asarray(differences, np.float64), len(differences)
    mean = float(values.mean())
    error = float(np.sqrt((1 / folds + 1 / (folds - 2)) * values.var(ddof=1)))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, folds - 1)) * error
    p = float(2 * t.sf(abs(mean) / error, folds - 1)) if error else float(mean == 0)
    return FoldTest(folds, mean, mean - reach, mean + reach, p)


def mcnemar(better_a: int, better_b: int) -> float:
    """Exact two-sided McNemar p-value in (0, 1]: do the discordant pairs favour neither? (McNemar 1947, binomial)."""
    from scipy.stats import binomtest

    if better_a + better_b == 0:
        return 1.0
    return float(binomtest(better_a, better_a + better_b, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of one family of tests, corrected so that the chance of any false finding stays below the level, and in
    the order given (Holm 1979); no test is needed to be independent of another. An empty family is allowed."""
    if not p_values:
        return []
    order = np.argsort(p_values)  # of equal ones the order changes nothing
    raw = np.asarray(p_values, dtype=np.float64)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(raw), 1)
    return [float(p) for p in corrected]  # statsmodels gives the same, and collects garbage at every call: 0.2 s


def wilson_interval(accuracy: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson score interval, within [0, 1], of an accuracy in [0, 1] measured on `n` >= 1 objects (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = accuracy + z * z / (2 * n)
    spread = z * sqrt(accuracy * (1 - accuracy) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def standard_error(answers: pd.Series[Any]) -> float:
    """Standard error of the mean of `answers` over images, such as an accuracy, as another draw of test objects would
    change it: objects are drawn with all their images, so that with one image each an accuracy q over n of them has
    √(q(1 − q)/n) (the linearised variance of a ratio, Cochran 1977, section 6.3).

    Args:
        answers: a value an image, such as whether it was classified rightly, indexed by (object_id, image).
    """
    values = answers.to_numpy(dtype=np.float64)
    object_of, _ = pd.factorize(answers.index.get_level_values(0))
    deviations = np.bincount(object_of, weights=values - values.mean())
    return float(np.sqrt(np.sum(deviations**2)) / len(values))


def mean_interval(values: npt.NDArray[np.float64], seed: int = 0) -> tuple[float, float, float]:
    """The mean of at least two values, one an object, and its 95 % percentile bootstrap interval."""
    from scipy.stats import bootstrap

    found = bootstrap((values,), np.mean, confidence_level=CONFIDENCE, n_resamples=2000, method="percentile", rng=seed)
    return float(values.mean()), float(found.confidence_interval.low), float(found.confidence_interval.high)


def bootstrap_interval(gains: Counts, images: Counts, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the accuracy difference Σ gains / Σ images, objects resampled with all their images.

    Args:
        gains: int (objects,), images of each object that only a has right − those that only b has right.
        images: int (objects,), images of each object, at least 1.
        seed: of the resampling.

    Objects with the same gain (images that only a has right − those that only b has) and the same number of images are
    interchangeable, so that a resample is one multinomial draw of how often each such kind occurs: the same
    distribution, without objects × RESAMPLES indices in memory.
    """
    kinds, counts = np.unique(np.stack([gains, images], axis=1), axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(gains), counts / len(gains), size=RESAMPLES)
    resampled_gains, resampled_images = (drawn @ kinds).T
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled_gains / resampled_images, [tail, 1 - tail])
    return float(low), float(high)


def _check_same_images(a: pd.Series[bool], b: pd.Series[bool]) -> None:
    for correct in (a, b):
        if correct.empty:
            raise RunError(f"run {correct.name} has no test object: nothing can be tested; train the run again")
        if twice := int(correct.index.duplicated().sum()):
            raise RunError(f"run {correct.name} predicts {twice} images more than once; train the run again")
    only_a, only_b = len(a.index.difference(b.index)), len(b.index.difference(a.index))
    if only_a or only_b:
        raise RunError(
            f"runs {a.name} and {b.name} were not tested on the same objects: {only_a} images only in the first, "
            f"{only_b} only in the second, {len(a) - only_a} in both; a paired test needs one split, so train both "
            "runs again from the present split (dvc repro)"
        )
