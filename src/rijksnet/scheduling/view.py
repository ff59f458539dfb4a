"""What a person sees while stages run side by side: on a terminal one picture of all, in a file a line a stage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rijksnet.progress import clock
from rijksnet.scheduling.output import LAST_LINES, OUTPUT, last_lines, output_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rijksnet.scheduling.repro import Outcome, Running


#: What is said of a stage that no worker has begun; in a file once, after so many seconds.
WAITS, LONG_S = f"waits for a worker (jobs of a batch system say in {OUTPUT} why they end)", 60


class View(Protocol):
    def show(self, outcome: Outcome, stages: int, running: Sequence[Running]) -> None:
        """How things stand, of so many stages."""

    def started(self, name: str) -> None:
        """A stage has started."""

    def ended(self, name: str, outcome: Outcome) -> None:
        """A stage has ended, well or not."""


@contextmanager
def view() -> Iterator[View]:
    """For a terminal or a file, as standard error is."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield LinesView(console)
        return
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        yield LiveView(console, live)


class LinesView:
    """For a file: a line when a stage starts, and when it ends."""

    def __init__(self, console: Console) -> None:
        self._console, self._told_to_wait = console, set[str]()

    def show(self, outcome: Outcome, stages: int, running: Sequence[Running]) -> None:
        for name in (one.stage.addressing for one in running if one.seconds > LONG_S):
            if name not in self._told_to_wait and not output_of(name).exists():
                self._told_to_wait.add(name)
                self._console.print(f"{escape(name)}: {WAITS}")

    def started(self, name: str) -> None:
        self._console.print(f"{escape(name)}: started")

    def ended(self, name: str, outcome: Outcome) -> None:
        if name in outcome.ran:
            self._console.print(f"{escape(name)}: done in {clock(round(outcome.ran[name]))}")
            return
        self._console.print(f"[red]{escape(name)}[/]: failed: {escape(outcome.failed[name])}")
        for line in last_lines(output_of(name), LAST_LINES):
            self._console.print(f"    {escape(line)}")


class LiveView(LinesView):
    """For a terminal: what runs and the last that it said, drawn anew several times a second."""

    def __init__(self, console: Console, live: Live) -> None:
        super().__init__(console)
        self._live = live

    def started(self, name: str) -> None:
        pass  # it is seen

    def show(self, outcome: Outcome, stages: int, running: Sequence[Running]) -> None:
        table = Table.grid(padding=(0, 2))
        for one in running:
            name = one.stage.addressing
            said = next(iter(last_lines(output_of(name), 1)), "") if output_of(name).exists() else WAITS
            table.add_row(
                Text(name, style="cyan"), clock(int(one.seconds)), Text(said, overflow="ellipsis", no_wrap=True)
            )
        self._live.update(Group(Text(told(outcome, stages, len(running)), style="bold"), table))


def told(outcome: Outcome, stages: int, running: int) -> str:
    """How things stand, in a line."""
    parts = [f"{len(outcome.unchanged)} as they were", f"{len(outcome.ran)} done", f"{running} running"]
    if outcome.failed:
        parts.append(f"{len(outcome.failed)} failed, {len(outcome.kept_back)} kept back")
    waiting = stages - len(outcome) - running
    return f"{stages} stages: {', '.join([*parts, f'{waiting} to come'])}"
