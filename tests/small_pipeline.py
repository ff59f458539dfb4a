"""Small pipelines of DVC whose commands are shell scripts, to see which stages run where and when."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

from rijksnet.scheduling.repro import Outcome, Running

#: Stands in for the command: `rijksnet splits NAME` notes that it has started, does what does/NAME says, and writes.
COMMAND = """#!/bin/sh
echo $$ >> started/$2
[ -f does/$2 ] && . does/$2
mkdir -p out && cat in/$2 > out/$2
"""

WAIT_FOR = "for i in $(seq 100); do [ -f started/{} ] && break; sleep 0.1; done; [ -f started/{} ] || exit 3\n"


@functools.cache
def blank() -> Path:
    """A repository of Git and DVC with nothing in it: to make one takes longer than to copy it."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=folder, check=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"})
    return folder


@dataclass
class Watched:
    """A view that keeps what it is shown."""

    started_stages: list[str] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)

    def show(self, outcome: Outcome, stages: int, running: Sequence[Running]) -> None:
        self.outcome = outcome

    def started(self, name: str) -> None:
        self.started_stages.append(name)

    def ended(self, name: str, outcome: Outcome) -> None:
        pass


class Small:
    """A project of stages, each with the stages that it needs."""

    def __init__(self, folder: Path, needs: dict[str, list[str]]) -> None:
        self.folder = folder
        for name in ("in", "started", "does", "bin"):
            (folder / name).mkdir(parents=True)
        (folder / "bin" / "rijksnet").write_text(COMMAND, encoding="utf-8")
        (folder / "bin" / "rijksnet").chmod(0o755)
        stages = {}
        for name, before in needs.items():
            (folder / "in" / name).write_text(f"{name}\n", encoding="utf-8")
            deps = [f"in/{name}", *(f"out/{one}" for one in before)]
            stages[name] = {"cmd": f"rijksnet splits {name}", "deps": deps, "outs": [f"out/{name}"]}
        with (folder / "dvc.yaml").open("w", encoding="utf-8") as file:
            YAML().dump({"stages": stages}, file)
        for name in (".git", ".dvc"):
            shutil.copytree(blank() / name, folder / name)
        subprocess.run(["git", "add", "dvc.yaml", "in"], cwd=folder, check=True, env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        path = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        return {**os.environ, "PATH": os.pathsep.join(path), "DVC_NO_ANALYTICS": "1"}

    def does(self, name: str, script: str) -> None:
        (self.folder / "does" / name).write_text(script, encoding="utf-8")

    def change(self, name: str) -> None:
        with (self.folder / "in" / name).open("a", encoding="utf-8") as file:
            file.write("changed\n")

    def edit(self, stage: str, **changes: object) -> None:
        """Change what dvc.yaml says of a stage."""
        yaml, file = YAML(), self.folder / "dvc.yaml"
        content = yaml.load(file)
        content["stages"][stage] |= changes
        yaml.dump(content, file)

    def status(self) -> str:
        done = subprocess.run(
            ["dvc", "status"], cwd=self.folder, env=self.environment, text=True, capture_output=True, check=True
        )
        return done.stdout.strip()

    def lock(self) -> str:
        return (self.folder / "dvc.lock").read_text(encoding="utf-8")

    def processes(self, name: str) -> list[int]:
        """Of a stage's command, each time that it started."""
        file = self.folder / "started" / name
        return [int(line) for line in file.read_text().split()] if file.is_file() else []
