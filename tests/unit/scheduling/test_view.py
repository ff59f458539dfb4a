"""What a person reads while stages run, in a file and on a terminal."""

from __future__ import annotations

import io
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.live import Live

from rijksnet.scheduling import view as module
from rijksnet.scheduling.output import last_lines, output_of
from rijksnet.scheduling.repro import Outcome, Running, failures
from rijksnet.scheduling.resources import Resources
from rijksnet.scheduling.view import told, view

pytestmark = pytest.mark.usefixtures("project")


def running(name: str, seconds: float = 0) -> Running:
    return Running(SimpleNamespace(addressing=name), Resources(1), time.monotonic() - seconds)


def says(name: str, text: str) -> None:
    output_of(name).parent.mkdir(parents=True, exist_ok=True)
    output_of(name).write_text(text, encoding="utf-8")


def test_in_a_file_a_stage_is_a_line_when_it_starts_and_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(ran={"pixels@a": 75.2}, failed={"fine_tuning@type-x": "exit status 1 on here"})
    says("fine_tuning@type-x", "much\n" * 40 + "[red]the disk is full[/]\n")
    with view() as shown:
        shown.started("pixels@a")
        shown.ended("pixels@a", outcome)
        shown.ended("fine_tuning@type-x", outcome)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "pixels@a: started",
        "pixels@a: done in 1:15",
        "fine_tuning@type-x: failed: exit status 1 on here",
    ]
    assert lines[-1] == "    [red]the disk is full[/]"
    assert len(lines) == 3 + 15


def test_a_stage_that_no_worker_takes_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with view() as shown:
        for _ in range(3):
            shown.show(Outcome(), 2, [running("a", 61), running("b", 59)])
        says("a", "")
        shown.show(Outcome(), 2, [running("a", 120)])
    assert capsys.readouterr().err.startswith("a: waits for a worker")
    assert module.LONG_S == 60


def test_on_a_terminal_there_is_one_picture_of_all() -> None:
    says("fine_tuning@type-x", "epoch 1\n3/30 \rtrain 0.3, 37 images/s\n\n")
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Live(console=console, auto_refresh=False) as live:
        shown = module.LiveView(console, live)
        shown.show(Outcome(unchanged=["code"]), 4, [running("fine_tuning@type-x", 62), running("report")])
        live.refresh()
    assert isinstance(console.file, io.StringIO)
    picture = console.file.getvalue()
    assert "fine_tuning@type-x" in picture
    assert "1:02" in picture
    assert "train 0.3, 37 images/s" in picture
    assert "epoch 1" not in picture
    assert "waits for a worker" in picture
    assert "4 stages: 1 as they were, 0 done, 2 running, 1 to come" in picture


def test_how_things_stand_in_a_line() -> None:
    outcome = Outcome(ran={"a": 1.0}, unchanged=["b"], failed={"c": "why"}, kept_back=["d", "e"])
    assert told(outcome, 9, 2) == "9 stages: 1 as they were, 1 done, 2 running, 1 failed, 2 kept back, 2 to come"
    assert failures(outcome).splitlines() == [
        "1 of 5 stages failed; what ended is kept, and the same command goes on:",
        "  c: why; it said: .checkpoints/output/c.txt",
        "  not run, for they need them: d, e",
    ]


def test_the_last_lines_of_a_large_or_absent_file(tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    assert last_lines(file, 2) == []
    file.write_bytes(b"x" * 50_000 + b"\n\xff two\n   \nthree\n")
    assert last_lines(file, 2) == ["\ufffd two", "three"]
