"""Tables for people: the frames of `tables`, `claims` and `scorecard` as rows of short text."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import pandas as pd

from rijksnet.paths import CollectionPaths
from rijksnet.rendering.grid import NOT_APPLICABLE, NOT_RUN, Cell, Grid, minus, p_value, signed
from rijksnet.report.tables import GROUNDTRUTH, TABLE3_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rijksnet.runs.key import RunKey
    from rijksnet.runs.result import RunResult
    from rijksnet.statistics.balance import Estimate
    from rijksnet.statistics.claims import Verdict
    from rijksnet.statistics.significance import FoldTest, PairedTest

#: How the scorecard and the errata name a column.
FIGURES = {
    "overlap": "classes that the source has too, %",
    "parameters": "parameters, millions",
    "feature_size": "feature size",
    "off_the_shelf": "off the shelf, %",
    "fine_tuning": "fine tuning, %",
    "imagenet_off_the_shelf": "θ off the shelf, %",
    "source_off_the_shelf": "θ̂ off the shelf, %",
    "imagenet_fine_tuning": "θ fine tuning, %",
    "source_fine_tuning": "θ̂ fine tuning, %",
}

#: Stands after the figure of a run that is doubtful.
DOUBTFUL = " †"

#: Stands after a difference in balanced accuracy that leads to another answer than the verdict.
OTHERWISE = " ≠"

Row = dict[Hashable, Any]
#: A column: its heading, and how a row of the frame reads in it.
Column = tuple[str, Callable[[Row], str]]


def grid1(table: pd.DataFrame) -> Grid:
    """Table 1: collections."""
    columns: list[Column] = [
        ("challenge", _text("challenge")),
        ("collection", _text("collection")),
        ("samples N_t", _of_split(_or(NOT_RUN, _count("samples")))),
        ("paper", _beside("samples", "{:,.0f}", "{:+z,.0f}")),
        ("classes Q_t", _of_split(_or(NOT_RUN, _count("classes")))),
        ("paper", _beside("classes", "{:,.0f}", "{:+z,.0f}")),
        ("classes that the source has too", _of_split(_number("overlap_percent", "{:.0f} %"))),
        ("paper", lambda row: _text("overlap_paper")(row).split(" with ")[0]),
    ]
    return _grid("Table 1: the collections, after the split", table, columns, text_columns=2)


def groundtruth_grid(table: pd.DataFrame) -> Grid:
    """Table 1's source as counted on the real ground truth, under each rule, beside what the paper prints."""

    def between(name: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            least, most = row[f"{name}_least"], row[f"{name}_most"]
            return Cell(f"{least:,}" if least == most else f"{least:,} to {most:,}", GROUNDTRUTH)

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
        ("parameters, millions", _of_network(_number("parameters_millions", "{:.1f}"))),
        ("paper", _count("parameters_paper")),
        ("feature size", _of_network(_count("feature_size"))),
        ("paper", _count("feature_size_paper")),
    ]
    return _grid("Table 2: test accuracy on the source", table, columns, text_columns=2)


def grid3(table: pd.DataFrame) -> Grid:
    """Table 3: test accuracies on the target, from θ and from θ̂."""
    columns: list[Column] = [("challenge", _text("challenge")), ("architecture", _text("architecture"))]
    for name, _, _ in TABLE3_COLUMNS:
        columns += _accuracy(name, FIGURES[name])
    return _grid("Table 3: test accuracy on the target", table, columns, text_columns=2)


def claim_grid(title: str, verdicts: Sequence[Verdict]) -> Grid:
    """One row a comparison: both accuracies, their difference with its interval, p, n and the verdict.

    Where classes are unbalanced, also the differences in what counts every class alike; with folds, that over folds.
    """
    headings = ["challenge", "architecture", "strategy", "verdict", "accuracy, %", "baseline, %", "difference, points"]
    headings += ["p", "Holm's p", "images"]
    unbalanced = any(verdict.each_class_alike for verdict in verdicts)
    headings += ["balanced accuracy, points", "macro F1, points"] * unbalanced
    has_folds = any(verdict.over_folds for verdict in verdicts)
    headings += ["over folds, points"] * has_folds
    rows = []
    for verdict in verdicts:
        key, test = verdict.claim.better, verdict.test
        row = [key.challenge.replace("_", " "), key.architecture, key.strategy.replace("_", " "), verdict.outcome]
        if test is None or verdict.p_corrected is None:
            row += [NOT_APPLICABLE, "", NOT_APPLICABLE, NOT_APPLICABLE, "", NOT_APPLICABLE]
        else:
            row += [Cell(f"{100 * test.accuracy_a:.1f}", str(key))]
            row += [Cell(f"{100 * test.accuracy_b:.1f}", str(verdict.claim.baseline))]
            row += [_points(test.difference, test)]
            row += [p_value(test.p), p_value(verdict.p_corrected), f"{test.n:,}"]
        if unbalanced:
            scores = verdict.each_class_alike
            balanced, f1 = (None, None) if scores is None else (scores.balanced_accuracy, scores.macro_f1)
            row.append(
                _points(balanced.value, balanced) + OTHERWISE * verdict.disagrees if balanced else NOT_APPLICABLE
            )
            row.append(_points(f1.value, f1) if f1 else NOT_APPLICABLE)
        if has_folds:
            found = verdict.over_folds
            row.append(f"{_points(found.difference, found)}, p {p_value(found.p)}" if found else NOT_APPLICABLE)
        rows.append(row)
    return Grid(title, headings, rows, text_columns=4)


