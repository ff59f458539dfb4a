"""`rijksnet repro`: the stages that `dvc repro` would run, as many side by side as there are workers for."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import networkx as nx
from dvc.exceptions import DvcException

from rijksnet.errors import RunError
from rijksnet.planning import durations
from rijksnet.scheduling.command import Command
from rijksnet.scheduling.needs import Needs, needs_of
from rijksnet.scheduling.output import OUTPUT, output_of
from rijksnet.scheduling.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from networkx import DiGraph

    from rijksnet.params import Params
    from rijksnet.scheduling.engine import Engine
    from rijksnet.scheduling.view import View

#: What a stage that never ran here is taken to last, seconds.
UNKNOWN_S = 1.0

#: Seconds between two looks at what runs.
LOOK_S = 0.25


def repro(params: Params, targets: Sequence[str], engine: Engine, jobs: int, view: View) -> None:
    """Bring the targets up to date, or everything.

    A stage that fails keeps back those that need it; all others go on. What had ended is kept whatever happens, and the
    same command goes on from there.

    Raises:
        RunError: no such target, or stages failed: which, and where they say why.
        KeyboardInterrupt: the running commands have been ended before.
    """
    from dvc.repo import Repo

    OUTPUT.mkdir(parents=True, exist_ok=True)
    with Repo(_wait_for_lock=True) as repo:
        commands = Commands(engine, params, repo.root_dir)
        pipeline = Pipeline(repo, commands.run)
        with pipeline.opened():
            outcome = Scheduling(pipeline, pipeline.graph(targets), commands, jobs, view).carry_out()
    if outcome.failed:
        raise RunError(failures(outcome))


@dataclass(frozen=True)
class Commands:
    """The stages' commands, on the engine."""

    engine: Engine
    params: Params
    folder: str
    memory: dict[str, int] = field(default_factory=durations.peaks)  #: MiB by stage, when it ran last

    def needs(self, stage: Any) -> Needs:
        return needs_of(stage.cmd, self.params.training, self.engine.largest, self.memory.get(stage.addressing, 0))

    def run(self, stage: Any, lines: Sequence[Sequence[str]], environment: dict[str, str]) -> None:
        """Run a stage's command lines, one after the other.

        Raises:
            RunError: one ended with another status than 0.
        """
        output = output_of(stage.addressing)
        output.unlink(missing_ok=True)
        for line in lines:
            command = Command(stage.addressing, tuple(line), self.folder, str(output.absolute()), environment)
            ended = self.engine.run(command, self.needs(stage))
            if ended.status:
                raise RunError(f"exit status {ended.status} on {ended.host}")


@dataclass
class Outcome:
    """Stages by what became of them."""

    ran: dict[str, float] = field(default_factory=dict)  #: and how many seconds it took
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  #: and why
    kept_back: list[str] = field(default_factory=list)  #: one that they need failed

    def __len__(self) -> int:
        return len(self.ran) + len(self.unchanged) + len(self.failed) + len(self.kept_back)


class Scheduling:
    """Which stage runs when: of those that can, the ones on which the longest chain of others waits."""

    def __init__(self, pipeline: Pipeline, graph: DiGraph, commands: Commands, jobs: int, view: View) -> None:
        self._pipeline, self._graph, self._commands, self._jobs, self._view = pipeline, graph, commands, jobs, view
        self._waits_for = {stage: graph.out_degree(stage) for stage in graph}
        self._chain = chains(graph, durations.last())
        self._ready = [stage for stage in graph if not self._waits_for[stage]]
        self._changed: list[Any] = []
        self._running: dict[Future[None], Running] = {}
        self._outcome = Outcome()

    def carry_out(self) -> Outcome:
        with ThreadPoolExecutor(self._jobs) as threads:
            try:
                while self._ready or self._changed or self._running:
                    self._look()
                    self._start(threads)
                    self._view.show(self._outcome, len(self._graph), list(self._running.values()))
                    for future in wait(self._running, LOOK_S, FIRST_COMPLETED).done:
                        self._end(self._running.pop(future), future)
            except KeyboardInterrupt:
                self._commands.engine.stop()
                raise
        self._view.show(self._outcome, len(self._graph), [])
        return self._outcome

    def _look(self) -> None:
        """Tell those that have changed from those that are as dvc.lock says."""
        while self._ready:
            stage = self._ready.pop()
            if self._pipeline.changed(stage):
                self._changed.append(stage)
            else:
                self._outcome.unchanged.append(stage.addressing)
                self._free(stage)
        self._changed.sort(key=self._chain.__getitem__, reverse=True)

    def _start(self, threads: ThreadPoolExecutor) -> None:
        for stage in list(self._changed):
            needs = self._commands.needs(stage)
            taken = sum((one.needs for one in self._running.values()), Needs(0))
            full = len(self._running) >= self._jobs or not (taken + needs).fit(self._commands.engine.together)
            if full and self._running:
                continue
            self._changed.remove(stage)
            running = Running(stage, needs)
            self._running[threads.submit(self._pipeline.reproduce, stage)] = running
            self._view.started(stage.addressing)

    def _end(self, running: Running, future: Future[None]) -> None:
        stage, name = running.stage, running.stage.addressing
        if error := future.exception():
            if not isinstance(error, RunError | DvcException):
                raise error
            self._outcome.failed[name] = " ".join(str(error).split())
            self._keep_back(stage)
        else:
            self._outcome.ran[name] = running.seconds
            self._free(stage)
        self._view.ended(name, self._outcome)

    def _free(self, stage: Any) -> None:
        """What waited for the stage waits for one less."""
        for later in self._graph.predecessors(stage):
            self._waits_for[later] -= 1
            if not self._waits_for[later]:
                self._ready.append(later)

    def _keep_back(self, stage: Any) -> None:
        """What needs a stage that failed is not run; it never becomes ready, for that stage never frees it."""
        for later in nx.ancestors(self._graph, stage):
            if later.addressing not in self._outcome.kept_back:
                self._outcome.kept_back.append(later.addressing)


@dataclass(frozen=True)
class Running:
    """A stage that runs now."""

    stage: Any
    needs: Needs
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.since


def chains(graph: DiGraph, lasted: Mapping[str, float]) -> dict[Any, float]:
    """Seconds from each stage's start to the end of the longest chain of stages that wait for it."""
    found: dict[Any, float] = {}
    for stage in nx.topological_sort(graph):  # the graph points from a stage to those that it needs
        after = max((found[later] for later in graph.predecessors(stage)), default=0.0)
        found[stage] = after + lasted.get(stage.addressing, UNKNOWN_S)
    return found


def failures(outcome: Outcome) -> str:
    """What a person reads when stages failed."""
    lines = [
        f"{len(outcome.failed)} of {len(outcome)} stages failed; what ended is kept, and the same command goes on:"
    ]
    lines += [f"  {name}: {why}; it said: {output_of(name)}" for name, why in outcome.failed.items()]
    if outcome.kept_back:
        lines.append(f"  not run, for they need them: {', '.join(sorted(outcome.kept_back))}")
    return "\n".join(lines)
