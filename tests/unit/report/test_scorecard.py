from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rijksnet.params import Params
from rijksnet.report import tables
from rijksnet.report.layout import scorecard_grid
from rijksnet.report.scorecard import COMPUTED, GROUNDTRUTH, difference_interval, scorecard, summary
from rijksnet.report.sizes import size_of
from rijksnet.report.tables import Paper, SplitSummaries, read_paper
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import SplitSummary, load_asked


@pytest.fixture(scope="session")
def native_params(paper_params: Params) -> Params:
    return paper_params.model_copy(update={"input_size": "native"})


def score(params: Params, reference: Path, runs_root: Path, splits: SplitSummaries | None = None) -> pd.DataFrame:
    runs, paper = load_asked(params, runs_root), read_paper(reference)
    return scorecard(
        params,
        tables.table1(params, splits or {}, paper),
        tables.table2(params, runs, paper, splits),
        tables.table3(params, runs, paper),
        tables.groundtruth_table(reference),
        paper,
    )


def cell(frame: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def shares(accuracy: float, n: int = 1000) -> list[bool]:
    return (np.arange(n) < round(accuracy * n)).tolist()


@pytest.mark.parametrize(
    ("ours", "n", "theirs", "their_n", "low", "high"),
    [(56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090), (10, 10, 0, 20, 0.6791, 1.0)],
)
def test_the_interval_is_newcombes_as_published(
    ours: int, n: int, theirs: int, their_n: int, low: float, high: float
) -> None:
    """Newcombe 1998, table II, method 10."""
    interval = difference_interval(ours / n, n, theirs / their_n, their_n)
    assert interval == pytest.approx((low, high), abs=5e-5)


def test_the_interval_against_its_formula() -> None:
    def wilson(p: float, n: int) -> tuple[float, float]:
        z = 1.959963984540054
        spread = z * sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        return (p + z**2 / (2 * n) - spread) / (1 + z**2 / n), (p + z**2 / (2 * n) + spread) / (1 + z**2 / n)

    for p, n, q, m in [(0.9, 199, 0.9267, 11201), (0.074, 8201, 0.07, 8201), (0.0, 10, 1.0, 20)]:
        (low_p, high_p), (low_q, high_q) = wilson(p, n), wilson(q, m)
        expected = (
            p - q - sqrt((p - low_p) ** 2 + (high_q - q) ** 2),
            p - q + sqrt((high_p - p) ** 2 + (q - low_q) ** 2),
        )
        assert difference_interval(p, n, q, m) == pytest.approx(expected)


def test_what_is_printed_in_whole_percent_stands_for_all_that_rounds_to_it() -> None:
    exact, rounded = (difference_interval(0.075, 8201, 0.07, 8201, slack) for slack in (0.0, 0.005))
    assert rounded[0] < exact[0]
    assert rounded[1] > exact[1]
    assert rounded[0] == pytest.approx(difference_interval(0.075, 8201, 0.075, 8201)[0])


def test_every_printed_figure_has_a_row_on_the_miniature(params: Params, reference: Path, runs_root: Path) -> None:
    frame = score(params, reference, runs_root)
    assert frame.groupby("table").size().to_dict() == {1: 12, 2: 48, 3: 32}
    accuracies = frame[frame["column"].str.contains("tuning|shelf")]
    assert set(accuracies["verdict"]) == {"not run"}
    assert set(accuracies["run"]) == {""}
    assert accuracies["note"].str.contains("source.collection rijksmuseum").all()
    assert summary(frame) == (
        "The paper's tables print 92 figures that can be checked. Of 56 accuracies: 56 not run. "
        "Of 36 counts and sizes: 27 reproduced, 3 different, 6 not run."
    )


def test_sizes_are_computed_for_the_papers_classes(params: Params, reference: Path, runs_root: Path) -> None:
    frame = score(params, reference, runs_root)
    sizes = frame[frame["column"].isin(["parameters", "feature_size"])]
    assert len(sizes) == 24
    assert set(sizes["verdict"]) == {"reproduced"}
    assert set(sizes["run"]) == {COMPUTED}
    xception = cell(frame, challenge="material", architecture="xception", column="parameters")
    assert (xception["ours"], xception["note"]) == (21.229046, "21,229,046 with 206 classes")
    assert size_of("vgg19").parameters(206) == 20_024_384 + 513 * 206


def test_counts_are_those_of_the_real_ground_truth(params: Params, reference: Path, runs_root: Path) -> None:
    frame = score(params, reference, runs_root)
    counted = frame[(frame["table"] == 1) & (frame["collection"] == "rijksmuseum")]
    assert set(counted["run"]) == {GROUNDTRUTH}
    found = {(row["challenge"], row["column"]): (row["ours"], row["verdict"]) for _, row in counted.iterrows()}
    assert found == {
        ("material", "samples"): (110_668, "reproduced"),
        ("material", "classes"): (207, "differs"),
        ("type", "samples"): (112_012, "reproduced"),
        ("type", "classes"): (1053, "differs"),
        ("artist", "samples"): (82_525, "differs"),
        ("artist", "classes"): (1196, "reproduced"),
    }


def test_accuracies_at_the_papers_scale(
    native_params: Params, reference: Path, write_run: Callable[..., Path], runs_root: Path
) -> None:
    keys = {
        RunKey("rijksmuseum", "type", "vgg19", "fine_tuning", "imagenet"): 0.905,  # the paper: 90.27
        RunKey("rijksmuseum", "type", "vgg19", "off_the_shelf", "imagenet"): 0.85,  # 77.33
        RunKey("rijksmuseum", "artist", "vgg19", "fine_tuning", "imagenet"): 0.40,  # 44.98
        RunKey("rijksmuseum", "artist", "inception_v3", "off_the_shelf", "imagenet"): 0.088,  # printed as .07%
        RunKey("antwerp", "type", "vgg19", "fine_tuning", "rijksmuseum"): 0.72,  # 71.21
    }
    for key, accuracy in keys.items():
        write_run(key, shares(accuracy))
    frame = score(native_params, reference, runs_root).set_index("run")
    verdicts = [frame.loc[str(key), "verdict"] for key in keys]
    assert verdicts == ["reproduced", "better", "worse", "reproduced", "reproduced"]
    better = frame.loc["rijksmuseum/type/vgg19/off_the_shelf-imagenet-seed0"]
    expected = difference_interval(0.85, 1000, 0.7733, 11_201)  # a tenth of the 112,012 samples
    assert (better["difference_low"], better["difference_high"]) == pytest.approx(tuple(100 * end for end in expected))
    assert better["low"] < better["ours"] == 85 < better["high"]
    absent = frame.loc["rijksmuseum/artist/vgg19/off_the_shelf-imagenet-seed0"]
    assert (absent["verdict"], absent["note"]) == ("not run", "not run yet")
    assert "3 reproduced, 1 better, 1 worse, 51 not run" in summary(frame)
    grid = scorecard_grid(frame.reset_index())
    row = next(row for row in grid.rows if row[:4] == ["2", "type", "vgg19", "off the shelf, %"])
    assert row[4] == "better"
    assert row[6:8] == ["77.33", "85.0 (82.7–87.1)"]
    assert row[8].startswith("+7.7 (+5.")


@pytest.mark.parametrize(
    ("change", "need"),
    [({"input_size": 299}, "input_size native"), ({"splits": {"together": "near_duplicates"}}, "together object")],
)
def test_another_protocol_is_not_the_papers(
    native_params: Params, reference: Path, write_run: Callable[..., Path], runs_root: Path, change: dict, need: str
) -> None:
    write_run(RunKey("rijksmuseum", "type", "vgg19", "fine_tuning", "imagenet"), shares(0.9))
    if "splits" in change:
        change = {"splits": native_params.splits.model_copy(update=change["splits"])}
    frame = score(native_params.model_copy(update=change), reference, runs_root)
    row = cell(frame, challenge="type", architecture="vgg19", column="fine_tuning")
    assert (row["verdict"], row["run"]) == ("not run", "")
    assert need in row["note"]


def test_the_target_is_counted_after_its_split(native_params: Params, reference: Path, runs_root: Path) -> None:
    theirs = tuple(f"class {i}" for i in range(920))
    splits = {
        "rijksmuseum": {"type": SplitSummary(112_012, theirs[:130], "d1")},
        "antwerp": {"type": SplitSummary(23_700, theirs, "d2")},
    }
    frame = score(native_params, reference, runs_root, splits)
    rows = frame[(frame["collection"] == "antwerp") & (frame["table"] == 1) & (frame["challenge"] == "type")]
    assert list(rows["column"]) == ["samples", "classes", "overlap"]
    assert list(rows["verdict"]) == ["differs", "reproduced", "reproduced"]  # 130 of 920 are 14.1 %: about 15
    assert set(rows["run"]) == {"data/antwerp/splits.json"}


def test_without_the_papers_figures_there_is_nothing_to_score(params: Params, reference: Path) -> None:
    none, empty = Paper({}, {}, {}), tables.read_paper(reference)
    frame = scorecard(
        params,
        tables.table1(params, {}, empty),
        tables.table2(params, {}, empty),
        tables.table3(params, {}, empty),
        tables.groundtruth_table(reference),
        none,
    )
    assert frame.empty
    assert "verdict" in frame
    assert "not the paper's" in summary(frame)
    assert scorecard_grid(frame).rows == []
