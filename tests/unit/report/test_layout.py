from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from rijksnet.params import Params
from rijksnet.rendering.grid import Grid, escaped, p_value
from rijksnet.report import tables
from rijksnet.report.layout import claim_grid, differences_grid, errata_grid, grid1, grid2
from rijksnet.report.tables import read_paper, table1, table2
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import SplitSummary
from rijksnet.statistics.claims import Claim, Verdict
from rijksnet.statistics.significance import PairedTest

GRID = Grid("A title", ["name", "figure"], [["a|b", "[1]"]], text_columns=1)


def test_markdown_aligns_figures_right_and_escapes() -> None:
    assert GRID.markdown() == "| name | figure |\n| --- | ---: |\n| a\\|b | [1] |"


def test_a_museum_s_words_are_shown_as_they_are() -> None:
    words = r"*a* `b` [c](d) <i>e</i> \f | test_resnet"
    grid = Grid("A title", ["name"], [[escaped(words)]], text_columns=1)
    shown = MarkdownIt("commonmark").enable("table").render(grid.markdown())
    assert html.unescape(re.findall(r"<td>(.*)</td>", shown)[0]) == words


@pytest.mark.parametrize(
    ("p", "text"), [(0.00004, "< 0.0001"), (0.0001, "0.0001"), (0.0499, "0.0499"), (1.0, "1.0000")]
)
def test_p_values_near_the_level_stay_on_their_side(p: float, text: str) -> None:
    assert p_value(p) == text


def test_columns_of_the_paper_are_left_out_where_it_has_nothing(
    params: Params, paper_params: Params, reference: Path
) -> None:
    paper = read_paper(reference)
    assert "paper" not in grid2(table2(params, {}, paper)).headings
    theirs = grid2(table2(paper_params, {}, paper))
    assert theirs.headings.count("paper") == 4
    assert theirs.rows[0][:4] == ["type", "inception_v3", "not run", "72.96"]


def test_a_stated_difference_stands_beside_the_papers_figure(paper_params: Params, reference: Path) -> None:
    splits = {"rijksmuseum": {"type": SplitSummary(100_000, ("print", "vase"), "d")}}
    grid = grid1(table1(paper_params, splits, read_paper(reference)))
    assert grid.rows[0][:6] == ["type", "rijksmuseum", "100,000", "112,012 (−12,012)", "2", "1,054 (−1,052)"]


def test_what_has_not_been_run_says_so(params: Params, reference: Path) -> None:
    paper = read_paper(reference)
    assert grid1(table1(params, {}, paper)).rows[0][:4] == ["material", "miniature-rijksmuseum", "not run", "110,668"]
    grid = grid2(table2(params, {}, paper))
    assert grid.rows[0] == ["material", "test_resnet", "not run", "not run", "96"]
    assert grid.rows[2] == ["material", "test_resnet, from scratch", "–", "not run", "96"]


def verdict(accuracy: float, p: float, p_corrected: float | None) -> Verdict:
    key = RunKey("antwerp", "artist", "inception_v3", "off_the_shelf", "rijksmuseum")
    test = PairedTest(1865, 1865, accuracy, 0.8, accuracy - 0.8, -0.101, 0.123, 5, 4, p)
    return Verdict(Claim("a claim", key, key), test if p_corrected is not None else None, p_corrected)


def test_claims_have_both_p_values() -> None:
    grid = claim_grid("A claim", [verdict(0.9, 0.0123, 0.0369), verdict(0.9, 0.0123, None)])
    tested, absent = (dict(zip(grid.headings, row, strict=True)) for row in grid.rows)
    assert (tested["p"], tested["Holm's p"], tested["verdict"]) == ("0.0123", "0.0369", "holds")
    assert (tested["accuracy, %"], tested["baseline, %"]) == ("90.0", "80.0")
    assert tested["difference, points"] == "+10.0 (−10.1 to +12.3)"
    assert (absent["verdict"], absent["p"], absent["images"]) == ("not run", "–", "–")


def test_oddities_of_the_paper_read_as_they_are_written(reference: Path) -> None:
    errata, found = tables.errata(reference), tables.differences(reference)
    rows = {row[1]: row for row in errata_grid(errata).rows}
    assert rows["artist, inception_v3, off the shelf, %"][2:4] == [".07%", "7 %"]
    assert rows["parameters, millions"][0] == "2"
    grid = differences_grid(found)
    assert all(all(row) for row in grid.rows)
    assert grid.text_columns == len(grid.headings)
    assert {row[3] for row in grid.rows if row[3].startswith("training.")} == {
        "training.protocol",
        "training.normalisation",
        "training.batch_norm.frozen",
        "training.batch_norm.constants",
        "training.precision",
    }
