"""A project with a tiny parameter set, reproduced once for all tests of this folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from projects import Project, checkout, commit, make_tiny
from stores import wait_for


@pytest.fixture(scope="session")
def warm() -> Iterator[Path]:
    """The folder of a `rijksnet` that starts at once."""
    folder = Path(tempfile.mkdtemp())  # the address of a socket may have some hundred characters at most
    server, address = Path(__file__).parents[1] / "warm.py", folder / "socket"
    command = folder / "rijksnet"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {server} {address} rijksnet "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    process = subprocess.Popen([sys.executable, server, address], start_new_session=True)
    try:
        wait_for(address.exists)
        yield folder
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory, worker_id: str, warm: Path) -> Project:
    """The tiny project after its first `dvc repro`; tests change copies of it only, so that their order is free.

    Its commands start warm; `replace(project, warm=None)` has them started as people do. With `-n` the first process
    that needs it makes it for all.
    """
    here = tmp_path_factory.getbasetemp()
    shared = here if worker_id == "master" else here.parent
    made = shared / "reproduced"
    with FileLock(shared / "reproduced.lock"):
        if not made.is_file():
            project = replace(checkout(shared / "first"), warm=warm)
            make_tiny(project)
            commit(project, "Tiny parameters")
            project.repro()
            commit(project, "Reproduced")
            made.touch()
    return Project(shared / "first", warm)


@pytest.fixture
def twin(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project, to change at will: its artifacts follow it."""
    folder = tmp_path / "twin"
    shutil.copytree(reproduced.folder, folder, symlinks=True)
    return replace(reproduced, folder=folder)
