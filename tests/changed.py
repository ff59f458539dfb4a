"""Print the unit tests of what differs from the last commit, or of what that changed: for `make check`.

tests/unit mirrors src/rijksnet: of a room its tests, of a module beside the rooms its own.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCE, UNIT = Path("src/rijksnet"), Path("tests/unit")


def git(*arguments: str) -> list[Path]:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return [Path(line) for line in done.stdout.splitlines()]


def tests_of(file: Path) -> Path | None:
    if file.is_relative_to(UNIT) and file.suffix == ".py":
        return file if file.name.startswith("test_") else file.parent
    if not file.is_relative_to(SOURCE):
        return None
    room = file.relative_to(SOURCE).parts[0]
    return UNIT / (f"test_{room}" if room.endswith(".py") else room)


if __name__ == "__main__":
    changed = [*git("diff", "--name-only", "HEAD"), *git("ls-files", "--others", "--exclude-standard")]
    changed = changed or git("diff", "--name-only", "HEAD~1")
    found = {tests for file in changed if (tests := tests_of(file)) is not None and tests.exists()}
    print(*sorted(one for one in found if not any(other in one.parents for other in found)))
