"""The stages of dvc.yaml, in the order in which they run, and whether `dvc repro` would run each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, Literal

from rijksnet.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What DVC says of a stage that always runs.
ALWAYS = "always changed"

State = Literal["done", "runs_now", "new", "changed", "follows", "always", "frozen"]


@dataclass(frozen=True)
class Stage:
    """One stage.

    `done`: everything is as dvc.lock says. `new`: dvc.lock says nothing of it. `changed`: what it reads, or its own
    outputs, are not as dvc.lock says. `follows`: a stage before it runs, so that it does if that one writes something
    new. `runs_now`: a process is at it. `always`: it looks at the world outside each time. `frozen`: it does not run.
    """

    name: str  #: as DVC addresses it: `fine_tuning@type-xception`
    outs: tuple[str, ...]
    state: State
    changed: tuple[str, ...]  #: files and parameters that have

    @property
    def to_go(self) -> bool:
        return self.state in ("runs_now", "new", "changed", "follows")

    @property
    def group(self) -> str:
        return self.name.partition("@")[0]


def read_stages() -> list[Stage]:
    """All of them.

    Raises:
        RunError: DVC does not read dvc.yaml, or another process holds its lock.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            graph: Any = repo.index.graph
            before = {stage: list(graph.successors(stage)) for stage in repo.index.stages if stage in graph}
            with repo.lock:
                found = {stage: _read(stage) for stage in before}
    except DvcException as error:
        raise RunError(f"DVC does not say what has changed: {' '.join(str(error).split())}") from error
    for stage in TopologicalSorter(before).static_order():
        if found[stage].state in ("done", "always") and any(found[one].to_go for one in before[stage]):
            found[stage] = replace(found[stage], state="follows")
    return list(found.values())


def _read(stage: Any) -> Stage:
    state, changed = _state(stage)
    return Stage(stage.addressing, tuple(out.def_path for out in stage.outs), state, changed)


def _state(stage: Any) -> tuple[State, tuple[str, ...]]:
    """Whether it runs, if no stage before it does; and what has changed."""
    from dvc.lock import LockError

    if stage.frozen:
        return "frozen", ()
    try:
        changes: list[Any] = stage.status().get(stage.addressing, [])
    except LockError as error:  # a stage that runs now keeps its outputs, and those that read them, to itself
        return ("runs_now" if any(f"{out.fs_path}'" in str(error) for out in stage.outs) else "follows"), ()
    if not changes:
        return "done", ()
    if not any(out.hash_info for out in stage.outs):
        return "new", ()
    names = tuple(_names(changes))
    return ("changed" if names else "always"), names


def _names(changes: Sequence[Any]) -> Iterator[str]:
    """What has changed: files, and instead of params.yaml the parameters. That a stage always runs is no change."""
    for kinds in changes:
        if isinstance(kinds, str) and kinds != ALWAYS:
            yield kinds
        for what in kinds.values() if isinstance(kinds, dict) else []:
            for name, how in what.items() if isinstance(what, dict) else [(what, "")]:
                yield from sorted(how) if isinstance(how, dict) else [str(name)]
