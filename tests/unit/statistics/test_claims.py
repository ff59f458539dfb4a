from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rijksnet.errors import RunError
from rijksnet.params import Params
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import load_asked
from rijksnet.statistics.balance import ClassScores, Estimate
from rijksnet.statistics.claims import PRETRAINING, TRANSFER, TUNING, Claim, Verdict, claims_of, claims_table, judge
from rijksnet.statistics.significance import PairedTest

SOURCE = ("miniature-rijksmuseum", "type", "test_resnet")
TUNED = RunKey(*SOURCE, "fine_tuning", "imagenet")
SHELF = RunKey(*SOURCE, "off_the_shelf", "imagenet")
SCRATCH = RunKey(*SOURCE, "scratch", "random")


def test_every_comparison_that_params_allow(params: Params) -> None:
    claims = claims_of(params)
    assert Counter(claim.name for claim in claims) == {TUNING: 6, PRETRAINING: 3, TRANSFER: 8}
    assert Claim(TUNING, TUNED, SHELF) in claims
    assert Claim(PRETRAINING, TUNED, SCRATCH) in claims
    for claim in claims:
        assert claim.better.collection == ("miniature-antwerp" if claim.name == TRANSFER else "miniature-rijksmuseum")


def test_transfer_compares_initialisations_and_nothing_else(params: Params) -> None:
    for claim in (claim for claim in claims_of(params) if claim.name == TRANSFER):
        assert claim.better.initialisation == params.source.collection
        assert claim.baseline == replace(claim.better, initialisation="imagenet")


@pytest.mark.parametrize(
    ("tuned", "shelf", "outcome"),
    [
        ([True] * 20, [False] * 10 + [True] * 10, "holds"),
        ([False] * 10 + [True] * 10, [True] * 20, "opposite"),
        ([True] * 20, [False] * 5 + [True] * 15, "undecided"),  # 5 of 5: p = 0.0625
        ([True] * 20, [False] * 6 + [True] * 14, "holds"),  # 6 of 6: p = 0.03125
        ([True, False] * 10, [True, False] * 10, "undecided"),
        ([True, False] * 10, [False, True] * 10, "undecided"),
    ],
)
def test_outcomes(
    tuned: list[bool],
    shelf: list[bool],
    outcome: str,
    params: Params,
    write_run: Callable[..., Path],
    runs_root: Path,
) -> None:
    write_run(TUNED, tuned)
    write_run(SHELF, shelf)
    (verdict,) = judge([Claim(TUNING, TUNED, SHELF)], load_asked(params, runs_root))
    assert verdict.outcome == outcome


@pytest.mark.parametrize("doubtful", [TUNED, SHELF])
def test_a_test_of_a_network_that_may_be_broken_decides_nothing(
    doubtful: RunKey, params: Params, write_run: Callable[..., Path], runs_root: Path
) -> None:
    write_run(TUNED, [False] * 10 + [True] * 10, doubts=["it broke"] if doubtful == TUNED else [])
    write_run(SHELF, [True] * 20, doubts=["it broke"] if doubtful == SHELF else [])
    (verdict,) = judge([Claim(TUNING, TUNED, SHELF)], load_asked(params, runs_root))
    assert verdict.p_corrected is not None
    assert verdict.p_corrected < 0.01
    assert verdict.outcome == "doubtful"


def test_a_missing_run_is_said_not_guessed(params: Params, write_run: Callable[..., Path], runs_root: Path) -> None:
    write_run(TUNED, [True] * 8)
    verdicts = judge(claims_of(params), load_asked(params, runs_root))
    assert {verdict.outcome for verdict in verdicts} == {"not run"}
    table = claims_table(verdicts)
    assert table["p"].isna().all()
    assert table["images"].isna().all()
    assert str(TUNED) in set(table["run"])


def test_table_of_claims_traces_both_runs(params: Params, write_run: Callable[..., Path], runs_root: Path) -> None:
    write_run(TUNED, [True] * 9 + [False])
    write_run(SCRATCH, [False] * 7 + [True, True, False])
    (verdict,) = judge([Claim(PRETRAINING, TUNED, SCRATCH)], load_asked(params, runs_root))
    row = claims_table([verdict]).iloc[0]
    assert (row["run"], row["baseline_run"]) == (str(TUNED), str(SCRATCH))
    assert row["difference_points"] == pytest.approx(70)
    assert row["difference_low"] < 70 < row["difference_high"]
    assert row["p"] == pytest.approx(2 / 2**7)
    assert (row["images"], row["objects"]) == (10, 10)
    assert (row["objects_run_better"], row["objects_baseline_better"]) == (7, 0)


def test_runs_tested_on_different_objects_are_refused(
    params: Params, write_run: Callable[..., Path], runs_root: Path
) -> None:
    write_run(TUNED, [True] * 5)
    write_run(SHELF, [True] * 5, first_object=2)
    with pytest.raises(RunError, match="2 images only in the first, 2 only in the second, 3 in both"):
        judge(claims_of(params), load_asked(params, runs_root))


