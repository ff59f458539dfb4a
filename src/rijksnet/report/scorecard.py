"""The scorecard: each figure that the paper prints, beside ours, with a verdict by one stated rule."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from math import floor
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from rijksnet.params import Normalisation
from rijksnet.paths import CollectionPaths
from rijksnet.protocol import normalisation
from rijksnet.report.sizes import size_of
from rijksnet.report.tables import GROUNDTRUTH, PAPER_SOURCE, PAPER_TARGET, TABLE3_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from rijksnet.params import Params, Strategy
    from rijksnet.report.tables import Paper

Outcome = Literal["reproduced", "better", "worse", "differs", "not run"]

RULE = """\
An accuracy is *reproduced* where the 95 % interval of the difference between two independent proportions (Newcombe
1998) contains zero: ours on our test images, the paper's on a tenth of its Table 1's samples; otherwise it is *better*
or *worse*. One that is printed in whole percent stands for all that round to it. Accuracies are compared only on the
paper's collections, with its networks, splits and input; elsewhere they are *not run*. Samples and classes of the
Rijksmuseum are counted on its own ground truth before the rule "in every split", by the label rule that meets more of
the two printed figures: *reproduced* means equal, and all else *differs*. Parameters and feature sizes are computed
from the networks and the printed number of classes: *reproduced* means equal, parameters once 0.1 million is added that
Keras counts besides, cut after the point. A share of common classes is *reproduced* where it rounds to the printed one
in steps of five points."""

#: What stands for a run where a figure follows from the architecture alone.
COMPUTED = "computed"

#: The strategies of the paper's Tables 2 and 3.
TABLED: tuple[Strategy, ...] = ("off_the_shelf", "fine_tuning")

#: Columns of an accuracy in Table 2, and what the paper's table calls them.
TABLE2_COLUMNS = {name: f"{name}_accuracy_percent" for name in TABLED}


@dataclass(frozen=True)
class PrintedFigure:
    """One printed figure. Accuracies and overlaps are in percent, parameters in millions, all else are counts.

    `low` and `high` bound the 95 % Wilson interval of our accuracy, `difference_low` and `difference_high` Newcombe's
    of ours − the paper's, points. `run` is a run's key, a file from the project root, or `computed`.
    """

    table: int
    challenge: str
    collection: str
    architecture: str
    column: str
    paper: float
    ours: float | None = None
    low: float | None = None
    high: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    verdict: Outcome = "not run"
    run: str = ""
    note: str = ""


def scorecard(
    params: Params,
    table1: pd.DataFrame,
    table2: pd.DataFrame,
    table3: pd.DataFrame,
    groundtruth: pd.DataFrame,
    paper: Paper,
) -> pd.DataFrame:
    """A row a printed figure, by RULE; the columns are the fields of `Cell`. Without the paper's tables it is empty.

    Args:
        table1, table2, table3, groundtruth: as made by `tables`.
    """
    cells = [
        *_collections(table1, groundtruth, paper),
        *_networks(params, table2, paper),
        *_transfer(params, table3, paper),
    ]
    columns = [field.name for field in fields(PrintedFigure)]
    frame = pd.DataFrame([asdict(cell) for cell in cells], columns=columns)
    figures = [name for name in columns if name in ("paper", "ours") or name.endswith(("low", "high"))]
    return frame.astype(dict.fromkeys(figures, "float64"))


def summary(frame: pd.DataFrame) -> str:
    """The verdicts in a sentence or two."""
    if frame.empty:
        return "The paper's figures are not compared: this split is not the paper's."
    accuracy = frame["low"].notna() | frame["column"].str.contains("off_the_shelf|fine_tuning")
    parts = []
    for name, group in (("accuracies", frame[accuracy]), ("counts and sizes", frame[~accuracy])):
        counts = group["verdict"].value_counts()
        found = [f"{counts[word]} {word}" for word in ("reproduced", "better", "worse", "differs") if word in counts]
        found += [f"{counts['not run']} not run"] if "not run" in counts else []
        said = ", ".join(found).replace(" differs", " different")
        parts.append(f"Of {len(group)} {name}: {said}.")
    return f"The paper's tables print {len(frame)} figures that can be checked. {' '.join(parts)}"


def difference_interval(ours: float, n: int, theirs: float, their_n: int, slack: float = 0.0) -> tuple[float, float]:
    """95 % interval of ours − theirs, independent proportions (Newcombe 1998, method 10), in [-1, 1].

    Args:
        ours, theirs: proportions in [0, 1] of `n` and `their_n`.
        slack: what is printed as `theirs` may be this much smaller or larger.
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    def bounds(share: float) -> tuple[float, float]:
        share = min(max(share, 0.0), 1.0)
        low, high = confint_proportions_2indep(ours * n, n, share * their_n, their_n, method="newcomb")
        return float(low), float(high)

    return bounds(theirs + slack)[0], bounds(theirs - slack)[1]


