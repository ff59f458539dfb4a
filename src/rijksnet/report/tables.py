"""The paper's Tables 1, 2 and 3 with this project's figures beside the paper's, and what is odd about the latter.

Every accuracy takes a group of columns that start with its name: `_percent`, `_low` and `_high` (95 % Wilson interval,
percent), `_n` (test images), `_paper` (the paper's figure), `_difference` (ours − the paper's, points), `_doubts` (why
it may not be what the recipe gives) and `_run` (the key of the run it comes from). A run that has not been made leaves
its key and no figure.

A difference is stated only where the scale is the paper's: its collections by name, and one of its four networks. The
paper's figure stands beside ours wherever it has one for that challenge and network.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from rijksnet.data.table1 import GROUNDTRUTH_TABLE
from rijksnet.errors import RunError
from rijksnet.paths import REFERENCE
from rijksnet.report.sizes import size_of
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import RunResult, SplitSummary
from rijksnet.statistics.significance import wilson_interval

if TYPE_CHECKING:
    from pathlib import Path

    from rijksnet.params import Params, Strategy
    from rijksnet.runs.metrics import PerClass

#: Table 1 as counted on the real ground truth, from the project root.
GROUNDTRUTH = GROUNDTRUTH_TABLE.as_posix()

#: The collections of the paper, under the names that this project gives them.
PAPER_SOURCE, PAPER_TARGET = "rijksmuseum", "antwerp"

#: The columns of Table 3, in the paper's order: their names, the strategy, and whether it starts from θ̂.
TABLE3_COLUMNS: tuple[tuple[str, Strategy, bool], ...] = (
    ("imagenet_off_the_shelf", "off_the_shelf", False),
    ("source_off_the_shelf", "off_the_shelf", True),
    ("imagenet_fine_tuning", "fine_tuning", False),
    ("source_fine_tuning", "fine_tuning", True),
)

#: The columns of one accuracy.
ACCURACY_PARTS = ("percent", "low", "high", "n", "paper", "difference", "doubts", "run")

#: Columns that start so, or end in `_n`, are counts.
COUNTS = ("samples", "classes", "feature_size", "parameters_paper")

Figures = Mapping[Hashable, Any]
Runs = Mapping[RunKey, RunResult]
SplitSummaries = Mapping[str, Mapping[str, SplitSummary]]


@dataclass(frozen=True)
class Paper:
    """The paper's tables: (challenge, collection) or (challenge, architecture) → column → figure."""

    table1: Mapping[Hashable, Figures]
    table2: Mapping[Hashable, Figures]
    table3: Mapping[Hashable, Figures]


def groundtruth_table(reference: Path = REFERENCE) -> pd.DataFrame:
    """Table 1 counted on the real ground truth of the Rijksmuseum Challenge, a row a challenge and rule.

    `rijksnet groundtruth` made the file from the ground truth whose sha256 it names; `samples_paper` and
    `classes_paper` are the paper's.

    Raises:
        RunError: a file is absent.
    """
    table, printed = pd.read_csv(_existing(reference / GROUNDTRUTH_TABLE.name)), read_paper(reference).table1
    for column in ("samples", "classes"):
        table[f"{column}_paper"] = [printed[challenge, PAPER_SOURCE][column] for challenge in table["challenge"]]
    return table


def read_paper(reference: Path = REFERENCE) -> Paper:
    """The paper's figures from the CSV files in `reference`.

    Raises:
        RunError: a file is absent.
    """
    return Paper(
        _by_row(reference / "paper_table1.csv", "collection"),
        _by_row(reference / "paper_table2.csv", "architecture"),
        _by_row(reference / "paper_table3.csv", "architecture"),
    )


def errata(reference: Path = REFERENCE) -> pd.DataFrame:
    """The paper's misprints and doubtful figures, a row each, as text.

    Columns: table, challenge, architecture, column, printed, read_as, why; an empty challenge or architecture means all
    of them.

    Raises:
        RunError: the file is absent.
    """
    return pd.read_csv(_existing(reference / "errata.csv"), dtype=str, keep_default_na=False)


