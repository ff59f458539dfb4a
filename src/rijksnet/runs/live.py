"""Live streaming, from the training side: a child process follows the run as it grows.

Training itself never talks to MLflow: it writes files, and `rijksnet follow` streams them. So a tracking server that is
slow, away or broken costs a run nothing, and a run that is killed is still marked as such, by the child that outlives
it for a moment.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rijksnet.runs.key import RunKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How long a finished run waits for its follower; `publish` completes what is then missing.
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Live:
    """What is known of a run while it trains; the follower reads it from `file`."""

    key: RunKey
    started_ms: int
    params: dict[str, Any]
    history: str  #: path of the growing history.csv

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Live:
        content = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**content, "key": RunKey(**content["key"])})


@dataclass
class Follower:
    """Starts the following process once a run has lasted `after_s` seconds: shorter runs are published afterwards."""

    live: Live
    file: Path
    after_s: float
    started: float = field(default_factory=time.monotonic)
    process: subprocess.Popen[bytes] | None = None

    def epoch_ended(self) -> None:
        if self.process is None and time.monotonic() - self.started >= self.after_s:
            self.live.write(self.file)
            command = [sys.executable, "-m", "rijksnet", "follow", str(self.file)]
            # a session of its own: Ctrl-C ends the training, and the follower stays to say so
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


@contextmanager
def followed(live: Live, file: Path, after_s: float) -> Iterator[Follower]:
    """Follow the run trained in this block. The follower's standard input tells it how the block ended.

    A line `done` means that it ended well; end of file without it, that it failed or was killed.
    """
    follower = Follower(live, file, after_s)
    message = b""
    try:
        yield follower
        message = b"done\n"
    finally:
        if follower.process is not None:
            _dismiss(follower.process, message)
        file.unlink(missing_ok=True)


def _dismiss(process: subprocess.Popen[bytes], message: bytes) -> None:
    try:
        process.communicate(message, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    except OSError:  # it is gone already; `publish` completes the run
        process.wait()
