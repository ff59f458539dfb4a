"""The report: results/README.md, report.html, and the tables as CSV."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rijksnet.paths import REFERENCE
from rijksnet.report import page, tables, text
from rijksnet.report.accuracies import accuracies
from rijksnet.report.contents import Results, Supplement, gather, gather_supplement
from rijksnet.report.curves import Curve, paper_curves, validation_curves
from rijksnet.report.layout import strategy_of
from rijksnet.runs.plan import source_keys, target_keys
from rijksnet.statistics import seeds
from rijksnet.statistics.claims import claims_table

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Params
    from rijksnet.runs.result import RunResult

__all__ = ["Results", "Supplement", "gather", "gather_supplement", "tables_text", "write_report"]


#: The tables that a report may have, each a CSV file.
FRAMES: tuple[str, ...] = (
    "table1",
    "table2",
    "table3",
    "claims",
    "scorecard",
    "statistics",
    "seeds",
    "seed_differences",
    "curves",
)
FRAMES += ("class_scores", "side_experiments", "challenge")


def write_report(params: Params, out: Path, reference: Path = REFERENCE) -> None:
    """Write the report into folder `out`; the same runs and the same publication give the same bytes.

    README.md; report.html; table1–3.csv, class_scores.csv, claims.csv, scorecard.csv, statistics.csv, seeds.csv,
    seed_differences.csv, side_experiments.csv; accuracies.png and the validation curves; curves.csv and metrics.json
    for `dvc plots` and `dvc metrics`.

    Raises:
        RunError: as `gather` and `gather_supplement`; nothing is written then.
    """
    results = gather(params, reference)
    supplement = gather_supplement(results, reference)
    figures = _figures(results, reference)
    html = page.page(results, supplement, figures)
    out.mkdir(parents=True, exist_ok=True)
    frames = _frames(results, supplement)
    for file in (*(f"{name}.csv" for name in FRAMES), *text.FIGURES):
        if file.removesuffix(".csv") not in frames and file not in figures:
            (out / file).unlink(missing_ok=True)  # of an earlier report
    for name, frame in frames.items():
        digits = "%.2f" if name in ("table1", "table2", "table3", "challenge", "scorecard") else "%.4g"
        frame.to_csv(out / f"{name}.csv", index=False, float_format=digits)
    for file, content in figures.items():
        (out / file).write_bytes(content)
    (out / "metrics.json").write_text(json.dumps(_metrics(results), indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(text.report_text(results, supplement), encoding="utf-8")
    (out / "report.html").write_text(html, encoding="utf-8")


def tables_text(params: Params, reference: Path = REFERENCE) -> str:
    """The report's first lines, Tables 1–3 and the claims, in Markdown.

    Raises:
        RunError: as `gather`.
    """
    return text.tables_text(gather(params, reference))


def _frames(results: Results, supplement: Supplement) -> dict[str, pd.DataFrame]:
    """The CSV files by name."""
    frames = {
        "table1": results.table1,
        "table2": results.table2,
        "table3": results.table3,
        "claims": claims_table(results.verdicts),
        "scorecard": supplement.scorecard,
        "statistics": supplement.statistics,
        "seeds": seeds.spreads_table(supplement.spreads),
        "seed_differences": seeds.differences_table(supplement.seed_differences),
        "curves": _epochs(results),
    }
    if len(results.class_scores):
        frames["class_scores"] = results.class_scores
    if supplement.side_experiments:
        frames["side_experiments"] = claims_table(supplement.side_experiments)
    if results.measures is not None:
        frames["challenge"] = results.measures
    return frames


def _figures(results: Results, reference: Path) -> dict[str, bytes]:
    """PNG by file name: the accuracies, and the validation curves of source and target, of those that have any."""
    params, figures = results.params, {}
    in_tables = [results.runs[key] for key in (*source_keys(params), *target_keys(params)) if key in results.runs]
    if in_tables:
        figures[text.ACCURACIES] = accuracies(in_tables)
    of = (
        (text.SOURCE_CURVES, params.source, tables.PAPER_SOURCE, source_keys(params)),
        (text.TARGET_CURVES, params.target, tables.PAPER_TARGET, target_keys(params)),
    )
    for file, ours, counterpart, keys in of:
        curves = [Curve(key, _accuracy(results.runs[key])) for key in keys if key in results.runs]
        theirs = paper_curves(reference, counterpart, ours.challenges) if params.paper_curves else []
        if curves:
            figures[file] = validation_curves(curves, f"Validation accuracy, {ours.collection}", theirs)
    return figures


def _epochs(results: Results) -> pd.DataFrame:
    """A row an epoch of each run of the paper's tables, in the words of a plot's legend."""
    frames = [
        pd.DataFrame(
            {
                "panel": f"{run.key.collection}, {run.key.challenge}",
                "architecture": run.key.architecture,
                "strategy": strategy_of(run.key),
                "epoch": run.history()["epoch"],
                "validation_accuracy": _accuracy(run),
            }
        )
        for run in (results.runs[key] for key in results.keys if key in results.runs)
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=["panel", "epoch", "validation_accuracy"])


def _accuracy(run: RunResult) -> np.ndarray[Any, np.dtype[np.float64]]:
    return run.history()["validation_accuracy"].to_numpy(dtype=np.float64)


def _metrics(results: Results) -> dict[str, dict[str, float]]:
    """Test accuracies in [0, 1] by run, for `dvc metrics diff`."""
    return {
        str(key): {
            "accuracy": round(run.test.accuracy, 4),
            "mean_class_accuracy": round(run.test.mean_class_accuracy, 4),
        }
        for key, run in results.runs.items()
    }
