"""What a person sees of a command: progress on long work, a bar on a terminal, now and then a line in a log; a text."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG_EVERY_S = 15.0


class Report(Protocol):
    def __call__(self, done: int, note: str = "") -> None:
        """Tell how many are done, and what else is worth showing."""


def show(markdown: str) -> None:
    """Print a text: on a terminal as it is meant, elsewhere as it is written."""
    console = Console()
    if not console.is_terminal:
        print(markdown)
        return
    from rich.markdown import Markdown  # no stage that only shows its progress has a use for it

    console.print(Markdown(markdown))


@dataclass
class _Log:
    """What stands in for a bar where nobody watches."""

    console: Console
    what: str
    total: int | None
    logged: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if (self.total is None or done < self.total) and now - self.logged < LOG_EVERY_S:
            return
        self.logged = now
        total = "?" if self.total is None else self.total
        self.console.print(f"{self.what}: {done}/{total} {note}".rstrip(), highlight=False, soft_wrap=True)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Report]:
    """Show progress of `total` steps (None: nobody knows how many) on standard error while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Log(console, what, total)
        return
    with new_bars(console) as bars:
        task = bars.add_task(what, total=total, note="")

        def report(done: int, note: str = "") -> None:
            bars.update(task, completed=done, note=note)

        yield report


def new_bars(console: Console) -> Progress:
    """Bars as all commands show them; a task has a `note`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", style="cyan"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
