"""How long each stage took the last time that it ran here."""

from __future__ import annotations

import csv
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rijksnet.paths import CHECKPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A line a stage that ended well: its name and the seconds that it took.
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
                csv.writer(file, lineterminator="\n").writerow([stage, f"{time.monotonic() - started:.1f}"])
        raise


def last() -> dict[str, float]:
    """Seconds, by stage. A line that does not read is left out: it says nothing that must be known."""
    if not FILE.is_file():
        return {}
    found = {}
    for line in FILE.read_text(encoding="utf-8", errors="replace").splitlines():
        stage, _, seconds = line.rpartition(",")
        try:
            found[stage] = float(seconds)
        except ValueError:
            continue
    return found
