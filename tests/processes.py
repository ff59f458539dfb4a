"""Processes of commands that start at once (see warm.py), to be watched, signalled and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

import warm
from waiting import wait_for

SERVER = Path(warm.__file__)


class Process:
    """A command: what the tests use of `subprocess.Popen`."""

    def __init__(self, server: Path, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Have it started by the server whose folder is given."""
        written = Path(tempfile.mkdtemp(dir=server))
        self._out, self._err = written / "out", written / "err"
        with Path(os.devnull).open() as nothing, self._out.open("w") as out, self._err.open("w") as err:
            streams = [nothing.fileno(), out.fileno(), err.fileno()]
            self._talk, self.pid = warm.begin(str(server / "socket"), command, folder, environment, streams)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None: it has not."""
        try:
            return self.wait(0)
        except BlockingIOError:
            return None

    def wait(self, timeout: float) -> int:
        """How it ended, within so many seconds: its exit status, or minus a signal."""
        if self.returncode is None:
            self._talk.settimeout(timeout)
            told = self._talk.recv(warm.ENDED.size)
            assert told, f"the server is gone that has started process {self.pid}"
            (self.returncode,) = warm.ENDED.unpack(told)
            self._talk.close()
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it has written once it has ended."""
        self.wait(timeout)
        return self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8")

    def written(self) -> str:
        """All that it has written, whether or not it has ended."""
        return "".join(file.read_text(encoding="utf-8") for file in (self._out, self._err))

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@dataclass
class Warm:
    """A server of commands."""

    #: With a `rijksnet` and a `dvc` that start at once: to be put before others into PATH.
    folder: Path

    def start(self, *command: str, folder: Path | None = None, environment: Mapping[str, str] = os.environ) -> Process:
        """Start a command: in the working directory and environment, unless others are given."""
        return Process(self.folder, command, folder or Path.cwd(), environment)

    def run(self, *command: str, folder: Path | None = None, environment: Mapping[str, str] = os.environ) -> str:
        """What a command prints, which has to succeed."""
        process = self.start(*command, folder=folder, environment=environment)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out


@contextmanager
def kept(shared: Path) -> Iterator[Warm]:
    """The server of all tests that run beside each other, which have `shared`; the first to need it starts it."""
    note = shared / "warm"
    with FileLock(shared / "warm.lock"):
        try:
            folder = Path(note.read_text(encoding="utf-8"))
            connection = warm.keep(str(folder / "socket"))
        except OSError:  # nobody has started it, or nobody keeps it any more
            folder = _started()
            connection = warm.keep(str(folder / "socket"))
            note.write_text(str(folder), encoding="utf-8")
    with connection:
        yield Warm(folder)


def _started() -> Path:
    folder = Path(tempfile.mkdtemp())  # the address of a socket may have some hundred characters at most
    address = folder / "socket"
    for name in ("rijksnet", "dvc"):
        command = folder / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {SERVER} {address} {name} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    # it outlives this process where others keep it; then its folder goes
    script = '{ "$0" "$1" "$2/socket"; rm -r "$2"; } > "$2/log" 2>&1 &'
    subprocess.run(["sh", "-c", script, sys.executable, SERVER, folder], start_new_session=True, check=True)
    wait_for(address.exists)
    return folder
