"""What MLflow's artifact viewer shows of a run: curves, confusion matrix, per-class table, the model."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING

from rijksnet import protocol
from rijksnet.report import figures, tables
from rijksnet.runs import metrics
from rijksnet.runs.result import load_run
from rijksnet.serving.logged_model import save_model
from rijksnet.statistics import calibration

if TYPE_CHECKING:  # processes that draw have no use for MLflow
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rijksnet.runs.folder import Run, RunFolder
    from rijksnet.tracking.mlflow_store import WritePictures

#: From this many runs on, processes that draw save more than their start costs.
MANY = 8
#: Processes at most.
PROCESSES = 4


@contextmanager
def pictures(folders: Sequence[RunFolder]) -> Iterator[WritePictures]:
    """What writes the artifacts of each of these runs into an empty folder.

    Drawing takes two thirds of the time of publishing; that of many runs is done by processes of its own, ahead.
    """
    if len(folders) < MANY:
        yield lambda at, run, folder: _write(draw(at), at, run, folder)
        return
    with ProcessPoolExecutor(min(PROCESSES, os.cpu_count() or 1), get_context("spawn")) as pool:
        drawn = {at.root: pool.submit(draw, at) for at in folders}
        try:
            yield lambda at, run, folder: _write(drawn.pop(at.root).result(), at, run, folder)
        finally:
            pool.shutdown(cancel_futures=True)


def draw(at: RunFolder) -> dict[str, bytes]:
    """A run's figures and its table, by file name.

    A run without epochs has no learning curve. How far its confidence may be believed is drawn where it is tuned from
    θ, as those are that may become θ̂.
    """
    result = load_run(at.root)
    answers = result.predictions()
    predicted, classes, title = answers.probabilities.argmax(1), result.classes, str(result.key)
    matrix = metrics.confusion_matrix(answers.labels, predicted, len(classes))
    table = tables.per_class_table(metrics.per_class(answers.labels, predicted, len(classes)), classes)
    files = {
        "confusion_matrix.png": figures.confusion(matrix, classes, title),
        "per_class.csv": table.to_csv(index=False).encode(),
    }
    if result.best_epoch is not None:
        files["learning_curve.png"] = figures.learning_curve(result.history(), result.best_epoch, title)
    if (result.key.strategy, result.key.initialisation) == ("fine_tuning", "imagenet"):
        scaled = calibration.calibrate(result.predictions(protocol.VALIDATION), answers)
        files["reliability.png"] = figures.reliability(answers, scaled, title)
    return files


def _write(files: dict[str, bytes], at: RunFolder, run: Run, folder: Path) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if at.weights.name in run.files:
        save_model(at, run, folder)
