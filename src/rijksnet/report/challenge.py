"""The Rijksmuseum Challenge's own measures, on its official split: a table of their own, never beside the paper's.

Mensink and van Gemert (2014) measure makers by mean class accuracy, types and materials by mean average precision over
all that the museum lists. Our networks are trained with one softmax on the first listed class that counts, and ranked
by its probabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from rijksnet.errors import RunError
from rijksnet.paths import REFERENCE
from rijksnet.rendering.grid import NOT_RUN, Grid
from rijksnet.runs.plan import source_keys

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Params
    from rijksnet.report.tables import Runs
    from rijksnet.runs.result import RunResult

#: What the challenge measures each task by; names of `Scores`.
MEASURES = {"artist": "mean_class_accuracy", "type": "mean_average_precision", "material": "mean_average_precision"}

EXPLAINED = """\
Makers: mean class accuracy; types and materials: mean average precision, interpolated at eleven recalls, over all that
the museum lists. *baseline*: Fisher vectors and linear SVMs, as the challenge's authors publish it with their code; it
is of the challenge's own images. Some classes are listed by objects but are nobody's first (splits.json names them:
`never_first`): a softmax never learns them, yet they count here. The paper's figures are never in this table."""


def measures_table(params: Params, runs: Runs, reference: Path = REFERENCE) -> pd.DataFrame:
    """A row a run on the source: challenge, architecture, strategy, measure, percent, classes, n, baseline, run.

    Raises:
        RunError: the baseline's file is absent.
    """
    path = reference / "rijks_challenge_baseline.csv"
    if not path.is_file():
        raise RunError(f"{path} is not a file: the baseline's figures come with the project; run from its root")
    baseline = pd.read_csv(path, index_col="challenge")["percent"]
    rows = []
    for key in source_keys(params):
        run = runs.get(key)
        rows.append(
            {
                "challenge": key.challenge,
                "architecture": key.architecture,
                "strategy": key.strategy,
                "measure": MEASURES[key.challenge],
                "percent": None if run is None else _percent(run),
                "classes": None if run is None else len(run.classes),
                "n": None if run is None else run.test.n,
                "baseline": baseline.get(key.challenge),
                "run": str(key),
            }
        )
    return pd.DataFrame(rows).astype({"classes": "Int64", "n": "Int64"})


def _percent(run: RunResult) -> float:
    value = getattr(run.test, MEASURES[run.key.challenge])
    if value is None:
        raise RunError(f"{run.folder.metrics} lacks {MEASURES[run.key.challenge]}: make the run again")
    return 100 * float(value)


def measures_grid(table: pd.DataFrame) -> Grid:
    headings = ["challenge", "architecture", "strategy", "measure", "%", "baseline", "classes", "test images"]
    rows = [
        [
            row["challenge"],
            row["architecture"],
            row["strategy"].replace("_", " "),
            row["measure"].replace("_", " "),
            NOT_RUN if pd.isna(row["percent"]) else f"{row['percent']:.1f}",
            f"{row['baseline']:.1f}",
            "" if pd.isna(row["classes"]) else f"{row['classes']:,}",
            "" if pd.isna(row["n"]) else f"{row['n']:,}",
        ]
        for row in table.to_dict("records")
    ]
    return Grid("The Rijksmuseum Challenge's measures, on its official test set", headings, rows, text_columns=4)
