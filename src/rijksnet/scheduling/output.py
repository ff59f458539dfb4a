"""What each stage's command says, a file a stage."""

from __future__ import annotations

import os
from pathlib import Path

from rijksnet.paths import CHECKPOINTS

OUTPUT = CHECKPOINTS / "output"

#: Lines of a stage that failed which are shown at once.
LAST_LINES = 15

#: As much of a file as holds its last lines, bytes.
TAIL = 16_384


def output_of(stage: str) -> Path:
    """The file of a stage."""
    return OUTPUT / f"{stage.replace(os.sep, '-')}.txt"


def last_lines(output: Path, most: int) -> list[str]:
    """The last lines that are not blank; of a line that was written over, what it says now."""
    try:
        with output.open("rb") as file:
            file.seek(max(0, output.stat().st_size - TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip().rpartition("\r")[2] for line in text.splitlines() if line.strip()]
    return lines[-most:]
