"""Runs over several folds: trained once a fold, and one run of all that they answered, each object tested once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rijksnet.data import labelled
from rijksnet.errors import RunError
from rijksnet.protocol import TEST, VALIDATION
from rijksnet.runs import metrics
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.predictions import Predictions, read_predictions, write_predictions
from rijksnet.runs.writing import write_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rijksnet.data.subsets import LabelledSplits
    from rijksnet.params import Params
    from rijksnet.runs.folder import Run
    from rijksnet.runs.key import RunKey


def of(params: Params, key: RunKey) -> list[RunKey]:
    """The runs that a run consists of: itself, or one a fold."""
    folds = params.splits.folds
    return [key] if folds == 1 else [replace(key, fold=fold) for fold in range(folds)]


def pool(key: RunKey, parts: Sequence[RunKey], images: Callable[[RunKey], LabelledSplits]) -> None:
    """Write the run that several folds make together; with one split it is there already.

    Its validation and test answers are those of all folds: each object is validated once and tested once, by networks
    that did not train on it. Accuracies are over all objects. History, weights and epochs are the first fold's: the
    weights that transfer starts from, and that are looked into. `folds` of its metrics.json has what each fold scored.

    Args:
        parts: what it consists of, as `of` says, complete.
        images: of each part.

    Raises:
        RunError: a fold is missing or damaged, or the folds differ in their classes.
    """
    if parts == [key]:
        return
    split_digest = labelled.digest({f"fold{one.fold}": images(one)[TEST] for one in parts})
    folders, whole = [RunFolder.of(one) for one in parts], RunFolder.of(key)
    runs = [folder.read(verify=True) for folder in folders]
    whole.run.unlink(missing_ok=True)
    _require_same_classes(runs)
    answers = [_joined(folders, split) for split in (VALIDATION, TEST)]
    write_predictions(whole.predictions, answers)
    scores = [json.loads(folder.metrics.read_text(encoding="utf-8")) for folder in folders]
    measured = {one.split: _measured(one) for one in reversed(answers)} | _over_all(scores)
    write_metrics(whole.metrics, measured)
    for name in (whole.history.name, whole.weights.name):
        if name in runs[0].files:
            shutil.copyfile(folders[0].root / name, whole.root / name)
    counted = {f"{one.split}_images": len(one.labels) for one in answers}
    whole.write(
        replace(
            runs[0],
            key=key,
            ended_ms=max(run.ended_ms for run in runs),
            params={**runs[0].params, **counted},
            digests={**runs[0].digests, "split": split_digest},
            lineage=runs[-1].lineage,
            doubts=[f"fold {number}: {doubt}" for number, run in enumerate(runs) for doubt in run.doubts],
        )
    )


def _require_same_classes(runs: Sequence[Run]) -> None:
    for run in runs:
        if run.classes != runs[0].classes:
            raise RunError(
                f"{run.key} has {len(run.classes)} classes and {runs[0].key} {len(runs[0].classes)}: they were made "
                "from different splits; `dvc repro` trains them anew"
            )


def _joined(parts: Sequence[RunFolder], split: str) -> Predictions:
    """All folds' answers on one split, sorted by (object_id, image)."""
    found = [read_predictions(part.predictions, split) for part in parts]
    pairs = [pair for one in found for pair in zip(one.object_ids, one.images, strict=True)]
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    labels = np.concatenate([one.labels for one in found])[order]
    probabilities = np.concatenate([one.probabilities for one in found])[order]
    return Predictions(split, [pairs[i][0] for i in order], [pairs[i][1] for i in order], labels, probabilities)


def _measured(answers: Predictions) -> dict[str, Any]:
    return metrics.evaluate(answers.probabilities, answers.labels) | {"n": len(answers.labels)}


def _over_all(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is said of all folds together beside their answers, and of each."""
    tested = np.array([one["test"]["n"] for one in scores])
    majority = np.array([one["majority_accuracy"] for one in scores])
    said: dict[str, Any] = {"majority_accuracy": float(majority @ tested / tested.sum())}
    if all("train" in one for one in scores):
        seen = np.array([one["train"]["n"] for one in scores])
        right = np.array([one["train"]["accuracy"] for one in scores])
        said["train"] = {"accuracy": float(right @ seen / seen.sum()), "n": int(seen.sum())}
    names = ("epochs", "best_epoch")
    each = [
        {
            "test_accuracy": one["test"]["accuracy"],
            "test_images": one["test"]["n"],
            **{name: one[name] for name in names},
        }
        for one in scores
    ]
    return said | {name: scores[0][name] for name in names} | {"folds": each}
