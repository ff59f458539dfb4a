from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from rijksnet.errors import RunError
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import RunResult, load_all
from rijksnet.statistics.claims import Claim
from rijksnet.statistics.seeds import differences, differences_table, spreads, spreads_table

BETTER = RunKey("miniature-rijksmuseum", "type", "test_resnet", "fine_tuning", "imagenet")
BASELINE = replace(BETTER, strategy="off_the_shelf")
CLAIM = Claim("fine tuning beats off the shelf", BETTER, BASELINE)
N = 20


@pytest.fixture
def make(write_run: Callable[..., Path], runs_root: Path) -> Callable[..., dict[RunKey, RunResult]]:
    """Records with so many of N images right, by seed; the first are right."""

    def made(better: Sequence[int], baseline: Sequence[int] = (), first_seed: int = 0) -> dict[RunKey, RunResult]:
        for key, counts in ((BETTER, better), (BASELINE, baseline)):
            for seed, right in enumerate(counts, start=first_seed):
                write_run(replace(key, seed=seed), [i < right for i in range(N)])
        return load_all(runs_root)

    return made


def test_spread_keeps_seeds_and_test_sample_apart(make: Callable[..., dict[RunKey, RunResult]]) -> None:
    (spread,) = spreads(make([12, 14, 16], [10]))
    assert (spread.key, spread.seeds) == (BETTER, (0, 1, 2))
    assert (spread.mean, spread.sd) == pytest.approx((0.7, 0.1))
    interval = ttest_1samp([0.6, 0.7, 0.8], 0).confidence_interval()
    assert (spread.low, spread.high) == pytest.approx((interval.low, interval.high))
    assert spread.sampling == pytest.approx(np.mean([np.sqrt(q * (1 - q) / N) for q in (0.6, 0.7, 0.8)]))


def test_an_interval_of_accuracies_stays_among_them(make: Callable[..., dict[RunKey, RunResult]]) -> None:
    (spread,) = spreads(make([20, 15]))
    assert spread.high == 1.0
    assert spread.low >= 0.0


def test_the_lowest_seed_names_the_runs(make: Callable[..., dict[RunKey, RunResult]]) -> None:
    runs = make([12, 14], first_seed=3)
    (spread,) = spreads(dict(reversed(runs.items())))
    assert (spread.key.seed, spread.seeds) == (3, (3, 4))


def test_a_difference_pairs_runs_of_one_seed(make: Callable[..., dict[RunKey, RunResult]]) -> None:
    (found,) = differences([CLAIM], make([16, 12, 18], [12, 13, 13]))
    gained = [0.2, -0.05, 0.25]
    assert found.claim == CLAIM
    assert (found.mean, found.sd) == pytest.approx((np.mean(gained), np.std(gained, ddof=1)))
    interval = ttest_rel([0.8, 0.6, 0.9], [0.6, 0.65, 0.65]).confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.agree == 2
    errors = [np.sqrt((abs(d) - d * d) / N) for d in gained]  # each discordant image is a gain, or each a loss
    assert found.sampling == pytest.approx(np.mean(errors))


def test_only_seeds_that_both_runs_have_count(make: Callable[..., dict[RunKey, RunResult]]) -> None:
    runs = make([16, 12, 18], [12, 13])
    (found,) = differences([CLAIM], runs)
    assert found.seeds == (0, 1)
    del runs[BASELINE]
    assert differences([CLAIM], runs) == []


def test_seeds_of_different_splits_are_refused(make: Callable[..., dict[RunKey, RunResult]], runs_root: Path) -> None:
    make([12, 14])
    path = runs_root / str(replace(BETTER, seed=1)) / "run.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"digests": content["digests"] | {"split": "6" * 64}}))
    with pytest.raises(RunError, match=r"seed0 and .*seed1 were made from different splits \(555555555555, 6666"):
        spreads(load_all(runs_root))


def test_tables_name_both_uncertainties(make: Callable[..., dict[RunKey, RunResult]]) -> None:
    runs = make([12, 14, 16], [10, 10, 10])
    row = spreads_table(spreads(runs)).iloc[0]
    assert (row["run"], row["seeds"]) == (str(BETTER), "0 1 2")
    assert (row["mean_percent"], row["between_seeds_sd"]) == pytest.approx((70, 10))
    assert 0 < row["test_sample_se"] < 12
    row = differences_table(differences([CLAIM], runs)).iloc[0]
    assert (row["run"], row["baseline_run"], row["seeds_that_agree"]) == (str(BETTER), str(BASELINE), 3)
    assert (row["mean_points"], row["between_seeds_sd"]) == pytest.approx((20, 10))
    assert row["mean_low"] < 20 < row["mean_high"]
    assert spreads_table([]).columns.tolist() == spreads_table(spreads(runs)).columns.tolist()
