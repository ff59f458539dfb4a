"""What tests of several rooms share: small parameters, and a working directory in which they can be trained with."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import processes
from rijksnet.params import Params
from workspace import Content, make_workspace, tiny_content

# Some tests send SIGINT, which whoever started this process in the background has made it ignore.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Its work told, a process that runs tests beside others has nothing to keep, and Python takes seconds to take it apart.
if "PYTEST_XDIST_WORKER" in os.environ:
    atexit.register(os._exit, 0)

# Before torch is imported: networks this small lose more to threads that wait for each other than they gain.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: The files that take longest, in the order in which they should begin, so that none is waited for at the end. Those
#: that share the reproduced project come once it is likely made.
FIRST = (
    "tests/pipeline/test_repro.py",
    "tests/integration/exploration/",
    "tests/unit/report/",
    "tests/unit/stages/",
    "tests/pipeline/",
    "tests/integration/tracking/",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Processes of `-n auto`: one more than there are cores, as some tests wait for what others do."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first; `make test` gives each file to one process."""
    items.sort(key=lambda item: next((i for i, first in enumerate(FIRST) if item.nodeid.startswith(first)), len(FIRST)))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes share which run the tests."""
    here = tmp_path_factory.getbasetemp()
    return here if worker_id == "master" else here.parent


@pytest.fixture(scope="session")
def warm(shared: Path) -> Iterator[processes.Warm]:
    """Commands that start at once."""
    with processes.kept(shared) as server:
        yield server


@pytest.fixture(scope="session")
def blank_store(shared: Path) -> Path:
    """An SQLite store of MLflow's with nothing in it: making its tables takes seconds, copying the file does not."""
    from rijksnet.params import Tracking
    from rijksnet.tracking import stores

    file = shared / "blank.db"
    with FileLock(file.with_suffix(".lock")):
        if not file.is_file():
            made = shared / "making.db"
            tracking = Tracking(uri=f"sqlite:///{made}", ui="http://ui", artifacts=str(shared), live_after_s=0.0)
            stores.open_store(tracking)
            made.rename(file)
    return file


@pytest.fixture
def content() -> Content:
    """What a params file holds; each test has its own, to change at will."""
    return tiny_content()


@pytest.fixture
def tiny_params(content: Content) -> Callable[..., Params]:
    """A factory of parameters: `content`, with keywords in place of fields of `training`; one `normalisation`."""

    def make(**training: Any) -> Params:
        if isinstance(scale := training.get("normalisation"), str):
            training["normalisation"] = {"off_the_shelf": scale, "fine_tuning": scale}
        return Params.model_validate({**content, "training": {**content["training"], **training}})

    return make


@pytest.fixture(scope="session")
def made_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each `workspace` is a copy of."""
    folder = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_workspace()
    return folder


@pytest.fixture
def workspace(tmp_path: Path, made_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of one test: the three collections, split and packed, and θ of `test_resnet`."""
    shutil.copytree(made_workspace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
