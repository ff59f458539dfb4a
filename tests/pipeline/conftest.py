"""A project with a tiny parameter set, reproduced once for all tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from projects import Project, checkout, commit, make_tiny


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """The tiny project after its first `dvc repro`; tests change copies of it only, so that their order is free.

    With `-n` the first process that needs it makes it for all.
    """
    here = tmp_path_factory.getbasetemp()
    shared = here if worker_id == "master" else here.parent
    made = shared / "reproduced"
    with FileLock(shared / "reproduced.lock"):
        if not made.is_file():
            project = checkout(shared / "first")
            make_tiny(project)
            commit(project, "Tiny parameters")
            project.repro()
            commit(project, "Reproduced")
            made.touch()
    return Project(shared / "first")


@pytest.fixture
def twin(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project, to change at will: its artifacts follow it."""
    folder = tmp_path / "twin"
    shutil.copytree(reproduced.folder, folder, symlinks=True)
    return Project(folder)
