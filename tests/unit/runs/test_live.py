"""Live streaming as the training side sees it; the follower itself is tried in tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import KEY, PARAMS, STARTED_MS
from rijksnet.runs import live
from rijksnet.runs.live import Live, followed


@pytest.fixture
def one() -> Live:
    return Live(KEY, STARTED_MS, PARAMS, "history.csv")


def test_the_follower_reads_what_the_training_wrote(one: Live, tmp_path: Path) -> None:
    one.write(tmp_path / "checkpoints" / "live.json")
    assert Live.read(tmp_path / "checkpoints" / "live.json") == one


def test_a_short_run_starts_no_follower(one: Live, tmp_path: Path) -> None:
    file = tmp_path / "live.json"
    with followed(one, file, after_s=3600) as follower:
        follower.epoch_ended()
        assert follower.process is None
        assert not file.exists()


def test_a_failure_inside_the_block_is_not_swallowed(one: Live, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), followed(one, tmp_path / "live.json", after_s=3600):
        raise ZeroDivisionError


def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Put a script in the follower's place; returns the file that it is given to write to."""
    said = tmp_path / "said"
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script.format(said=said)}\n")
    program.chmod(0o755)
    monkeypatch.setattr(live.sys, "executable", str(program))
    return said


def test_the_follower_is_told_how_the_block_ended(one: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = echo(tmp_path, monkeypatch, "cat > '{said}'")
    file = tmp_path / "live.json"
    with followed(one, file, after_s=0) as follower:
        follower.epoch_ended()
        started = follower.process
        follower.epoch_ended()
        assert follower.process is started  # one follower a run
        assert Live.read(file) == one
    assert said.read_text() == "done\n"
    assert not file.exists()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012, SIM117
        with followed(one, file, after_s=0) as follower:
            follower.epoch_ended()
            raise KeyboardInterrupt
    assert said.read_text() == ""


def test_a_follower_that_is_gone_costs_nothing(one: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    echo(tmp_path, monkeypatch, "exit 3")
    with followed(one, tmp_path / "live.json", after_s=0) as follower:
        follower.epoch_ended()
        assert follower.process is not None
        follower.process.wait()
    assert follower.process.returncode == 3


def test_a_follower_that_hangs_is_ended(one: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    echo(tmp_path, monkeypatch, "exec sleep 600")
    monkeypatch.setattr(live, "PATIENCE_S", 0.05)
    with followed(one, tmp_path / "live.json", after_s=0) as follower:
        follower.epoch_ended()
    assert follower.process is not None
    assert follower.process.returncode == -9
