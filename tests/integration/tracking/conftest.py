"""Projects in temporary folders with real stores: SQLite files, and a server on the loopback interface."""

from __future__ import annotations

import functools
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from mlflow.store.db import utils
from sqlalchemy import Engine, event

from helpers import KEY, write_run
from processes import Warm
from rijksnet.params import Params, load
from rijksnet.publishing import publish
from rijksnet.runs.folder import Run, RunFolder
from rijksnet.tracking import stores
from rijksnet.tracking.stores import Store
from stores import Published, make_project, served, write_lock


@pytest.fixture(scope="session", autouse=True)
def _quiet_and_alone() -> Iterator[None]:
    """No store that the caller's environment names; MLflow, here and in child processes, tells only of trouble."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
            patch.delenv(name, raising=False)
        patch.setenv("MLFLOW_LOGGING_LEVEL", "WARNING")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        level = logging.getLogger("mlflow").level
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        yield
        logging.getLogger("mlflow").setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _nothing_outlives_a_power_cut() -> Iterator[None]:
    """SQLite does not wait for the disk: three quarters of the time that it takes to make a store."""

    def relax(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", relax)
    yield
    event.remove(Engine, "connect", relax)


@pytest.fixture(scope="session", autouse=True)
def _newest_schema_is_looked_up_once() -> Iterator[None]:
    """Each store that is opened would go through all of MLflow's migrations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_get_latest_schema_revision", functools.cache(utils._get_latest_schema_revision))
        yield


@pytest.fixture
def params(tmp_path: Path, blank_store: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The working directory is a fresh project with a blank SQLite store."""
    make_project(tmp_path, blank_store)
    monkeypatch.chdir(tmp_path)
    return load(Path("params.yaml"))


@pytest.fixture
def store(params: Params) -> Store:
    return stores.open_store(params.tracking)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, blank_store: Path) -> Published:
    """One run, published with all that belongs to it; not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    make_project(folder, blank_store)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        at = write_run()
        write_lock()
        params = load(Path("params.yaml"))
        publish.publish(params)
        store = stores.open_store(params.tracking)
    (run,) = store.client.search_runs([store.experiment(KEY)])
    return Published(store, run, RunFolder(folder / at.root))


@pytest.fixture
def only_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Artifacts that are made at once: of the model, nothing but its weights."""

    def write(at: RunFolder, run: Run, folder: Path) -> None:
        (folder / "model" / "artifacts").mkdir(parents=True)
        shutil.copyfile(at.weights, folder / "model" / "artifacts" / "weights.safetensors")

    monkeypatch.setattr(publish, "pictures", lambda records: nullcontext(write))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, blank_store: Path, warm: Warm) -> Iterator[str]:
    """Address of a real tracking server."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(blank_store, folder / "mlflow.db")
    with served(folder, warm) as address:
        yield address
