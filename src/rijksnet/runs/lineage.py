"""Where a run comes from: commit, code, versions, machine, and the DVC identity of what it read and wrote."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from rijksnet.errors import RunError
from rijksnet.files import md5_of
from rijksnet.runs import code

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGES = ("torch", "timm", "numpy", "pillow", "cykooz.resizer")


console = Console(stderr=True, highlight=False, soft_wrap=True)


def origin(group: str = "train") -> dict[str, Any]:
    """What a run says of the code and the machine that made it; to be asked first when a stage begins.

    A process has one answer: what was edited or committed since then is not what runs.

    Args:
        group: of stages, whose modules `code` is the digest of. Every training is one of `train`, whichever stage asks
            for it: of what it reads the run has digests.
    """
    return _commit(Path.cwd()) | {"code": _code(Path.cwd(), group)} | environment()


@cache
def _commit(folder: Path) -> dict[str, Any]:
    state = git_state(folder)
    if "git_error" in state:
        console.print(f"[yellow]warning[/]: runs made here name no commit: {escape(state['git_error'])}")
    experiment = os.environ.get("DVC_EXP_NAME")
    return state | ({"dvc_experiment": experiment} if experiment else {})


@cache
def _code(folder: Path, group: str) -> str:
    return code.digest(group)


def git_state(folder: Path = Path()) -> dict[str, Any]:
    """Commit and whether tracked files differ from it; dvc.lock and results/ change while a pipeline runs.

    Where git does not say (no repository, or one that belongs to another user), both are None, and `git_error` is what
    it said instead.
    """
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock", ":!results")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return {"git_commit": None, "git_dirty": None, "git_error": " ".join(said.split())}
    return {"git_commit": commit, "git_dirty": bool(changed)}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def environment() -> dict[str, str]:
    """Versions of what computes, and the machine."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}


@dataclass(frozen=True)
class StageLineage:
    """What dvc.lock says of the stage that made a run: md5 of each file or folder, by path."""

    stage: str
    deps: dict[str, str]
    outs: dict[str, str]


def stages_by_output(lock: Path = Path("dvc.lock")) -> dict[str, StageLineage]:
    """The stages of dvc.lock, by each path they wrote.

    Raises:
        RunError: as `stages`.
    """
    return {path: stage for stage in stages(lock) for path in stage.outs}


def stages(lock: Path = Path("dvc.lock")) -> list[StageLineage]:
    """The stages of dvc.lock, in its order; none where nothing has been reproduced yet.

    Raises:
        RunError: dvc.lock is not what DVC writes, for example in the middle of a merge.
    """
    if not lock.is_file():
        return []
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    text = lock.read_text(encoding="utf-8")
    try:
        content = YAML(typ="safe").load(text) or {}
    except YAMLError as error:
        conflict = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith(("<<<<<<<", ">>>>>>>"))]
        what = f"holds the marks of a merge conflict, lines {conflict}" if conflict else f"is not YAML ({error})"
        raise RunError(
            f"{lock} {what}: take one side (`git checkout --ours {lock}` or `--theirs`), then `dvc repro` settles it"
        ) from error
    return [
        StageLineage(name, _md5s(stage.get("deps", [])), _md5s(stage.get("outs", [])))
        for name, stage in content.get("stages", {}).items()
    ]


def stage_of(path: Path, by_output: Mapping[str, StageLineage]) -> StageLineage | None:
    """The stage that wrote a file, by itself or in a folder; None where dvc.lock names none.

    None too where what stands there is not what that stage wrote: a stage that was repeated by hand, with other
    parameters perhaps, did not read what dvc.lock names.
    """
    for one in (path, *path.parents):
        stage = by_output.get(one.as_posix())
        if stage is not None:
            return stage if dvc_md5(one) == stage.outs[one.as_posix()] else None
    return None


def dvc_md5(path: Path) -> str:
    """The digest by which DVC knows a file or a folder."""
    if not path.is_dir():
        return md5_of(path)
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listing = [{"md5": md5_of(file), "relpath": name} for name, file in files]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5s(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in entries if "md5" in entry}
