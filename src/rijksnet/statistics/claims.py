"""The paper's three claims, each put to a paired test on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from rijksnet.protocol import TEST
from rijksnet.runs.key import RunKey
from rijksnet.statistics.balance import class_differences, is_unbalanced
from rijksnet.statistics.significance import fold_test, holm, paired_test

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rijksnet.params import Params
    from rijksnet.runs.result import RunResult
    from rijksnet.statistics.balance import ClassScores
    from rijksnet.statistics.significance import FoldTest, PairedTest

Outcome = Literal["holds", "opposite", "undecided", "doubtful", "not run"]
OUTCOMES: tuple[Outcome, ...] = ("holds", "opposite", "undecided", "doubtful", "not run")

#: A difference counts below this corrected p-value.
LEVEL = 0.05

#: What the paper claims, by the name that it has in claims.csv.
STATEMENTS = {
    "fine tuning beats off the shelf": "fine tuning a network beats using it off the shelf",
    "pretrained beats scratch": "starting from ImageNet weights beats starting from random ones",
    "source weights beat ImageNet's": "on the target, weights tuned on the source (θ̂) beat ImageNet weights (θ)",
}
TUNING, PRETRAINING, TRANSFER = STATEMENTS


@dataclass(frozen=True)
class Claim:
    """One comparison: `better` is the run that the paper says scores higher than `baseline`."""

    name: str
    better: RunKey
    baseline: RunKey


@dataclass(frozen=True)
class Verdict:
    """What the paired test says of a claim; `test` is better − baseline, None where a run is missing.

    `p_corrected` is its p-value after Holm's correction over the networks: the family are those comparisons of the same
    claim, collection, challenge and strategy that were run. Where no network of a family differs, chance alone decides
    any of its verdicts in at most one family of twenty.
    """

    claim: Claim
    test: PairedTest | None
    p_corrected: float | None
    doubtful: bool = False  #: whether one of the two runs is (rijksnet.training.soundness)
    over_folds: FoldTest | None = None  #: the same difference over folds; None: there is one split
    each_class_alike: ClassScores | None = None  #: in what counts every class alike; None: classes are balanced

    @property
    def disagrees(self) -> bool:
        """Whether balanced accuracy leads to another answer than the verdict, which is accuracy's: it is certain of the
        opposite, or of a difference where the verdict is of none, or of none where it is of one."""
        if self.each_class_alike is None or self.outcome not in ("holds", "opposite", "undecided"):
            return False
        balanced = self.each_class_alike.balanced_accuracy
        sign = 1 if balanced.low > 0 else -1 if balanced.high < 0 else 0
        return sign != {"holds": 1, "opposite": -1, "undecided": 0}[self.outcome]

    @property
    def outcome(self) -> Outcome:
        """holds: corrected p < 0.05 and better; opposite: corrected p < 0.05 and worse; undecided: anything else.

        doubtful: whatever the test says, it says it of a network that may be broken.
        """
        if self.test is None or self.p_corrected is None:
            return "not run"
        if self.doubtful:
            return "doubtful"
        if self.p_corrected < LEVEL and self.test.difference > 0:
            return "holds"
        if self.p_corrected < LEVEL and self.test.difference < 0:
            return "opposite"
        return "undecided"


def claims_of(params: Params) -> list[Claim]:
    """Every comparison that the runs of `params` allow, in the order of the three claims."""
    source, target, seed = params.source, params.target, params.training.seed
    tuning = [
        Claim(
            TUNING,
            RunKey(source.collection, challenge, architecture, "fine_tuning", "imagenet", seed),
            RunKey(source.collection, challenge, architecture, "off_the_shelf", "imagenet", seed),
        )
        for challenge in source.challenges
        for architecture in params.architectures
    ]
    pretraining = [
        Claim(
            PRETRAINING,
            RunKey(source.collection, challenge, params.scratch.architecture, "fine_tuning", "imagenet", seed),
            RunKey(source.collection, challenge, params.scratch.architecture, "scratch", "random", seed),
        )
        for challenge in params.scratch.challenges
    ]
    transfer = [
        Claim(
            TRANSFER,
            RunKey(target.collection, challenge, architecture, strategy, source.collection, seed),
            RunKey(target.collection, challenge, architecture, strategy, "imagenet", seed),
        )
        for challenge in target.challenges
        for architecture in target.architectures
        for strategy in ("off_the_shelf", "fine_tuning")
    ]
    return [*tuning, *pretraining, *transfer]


def judge(claims: Sequence[Claim], runs: Mapping[RunKey, RunResult]) -> list[Verdict]:
    """A verdict on each claim.

    Raises:
        RunError: two runs of one claim were tested on different objects.
    """
    correct = {key: runs[key].correct() for claim in claims for key in (claim.better, claim.baseline) if key in runs}
    tests = {
        claim: paired_test(correct[claim.better], correct[claim.baseline])
        for claim in claims
        if claim.better in correct and claim.baseline in correct
    }
    corrected: dict[Claim, float] = {}
    families: dict[tuple[str, ...], list[Claim]] = {}
    for claim in tests:
        families.setdefault(_family(claim), []).append(claim)
    for family in families.values():
        corrected |= zip(family, holm([tests[claim].p for claim in family]), strict=True)
    doubtful = {key for key, run in runs.items() if run.doubts}
    return [
        Verdict(
            claim,
            tests.get(claim),
            corrected.get(claim),
            not doubtful.isdisjoint({claim.better, claim.baseline}),
            _over_folds(runs[claim.better], runs[claim.baseline]) if claim in tests else None,
            _each_class_alike(runs[claim.better], runs[claim.baseline]) if claim in tests else None,
        )
        for claim in claims
    ]


def _over_folds(better: RunResult, baseline: RunResult) -> FoldTest | None:
    of_folds = list(zip(better.fold_accuracies, baseline.fold_accuracies, strict=True))
    return fold_test([a - b for a, b in of_folds]) if of_folds else None


def _each_class_alike(better: RunResult, baseline: RunResult) -> ClassScores | None:
    answers = better.predictions(TEST)
    return class_differences(answers, baseline.predictions(TEST)) if is_unbalanced(answers) else None


def families(verdicts: Sequence[Verdict]) -> int:
    """How many families of comparisons were tested, each corrected by itself."""
    return len({_family(verdict.claim) for verdict in verdicts if verdict.test is not None})


def _family(claim: Claim) -> tuple[str, ...]:
    """What the comparisons that are corrected together have in common: all but the network."""
    key = claim.better
    return claim.name, key.collection, key.challenge, key.strategy


def claims_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row a comparison: accuracies and difference in percent, its 95 % interval, p as tested and as
    corrected over the networks; the same over folds, where there are several; the differences in balanced accuracy and
    macro F1, in points, where classes are unbalanced; counts, and both runs' keys."""
    frame = pd.DataFrame([_row(verdict) for verdict in verdicts])
    counts = ("folds", "images", "objects", "objects_run_better", "objects_baseline_better")
    return frame.astype(dict.fromkeys(counts, "Int64"))