def _collections(table1: pd.DataFrame, groundtruth: pd.DataFrame, paper: Paper) -> Iterator[PrintedFigure]:
    rows = _by(table1, "challenge", "collection")
    for (challenge, collection), printed in _keys(paper.table1):
        ours = rows.get((challenge, collection), {})
        for column in ("samples", "classes"):
            cell = PrintedFigure(1, challenge, collection, "", column, float(printed[column]))
            if collection == PAPER_SOURCE:
                yield _counted(cell, groundtruth)
            else:
                yield _equal(
                    cell, ours.get(column), CollectionPaths(collection).splits_summary.as_posix(), "after the split"
                )
        if collection == PAPER_TARGET:
            share = ours.get("overlap_percent") if PAPER_SOURCE in set(table1["collection"]) else None
            yield _overlap(PrintedFigure(1, challenge, collection, "", "overlap", _share(printed["overlap"])), share)


def _networks(params: Params, table2: pd.DataFrame, paper: Paper) -> Iterator[PrintedFigure]:
    rows = _by(table2[table2["initialisation"] == "imagenet"], "challenge", "architecture")
    for (challenge, architecture), printed in _keys(paper.table2):
        sizes = paper.table1[challenge, PAPER_SOURCE]
        row = rows.get((challenge, architecture), {})
        for name, theirs in TABLE2_COLUMNS.items():
            cell = PrintedFigure(2, challenge, PAPER_SOURCE, architecture, name, printed[theirs])
            yield _accuracy(cell, row, sizes["samples"] // 10, _missing(params, PAPER_SOURCE))
        yield _parameters(challenge, architecture, int(sizes["classes"]), printed["parameters_millions"])
        cell = PrintedFigure(2, challenge, PAPER_SOURCE, architecture, "feature_size", printed["feature_size"])
        yield _equal(cell, size_of(architecture).feature_size, COMPUTED, "")


def _transfer(params: Params, table3: pd.DataFrame, paper: Paper) -> Iterator[PrintedFigure]:
    rows = _by(table3, "challenge", "architecture")
    missing = _missing(params, PAPER_TARGET)
    for (challenge, architecture), printed in _keys(paper.table3):
        their_n = paper.table1[challenge, PAPER_TARGET]["samples"] // 10
        for name, _, _ in TABLE3_COLUMNS:
            cell = PrintedFigure(3, challenge, PAPER_TARGET, architecture, name, printed[f"{name}_percent"])
            yield _accuracy(cell, rows.get((challenge, architecture), {}), their_n, missing)


def _missing(params: Params, collection: str) -> str:
    """Why accuracies on a collection cannot stand beside the paper's; empty where they can."""
    training = params.training
    as_published = training.model_copy(
        update={"normalisation": Normalisation(off_the_shelf="protocol", fine_tuning="protocol")}
    )
    needs = {
        f"source.collection {PAPER_SOURCE}": params.source.collection == PAPER_SOURCE,
        f"target.collection {PAPER_TARGET}": collection == PAPER_SOURCE or params.target.collection == PAPER_TARGET,
        "splits.rule paper": params.splits.rule == "paper",
        "splits.together object": params.splits.together == "object",
        "input_size native": params.input_size == "native",
        "squares stretched": params.squares == "stretched",
        "training.normalisation protocol": all(
            normalisation(training, strategy) == normalisation(as_published, strategy) for strategy in TABLED
        ),
        "training.recipe null": not any(dict(training.recipe).values()),
    }
    lacking = [need for need, met in needs.items() if not met]
    return f"needs {', '.join(lacking)}" if lacking else ""


def _accuracy(cell: PrintedFigure, row: Mapping[Hashable, Any], their_n: int, missing: str) -> PrintedFigure:
    name = cell.column
    run = str(row.get(f"{name}_run", ""))
    if missing or pd.isna(row.get(f"{name}_percent")):
        return replace(cell, run="" if missing else run, note=missing or "not run yet")
    ours, n = float(row[f"{name}_percent"]), int(row[f"{name}_n"])
    whole = cell.paper == round(cell.paper)
    low, high = difference_interval(ours / 100, n, cell.paper / 100, their_n, slack=0.005 if whole else 0.0)
    verdict: Outcome = "better" if low > 0 else "worse" if high < 0 else "reproduced"
    return replace(
        cell,
        ours=ours,
        low=row[f"{name}_low"],
        high=row[f"{name}_high"],
        difference_low=100 * low,
        difference_high=100 * high,
        verdict=verdict,
        run=run,
        note="printed in whole percent" if whole else "",
    )


def _parameters(challenge: str, architecture: str, classes: int, printed: float) -> PrintedFigure:
    count = size_of(architecture).parameters(classes)
    verdict: Outcome = "reproduced" if floor(count / 1e6 + 0.1) == printed else "differs"
    cell = PrintedFigure(2, challenge, PAPER_SOURCE, architecture, "parameters", printed)
    return replace(cell, ours=count / 1e6, verdict=verdict, run=COMPUTED, note=f"{count:,} with {classes:,} classes")


def _counted(cell: PrintedFigure, groundtruth: pd.DataFrame) -> PrintedFigure:
    """A count on the ground truth, by the label rule that meets more of both printed figures, of equals the first."""
    rows = groundtruth[(groundtruth["challenge"] == cell.challenge) & (groundtruth["seeds"] == 0)]
    if rows.empty:
        return replace(cell, note=f"not in {GROUNDTRUTH}")
    printed = rows[["samples_paper", "classes_paper"]].to_numpy()
    met = (rows[["objects_least", "classes_least"]].to_numpy() == printed).sum(axis=1)
    row = rows.iloc[int(met.argmax())]
    ours = row["objects_least" if cell.column == "samples" else "classes_least"]
    return _equal(cell, ours, GROUNDTRUTH, f"rule: {row['rule']}")


def _overlap(cell: PrintedFigure, ours: float | None) -> PrintedFigure:
    if ours is None or pd.isna(ours):
        return replace(cell, note=f"needs the collections {PAPER_SOURCE} and {PAPER_TARGET}")
    verdict: Outcome = "reproduced" if 5 * floor(ours / 5 + 0.5) == cell.paper else "differs"
    return replace(cell, ours=ours, verdict=verdict, run=_split_of(cell.collection))


def _equal(cell: PrintedFigure, ours: float | None, run: str, note: str) -> PrintedFigure:
    if ours is None or pd.isna(ours):
        return replace(cell, note=f"needs the collection {cell.collection}")
    return replace(cell, ours=ours, verdict="reproduced" if ours == cell.paper else "differs", run=run, note=note)


def _share(printed: str) -> float:
    """`about 15% with antwerp` is 15; `none` is 0."""
    number = re.search(r"(\d+)%", printed)
    return float(number[1]) if number else 0.0


def _by(table: pd.DataFrame, *names: str) -> dict[tuple[str, ...], dict[Hashable, Any]]:
    return {tuple(str(row[name]) for name in names): row for row in table.to_dict("records")}


def _keys(printed: Mapping[Hashable, Any]) -> Iterator[tuple[tuple[str, str], Mapping[Hashable, Any]]]:
    """The paper's rows by (challenge, collection) or (challenge, architecture)."""
    for key, figures in printed.items():
        assert isinstance(key, tuple)
        yield key, figures


def _split_of(collection: str) -> str:
    """The file that counts a collection's split, from the project root."""
    return CollectionPaths(collection).splits_summary.as_posix()
