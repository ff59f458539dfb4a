"""Opening a store: where it is, who makes it, and what is said when it is away."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from processes import Warm
from rijksnet.errors import TrackingError
from rijksnet.params import Params, Tracking
from rijksnet.tracking import address, stores
from stores import free_port
from waiting import wait_for

OPEN = """
import time
from pathlib import Path
from rijksnet.params import Tracking
from rijksnet.tracking import address, mlflow_store, stores
Path("{name}").touch()
while not Path("all").exists():
    time.sleep(0.01)
tracking = Tracking(uri="sqlite:///new/mlflow.db", ui="http://ui", artifacts="mlartifacts", live_after_s=0.0)
store = stores.open_store(tracking)
print(store.client.create_experiment("{name}"))
"""


def test_processes_that_open_a_new_file_together_all_succeed(tmp_path: Path, warm: Warm) -> None:
    names = ("one", "two")
    processes = [warm.start("python", "-c", OPEN.format(name=name), folder=tmp_path) for name in names]
    wait_for(lambda: all((tmp_path / name).exists() for name in names))
    (tmp_path / "all").touch()
    told = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert sorted(out.strip() for out, _ in told) == ["1", "2"]


def test_the_environment_wins_over_the_parameter(
    params: Params, tmp_path: Path, blank_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(blank_store.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    assert address.uri(params.tracking) == f"sqlite:///{other}"
    stores.open_store(params.tracking).client.create_experiment("seen")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert address.uri(params.tracking) == "sqlite:///mlflow.db"
    assert stores.open_store(params.tracking).client.get_experiment_by_name("seen") is None


def test_a_relative_file_is_that_of_the_working_directory(
    params: Params, tmp_path: Path, blank_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.open_store(params.tracking).client.create_experiment("here")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mlflow.db").write_bytes(blank_store.read_bytes())
    monkeypatch.chdir(elsewhere)
    assert stores.open_store(params.tracking).client.get_experiment_by_name("here") is None


def test_whether_there_is_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, server = (
        Tracking(uri=uri, ui="http://ui", artifacts="a", live_after_s=0.0) for uri in ("sqlite:///a/b.db", "http://h:1")
    )
    assert not address.exists(file)
    assert address.exists(server)
    assert list(tmp_path.iterdir()) == []  # asking made nothing
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.db").touch()
    assert address.exists(file)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:{port}", "sqlite:///{file}/mlflow.db", "gopher://h"])
def test_a_store_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path, uri: str) -> None:
    (tmp_path / "file").touch()
    uri = uri.format(port=free_port(), file=tmp_path / "file")
    with pytest.raises(TrackingError, match=rf"the tracking store {uri} cannot be used .*MLFLOW_TRACKING_URI"):
        stores.open_store(Tracking(uri=uri, ui="http://ui", artifacts=str(tmp_path), live_after_s=0.0))


def test_a_store_that_another_process_keeps_to_itself_is_not_waited_for_without_end(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PATIENCE_S", 0.01)
    with FileLock("mlflow.db.lock"), pytest.raises(TrackingError, match=r"Timeout.*mlflow\.db\.lock"):
        stores.open_store(params.tracking)
