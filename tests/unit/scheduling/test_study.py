"""Workers that fill a study, where they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rijksnet.errors import ExplorationError
from rijksnet.exploration.board import Board
from rijksnet.params import Params
from rijksnet.scheduling import engine, study
from rijksnet.scheduling.engine import Engine
from rijksnet.scheduling.resources import Resources


@pytest.fixture
def board(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "machine", lambda: Resources(2, 0, 10_000))
    with closing(Board.open(params.exploration, "a study", 3, {})) as opened:
        yield opened


def test_workers_that_all_fail_say_why(board: Board) -> None:
    with engine.this_machine(2) as workers, pytest.raises(ExplorationError) as told:
        study.carry_out(board, "a/study", ["no_such_command"], workers, 2, "cpu")
    said = str(told.value)
    assert "trials of study a study are left, but its workers have ended" in said
    assert "explore-a-study-worker1: exit status 2; it said:" in said
    assert "explore-a-study-worker2: exit status 2; it said:" in said
    assert (Path(".checkpoints/output/explore-a-study-worker1.txt")).read_text().count("no_such_command") == 1


@pytest.mark.usefixtures("board")
def test_a_conclusion_that_fails_says_why() -> None:
    with (
        engine.this_machine(2) as workers,
        pytest.raises(ExplorationError, match=r"not concluded; exit status 2 on .*:"),
    ):
        study.conclude("a/study", ["no_such_command"], workers, "cpu")


@pytest.mark.parametrize(
    ("machines", "workers", "needs"),
    [
        ([Resources(16, 1)], 1, Resources(16, 1)),
        ([Resources(16, 1)], 4, Resources(4)),
        ([Resources(16), Resources(4)], 2, Resources(4)),
        ([Resources(4, 1), Resources(4, 1)], 2, Resources(4, 1)),
        ([Resources(2)], 5, Resources(1)),
    ],
)
def test_each_worker_has_its_share(machines: list[Resources], workers: int, needs: Resources) -> None:
    together = sum(machines[1:], machines[0])
    found = Engine(None, "", max(machines, key=lambda one: one.cores), together, machines)  # type: ignore[arg-type]
    assert study._needs(found, workers, "auto") == needs
    assert study._needs(found, workers, "cpu").gpus == 0
