"""A stage's command on a worker: in a process group of its own, its output in a file."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GUARD = Path(__file__).with_name("guard.py")

#: Seconds between two looks whether the command shall end.
LOOK_S = 0.5


@dataclass(frozen=True)
class Command:
    """What a worker runs: a line of dvc.yaml, as DVC would run it."""

    stage: str
    argv: tuple[str, ...]
    folder: str  #: where it runs: a path that all workers share
    output: str  #: the file that takes what the command says
    environment: Mapping[str, str | None] = field(default_factory=dict)  #: beside the worker's own; None: without it


@dataclass(frozen=True)
class Ended:
    """How it ended."""

    status: int
    host: str


def run_command(command: Command, stopped: Callable[[], bool]) -> Ended:
    """Run the command until it ends, or is stopped.

    Raises:
        RunError: this worker does not see the project's folder.
    """
    if not Path(command.folder).is_dir():
        raise RunError(
            f"worker {socket.gethostname()} does not see {command.folder}: the project must lie on a file system that "
            "all workers share, under the same path"
        )
    environment = {**os.environ, **command.environment}
    with Path(command.output).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *command.argv],
            cwd=command.folder,
            env={name: value for name, value in environment.items() if value is not None},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C is for who watches over all
        )
        assert process.stdin is not None
        try:
            while process.poll() is None:
                try:
                    process.wait(LOOK_S)
                except subprocess.TimeoutExpired:
                    if stopped():
                        break
        finally:
            process.stdin.close()
            process.wait()
    return Ended(process.returncode, socket.gethostname())
