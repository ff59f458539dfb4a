from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console

from rijksnet.errors import RunError
from rijksnet.params import Strategy
from rijksnet.runs.key import RunKey
from rijksnet.runs.result import RunResult, load_all, load_run
from rijksnet.statistics.compare import STRATEGIES, compare, find, name_of, render, verdict
from rijksnet.statistics.significance import paired_test

TUNED = RunKey("miniature-rijksmuseum", "type", "test_resnet", "fine_tuning", "imagenet")
SHELF = replace(TUNED, strategy="off_the_shelf")
RIGHT = {TUNED: [True] * 16 + [False] * 4, SHELF: [True] * 8 + [False] * 11 + [True]}

Write = Callable[..., Path]


@pytest.fixture
def pair(write_run: Write) -> tuple[RunResult, RunResult]:
    """Two runs on 20 objects: 16 and 9 right, 8 of them only by the first, 1 only by the second."""
    tuned, shelf = (load_run(write_run(key, correct)) for key, correct in RIGHT.items())
    return tuned, shelf


def changed(root: Path, of: str, **values: Any) -> RunResult:
    """The run in `root` with other values in a part of run.json."""
    content = json.loads((root / "run.json").read_text())
    (root / "run.json").write_text(json.dumps(content | {of: content[of] | values}))
    return load_run(root)


def test_a_verdict_can_be_quoted(pair: tuple[RunResult, RunResult]) -> None:
    said = verdict(compare(*pair))
    assert said.startswith(
        "On the 20 test images of type of miniature-rijksmuseum, test_resnet fine tuned from ImageNet weights (θ), "
        "seed 0 (A) classifies 80.0 % (95 % interval 58.4 to 91.9 %) rightly, and test_resnet off the shelf from "
        "ImageNet weights (θ), seed 0 (B) 45.0 % (95 % interval 25.8 to 65.8 %). A is 35.0 points better"
    )
    test = paired_test(pair[0].correct(), pair[1].correct())
    interval = f"95 % paired bootstrap interval +{100 * test.low:.1f} to +{100 * test.high:.1f}"
    assert f"({interval}; A alone is right on 8, B alone on 1; exact McNemar test, p = 0.0391)" in said
    assert "more than chance between test objects" in said
    assert said.endswith("What another seed of both would change is not known.")


def test_swapped_runs_give_the_opposite_verdict(pair: tuple[RunResult, RunResult]) -> None:
    said = verdict(compare(*reversed(pair)))
    assert "A is 35.0 points worse" in said
    assert "A alone is right on 1, B alone on 8; exact McNemar test, p = 0.0391" in said
    assert "−" in said


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ([True] * 15 + [False] * 5, "A is 5.0 points better"),
        ([False] + [True] * 16 + [False] * 3, "The two do not differ in accuracy"),
    ],
)
def test_chance_is_not_called_a_difference(
    other: Sequence[bool], says: str, pair: tuple[RunResult, RunResult], write_run: Write
) -> None:
    said = verdict(compare(pair[0], load_run(write_run(replace(SHELF, initialisation="rijksmuseum"), other))))
    assert says in said
    assert "more than chance between" not in said


def test_seeds_are_said_apart_from_the_test_sample(
    pair: tuple[RunResult, RunResult], write_run: Write, runs_root: Path
) -> None:
    write_run(replace(TUNED, seed=1), [True] * 18 + [False] * 2)
    only_one = compare(*pair, load_all(runs_root))
    assert only_one.seeds is None
    assert "A over seeds 0, 1: 85.0 % on average, standard deviation between seeds 7.1 points" in verdict(only_one)
    write_run(replace(SHELF, seed=1), [True] * 8 + [False] * 12)
    both = compare(*pair, load_all(runs_root))
    assert both.seeds is not None
    assert both.seeds.seeds == (0, 1)
    said = verdict(both)
    assert "Over seeds 0, 1 the difference is +42.5 points on average (standard deviation between seeds 10.6" in said
    assert "2 of 2 seeds agree in sign" in said
    assert "not known" not in said


def test_two_seeds_of_one_run_compare(pair: tuple[RunResult, RunResult], write_run: Write) -> None:
    comparison = compare(pair[0], load_run(write_run(replace(TUNED, seed=1), [True] * 12 + [False] * 8)))
    assert comparison.seeds is None
    assert comparison.a.spread == comparison.b.spread
    assert comparison.test.difference == pytest.approx(0.2)


