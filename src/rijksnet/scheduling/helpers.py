"""Workers that help with one stage whose work is in shards."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow.parquet as pq

from rijksnet.errors import RunError
from rijksnet.paths import CollectionPaths
from rijksnet.shards import IMAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rijksnet.scheduling.command import Command
    from rijksnet.scheduling.engine import Engine
    from rijksnet.scheduling.resources import Resources

#: Commands whose work is in shards of a collection's images, and which take `--helps`.
SHARDED = frozenset(("pixels", "features"))

#: What makes a line more than one command and its arguments.
SHELL = frozenset("&|;<>$`#\n")

#: Seconds between two looks whether a command has begun.
LOOK_S = 0.5


@contextmanager
def helped(engine: Engine, command: Command, needs: Resources) -> Iterator[None]:
    """While the block runs a command, let workers that have room help with it, if its work is in shards.

    A helper that fails is no failure: what it had begun is then done by the command itself.
    """
    number = min(engine.places(needs), shards_of(command.argv[-1])) - 1
    if number < 1:
        yield
        return
    group, over = uuid4().hex, Event()
    helpers = [_helper(command, which) for which in range(1, number + 1)]
    with ThreadPoolExecutor(number) as threads:
        for helper in helpers:
            Path(helper.output).unlink(missing_ok=True)
            threads.submit(_help, engine, helper, needs, group, Path(command.output), over)
        try:
            yield
        finally:
            over.set()
            engine.stop(group)


def shards_of(line: str) -> int:
    """How many shards the work of a line of dvc.yaml has; 1 where it is not in shards."""
    try:
        words = shlex.split(line)
    except ValueError:  # a shell reads more than this does
        return 1
    if len(words) < 3 or words[0] != "rijksnet" or words[1] not in SHARDED or set(line) & SHELL:
        return 1
    catalogue = CollectionPaths(words[2]).catalogue
    return -(-pq.read_metadata(catalogue).num_rows // IMAGES) if catalogue.is_file() else 1


def _helper(command: Command, which: int) -> Command:
    output = Path(command.output)
    return replace(
        command,
        stage=f"{command.stage}-helper{which}",
        argv=(*command.argv[:-1], f"{command.argv[-1]} --helps"),
        output=str(output.with_stem(f"{output.stem}-helper{which}")),
    )


def _help(engine: Engine, helper: Command, needs: Resources, group: str, begun: Path, over: Event) -> None:
    while not begun.exists():  # else helpers could have all the room, and wait for it
        if over.wait(LOOK_S):
            return
    with suppress(RunError):
        engine.run(helper, needs, group)
