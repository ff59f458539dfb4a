"""How much another seed changes a run, and a difference between two.

Two sources of uncertainty are kept apart throughout. *Seeds*: another initialisation of what is not transferred and
another batch order would have trained another network (`sd`, and the t interval of the mean). *Sampling*: another draw
of test objects would have scored the same networks otherwise (`sampling`). Neither contains the other, and all seeds
share one split, one θ and one θ̂.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rijksnet.errors import RunError
from rijksnet.statistics.significance import CONFIDENCE, paired_test, standard_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rijksnet.runs.key import RunKey
    from rijksnet.runs.result import RunResult
    from rijksnet.statistics.claims import Claim


@dataclass(frozen=True)
class SeedSpread:
    """The test accuracies of one run made with several seeds, all in [0, 1].

    `key` is that of the lowest seed; `sd` the standard deviation between seeds (ddof 1); `low` and `high` bound the
    95 % t interval of the mean over seeds, cut to [0, 1]; `sampling` is the standard error from the finite test set,
    mean over the seeds.
    """

    key: RunKey
    seeds: tuple[int, ...]
    mean: float
    sd: float
    sampling: float
    low: float
    high: float


@dataclass(frozen=True)
class SeedDifference:
    """The accuracy difference better − baseline of a claim, between runs of the same seed, in [−1, 1].

    `sd` is its standard deviation between seeds (ddof 1); `low` and `high` bound the 95 % t interval of the mean over
    seeds; `sampling` is the standard error from the finite test set (paired, mean over the seeds); `agree` counts the
    seeds whose difference has the sign of the mean.
    """

    claim: Claim
    seeds: tuple[int, ...]
    mean: float
    sd: float
    sampling: float
    low: float
    high: float
    agree: int


def spreads(runs: Mapping[RunKey, RunResult]) -> list[SeedSpread]:
    """The spread of every run that was made with at least two seeds, in the order in which `runs` first has them.

    Raises:
        RunError: one of its seeds was made from another split.
    """
    return [_spread([runs[key] for key in keys]) for keys in _by_seed(runs).values() if len(keys) > 1]


def differences(claims: Sequence[Claim], runs: Mapping[RunKey, RunResult]) -> list[SeedDifference]:
    """The differences over seeds of those claims whose two runs both exist with at least two seeds in common.

    The seeds that the claim's own keys name do not matter: any seed that both have counts.

    Raises:
        RunError: the two runs of a seed were tested on different objects.
    """
    seeds_of = {group: [key.seed for key in keys] for group, keys in _by_seed(runs).items()}
    found = []
    for claim in claims:
        better, baseline = (seeds_of.get(_seedless(key), []) for key in (claim.better, claim.baseline))
        common = [seed for seed in better if seed in baseline]
        if len(common) > 1:
            found.append(_difference(claim, common, runs))
    return found


def spreads_table(found: Iterable[SeedSpread]) -> pd.DataFrame:
    """One row a run and its seeds, in percent and points: what varies between seeds and what with the test objects."""
    columns = ["run", "seeds", "mean_percent", "between_seeds_sd", "mean_low", "mean_high", "test_sample_se"]
    rows = [
        [str(one.key), _listed(one.seeds), *(100 * x for x in (one.mean, one.sd, one.low, one.high, one.sampling))]
        for one in found
    ]
    return pd.DataFrame(rows, columns=columns)


def differences_table(found: Iterable[SeedDifference]) -> pd.DataFrame:
    """One row a claim, in points: what varies between seeds and what with the test objects."""
    columns = ["claim", "run", "baseline_run", "seeds", "mean_points", "between_seeds_sd", "mean_low", "mean_high"]
    columns += ["test_sample_se", "seeds_that_agree"]
    rows = [
        [one.claim.name, str(one.claim.better), str(one.claim.baseline), _listed(one.seeds)]
        + [100 * x for x in (one.mean, one.sd, one.low, one.high, one.sampling)]
        + [one.agree]
        for one in found
    ]
    return pd.DataFrame(rows, columns=columns)


def _by_seed(keys: Iterable[RunKey]) -> dict[RunKey, list[RunKey]]:
    """Keys that are equal but for the seed, by the one with seed 0; seeds rising."""
    groups: dict[RunKey, list[RunKey]] = {}
    for key in keys:
        groups.setdefault(_seedless(key), []).append(key)
    return {group: sorted(found, key=lambda key: key.seed) for group, found in groups.items()}


def _seedless(key: RunKey) -> RunKey:
    return replace(key, seed=0)


def _spread(runs: Sequence[RunResult]) -> SeedSpread:
    for run in runs[1:]:
        if run.split_digest != runs[0].split_digest:
            raise RunError(
                f"{runs[0].key} and {run.key} were made from different splits ({runs[0].split_digest[:12]}, "
                f"{run.split_digest[:12]}): seeds compare on one; train both again from the present split (dvc repro)"
            )
    mean, sd, half = _t_interval([run.test.accuracy for run in runs])
    sampling = float(np.mean([standard_error(run.correct()) for run in runs]))
    seeds = tuple(run.key.seed for run in runs)
    return SeedSpread(runs[0].key, seeds, mean, sd, sampling, max(0.0, mean - half), min(1.0, mean + half))


def _difference(claim: Claim, seeds: Sequence[int], runs: Mapping[RunKey, RunResult]) -> SeedDifference:
    gained, errors = [], []
    for seed in seeds:
        better, baseline = (runs[replace(key, seed=seed)].correct() for key in (claim.better, claim.baseline))
        gained.append(paired_test(better, baseline).difference)
        errors.append(standard_error(better.astype(int) - baseline.astype(int)))
    mean, sd, half = _t_interval(gained)
    agree = sum(np.sign(difference) == np.sign(mean) for difference in gained)
    sampling = float(np.mean(errors))
    return SeedDifference(claim, tuple(seeds), mean, sd, sampling, mean - half, mean + half, int(agree))


def _t_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and standard deviation (ddof 1) of at least two values, and half the 95 % t interval of the mean."""
    from scipy.stats import t

    n, sd = len(values), float(np.std(values, ddof=1))
    return float(np.mean(values)), sd, float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / sqrt(n)


def _listed(seeds: Sequence[int]) -> str:
    return " ".join(map(str, seeds))
