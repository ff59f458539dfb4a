"""How long each stage took the last time that it ran here, and how much memory."""

from __future__ import annotations

import csv
import os
import resource
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rijksnet.paths import CHECKPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A line a stage that ended well: its name, the seconds that it took, and the most memory that it held, MiB.
FILE = CHECKPOINTS / "durations.csv"

#: Where DVC says which stage a process is.
STAGE = "DVC_STAGE"


@contextmanager
def recorded() -> Iterator[None]:
    """Note how long the block takes, if this process is a stage of DVC's and ends well; not its child processes."""
    stage, started = os.environ.pop(STAGE, ""), time.monotonic()
    try:
        yield
    except SystemExit as end:
        if stage and not end.code:
            FILE.parent.mkdir(parents=True, exist_ok=True)
            with FILE.open("a", encoding="utf-8", newline="") as file:  # one short line: stages may end at once
                taken = f"{time.monotonic() - started:.1f}"
                csv.writer(file, lineterminator="\n").writerow([stage, taken, _peak_mib()])
        raise


def last() -> dict[str, float]:
    """Seconds, by stage. A line that does not read is left out: it says nothing that must be known."""
    return {stage: seconds for stage, (seconds, _) in _read().items()}


def peaks() -> dict[str, int]:
    """MiB, by stage; of those that ran before this was noted, 0."""
    return {stage: int(mib) for stage, (_, mib) in _read().items()}


def _peak_mib() -> int:
    """Of this process, and beside it of the largest that it waited for."""
    held = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return held // (2**20 if sys.platform == "darwin" else 2**10)


def _read() -> dict[str, tuple[float, float]]:
    if not FILE.is_file():
        return {}
    found = {}
    for line in FILE.read_text(encoding="utf-8", errors="replace").splitlines():
        stage, *numbers = line.split(",")
        try:
            seconds, mib = (*map(float, numbers), 0.0)[:2]
        except ValueError:
            continue
        found[stage] = (seconds, mib)
    return found