def _row_of_classes(scores: ClassScores | None) -> dict[str, object]:
    row: dict[str, object] = {}
    for name in ("balanced_accuracy", "macro_f1"):
        found = None if scores is None else getattr(scores, name)
        for part, column in (("value", "difference"), ("low", "low"), ("high", "high")):
            row[f"{name}_{column}"] = None if found is None else 100 * getattr(found, part)
    return row


def _row(verdict: Verdict) -> dict[str, object]:
    claim, test, folds = verdict.claim, verdict.test, verdict.over_folds
    return {
        "claim": claim.name,
        "collection": claim.better.collection,
        "challenge": claim.better.challenge,
        "architecture": claim.better.architecture,
        "strategy": claim.better.strategy,
        "outcome": verdict.outcome,
        "accuracy_percent": None if test is None else 100 * test.accuracy_a,
        "baseline_accuracy_percent": None if test is None else 100 * test.accuracy_b,
        "difference_points": None if test is None else 100 * test.difference,
        "difference_low": None if test is None else 100 * test.low,
        "difference_high": None if test is None else 100 * test.high,
        "p": None if test is None else test.p,
        "p_corrected": verdict.p_corrected,
        "folds": None if folds is None else folds.folds,
        "folds_difference_low": None if folds is None else 100 * folds.low,
        "folds_difference_high": None if folds is None else 100 * folds.high,
        "folds_p": None if folds is None else folds.p,
        **_row_of_classes(verdict.each_class_alike),
        "images": None if test is None else test.n,
        "objects": None if test is None else test.objects,
        "objects_run_better": None if test is None else test.better_a,
        "objects_baseline_better": None if test is None else test.better_b,
        "run": str(claim.better),
        "baseline_run": str(claim.baseline),
    }
