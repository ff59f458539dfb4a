"""Tables for people: the frames of `tables` and `claims` as rows of short text, for Markdown and for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from rijksnet.analysis.claims import Verdict
from rijksnet.analysis.runs import RunResult
from rijksnet.analysis.tables import TABLE3_COLUMNS

if TYPE_CHECKING:
    from rich.table import Table

NOT_RUN = "not run"
NOT_APPLICABLE = "–"

Row = dict[Hashable, Any]
#: A column: its heading, and how a row of the frame reads in it.
Column = tuple[str, Callable[[Row], str]]


@dataclass(frozen=True)
class Grid:
    """A table as text; the first `text_columns` columns are words, the others figures."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    text_columns: int

    def markdown(self) -> str:
        """A Markdown table, without the title."""
        rule = ["---" if i < self.text_columns else "---:" for i in range(len(self.headings))]
        lines = [self.headings, rule, *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

    def rich(self) -> Table:
        """A table for a terminal, with the title."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for i, heading in enumerate(self.headings):
            table.add_column(Text(heading), justify="left" if i < self.text_columns else "right", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        return table


def grid1(table: pd.DataFrame) -> Grid:
    """Table 1: collections."""
    columns: list[Column] = [
        ("challenge", _text("challenge")),
        ("collection", _text("collection")),
        ("samples N_t", _or(NOT_RUN, _count("samples"))),
        ("paper", _beside("samples", "{:,.0f}")),
        ("classes Q_t", _or(NOT_RUN, _count("classes"))),
        ("paper", _beside("classes", "{:,.0f}")),
        ("classes that the source has too", _number("overlap_percent", "{:.0f} %")),
        ("paper", _text("overlap_paper")),
    ]
    return _grid("Table 1: the collections, after the split", table, columns, text_columns=2)


def groundtruth_grid(table: pd.DataFrame) -> Grid:
    """Table 1's source as counted on the real ground truth, under each rule, beside what the paper prints."""

    def between(name: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            least, most = row[f"{name}_least"], row[f"{name}_most"]
            return f"{least:,}" if least == most else f"{least:,} to {most:,}"

        return text

    columns: list[Column] = [
        ("challenge", _text("challenge")),
        ("rule", _text("rule")),
        ("splits drawn", _count("seeds")),
        ("samples N_t", between("objects")),
        ("paper", _count("samples_paper")),
        ("classes Q_t", between("classes")),
        ("paper", _count("classes_paper")),
    ]
    title = "Table 1 on the real ground truth of the Rijksmuseum Challenge 2014"
    return _grid(title, table, columns, text_columns=2)


def grid2(table: pd.DataFrame) -> Grid:
    """Table 2: test accuracies on the source."""
    columns: list[Column] = [
        ("challenge", _text("challenge")),
        ("architecture", _with_scratch),
        *_accuracy("off_the_shelf", "off the shelf, %"),
        *_accuracy("fine_tuning", "fine tuning, %"),
        ("parameters, millions", _number("parameters_millions", "{:.1f}")),
        ("paper", _count("parameters_paper")),
        ("feature size", _count("feature_size")),
        ("paper", _count("feature_size_paper")),
    ]
    return _grid("Table 2: test accuracy on the source", table, columns, text_columns=2)


def grid3(table: pd.DataFrame) -> Grid:
    """Table 3: test accuracies on the target, from θ and from θ̂."""
    headings = ("θ off the shelf, %", "θ̂ off the shelf, %", "θ fine tuning, %", "θ̂ fine tuning, %")
    columns: list[Column] = [("challenge", _text("challenge")), ("architecture", _text("architecture"))]
    for (name, _, _), heading in zip(TABLE3_COLUMNS, headings, strict=True):
        columns += _accuracy(name, heading)
    return _grid("Table 3: test accuracy on the target", table, columns, text_columns=2)


def claim_grid(title: str, verdicts: Sequence[Verdict]) -> Grid:
    """One row a comparison: both accuracies, their difference with its interval, p, n and the verdict."""
    headings = ["challenge", "architecture", "strategy", "verdict"]
    headings += ["accuracy, %", "baseline, %", "difference, points", "p", "images"]
    rows = []
    for verdict in verdicts:
        key, test = verdict.claim.better, verdict.test
        row = [key.challenge, key.architecture, key.strategy.replace("_", " "), verdict.outcome]
        if test is None:
            row += [NOT_APPLICABLE] * 5
        else:
            interval = f"{_minus(100 * test.low, '{:+z.1f}')} to {_minus(100 * test.high, '{:+z.1f}')}"
            row += [f"{100 * test.accuracy_a:.1f}", f"{100 * test.accuracy_b:.1f}"]
            row += [f"{_minus(100 * test.difference, '{:+z.1f}')} ({interval})", p_value(test.p), f"{test.n:,}"]
        rows.append(row)
    return Grid(title, headings, rows, text_columns=4)


def run_grid(runs: Iterable[RunResult]) -> Grid:
    """One row a run: what a figure's key leads to."""
    headings = ["run", "weights (sha256)", "split", "test, %", "majority, %", "macro F1, %", "tested epoch", "epochs"]
    headings.append("test images")
    rows = [
        [
            f"`{run.key}`",
            f"`{run.weights_digest[:12]}`",
            f"`{run.split_digest[:12]}`",
            f"{100 * run.test.accuracy:.1f}",
            f"{100 * run.majority_accuracy:.1f}",
            f"{100 * run.test.macro_f1:.1f}",
            str(run.best_epoch),
            str(run.epochs),
            f"{run.test.n:,}",
        ]
        for run in runs
    ]
    return Grid("Runs", headings, rows, text_columns=3)


def p_value(p: float) -> str:
    """Four decimals, so that none on either side of 0.05 reads as 0.05."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def _grid(title: str, table: pd.DataFrame, columns: list[Column], text_columns: int) -> Grid:
    """The table's rows as text; a column of figures that is empty throughout (such as the paper's) is left out."""
    rows = table.to_dict("records")
    texts = [(heading, [cell(row) for row in rows]) for heading, cell in columns]
    kept = [(heading, cells) for i, (heading, cells) in enumerate(texts) if i < text_columns or any(cells)]
    return Grid(
        title, [h for h, _ in kept], [list(row) for row in zip(*(c for _, c in kept), strict=True)], text_columns
    )


def _accuracy(name: str, heading: str) -> list[Column]:
    """Our accuracy with its interval, and the paper's."""

    def ours(row: Row) -> str:
        if pd.isna(row[f"{name}_run"]):
            return NOT_APPLICABLE
        if pd.isna(row[f"{name}_percent"]):
            return NOT_RUN
        return f"{row[f'{name}_percent']:.1f} ({row[f'{name}_low']:.1f}–{row[f'{name}_high']:.1f})"

    return [(heading, ours), ("paper", _beside(name, "{:.1f}"))]


def _beside(name: str, form: str) -> Callable[[Row], str]:
    """The paper's figure, and where it is stated ours − the paper's in brackets."""

    def cell(row: Row) -> str:
        if pd.isna(row[f"{name}_paper"]):
            return ""
        difference = row[f"{name}_difference"]
        stated = "" if pd.isna(difference) else f" ({_minus(difference, form.replace(':', ':+z'))})"
        return form.format(row[f"{name}_paper"]) + stated

    return cell


def _with_scratch(row: Row) -> str:
    return f"{row['architecture']}, from scratch" if row["initialisation"] == "random" else str(row["architecture"])


def _number(column: str, form: str) -> Callable[[Row], str]:
    return lambda row: "" if pd.isna(row[column]) else form.format(row[column])


def _count(column: str) -> Callable[[Row], str]:
    return _number(column, "{:,.0f}")


def _text(column: str) -> Callable[[Row], str]:
    return lambda row: "" if pd.isna(row[column]) else str(row[column])


def _or(otherwise: str, cell: Callable[[Row], str]) -> Callable[[Row], str]:
    return lambda row: cell(row) or otherwise


def _minus(value: float, form: str) -> str:
    return form.format(value).replace("-", "−")
