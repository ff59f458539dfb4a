from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from rijksnet.analysis.layout import Grid, grid1, grid2, p_value
from rijksnet.analysis.runs import SplitSummary
from rijksnet.analysis.tables import read_paper, table1, table2
from rijksnet.params import Params

GRID = Grid("A title", ["name", "figure"], [["a|b", "[1]"]], text_columns=1)


def test_markdown_aligns_figures_right_and_escapes() -> None:
    assert GRID.markdown() == "| name | figure |\n| --- | ---: |\n| a\\|b | [1] |"


def test_a_terminal_shows_the_text_as_it_is() -> None:
    console = Console(width=60, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(GRID.rich())
    assert all(text in captured.get() for text in ("A title", "a|b", "[1]"))


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
    assert theirs.rows[0][:4] == ["type", "inception_v3", "not run", "73.0"]


def test_a_stated_difference_stands_beside_the_papers_figure(paper_params: Params, reference: Path) -> None:
    splits = {"rijksmuseum": {"type": SplitSummary(100_000, ("print", "vase"), "d")}}
    grid = grid1(table1(paper_params, splits, read_paper(reference)))
    assert grid.rows[0][:6] == ["type", "rijksmuseum", "100,000", "112,012 (−12,012)", "2", "1,054 (−1,052)"]


def test_what_has_not_been_run_says_so(params: Params, reference: Path) -> None:
    paper = read_paper(reference)
    assert grid1(table1(params, {}, paper)).rows[0][:4] == ["material", "miniature-rijksmuseum", "not run", "110,668"]
    grid = grid2(table2(params, {}, paper))
    assert grid.rows[0] == ["material", "test_resnet", "not run", "not run"]
    assert grid.rows[2] == ["material", "test_resnet, from scratch", "–", "not run"]
