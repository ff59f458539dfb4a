"""What every trained classifier leaves, however it was trained: answers, their scores, and the folder around them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from rijksnet import protocol
from rijksnet.data import labelled
from rijksnet.files import replacing
from rijksnet.runs import metrics
from rijksnet.runs.folder import Run
from rijksnet.runs.predictions import write_predictions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rijksnet.data.labelled import LabelledRows
    from rijksnet.networks.weights import Ancestry
    from rijksnet.params import Params, Strategy
    from rijksnet.runs.folder import RunFolder
    from rijksnet.runs.key import RunKey
    from rijksnet.runs.predictions import Predictions


def settings(params: Params, strategy: Strategy, data: Mapping[str, LabelledRows], input_size: int) -> dict[str, Any]:
    """What run.json says of every run's data and protocol, beside the parameters of its own strategy.

    Args:
        data: the run's images, by split.
        input_size: px.
    """
    return {
        "protocol": params.training.protocol,
        "normalisation": protocol.normalisation(params.training, strategy),
        "batch_norm_constants": params.training.batch_norm.constants,
        "batch_norm_frozen": params.training.batch_norm.frozen,
        "input_size": input_size,
        "squares": params.squares,
        "split_rule": params.splits.rule,
        "split_seed": params.splits.seed,
        "folds": params.splits.folds,
        "stratified": params.splits.stratified,
        "classes": len(data[protocol.TRAIN].classes),
        **{f"{split}_images": len(rows) for split, rows in data.items()},
    }


def digests(data: Mapping[str, LabelledRows], initial_weights: str) -> dict[str, str]:
    """What a run was made of: its split, and the sha256 of the weights file that it starts from (empty: none)."""
    return {"split": labelled.digest(data), "initial_weights": initial_weights}


def ancestry(start: Ancestry, key: RunKey) -> Ancestry:
    """How a run's weights came to be."""
    return [*start, {"from": "training", "name": str(key)}]


def evaluate_and_write(
    params: Params,
    data: Mapping[str, LabelledRows],
    answers: Sequence[Predictions],
    at: RunFolder,
    epochs: int,
    best_epoch: int | None,
    train: Mapping[str, float] | None = None,
) -> None:
    """Write predictions.parquet and metrics.json.

    Args:
        data: the run's images, by split.
        answers: of the validation split and of the test split.
        epochs: how many were trained; 0 for a classifier that has none.
        best_epoch: that of the tested weights, from 0; None for a classifier that has none.
        train: accuracy and number of the training images that were classified again after training, if any were.
    """
    write_predictions(at.predictions, answers)
    measured: dict[str, Any] = {
        answer.split: metrics.evaluate(answer.probabilities, answer.labels) | {"n": len(answer.labels)}
        for answer in reversed(answers)
    }
    if params.splits.rule == "challenge":
        ranked = protocol.ranked_classes(data[protocol.TRAIN].classes)
        for answer in answers:
            measured[answer.split]["mean_average_precision"] = metrics.mean_average_precision(
                answer.probabilities, data[answer.split].relevant, ranked
            )
    measured["majority_accuracy"] = metrics.majority_accuracy(data[protocol.TRAIN].labels, data[protocol.TEST].labels)
    if train is not None:
        measured["train"] = dict(train)
    write_metrics(at.metrics, measured | {"epochs": epochs, "best_epoch": best_epoch})


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def complete(
    key: RunKey,
    at: RunFolder,
    data: Mapping[str, LabelledRows],
    *,
    started_ms: int,
    flat: dict[str, Any],
    parameters: int,
    feature_size: int,
    best_epoch: int | None,
    initial_weights: str,
    origin: dict[str, Any],
    start: Ancestry,
    doubts: Sequence[str] = (),
) -> None:
    """Write run.json around the files that lie in the run's folder: the last step of every run.

    Args:
        flat: `settings`, and the parameters of the run's own strategy.
        parameters: trainable values of the whole classifier, backbone included.
        initial_weights: sha256 of the weights file that the run starts from; empty for random weights.
        origin: `lineage.origin()` as the run began.
        start: how the weights that the run starts from came to be.
        doubts: why its figures may not be what its recipe gives (rijksnet.training.soundness).
    """
    run = Run(
        key=key,
        started_ms=started_ms,
        ended_ms=time.time_ns() // 1_000_000,
        params=flat,
        classes=list(data[protocol.TRAIN].classes),
        parameters=parameters,
        feature_size=feature_size,
        best_epoch=best_epoch,
        digests=digests(data, initial_weights),
        lineage=origin,
        files={},
        doubts=list(doubts),
        ancestry=[dict(step) for step in ancestry(start, key)],
    )
    at.write(run)
