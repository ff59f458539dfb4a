"""One row of measures a run: what its accuracy hides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from rijksnet.paths import CollectionPaths
from rijksnet.progress import progress
from rijksnet.protocol import TEST, VALIDATION
from rijksnet.rendering.grid import NOT_APPLICABLE, Cell, Grid
from rijksnet.report.layout import strategy_of
from rijksnet.runs.key import base_challenge
from rijksnet.statistics import tails
from rijksnet.statistics.calibration import COVERAGES, calibrate, selective_accuracy
from rijksnet.statistics.significance import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from rijksnet.runs.key import RunKey
    from rijksnet.runs.predictions import Predictions
    from rijksnet.runs.result import RunResult

#: Accuracy of which classes, by how many training images they have; the last: none (`tails.RULES`).
BANDS = tuple(rule.name for rule in tails.RULES)

EXPLAINED = """\
All on the test split. *Balanced*: mean accuracy over the classes. *Top 5*: the class is among the five most probable.
*Error*: expected calibration error, points, over 15 bins of confidence, before and after the logits are divided by a
*temperature* that is fitted on the validation split (Guo et al. 2017). *Most confident half*: accuracy when only that
half of the images is answered. *Head* to *singletons*: accuracy on classes by their number of training images:
{bands}. All measures with more digits: [statistics.csv](statistics.csv)."""


def statistics(runs: Mapping[RunKey, RunResult]) -> pd.DataFrame:
    """One row a run, in percent and points: all measures on the test split.

    Columns: run, n (images), accuracy with its 95 % Wilson interval low and high, balanced_accuracy, macro_f1,
    top5_accuracy, loss (nats), calibration_error, temperature, calibration_error_scaled, accuracy_at_<share>, and
    <band>_accuracy and <band>_images of the bands that the split has.
    """
    rows = []
    with progress("measures of runs", len(runs)) as report:
        for run in runs.values():
            rows.append(_row(run))
            report(len(rows), str(run.key))
    return pd.DataFrame(rows, columns=_columns())


def explained() -> str:
    """EXPLAINED, with the bands' rules."""
    return EXPLAINED.format(bands=", ".join(f"{rule.name} {rule}" for rule in tails.RULES))


def grids(frame: pd.DataFrame, runs: Mapping[RunKey, RunResult]) -> list[Grid]:
    """The measures that a page has room for, a table a collection and challenge; `frame` is of these runs."""
    measures = {
        "accuracy": "accuracy, %",
        "balanced_accuracy": "balanced, %",
        "macro_f1": "macro F1, %",
        "top5_accuracy": "top 5, %",
        "calibration_error": "error, points",
        "temperature": "temperature",
        "calibration_error_scaled": "error after, points",
        "accuracy_at_50": "most confident half, %",
        **{f"{band}_accuracy": f"{band}, %" for band in BANDS},
    }
    shown = {name: heading for name, heading in measures.items() if frame[name].notna().any()}
    tables: dict[str, list[list[str]]] = {}
    for key, row in zip(runs, frame.to_dict("records"), strict=True):
        seed = f", seed {key.seed}" if key.seed else ""
        cells = [
            f"{key.architecture}, {strategy_of(key)}{seed}",
            *(_cell(row, name) for name in shown),
            f"{row['n']:,}",
        ]
        tables.setdefault(f"{key.collection}, {key.challenge.replace('_', ' ')}", []).append(cells)
    headings = ["run", *shown.values(), "images"]
    return [Grid(title, headings, rows, text_columns=1) for title, rows in tables.items()]


def _cell(row: dict[Hashable, Any], name: str) -> str:
    if pd.isna(row[name]):
        return NOT_APPLICABLE
    text = f"{row[name]:.2f}" if name == "temperature" else f"{row[name]:.1f}"
    if name == "accuracy":
        text += f" ({row['low']:.1f}–{row['high']:.1f})"
    return Cell(text, row["run"])


def _columns() -> list[str]:
    at = [f"accuracy_at_{round(100 * share)}" for share in COVERAGES]
    bands = [f"{band}_{part}" for band in BANDS for part in ("accuracy", "images")]
    scores = ["run", "n", "accuracy", "low", "high", "balanced_accuracy", "macro_f1", "top5_accuracy", "loss"]
    return [*scores, "calibration_error", "temperature", "calibration_error_scaled", *at, *bands]


def _row(run: RunResult) -> dict[str, Any]:
    test, scores = run.predictions(TEST), run.test
    low, high = wilson_interval(scores.accuracy, scores.n)
    calibration = calibrate(run.predictions(VALIDATION), test)
    selective = selective_accuracy(test.probabilities, test.labels)
    return {
        "run": str(run.key),
        "n": scores.n,
        "accuracy": 100 * scores.accuracy,
        "low": 100 * low,
        "high": 100 * high,
        "balanced_accuracy": 100 * scores.mean_class_accuracy,
        "macro_f1": 100 * scores.macro_f1,
        "top5_accuracy": 100 * scores.top5_accuracy,
        "loss": scores.loss,
        "calibration_error": 100 * calibration.ece,
        "temperature": calibration.temperature,
        "calibration_error_scaled": 100 * calibration.ece_scaled,
        **{f"accuracy_at_{round(100 * share)}": 100 * accuracy for share, accuracy in selective.items()},
        **_tails(run, test),
    }


def _tails(run: RunResult, test: Predictions) -> dict[str, Any]:
    """Nothing where the split's file is not there, as in a checkout of runs without data."""
    file = CollectionPaths(run.key.collection).split(base_challenge(run.key.challenge))
    if not file.is_file():
        return {}
    measured: dict[str, Any] = {}
    for tail in tails.accuracy_by_tail(test, tails.train_counts(file, run.classes)):
        measured |= {f"{tail.name}_accuracy": 100 * tail.accuracy, f"{tail.name}_images": tail.images}
    return measured
