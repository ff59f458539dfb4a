"""Where a run comes from: commit, versions, machine, and the DVC identity of what it read and wrote."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "timm", "numpy", "pillow", "cykooz.resizer")


def git_state(folder: Path = Path()) -> dict[str, Any]:
    """Commit and whether tracked files differ from it; dvc.lock and results/ change while a pipeline runs."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock", ":!results")
    except (OSError, subprocess.CalledProcessError):
        return {"git_commit": None, "git_dirty": None}
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
    """What dvc.lock says of the stage that made a record: md5 of each file or folder, by path."""

    stage: str
    deps: dict[str, str]
    outs: dict[str, str]


def stages_by_output(lock: Path = Path("dvc.lock")) -> dict[str, StageLineage]:
    """The stages of dvc.lock, by each path they wrote; empty where nothing has been reproduced yet."""
    if not lock.is_file():
        return {}
    from ruamel.yaml import YAML

    content = YAML(typ="safe").load(lock.read_text(encoding="utf-8")) or {}
    found = {}
    for name, stage in content.get("stages", {}).items():
        lineage = StageLineage(name, _md5s(stage.get("deps", [])), _md5s(stage.get("outs", [])))
        for path in lineage.outs:
            found[path] = lineage
    return found


def stage_of(path: Path, by_output: Mapping[str, StageLineage]) -> StageLineage | None:
    """The stage that wrote a file, by itself or in a folder; None where dvc.lock names none."""
    written = (by_output.get(one.as_posix()) for one in (path, *path.parents))
    return next((stage for stage in written if stage), None)


def _md5s(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in entries if "md5" in entry}
