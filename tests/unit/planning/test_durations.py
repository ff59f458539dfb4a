"""How long stages took: told by the process that is the stage, and by no child of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rijksnet.planning import durations

pytestmark = pytest.mark.usefixtures("project")


def stage(name: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(durations.STAGE, name)
    with pytest.raises(SystemExit), durations.recorded():
        raise SystemExit(status)


def test_the_last_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert durations.last() == {}
    stage("pixels@a", 0, monkeypatch)
    stage("fine_tuning@type-resnet50", 0, monkeypatch)
    assert durations.last().keys() == {"pixels@a", "fine_tuning@type-resnet50"}
    with durations.FILE.open("a") as file:
        file.write("pixels@a,12.5\n")
    assert durations.last()["pixels@a"] == 12.5


def test_what_failed_or_is_no_stage_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stage("pixels@a", 1, monkeypatch)
    monkeypatch.delenv(durations.STAGE, raising=False)
    with pytest.raises(SystemExit), durations.recorded():
        raise SystemExit(0)
    assert durations.last() == {}


def test_children_of_a_stage_are_not_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(durations.STAGE, "pixels@a")
    with durations.recorded():
        assert durations.STAGE not in os.environ


def test_a_line_cut_off_is_left_out(project: Path) -> None:
    (project / durations.FILE).parent.mkdir()
    (project / durations.FILE).write_text("pixels@a,3.0\npixels@b,\nspl")
    assert durations.last() == {"pixels@a": 3.0}


def test_the_memory_that_a_stage_held_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    stage("pixels@a", 0, monkeypatch)
    assert 10 < durations.peaks()["pixels@a"] < 100_000  # MiB: Python alone takes more than 10
    with durations.FILE.open("a") as file:
        file.write("pixels@a,12.5\n")  # as lines were before
    assert durations.peaks() == {"pixels@a": 0}