def differences(reference: Path = REFERENCE) -> pd.DataFrame:
    """Where the paper's text, its authors' released code and this project differ, a row each, as text.

    Columns: topic, text, released_code, here (the parameter that decides, or what is done), matters.

    Raises:
        RunError: the file is absent.
    """
    return pd.read_csv(_existing(reference / "differences.csv"), dtype=str, keep_default_na=False)


def table1(params: Params, splits: SplitSummaries, paper: Paper) -> pd.DataFrame:
    """Table 1: a row a challenge and collection; what remains of it after the rule "in every split".

    `overlap_percent` is the share of the target's classes that the source has too. `split_digest` says which split the
    counts are of. The paper's figure is that of its own source or target.
    """
    source, target = params.source.collection, params.target.collection
    rows = []
    for challenge in params.source.challenges:
        rows.append(_sample(challenge, source, splits, PAPER_SOURCE, paper))
        if challenge in params.target.challenges:
            row = _sample(challenge, target, splits, PAPER_TARGET, paper)
            row["overlap_percent"] = _overlap(splits, source, target, challenge)
            rows.append(row)
    columns = ["challenge", "collection", "samples", "samples_paper", "samples_difference", "classes", "classes_paper"]
    columns += ["classes_difference", "overlap_percent", "overlap_paper", "split_digest"]
    return _whole_counts(pd.DataFrame(rows, columns=columns))


def table2(params: Params, runs: Runs, paper: Paper, splits: SplitSummaries | None = None) -> pd.DataFrame:
    """Table 2: a row a challenge and architecture on the source, off the shelf and fine tuning from ImageNet weights.

    The row with `initialisation` random is the network trained from scratch: its accuracy stands under `fine_tuning`.
    Parameters and feature size are those of the runs, and of what has not been run computed from the architecture, for
    the classes of the source's split (before it is split, on the paper's own source, the paper's).
    """
    source, rows = params.source.collection, []
    of_source = (splits or {}).get(source, {})
    for challenge in params.source.challenges:
        classes = len(of_source[challenge].classes) if challenge in of_source else None
        if classes is None and source == PAPER_SOURCE:
            classes = paper.table1.get((challenge, PAPER_SOURCE), {}).get("classes")
        rows += [_table2_row(params, runs, paper, challenge, name, classes) for name in params.architectures]
        if challenge in params.scratch.challenges:
            rows.append(_scratch_row(params, runs, challenge, classes))
    return _whole_counts(pd.DataFrame(rows))


def table3(params: Params, runs: Runs, paper: Paper) -> pd.DataFrame:
    """Table 3: a row a challenge and architecture on the target, off the shelf and fine tuning, from θ and from θ̂."""
    collection, seed = params.target.collection, params.training.seed
    same_scale = collection == PAPER_TARGET and params.source.collection == PAPER_SOURCE
    rows = []
    for challenge in params.target.challenges:
        for architecture in params.target.architectures:
            figures = paper.table3.get((challenge, architecture), {})
            row: dict[str, object] = {"challenge": challenge, "architecture": architecture}
            for name, strategy, from_source in TABLE3_COLUMNS:
                start = params.source.collection if from_source else "imagenet"
                key = RunKey(collection, challenge, architecture, strategy, start, seed)
                row |= _accuracy(name, key, runs.get(key), figures.get(f"{name}_percent"), same_scale)
            rows.append(row)
    columns = [f"{name}_{part}" for name, _, _ in TABLE3_COLUMNS for part in ACCURACY_PARTS]
    return _whole_counts(pd.DataFrame(rows, columns=["challenge", "architecture", *columns]))


def per_class_table(scores: PerClass, classes: tuple[str, ...]) -> pd.DataFrame:
    """One row a class, the most frequent first: precision, recall, F1 in [0, 1]; counts of labels and predictions."""
    frame = pd.DataFrame({"class": list(classes), **scores._asdict()})
    return frame.sort_values(["support", "class"], ascending=[False, True], ignore_index=True)