def test_runs_made_otherwise_are_no_further_seeds(
    pair: tuple[RunResult, RunResult], write_run: Write, runs_root: Path
) -> None:
    changed(write_run(replace(TUNED, seed=1), [True] * 20), "params", protocol="as_released")
    changed(write_run(replace(TUNED, seed=2), [True] * 12, first_object=3), "digests", split="6" * 64)
    assert compare(*pair, load_all(runs_root)).a.spread is None


def test_what_else_differs_is_said(pair: tuple[RunResult, RunResult], write_run: Write) -> None:
    root = write_run(replace(TUNED, seed=7), RIGHT[TUNED])
    changed(root, "params", protocol="as_released", input_size=128)
    other = changed(root, "digests", split="6" * 64)
    assert verdict(compare(pair[0], other)).endswith(
        "Mind that they differ in protocol: A as_written, B as_released; and that they differ in input_size: A 64, "
        "B 128; and that they learned from different splits: A 555555555555, B 666666666666."
    )
    assert compare(*pair).warnings == ()
    assert compare(pair[0], pair[0]).warnings == ("A and B are the same run",)


def test_a_doubtful_run_is_said_to_be_one(pair: tuple[RunResult, RunResult], write_run: Write) -> None:
    other = load_run(write_run(replace(TUNED, seed=7), RIGHT[TUNED], doubts=["training accuracy fell"]))
    assert verdict(compare(pair[0], other)).endswith("Mind that B is doubtful: training accuracy fell.")


def test_different_questions_are_refused(pair: tuple[RunResult, RunResult], write_run: Write) -> None:
    other = load_run(write_run(replace(TUNED, challenge="artist"), RIGHT[TUNED]))
    with pytest.raises(RunError, match=r"first is on type of miniature-r.*, the second on artist of miniature-r"):
        compare(pair[0], other)


def test_different_test_images_are_refused(pair: tuple[RunResult, RunResult], write_run: Write) -> None:
    other = load_run(write_run(replace(TUNED, seed=1), RIGHT[TUNED], first_object=5))
    with pytest.raises(RunError, match="5 images only in the first, 5 only in the second, 15 in both"):
        compare(pair[0], other)


def test_different_labels_of_the_same_images_are_refused(pair: tuple[RunResult, RunResult], write_run: Write) -> None:
    root = write_run(replace(TUNED, seed=1), RIGHT[TUNED], classes=4)
    with pytest.raises(RunError, match="14 of their 20 test images have different labels"):
        compare(pair[0], changed(root, "digests", split="6" * 64))


def test_a_table_of_80_columns_beside_the_verdict(
    pair: tuple[RunResult, RunResult], write_run: Write, runs_root: Path
) -> None:
    for key in (TUNED, SHELF):
        write_run(replace(key, seed=1), [True] * 10 + [False] * 10)
    printed = StringIO()
    Console(width=80, file=printed).print(render(compare(*pair, load_all(runs_root))))
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    cells = {line.strip().split("  ")[0]: line.split()[-3:] for line in lines if line}
    assert cells["accuracy, %"] == ["80.0", "45.0", "+35.0"]
    assert cells["accuracy on the surest 50 %, %"] == ["60.0", "10.0", "+50.0"]  # of equal ones the first in the file
    assert cells["mean over seeds, %"] == ["65.0", "47.5", "+17.5"]
    assert "mean average precision, %" not in cells  # measured on official splits only
    assert {f"A: {TUNED}", f"B: {SHELF}"} <= set(lines)


def test_a_run_is_found_by_key_and_by_folder(pair: tuple[RunResult, RunResult], runs_root: Path) -> None:
    assert find(str(TUNED), runs_root) == pair[0]
    assert find(f"{runs_root / str(TUNED)}/", runs_root) == pair[0]


def test_a_run_that_is_not_there_is_answered_with_the_nearest(
    pair: tuple[RunResult, RunResult], runs_root: Path
) -> None:
    with pytest.raises(RunError, match=f"nearest of the 2 there are:\n  {TUNED}\n  {SHELF}$"):
        find(str(TUNED).replace("fine_tuning", "finetuning"), runs_root)


def test_no_run_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no complete run under"):
        find(str(TUNED), tmp_path)


def test_every_strategy_has_words() -> None:
    assert set(STRATEGIES) == set(get_args(Strategy))
    scratch = RunKey("c", "type", "vgg19", "scratch", "random", 3)
    assert name_of(scratch) == "vgg19 trained from scratch, seed 3"
