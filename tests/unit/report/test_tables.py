from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rijksnet.errors import RunError
from rijksnet.params import Params
from rijksnet.report.tables import (
    differences,
    errata,
    groundtruth_table,
    per_class_table,
    read_paper,
    table1,
    table2,
    table3,
)
from rijksnet.runs import metrics
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import SplitSummary, load_asked
from rijksnet.statistics.significance import wilson_interval

THREE_OF_FOUR = [True, True, True, False]


def row_of(table: pd.DataFrame, **where: str) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_table1_counts_and_overlap_beside_the_papers(paper_params: Params, reference: Path) -> None:
    splits = {
        "rijksmuseum": {"type": SplitSummary(100_000, ("print", "drawing", "vase"), "d1")},
        "antwerp": {"type": SplitSummary(23_000, ("print", "map", "vase", "bust"), "d2")},
    }
    table = table1(paper_params, splits, read_paper(reference))
    assert list(table["challenge"]) == ["type", "type", "artist"]
    source = row_of(table, challenge="type", collection="rijksmuseum")
    assert (source["samples"], source["samples_paper"], source["samples_difference"]) == (100_000, 112_012, -12_012)
    assert (source["classes"], source["classes_paper"], source["split_digest"]) == (3, 1054, "d1")
    assert pd.isna(source["overlap_percent"])
    target = row_of(table, challenge="type", collection="antwerp")
    assert target["overlap_percent"] == 50  # print and vase, of four
    assert target["samples_difference"] == 23_000 - 23_797
    missing = row_of(table, challenge="artist")
    assert pd.isna(missing["samples"])
    assert missing["samples_paper"] == 82_018


def test_table1_states_no_difference_for_drawn_collections(params: Params, reference: Path) -> None:
    splits = {"miniature-rijksmuseum": {"type": SplitSummary(2000, ("print",), "d")}}
    row = row_of(table1(params, splits, read_paper(reference)), challenge="type", collection="miniature-rijksmuseum")
    assert (row["samples"], row["samples_paper"]) == (2000, 112_012)
    assert pd.isna(row["samples_difference"])


def test_table2_on_the_papers_scale(
    paper_params: Params, reference: Path, write_run: Callable[..., Path], runs_root: Path
) -> None:
    key = RunKey("rijksmuseum", "type", "vgg19", "fine_tuning", "imagenet")
    write_run(key, THREE_OF_FOUR)
    table = table2(paper_params, load_asked(paper_params, runs_root), read_paper(reference))
    row = row_of(table, challenge="type", architecture="vgg19", initialisation="imagenet")
    assert (row["fine_tuning_percent"], row["fine_tuning_paper"]) == (75, 90.27)
    assert row["fine_tuning_difference"] == pytest.approx(75 - 90.27)
    low, high = wilson_interval(0.75, 4)
    assert (row["fine_tuning_low"], row["fine_tuning_high"]) == pytest.approx((100 * low, 100 * high))
    assert (row["fine_tuning_n"], row["fine_tuning_run"]) == (4, str(key))
    assert (row["parameters_millions"], row["parameters_paper"]) == (23.5, 20)
    assert (row["feature_size"], row["feature_size_paper"]) == (2048, 512)
    assert pd.isna(row["off_the_shelf_percent"])
    assert row["off_the_shelf_paper"] == 77.33
    assert row["off_the_shelf_run"] == "rijksmuseum/type/vgg19/off_the_shelf-imagenet-seed0"


def test_table2_has_scratch_in_a_row_of_its_own(
    params: Params, reference: Path, write_run: Callable[..., Path], runs_root: Path
) -> None:
    key = RunKey("miniature-rijksmuseum", "artist", "test_resnet", "scratch", "random")
    write_run(key, THREE_OF_FOUR)
    table = table2(params, load_asked(params, runs_root), read_paper(reference))
    row = row_of(table, challenge="artist", architecture="test_resnet", initialisation="random")
    assert (row["fine_tuning_percent"], row["fine_tuning_run"]) == (75, str(key))
    assert pd.isna(row["off_the_shelf_run"])
    assert len(table) == 3 * (2 + 1)


def test_networks_that_the_paper_did_not_run_have_nothing_beside_them(
    params: Params, reference: Path, write_run: Callable[..., Path], runs_root: Path
) -> None:
    write_run(RunKey("miniature-antwerp", "type", "test_resnet", "off_the_shelf", "imagenet"), THREE_OF_FOUR)
    runs, paper = load_asked(params, runs_root), read_paper(reference)
    for table in (table2(params, runs, paper), table3(params, runs, paper)):
        beside = [name for name in table if name.endswith(("_paper", "_difference"))]
        assert beside
        assert table[beside].isna().all(axis=None)


