"""Projects of their own, with a tiny parameter set, in which commands run as a person would run them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]

#: Of the tiny project: a registered model, the run that it is by itself, and one that starts from it.
MODEL = "rijksnet-miniature-rijksmuseum-type-test_resnet"
OWN = "miniature-rijksmuseum/type/test_resnet/fine_tuning-imagenet-seed0"
TUNED = "miniature-antwerp/type/test_resnet/fine_tuning-miniature-rijksmuseum-seed0"


@dataclass(frozen=True)
class Project:
    """A checkout in which commands run as a person would run them there.

    `warm` is a folder with commands that have imported what they need (see warm.py); None: each is a new process.
    """

    folder: Path
    warm: Path | None = None

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in the project and return what it prints, both streams."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        commands = [str(self.warm)] if self.warm else []
        environment |= {
            "PATH": os.pathsep.join([*commands, str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(self.folder / "src"),
            "DVC_NO_ANALYTICS": "1",
            "PYTHONDONTWRITEBYTECODE": "",  # hundreds of processes would compile the code of this folder
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert not check or done.returncode == 0, f"{command} failed:\n{done.stdout}"
        return done.stdout

    def repro(self, *arguments: str) -> set[str]:
        """`dvc repro`; the stages that ran."""
        return set(re.findall(r"Running stage '([^']+)'", self.run("dvc", "repro", *arguments)))

    def git(self, *arguments: str) -> str:
        return self.run("git", "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments)


def checkout(folder: Path) -> Project:
    """The files of this project as they are now, committed to a new repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and name != "dvc.lock":
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    project = Project(folder)
    project.git("init", "--quiet")
    (folder / ".work").mkdir()  # ignored by git: what the tests put aside
    return project


def commit(project: Project, message: str) -> None:
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", message)


def make_tiny(project: Project) -> None:
    """One network, two challenges, few objects, few epochs: every kind of stage, none of them long."""
    file = project.folder / "params.yaml"
    yaml = YAML()
    params = yaml.load(file)
    for name, objects in (("rijksmuseum", 260), ("antwerp", 160), ("photographs", 160)):
        params["collections"][f"miniature-{name}"]["objects"] = objects
    params["source"]["challenges"] = ["type", "artist"]
    params["target"]["challenges"] = ["type", "artist"]
    params["architectures"] = params["target"]["architectures"] = ["test_resnet"]
    params["imagenet"]["pretrain"]["architectures"] = ["test_resnet"]
    params["imagenet"]["pretrain"]["max_epochs"] = 2
    params["scratch"] = {"architecture": "test_resnet", "challenges": ["type"]}
    params["seeds"] |= {"target_challenges": [], "architectures": []}
    params["side_experiments"] |= {"common_classes": [], "multi_task": [], "objects": 4}
    params["input_size"] = 32
    params["training"]["threads"] = 1
    params["training"]["max_epochs"] = {"off_the_shelf": 5, "fine_tuning": 2}
    yaml.dump(params, file)


def change(project: Project, **values: Any) -> None:
    """Set parameters by their dotted names, `__` for a dot."""
    file, yaml = project.folder / "params.yaml", YAML()
    params = yaml.load(file)
    for name, value in values.items():
        *path, last = name.split("__")
        part = params
        for key in path:
            part = part[key]
        part[last] = value
    yaml.dump(params, file)


def run_of(project: Project, key: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((project.folder / "runs" / key / "run.json").read_text(encoding="utf-8"))
    return content
