"""What a person is told of a machine that others use, too."""

from __future__ import annotations

import pytest

from rijksnet import progress
from rijksnet.progress import OtherWork


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