def _whole_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its counts as integers, which pandas would make floats wherever one is missing."""
    counts = [name for name in map(str, frame.columns) if name.startswith(COUNTS) or name.endswith("_n")]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise RunError(f"{path} is not a file: it comes with the project; run from its root")
    return path


def _by_row(path: Path, second: str) -> dict[Hashable, Figures]:
    frame = pd.read_csv(_existing(path)).rename(columns=lambda name: name.replace(f"{PAPER_SOURCE}_", "source_"))
    return {(row["challenge"], row[second]): row for row in frame.to_dict("records")}


def _sample(
    challenge: str, collection: str, splits: SplitSummaries, counterpart: str, paper: Paper
) -> dict[str, object]:
    split = splits.get(collection, {}).get(challenge)
    figures = paper.table1.get((challenge, counterpart), {})
    row: dict[str, object] = {
        "challenge": challenge,
        "collection": collection,
        "overlap_paper": figures.get("overlap"),
        "split_digest": None if split is None else split.digest,
    }
    for name, ours in (("samples", split and split.objects), ("classes", split and len(split.classes))):
        published = figures.get(name)
        row |= {name: ours, f"{name}_paper": published}
        if collection == counterpart and ours is not None and published is not None:
            row[f"{name}_difference"] = ours - published
    return row


def _overlap(splits: SplitSummaries, source: str, target: str, challenge: str) -> float | None:
    ours, theirs = splits.get(target, {}).get(challenge), splits.get(source, {}).get(challenge)
    if ours is None or theirs is None:
        return None
    return 100 * len(set(ours.classes) & set(theirs.classes)) / len(ours.classes)


def _table2_row(
    params: Params, runs: Runs, paper: Paper, challenge: str, architecture: str, classes: int | None
) -> dict[str, object]:
    collection, seed = params.source.collection, params.training.seed
    figures = paper.table2.get((challenge, architecture), {})
    row: dict[str, object] = {"challenge": challenge, "architecture": architecture, "initialisation": "imagenet"}
    strategies: tuple[Strategy, ...] = ("off_the_shelf", "fine_tuning")
    keys = {
        strategy: RunKey(collection, challenge, architecture, strategy, "imagenet", seed) for strategy in strategies
    }
    for strategy, key in keys.items():
        published = figures.get(f"{strategy}_accuracy_percent")
        row |= _accuracy(strategy, key, runs.get(key), published, collection == PAPER_SOURCE)
    row |= _size(architecture, next((runs[key] for key in keys.values() if key in runs), None), classes)
    row |= {"parameters_paper": figures.get("parameters_millions"), "feature_size_paper": figures.get("feature_size")}
    return row


def _scratch_row(params: Params, runs: Runs, challenge: str, classes: int | None) -> dict[str, object]:
    architecture = params.scratch.architecture
    key = RunKey(params.source.collection, challenge, architecture, "scratch", "random", params.training.seed)
    row: dict[str, object] = {"challenge": challenge, "architecture": architecture, "initialisation": "random"}
    run = runs.get(key)
    return row | _accuracy("fine_tuning", key, run, None, same_scale=False) | _size(architecture, run, classes)


def _size(architecture: str, run: RunResult | None, classes: int | None) -> dict[str, object]:
    """Parameters of the whole network with its softmax, millions, and the length of its feature vector."""
    if run is not None:
        return {"parameters_millions": round(run.parameters / 1e6, 1), "feature_size": run.feature_size}
    size = size_of(architecture)
    millions = None if classes is None else round(size.parameters(int(classes)) / 1e6, 1)
    return {"parameters_millions": millions, "feature_size": size.feature_size}


def _accuracy(
    name: str, key: RunKey, run: RunResult | None, published: float | None, same_scale: bool
) -> dict[str, object]:
    cells: dict[str, object] = dict.fromkeys(f"{name}_{part}" for part in ACCURACY_PARTS)
    cells |= {f"{name}_paper": published, f"{name}_run": str(key)}
    if run is None:
        return cells
    low, high = wilson_interval(run.test.accuracy, run.test.n)
    percent = 100 * run.test.accuracy
    cells |= {
        f"{name}_percent": percent,
        f"{name}_low": 100 * low,
        f"{name}_high": 100 * high,
        f"{name}_n": run.test.n,
        f"{name}_doubts": "; ".join(run.doubts) or None,
    }
    if published is not None and same_scale:
        cells[f"{name}_difference"] = percent - published
    return cells