def _points(difference: float, interval: PairedTest | FoldTest | Estimate) -> str:
    """A difference of shares in points, with its interval."""
    return f"{signed(100 * difference)} ({signed(100 * interval.low)} to {signed(100 * interval.high)})"


def scorecard_grid(frame: pd.DataFrame) -> Grid:
    """One row a printed figure: the paper's, ours, and the verdict with its reason; too wide for a terminal."""

    def ours(row: Row) -> str:
        if pd.isna(row["ours"]):
            return NOT_APPLICABLE
        text = _figure(row, "ours", "{:.1f}")
        interval = "" if pd.isna(row["low"]) else f" ({row['low']:.1f}–{row['high']:.1f})"
        return Cell(text + interval, row["run"])

    def difference(row: Row) -> str:
        if pd.isna(row["difference_low"]):
            return ""
        low, high = (signed(row[f"difference_{end}"]) for end in ("low", "high"))
        return f"{signed(row['ours'] - row['paper'])} ({low} to {high})"

    columns: list[Column] = [
        ("table", _text("table")),
        ("challenge", _text("challenge")),
        ("of", lambda row: str(row["architecture"] or row["collection"])),
        ("figure", _column_name),
        ("verdict", _text("verdict")),
        ("note", _text("note")),
        ("paper", lambda row: _figure(row, "paper", "{:g}")),
        ("ours", ours),
        ("difference, points", difference),
    ]
    title = "Scorecard: the figures that the paper prints, and ours"
    return _grid(title, frame, columns, text_columns=6)


def errata_grid(table: pd.DataFrame) -> Grid:
    """The paper's misprints and doubtful figures."""
    columns: list[Column] = [
        ("table", _text("table")),
        ("figure", _printed_where),
        ("printed", _text("printed")),
        ("read as", _text("read_as")),
        ("why", _text("why")),
    ]
    return _grid("Misprints and doubtful figures in the paper", table, columns, text_columns=5)


def differences_grid(table: pd.DataFrame) -> Grid:
    """Where the paper's text, its released code and this project differ."""
    columns: list[Column] = [
        ("topic", _text("topic")),
        ("the text", _text("text")),
        ("the released code", _text("released_code")),
        ("here", _text("here")),
        ("why it matters", _text("matters")),
    ]
    return _grid("The paper's text, its released code, and this project", table, columns, text_columns=5)


def run_grid(runs: Iterable[RunResult]) -> Grid:
    """One row a run: what a figure's key leads to."""
    headings = ["run", "weights (sha256)", "split", "test, %", "majority, %", "macro F1, %", "tested epoch", "epochs"]
    headings.append("test images")
    rows = [
        [
            f"`{run.key}`",
            f"`{run.weights_digest[:12]}`" if run.weights_digest else NOT_APPLICABLE,
            f"`{run.split_digest[:12]}`",
            f"{100 * run.test.accuracy:.1f}{DOUBTFUL if run.doubts else ''}",
            f"{100 * run.majority_accuracy:.1f}",
            f"{100 * run.test.macro_f1:.1f}",
            NOT_APPLICABLE if run.best_epoch is None else str(run.best_epoch),
            NOT_APPLICABLE if run.best_epoch is None else str(run.epochs),
            f"{run.test.n:,}",
        ]
        for run in runs
    ]
    return Grid("Runs", headings, rows, text_columns=3)


def strategy_of(key: RunKey) -> str:
    """How a run was trained, in words; what it starts from where that is the source's weights."""
    return key.strategy.replace("_", " ") + (" from θ̂" if key.is_from_source else "")


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
        mark = "" if pd.isna(row[f"{name}_doubts"]) else DOUBTFUL
        text = f"{row[f'{name}_percent']:.1f}{mark} ({row[f'{name}_low']:.1f}–{row[f'{name}_high']:.1f})"
        return Cell(text, row[f"{name}_run"])

    return [(heading, ours), ("paper", _beside(name, "{:g}", "{:+z.1f}"))]


def _beside(name: str, form: str, signed: str) -> Callable[[Row], str]:
    """The paper's figure as it is printed, and where it is stated ours − the paper's in brackets."""

    def cell(row: Row) -> str:
        if pd.isna(row[f"{name}_paper"]):
            return ""
        difference = row[f"{name}_difference"]
        stated = "" if pd.isna(difference) else f" ({minus(difference, signed)})"
        return form.format(row[f"{name}_paper"]) + stated

    return cell


def _of_split(cell: Callable[[Row], str]) -> Callable[[Row], str]:
    """A count of Table 1, with the file that says it."""
    return lambda row: Cell(cell(row), CollectionPaths(row["collection"]).splits_summary.as_posix())


def _of_network(cell: Callable[[Row], str]) -> Callable[[Row], str]:
    """A size in Table 2, with the run of that network, if there is one."""

    def linked(row: Row) -> str:
        made = [row[f"{name}_run"] for name in ("fine_tuning", "off_the_shelf") if pd.notna(row[f"{name}_percent"])]
        return Cell(cell(row), made[0]) if made else cell(row)

    return linked


def _figure(row: Row, name: str, form: str) -> str:
    """Counts as whole numbers, all else in the form given."""
    whole = row["column"] in ("samples", "classes", "feature_size")
    return ("{:,.0f}" if whole else form).format(row[name])


def _column_name(row: Row) -> str:
    return FIGURES.get(row["column"], str(row["column"]))


def _printed_where(row: Row) -> str:
    """Challenge, architecture and column of an erratum, those that it has."""
    parts = (row["challenge"], row["architecture"], _column_name(row))
    return ", ".join(part for part in parts if part)


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
