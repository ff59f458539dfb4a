"""What a person sees of a command: progress on long work, a bar on a terminal, now and then a line in a log; a text."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOG_EVERY_S = 15.0
#: Seconds between two notes on an epoch under way.
TELL_EVERY_S = 0.5
#: Seconds over which the machine's own count of its work, in hundredths of a second, is exact enough.
COUNTED_S = 1.0


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
    began: tuple[float, int] | None = None  #: when the first step was told, and which: a resumed work starts later

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        self.began = self.began or (now, done)
        if (self.total is None or done < self.total) and now - self.logged < LOG_EVERY_S:
            return
        self.logged = now
        total = "?" if self.total is None else self.total
        said = f"{self.what}: {done}/{total} {note}".rstrip()
        self.console.print(said + self._left(now, done), highlight=False, soft_wrap=True)

    def _left(self, now: float, done: int) -> str:
        """The time until all steps are done, at the pace so far; a training may stop sooner."""
        started, first = self.began or (now, done)
        if self.total is None or not first < done < self.total:
            return ""
        return f"; at most {clock((self.total - done) * (now - started) / (done - first))} left"


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


class Pace:
    """Tells how far an epoch has come: images done, images/s and the time left, several times a second at most.

    Args:
        tell: shows a note.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.epoch_ended()
        self._told = self._started

    def epoch_ended(self) -> None:
        """The next epoch begins."""
        self._started = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """So many images of an epoch's are done."""
        now = time.monotonic()
        if now - self._told < TELL_EVERY_S:
            return
        self._told = now
        speed = done / (now - self._started)
        left = clock((total - done) / speed)
        self._tell(f"epoch under way: {done:,} of {total:,} images, {speed:.0f} images/s, {left} left of it")


def clock(seconds: float) -> str:
    """Seconds as people read them: 0:07, 12:30, 3:05:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class OtherWork:
    """What other processes make of this machine's cores while this one computes; Linux alone tells.

    Args:
        threads: how many this one computes with, in step.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._asked = threads, threads == 1
        self._busy, self._own, self._since = _busy_seconds(), time.process_time(), time.monotonic()

    def warning(self) -> str:
        """Why this process is slow, if its threads wait for other processes; else empty.

        It is told once: the machine counts too coarsely for less than `COUNTED_S`, and how it began is enough to know.
        """
        elapsed = time.monotonic() - self._since
        if self._asked or elapsed < COUNTED_S:
            return ""
        self._asked = True
        cores = os.cpu_count() or 1
        others = (_busy_seconds() - self._busy - (time.process_time() - self._own)) / elapsed
        if cores - others > self._threads - 0.5:
            return ""
        return (
            f"other processes keep {others:.1f} of {cores} cores busy, and {self._threads} threads that work in step "
            "wait for the slowest: training may be several times as fast with training.threads: 1"
        )


def _busy_seconds() -> float:
    """Seconds that all cores have worked since the machine started; 0 where it does not say."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as file:
            user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
