"""A real follower beside a training: the store shows epochs as they end, and how the training ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers import KEY, PARAMS, STARTED_MS, epochs, write_run
from processes import Warm
from rijksnet.errors import TrackingError
from rijksnet.params import Params
from rijksnet.publishing import publish
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.history import write_history
from rijksnet.runs.live import Live, followed
from rijksnet.tracking import stores
from rijksnet.tracking.follow import follow
from rijksnet.tracking.stores import Store
from stores import free_port, make_project
from waiting import wait_for

FILE = Path(".checkpoints") / str(KEY) / "live.json"


def live() -> Live:
    return Live(KEY, STARTED_MS, PARAMS, str(RunFolder.of(KEY).history))


def train_to(n: int, epoch_ended: Callable[[], None]) -> None:
    """As the training loop does: the history first, then the word that an epoch has ended."""
    write_history(RunFolder.of(KEY).history, epochs(n))
    epoch_ended()


def shown(store: Store) -> Any:
    """The key's only run, or None."""
    found = store.client.search_runs([store.experiment(KEY)])
    assert len(found) <= 1, "one training is one run"
    return found[0] if found else None


def epochs_shown(store: Store) -> list[tuple[int, int, float]]:
    run = shown(store)
    points = store.client.get_metric_history(run.info.run_id, "validation/loss") if run else []
    return sorted((one.step, one.timestamp, one.value) for one in points)


def measured(n: int) -> list[tuple[int, int, float]]:
    return [(one.epoch, one.time_ms, one.validation_loss) for one in epochs(n)]


#: A training that hangs after its second epoch. It imports nothing heavy, as followed trainings need not.
TRAINING = """
import time
from pathlib import Path
from rijksnet.runs.live import Live, followed
with followed(Live.read(Path("live.json")), Path("live.json"), after_s=0) as follower:
    follower.epoch_ended()
    time.sleep(600)
"""


def test_a_training_is_streamed_killed_resumed_and_published_as_one_run(
    store: Store, params: Params, only_weights: None, warm: Warm
) -> None:
    live().write(Path("live.json"))
    write_history(RunFolder.of(KEY).history, epochs(2))
    training = warm.start("python", "-c", TRAINING)
    try:
        wait_for(lambda: epochs_shown(store) == measured(2))
        streamed = shown(store)
    finally:
        training.kill()
        training.wait(60)
    assert (streamed.info.status, streamed.info.start_time) == ("RUNNING", STARTED_MS)
    assert (streamed.data.tags["status"], streamed.data.tags["run_key"]) == ("started", str(KEY))
    assert streamed.data.params == {name: str(value) for name, value in (PARAMS | KEY.to_dict()).items()}
    wait_for(lambda: shown(store).data.tags["status"] == "interrupted")
    assert shown(store).info.status == "FAILED"

    with followed(live(), FILE, after_s=0) as follower:
        train_to(3, follower.epoch_ended)
        wait_for(lambda: epochs_shown(store) == measured(3))
        resumed = shown(store)
        train_to(4, follower.epoch_ended)  # the last epoch ends just before the training does
        write_run(n_epochs=4)
    assert (resumed.info.run_id, resumed.info.status) == (streamed.info.run_id, "RUNNING")
    assert resumed.data.tags["status"] == "started"
    assert epochs_shown(store) == measured(4)
    assert (shown(store).info.status, shown(store).data.tags["status"]) == ("FINISHED", "trained")

    publish.publish(params)
    completed = shown(store)
    assert (completed.info.run_id, completed.info.status) == (streamed.info.run_id, "FINISHED")
    assert (completed.data.tags["status"], completed.info.end_time) == ("completed", STARTED_MS + 4500)
    assert completed.data.metrics["test/accuracy"] == 0.7
    assert epochs_shown(store) == measured(4)


@pytest.mark.parametrize("error", [TrackingError, RuntimeError])
def test_whatever_goes_wrong_is_one_warning_word_for_word(
    params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: type[Exception]
) -> None:
    message = "[parameters: ('a',)] [/not markup] [SQL: SELECT]"

    def refuse(_: object) -> None:
        raise error(message)

    monkeypatch.setattr(stores, "open_store", refuse)
    live().write(FILE)
    follow(params, FILE)
    told = capsys.readouterr().err
    assert told.startswith(f"warning: {KEY} is not shown live: ")
    assert told.endswith(f"{message}\n")


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
