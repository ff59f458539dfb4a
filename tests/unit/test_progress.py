"""What a person is told while they wait, and of a machine that others use, too."""

from __future__ import annotations

import pytest

from rijksnet import progress
from rijksnet.progress import OtherWork, Pace, clock


def machine(monkeypatch: pytest.MonkeyPatch, seconds: float, others: float, cores: int = 2) -> None:
    """One on which this process works `seconds`, one and a half core's worth, and others as many cores as said."""
    busy, own, clock = iter((100.0, 100 + seconds * (1.5 + others))), iter((7.0, 7 + 1.5 * seconds)), [50.0]
    monkeypatch.setattr(progress, "_busy_seconds", lambda: next(busy))
    monkeypatch.setattr(progress.time, "process_time", lambda: next(own))
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.pop() if clock else 50 + seconds)
    monkeypatch.setattr(progress.os, "cpu_count", lambda: cores)


@pytest.mark.parametrize(
    ("threads", "others", "warns"), [(2, 0.2, False), (2, 1.4, True), (1, 1.9, False), (2, 2.0, True)]
)
def test_threads_that_wait_for_other_processes_are_told_once(
    threads: int, others: float, warns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, 10, others)
    work = OtherWork(threads)
    told = work.warning()
    assert bool(told) is warns
    if warns:
        assert f"other processes keep {others:.1f} of 2 cores busy" in told
        assert "training.threads: 1" in told
    assert work.warning() == ""


def test_what_lasted_too_short_to_be_counted_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0.02, 2.0)
    assert OtherWork(2).warning() == ""


def test_a_machine_that_does_not_tell_is_taken_as_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(progress.Path, "open", refuse)
    work = OtherWork(2)
    since = work._since
    monkeypatch.setattr(progress.time, "monotonic", lambda: since + 10)
    assert work.warning() == ""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, s, which stands still until it is set."""
    time = [1e9]
    monkeypatch.setattr(progress.time, "monotonic", lambda: time[0])
    return time


def test_an_epoch_tells_how_far_it_has_come(now: list[float]) -> None:
    told: list[str] = []
    pace = Pace(told.append)
    for _ in range(2):
        for done in range(32, 1441, 32):
            now[0] += 0.2
            pace(done, 1440)
        pace.epoch_ended()
    assert told[0] == "epoch under way: 96 of 1,440 images, 160 images/s, 0:08 left of it"
    assert told[13] == "epoch under way: 1,344 of 1,440 images, 160 images/s, 0:01 left of it"
    assert len(told) == 30, "several times a second at most"
    assert told[15:] == told[:15]


def test_a_log_tells_the_time_that_is_left(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """At the pace so far; a training that goes on at its fifth epoch has not done the first four just now."""
    with progress.progress("a run", 40) as report:
        report(4, "resumed")
        for epoch in range(5, 41):
            now[0] += 20
            report(epoch, f"loss {epoch}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["a run: 4/40 resumed", "a run: 5/40 loss 5; at most 11:40 left"]
    assert lines[-1] == "a run: 40/40 loss 40"


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (7, "0:07"), (750, "12:30"), (11100, "3:05:00")])
def test_time_is_written_as_people_read_it(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
