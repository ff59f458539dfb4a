"""A folder in which RijksNet runs: a clone of it, made here where there is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from rijksnet.errors import ParamsError
from rijksnet.paths import PARAMS
from rijksnet.runs.code import PACKAGE

#: The checkout that this package lies in, if it does.
HOME = PACKAGE.parents[1]


def require_project(force: bool, folder: Path = Path()) -> None:
    """Make a folder without a pipeline a clone; refuse to write over a person's own parameters.

    Raises:
        ParamsError: params.yaml has changes that git does not know, and not `force`; or there is nothing to clone.
    """
    if not (folder / "dvc.yaml").is_file():
        _clone(folder)
        return
    if force or not (folder / PARAMS).is_file():
        return
    asked = ["git", "-C", str(folder), "status", "--porcelain", "--", str(PARAMS)]
    changed = subprocess.run(asked, capture_output=True, text=True)
    if changed.returncode != 0 or changed.stdout.strip():
        raise ParamsError(f"{PARAMS} has changes that git does not know: commit them, or write over them by --force")


def _clone(folder: Path) -> None:
    """Bring the project's files into a folder that may hold a person's own."""
    if not (HOME / ".git").exists():
        raise ParamsError("this folder is no clone of RijksNet: clone its repository, and run `rijksnet init` in there")
    with TemporaryDirectory(dir=folder) as temporary:
        copy = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(HOME), str(copy)], check=True)
        taken = [one.name for one in copy.iterdir() if (folder / one.name).exists()]
        if taken:
            raise ParamsError(f"this folder has {taken}, as RijksNet itself does: begin in another one")
        for one in copy.iterdir():
            shutil.move(one, folder / one.name)
