"""A project with a tiny parameter set, reproduced once for all tests of this folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from processes import Warm
from projects import Project, checkout, commit, make_tiny


@pytest.fixture(scope="session")
def reproduced(shared: Path, warm: Warm) -> Project:
    """The tiny project after its first `dvc repro`; tests change copies of it only, so that their order is free.

    Its commands start warm; `replace(project, warm=None)` has them started as people do. With `-n` the first process
    that needs it makes it for all.
    """
    made = shared / "reproduced"
    with FileLock(shared / "reproduced.lock"):
        if not made.is_file():
            project = replace(checkout(shared / "first"), warm=warm.folder)
            make_tiny(project)
            commit(project, "Tiny parameters")
            project.repro()
            commit(project, "Reproduced")
            made.touch()
    return Project(shared / "first", warm.folder)


@pytest.fixture
def twin(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project, to change at will: its artifacts follow it."""
    folder = tmp_path / "twin"
    shutil.copytree(reproduced.folder, folder, symlinks=True)
    return replace(reproduced, folder=folder)
