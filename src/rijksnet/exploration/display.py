"""A study while it goes on: a bar and the best trials so far on a terminal, now and then a line in a log."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from rijksnet.exploration import selection
from rijksnet.progress import new_bars, progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rijksnet.exploration.board import Attempt
    from rijksnet.progress import Report

SHOWN = 8


class Display(Protocol):
    def update(self, places: Sequence[Attempt]) -> None:
        """Show how far the study is."""

    def note(self, text: str) -> None:
        """Show what is being done."""


class _Silent:
    def update(self, places: Sequence[Attempt]) -> None: ...

    def note(self, text: str) -> None: ...


class _Log:
    def __init__(self, report: Report) -> None:
        self._report = report

    def update(self, places: Sequence[Attempt]) -> None:
        self._report(_done(places), _best(places))

    def note(self, text: str) -> None: ...


class _Terminal:
    def __init__(self, what: str, total: int, live: Live) -> None:
        self._bars, self._live = new_bars(live.console), live
        self._task = self._bars.add_task(what, total=total, note="")

    def update(self, places: Sequence[Attempt]) -> None:
        self._bars.update(self._task, completed=_done(places))
        self._live.update(Group(self._bars, table(places)))

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)


@contextmanager
def shown(what: str | None, total: int) -> Iterator[Display]:
    """Show a study of so many places on standard error while the block runs; None: show nothing."""
    console = Console(stderr=True)
    if what is None:
        yield _Silent()
    elif not console.is_terminal:
        with progress(what, total) as report:
            yield _Log(report)
    else:
        with Live(console=console, refresh_per_second=4) as live:
            yield _Terminal(what, total, live)


def table(places: Sequence[Attempt]) -> Table:
    """The best trials so far."""
    best = selection.ranked(places)[:SHOWN]
    varied = list(dict.fromkeys(name for place in best for name in place.params))
    found = Table("trial", "validation, %", "loss", *(name.replace("_", " ") for name in varied), "epochs")
    for place in best:
        assert place.outcome is not None
        values = ["" if name not in place.params else _text(place.params[name]) for name in varied]
        scores = (f"{100 * place.outcome.accuracy:.1f}", f"{place.outcome.loss:.3f}")
        found.add_row(str(place.number), *scores, *values, str(len(place.outcome.history)))
    return found


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _done(places: Sequence[Attempt]) -> int:
    return sum(place.state not in ("waiting", "running") for place in places)


def _best(places: Sequence[Attempt]) -> str:
    ranked = selection.ranked(places)
    if not ranked or ranked[0].outcome is None:
        return ""
    return f"best: trial {ranked[0].number}, validation {ranked[0].outcome.accuracy:.1%}"
