"""Projects in temporary folders with real stores: SQLite files, and a server on the loopback interface."""

from __future__ import annotations

import os

os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"  # before mlflow is imported; children inherit it

import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers import COLLECTION, KEY, write_record
from ruamel.yaml import YAML

from rijksnet.params import Params, Tracking, load
from rijksnet.paths import RecordPaths
from rijksnet.stages import publish
from rijksnet.tracking import mlflow_store, record
from rijksnet.tracking.mlflow_store import Store

PROJECT = Path(__file__).parents[3]
MODEL = "rijksnet-type-test_resnet"

PIXELS_MD5 = "0123456789abcdef0123456789abcdef.dir"  # 36 characters: as many as a dataset's digest may have
LOCK = f"""\
schema: '2.0'
stages:
  fine_tuning@type-test_resnet:
    cmd: rijksnet fine_tuning
    deps:
    - {{path: code/train.txt, hash: md5, md5: c0de5678901234567890123456789012}}
    - {{path: data/{COLLECTION}/pixels, hash: md5, md5: {PIXELS_MD5}}}
    - {{path: weights/imagenet/test_resnet.safetensors, hash: md5, md5: 7e7a5678901234567890123456789012}}
    outs:
    - {{path: runs/{KEY}/run.json, hash: md5, md5: a0ad5678901234567890123456789012}}
"""


@pytest.fixture(autouse=True)
def no_store_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def blank_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store with nothing in it: making its tables takes seconds, copying the file does not."""
    file = tmp_path_factory.mktemp("blank") / "mlflow.db"
    mlflow_store.open_store(Tracking(uri=f"sqlite:///{file}", artifacts=str(file.parent), live_after_s=0.0))
    return file


def make_project(folder: Path, blank_store: Path, uri: str = "sqlite:///mlflow.db") -> None:
    """A params.yaml with one source model, `rijksnet-type-test_resnet`, and a blank store."""
    content: dict[str, Any] = YAML(typ="safe").load(PROJECT / "params.yaml")
    content["source"] = {"collection": COLLECTION, "challenges": ["type"]}
    content["target"] |= {"challenges": ["type"], "architectures": ["test_resnet"]}
    content["architectures"] = ["test_resnet"]
    content["scratch"]["challenges"] = []
    content["tracking"] = {"uri": uri, "artifacts": "mlartifacts", "live_after_s": 0}
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(content, file)
    shutil.copyfile(blank_store, folder / "mlflow.db")


@pytest.fixture
def params(tmp_path: Path, blank_store: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The working directory is a fresh project with a blank SQLite store."""
    make_project(tmp_path, blank_store)
    monkeypatch.chdir(tmp_path)
    return load(Path("params.yaml"))


@pytest.fixture
def store(params: Params) -> Store:
    return mlflow_store.open_store(params.tracking)


@dataclass(frozen=True)
class Published:
    """A record and the run that shows it."""

    store: Store
    run: Any
    at: RecordPaths


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, blank_store: Path) -> Published:
    """One record, published with all that belongs to it; not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    make_project(folder, blank_store)
    (folder / "dvc.lock").write_text(LOCK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        at = write_record()
        params = load(Path("params.yaml"))
        publish.publish(params)
        store = mlflow_store.open_store(params.tracking)
    (run,) = store.client.search_runs([store.experiment(KEY)])
    return Published(store, run, RecordPaths(folder / at.root))


@pytest.fixture
def only_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Artifacts that are made at once: of the model, nothing but its weights."""

    def pictures(at: RecordPaths, run: record.Run, folder: Path) -> None:
        (folder / "model" / "artifacts").mkdir(parents=True)
        shutil.copyfile(at.weights, folder / "model" / "artifacts" / "weights.safetensors")

    monkeypatch.setattr(publish, "pictures", pictures)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, blank_store: Path) -> Iterator[str]:
    """Address of a real tracking server."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    shutil.copyfile(blank_store, folder / "mlflow.db")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db"]
    command += ["--artifacts-destination", "artifacts", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: process.poll() is not None or _answers(f"{address}/health"), seconds=120)
        assert process.poll() is None, (folder / "log").read_text()
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def wait_for(condition: Any, seconds: float = 60) -> Any:
    """What a condition gives once it is true; fails after a time that no healthy machine needs."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.1)
    return found
