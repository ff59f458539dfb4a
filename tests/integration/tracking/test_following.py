"""A real follower beside a training: the store shows epochs as they end, and how the training ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers import KEY, PARAMS, STARTED_MS, epochs, write_record
from rijksnet.params import Params
from rijksnet.paths import RecordPaths
from rijksnet.stages import publish
from rijksnet.tracking import record
from rijksnet.tracking.live import Live, followed
from rijksnet.tracking.mlflow_store import Store
from stores import free_port, make_project, wait_for

FILE = Path(".checkpoints") / str(KEY) / "live.json"


def live() -> Live:
    return Live(KEY, "0" * 32, STARTED_MS, PARAMS, str(RecordPaths.of(KEY).history))


def train_to(n: int, epoch_ended: Callable[[], None]) -> None:
    """As the training loop does: the history first, then the word that an epoch has ended."""
    record.write_history(RecordPaths.of(KEY).history, epochs(n))
    epoch_ended()


def shown(store: Store) -> Any:
    """The key's only run, or None."""
    found = store.client.search_runs([store.experiment(KEY)])
    assert len(found) <= 1, "one training is one run"
    return found[0] if found else None


def epochs_shown(store: Store) -> list[tuple[int, int, float]]:
    run = shown(store)
    points = store.client.get_metric_history(run.info.run_id, "validation_loss") if run else []
    return sorted((one.step, one.timestamp, one.value) for one in points)


def measured(n: int) -> list[tuple[int, int, float]]:
    return [(one.epoch, one.time_ms, one.validation_loss) for one in epochs(n)]


def test_epochs_are_streamed_while_the_training_runs(store: Store, params: Params, only_weights: None) -> None:
    with followed(live(), FILE, after_s=0) as follower:
        train_to(1, follower.epoch_ended)
        wait_for(lambda: epochs_shown(store) == measured(1))
        run = shown(store)
        assert run.info.status == "RUNNING"
        assert run.info.start_time == STARTED_MS
        assert run.data.tags["status"] == "started"
        assert run.data.tags["run_key"] == str(KEY)
        assert run.data.params == {name: str(value) for name, value in PARAMS.items()}
        train_to(3, follower.epoch_ended)
        wait_for(lambda: epochs_shown(store) == measured(3))
        train_to(4, follower.epoch_ended)  # the last epoch ends just before the training does
        write_record(n_epochs=4)
    assert epochs_shown(store) == measured(4)
    ended = shown(store)
    assert (ended.info.status, ended.data.tags["status"]) == ("FINISHED", "trained")
    publish.publish(params)
    completed = shown(store)
    assert completed.info.run_id == run.info.run_id
    assert (completed.data.tags["status"], completed.info.end_time) == ("completed", STARTED_MS + 4500)
    assert completed.data.metrics["test_accuracy"] == 0.7
    assert epochs_shown(store) == measured(4)


TRAINING = """
import sys, time
from pathlib import Path
from test_following import FILE, followed, live, train_to
with followed(live(), FILE, after_s=0) as follower:
    train_to(2, follower.epoch_ended)
    print("trains", flush=True)
    time.sleep(600)
"""


def test_a_killed_training_is_told_and_its_resumption_goes_on_in_the_same_run(
    store: Store, params: Params, only_weights: None
) -> None:
    path = [str(Path(__file__).parent), *sys.path]
    training = subprocess.Popen([sys.executable, "-c", f"import sys; sys.path[:] = {path}\n{TRAINING}"])
    try:
        wait_for(lambda: epochs_shown(store) == measured(2))
    finally:
        training.send_signal(signal.SIGKILL)
        training.wait()
    wait_for(lambda: shown(store).data.tags["status"] == "interrupted")
    killed = shown(store)
    assert killed.info.status == "FAILED"

    with followed(live(), FILE, after_s=0) as follower:
        train_to(3, follower.epoch_ended)
        wait_for(lambda: epochs_shown(store) == measured(3))
        again = shown(store)
        assert (again.info.run_id, again.info.status) == (killed.info.run_id, "RUNNING")
        assert again.data.tags["status"] == "started"
        write_record()
    publish.publish(params)
    completed = shown(store)
    assert (completed.info.run_id, completed.info.status) == (killed.info.run_id, "FINISHED")
    assert completed.data.tags["status"] == "completed"
    assert epochs_shown(store) == measured(3)


def test_a_server_that_is_away_costs_one_warning(
    params: Params, blank_store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_project(Path(), blank_store, uri=f"http://127.0.0.1:{free_port()}")
    with followed(live(), FILE, after_s=0) as follower:
        train_to(1, follower.epoch_ended)
        train_to(2, follower.epoch_ended)
    assert follower.process is not None
    assert follower.process.returncode == 0  # it ended of itself: nobody had to wait for it
    told = capfd.readouterr().err
    assert told.count("warning") == 1
    assert f"{KEY} is not shown live: the tracking store http://127.0.0.1" in told
    assert "`rijksnet publish` brings it up to date" in told
    assert "Traceback" not in told
