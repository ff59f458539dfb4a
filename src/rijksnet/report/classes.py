"""Tables 2 and 3 where classes are unbalanced: each run's scores that count every class alike, beside its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from rijksnet.protocol import TEST
from rijksnet.rendering.grid import Cell, Grid
from rijksnet.statistics.balance import UNBALANCED, class_scores, is_unbalanced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rijksnet.runs.key import RunKey
    from rijksnet.runs.result import RunResult
    from rijksnet.statistics.balance import Estimate

TITLE = "Tables 2 and 3, each class alike"

EXPLAINED = f"""\
Of challenges whose most frequent class has more than {UNBALANCED:g} times an equal share of the test images. *Balanced
accuracy*: the mean over classes of the share of their images that are classified rightly; *macro F1*: the mean of the
classes' F1; in brackets their 95 % bootstrap intervals over objects. [class_scores.csv](class_scores.csv) has the
figures."""


def class_table(keys: Sequence[RunKey], runs: Mapping[RunKey, RunResult]) -> pd.DataFrame:
    """A row a run of the tables on an unbalanced challenge; all figures in percent."""
    rows = []
    for run in (runs[key] for key in keys if key in runs):
        answers = run.predictions(TEST)
        if not is_unbalanced(answers):
            continue
        scores, key = class_scores(answers), run.key
        rows.append(
            {
                "collection": key.collection,
                "challenge": key.challenge,
                "architecture": key.architecture,
                "strategy": key.strategy,
                "initialisation": key.initialisation,
                "accuracy_percent": 100 * run.test.accuracy,
                **_percent("balanced_accuracy", scores.balanced_accuracy),
                **_percent("macro_f1", scores.macro_f1),
                "majority_percent": 100 * run.majority_accuracy,
                "classes": len(run.classes),
                "images": run.test.n,
                "run": str(key),
            }
        )
    return pd.DataFrame(rows)


def _percent(name: str, estimate: Estimate) -> dict[str, float]:
    parts = (("percent", estimate.value), ("low", estimate.low), ("high", estimate.high))
    return {f"{name}_{part}": 100 * value for part, value in parts}


def class_grid(table: pd.DataFrame) -> Grid:
    """The same for people: the most frequent class's share, accuracy, and both scores with their intervals."""
    headings = ["collection", "challenge", "architecture", "strategy", "from", "majority, %", "accuracy, %"]
    headings += ["balanced accuracy, %", "macro F1, %"]
    rows = [
        [
            *(str(row[name]).replace("_", " ") for name in ("collection", "challenge")),
            str(row["architecture"]),
            *(str(row[name]).replace("_", " ") for name in ("strategy", "initialisation")),
            f"{row['majority_percent']:.1f}",
            Cell(f"{row['accuracy_percent']:.1f}", row["run"]),
            *(
                f"{row[f'{name}_percent']:.1f} ({row[f'{name}_low']:.1f}–{row[f'{name}_high']:.1f})"
                for name in ("balanced_accuracy", "macro_f1")
            ),
        ]
        for row in table.to_dict("records")
    ]
    return Grid(TITLE, headings, rows, text_columns=5)