def test_the_papers_network_on_another_collection_has_its_figure_and_no_difference(
    paper_params: Params, reference: Path, write_run: Callable[..., Path], runs_root: Path
) -> None:
    elsewhere = paper_params.model_copy(
        update={
            "source": paper_params.source.model_copy(update={"collection": "sample"}),
            "target": paper_params.target.model_copy(update={"collection": "antwerp"}),
        }
    )
    write_run(RunKey("sample", "type", "vgg19", "off_the_shelf", "imagenet"), THREE_OF_FOUR)
    write_run(RunKey("antwerp", "type", "vgg19", "off_the_shelf", "sample"), THREE_OF_FOUR)
    runs, paper = load_asked(elsewhere, runs_root), read_paper(reference)
    row = row_of(table2(elsewhere, runs, paper), challenge="type", architecture="vgg19")
    assert (row["off_the_shelf_percent"], row["off_the_shelf_paper"]) == (75, 77.33)
    assert pd.isna(row["off_the_shelf_difference"])
    row = row_of(table3(elsewhere, runs, paper), challenge="type", architecture="vgg19")
    assert (row["source_off_the_shelf_percent"], row["source_off_the_shelf_paper"]) == (75, 60.1)
    assert pd.isna(row["source_off_the_shelf_difference"])  # θ̂ was tuned on something else than the paper's


def test_table3_on_the_papers_scale(
    paper_params: Params, reference: Path, write_run: Callable[..., Path], runs_root: Path
) -> None:
    key = RunKey("antwerp", "type", "inception_v3", "fine_tuning", "rijksmuseum")
    write_run(key, THREE_OF_FOUR)
    table = table3(paper_params, load_asked(paper_params, runs_root), read_paper(reference))
    row = row_of(table, challenge="type", architecture="inception_v3")
    assert row["source_fine_tuning_run"] == str(key)
    assert row["source_fine_tuning_difference"] == pytest.approx(75 - 71.88)
    assert row["imagenet_off_the_shelf_paper"] == 43.9
    assert pd.isna(row["imagenet_off_the_shelf_percent"])


def test_table3_without_a_transfer_keeps_its_columns(params: Params, reference: Path) -> None:
    none = params.target.model_copy(update={"challenges": [], "architectures": []})
    table = table3(params.model_copy(update={"target": none}), {}, read_paper(reference))
    assert table.empty
    assert "source_fine_tuning_run" in table


def test_sizes_of_what_has_not_been_run_are_computed(params: Params, paper_params: Params, reference: Path) -> None:
    paper, columns = read_paper(reference), ["parameters_millions", "feature_size"]
    split = {"rijksmuseum": {"type": SplitSummary(100_000, tuple(map(str, range(500))), "d")}}
    table = table2(paper_params, {}, paper, split)
    row = row_of(table, challenge="type", architecture="vgg19")
    assert row[columns].tolist() == [20.3, 512]  # 20,024,384 and 513 for each of the split's 500 classes
    row = row_of(table, challenge="artist", architecture="vgg19")
    assert row[columns].tolist() == [20.6, 512]  # not split yet: the paper's 1,196
    row = row_of(table2(params, {}, paper), challenge="type", architecture="test_resnet", initialisation="random")
    assert row["feature_size"] == 96
    assert pd.isna(row["parameters_millions"])  # a drawn collection has no classes before it is split


def test_errata_name_figures_that_the_paper_prints(reference: Path) -> None:
    paper, found = read_paper(reference), errata(reference)
    assert list(found) == ["table", "challenge", "architecture", "column", "printed", "read_as", "why"]
    for row in found.to_dict("records"):
        if row["table"] == "1":
            assert f"{paper.table1[row['challenge'], 'rijksmuseum'][row['column']]:,}" == row["printed"]
        elif row["architecture"]:
            value = paper.table2[row["challenge"], row["architecture"]][f"{row['column']}_accuracy_percent"]
            assert f"{value:g} %" == row["read_as"]
    assert set(differences(reference)["topic"]) >= {"Learning rate of fine tuning", "Pixel values", "Tested weights"}


@pytest.mark.parametrize("read", [errata, differences, groundtruth_table])
def test_absent_tables_of_the_project_are_named(tmp_path: Path, read: Callable[[Path], pd.DataFrame]) -> None:
    with pytest.raises(RunError, match=r"\.csv is not a file: it comes with the project"):
        read(tmp_path)


def test_absent_figures_of_the_paper_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"paper_table1\.csv is not a file"):
        read_paper(tmp_path)


def test_per_class_table_has_the_most_frequent_first() -> None:
    labels, predicted = np.array([1, 1, 1, 0, 2, 2]), np.array([1, 1, 0, 0, 1, 1])
    table = per_class_table(metrics.per_class(labels, predicted, 4), ("a", "b", "c", "d"))
    assert list(table["class"]) == ["b", "c", "a", "d"]
    first = table.iloc[0]
    assert (first["precision"], first["recall"], first["support"], first["predictions"]) == (0.5, 2 / 3, 3, 4)
