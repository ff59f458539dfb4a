"""What MLflow's artifact viewer shows of a run: learning curve, confusion matrix, per-class table, the model."""

from __future__ import annotations

from pathlib import Path

from rijksnet.analysis import figures, metrics, tables
from rijksnet.analysis.runs import load_run
from rijksnet.paths import RecordPaths
from rijksnet.tracking import record
from rijksnet.tracking.mlflow_store import save_model


def pictures(at: RecordPaths, run: record.Run, folder: Path) -> None:
    """Write a run's artifacts into an empty folder."""
    result = load_run(at.root)
    answers = result.predictions()
    predicted, classes = answers.probabilities.argmax(1), result.classes
    matrix = metrics.confusion_matrix(answers.labels, predicted, len(classes))
    scores = metrics.per_class(answers.labels, predicted, len(classes))
    title = str(run.key)
    (folder / "learning_curve.png").write_bytes(figures.learning_curve(result.history(), result.best_epoch, title))
    (folder / "confusion_matrix.png").write_bytes(figures.confusion(matrix, classes, title))
    tables.per_class_table(scores, classes).to_csv(folder / "per_class.csv", index=False)
    save_model(at, run, folder)