def test_each_claim_is_corrected_over_its_networks(
    params: Params, write_run: Callable[..., Path], runs_root: Path
) -> None:
    """Networks on one challenge are a family; what is compared on another challenge, or by another claim, is not."""
    claims = [claim for claim in claims_of(params) if claim.name == TUNING and claim.better.challenge != "artist"]
    wins = {("type", 0): 6, ("type", 1): 9, ("material", 0): 6}  # the second network has no run on material
    for (challenge, network), won in wins.items():
        of = ("miniature-rijksmuseum", challenge, params.architectures[network])
        write_run(RunKey(*of, "fine_tuning", "imagenet"), [True] * 20)
        write_run(RunKey(*of, "off_the_shelf", "imagenet"), [False] * won + [True] * (20 - won))
    write_run(RunKey("miniature-rijksmuseum", "type", params.architectures[0], "scratch", "random"), [True] * 20)
    claims.append(Claim(PRETRAINING, TUNED, SCRATCH))
    verdicts = judge(claims, load_asked(params, runs_root))
    found = {(v.claim.name, v.claim.better.challenge, v.claim.better.architecture): v for v in verdicts}
    first, second = params.architectures[:2]
    six, nine = 2 / 2**6, 2 / 2**9
    assert found[TUNING, "type", first].p_corrected == pytest.approx(six)  # the larger of a family stays
    assert found[TUNING, "type", second].p_corrected == pytest.approx(2 * nine)
    assert found[TUNING, "material", first].p_corrected == pytest.approx(six)
    assert found[TUNING, "material", second].p_corrected is None
    assert found[PRETRAINING, "type", first].p_corrected == 1.0
    assert claims_table(verdicts)["p_corrected"].isna().sum() == 1


def test_the_corrected_p_decides(params: Params, write_run: Callable[..., Path], runs_root: Path) -> None:
    """Six of six discordant pairs alone are significant (p = 0.031), among two such networks they are not (0.0625)."""
    for architecture in params.architectures[:2]:
        of = ("miniature-rijksmuseum", "type", architecture)
        write_run(RunKey(*of, "fine_tuning", "imagenet"), [True] * 20)
        write_run(RunKey(*of, "off_the_shelf", "imagenet"), [False] * 6 + [True] * 14)
    runs = load_asked(params, runs_root)
    claims = [claim for claim in claims_of(params) if claim.name == TUNING and claim.better.challenge == "type"]
    assert [verdict.outcome for verdict in judge(claims, runs)] == ["undecided"] * 2
    assert [judge([claim], runs)[0].outcome for claim in claims] == ["holds"] * 2


@pytest.mark.parametrize(
    ("p", "difference", "low", "high", "disagrees"),
    [
        (0.01, 0.1, 0.02, 0.2, False),
        (0.01, 0.1, -0.02, 0.2, True),
        (0.01, -0.1, -0.2, -0.02, False),
        (0.01, -0.1, 0.01, 0.2, True),
        (0.6, 0.1, -0.2, 0.2, False),
        (0.6, 0.1, 0.02, 0.2, True),
    ],
)
def test_where_balanced_accuracy_answers_otherwise(
    p: float, difference: float, low: float, high: float, disagrees: bool
) -> None:
    test = PairedTest(100, 100, 0.7, 0.7 - difference, difference, -1, 1, 5, 5, p)
    scores = ClassScores(Estimate(0.1, low, high), Estimate(0.1, -1, 1))
    assert Verdict(Claim(TUNING, TUNED, SHELF), test, p, False, None, scores).disagrees is disagrees
    assert not Verdict(Claim(TUNING, TUNED, SHELF), test, p).disagrees


def test_unbalanced_classes_and_folds_have_columns_of_their_own(
    params: Params, write_run: Callable[..., Path], runs_root: Path
) -> None:
    write_run(TUNED, [True] * 30)
    write_run(SHELF, [True] * 15 + [False] * 15)
    for key, accuracies in ((TUNED, (1.0, 0.9, 1.0)), (SHELF, (0.5, 0.6, 0.4))):
        file = runs_root / str(key) / "metrics.json"
        scores = json.loads(file.read_text())
        file.write_text(json.dumps({**scores, "folds": [{"test_accuracy": one} for one in accuracies]}))
    row = claims_table(judge([Claim(TUNING, TUNED, SHELF)], load_asked(params, runs_root))).iloc[0]
    assert row["folds"] == 3
    assert row["folds_difference_low"] < 100 * np.mean([0.5, 0.3, 0.6]) < row["folds_difference_high"]
    assert pd.isna(row["balanced_accuracy_difference"]), "ten images of each of three classes"
