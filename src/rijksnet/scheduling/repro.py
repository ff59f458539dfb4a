"""`rijksnet repro`: the stages that `dvc repro` would run, as many side by side as there are workers for."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
from dvc.exceptions import DvcException

from rijksnet.errors import RunError
from rijksnet.planning import durations
from rijksnet.scheduling.command import Command
from rijksnet.scheduling.guard import BY_SIGNAL
from rijksnet.scheduling.helpers import helped
from rijksnet.scheduling.output import OUTPUT, output_of
from rijksnet.scheduling.pipeline import Pipeline
from rijksnet.scheduling.resources import Resources, needs_of

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

#: Seconds that what another machine has written may take to be seen here.
LATENCY_S = 30

#: What Dask sets for its workers, and a stage shall have as it is here: sums are split by threads.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")


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
    try:
        opened = Repo(_wait_for_lock=True)
    except DvcException as error:
        raise RunError(f"DVC does not open this project: {said(error)}") from error
    with opened as repo:
        commands = Commands(engine, params)
        pipeline = Pipeline(repo, commands.run)
        with pipeline.opened():
            outcome = Scheduling(pipeline, *pipeline.graphs(targets), commands, jobs, view).carry_out()
    if outcome.failed:
        raise RunError(failures(outcome))


@dataclass(frozen=True)
class Commands:
    """The stages' commands, on the engine."""

    engine: Engine
    params: Params
    memory: dict[str, int] = field(default_factory=durations.peaks)  #: MiB by stage, when it ran last

    def needs(self, stage: Any) -> Resources:
        """What a stage asks for; DVC's own, such as of `dvc add`, have no command."""
        lines = stage.cmd if isinstance(stage.cmd, list) else [stage.cmd] if stage.cmd else []
        memory = self.memory.get(stage.addressing, 0)
        each = [needs_of(line, self.params.training, self.engine.largest, memory) for line in lines]
        return max(each, key=lambda one: (one.gpus, one.cores), default=Resources(1))

    def run(self, stage: Any, lines: Sequence[Sequence[str]], environment: dict[str, str]) -> None:
        """Run a stage's command lines, one after the other.

        Raises:
            RunError: one ended with another status than 0.
        """
        output, hosts = output_of(stage.addressing), set()
        own = {name: os.environ.get(name) for name in THREADS} | environment
        for line in lines:
            command = Command(stage.addressing, tuple(line), stage.wdir, str(output.absolute()), own)
            needs = self.needs(stage)
            with helped(self.engine, command, needs):
                ended = self.engine.run(command, needs)
            hosts.add(ended.host)
            if ended.status > BY_SIGNAL:
                raise RunError(
                    f"ended by signal {ended.status - BY_SIGNAL} on {ended.host}: was its memory too little?"
                )
            if ended.status:
                raise RunError(f"exit status {ended.status} on {ended.host}")
        if hosts != {socket.gethostname()}:
            _wait_for([Path(out.fs_path) for out in stage.outs])


def _wait_for(outs: Sequence[Path]) -> None:
    """A network's file system may show for a while what was there before another machine wrote."""
    until = time.monotonic() + LATENCY_S
    while time.monotonic() < until:
        for folder in {out.parent for out in outs if out.parent.is_dir()}:
            list(folder.iterdir())
        if all(out.exists() for out in outs):
            return
        time.sleep(LOOK_S)


def said(error: BaseException) -> str:
    """What an error says, in a line; one that is not meant for people with its name."""
    text = " ".join(str(error).split())
    return text if isinstance(error, RunError | DvcException) else f"{type(error).__name__}: {text}"


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

    def __init__(
        self, pipeline: Pipeline, needs: DiGraph, reads: DiGraph, commands: Commands, jobs: int, view: View
    ) -> None:
        """`needs` and `reads` are the pipeline's graphs: the first says what a failure keeps back, the second in which
        order stages run, for a frozen one may not be looked at while what it reads is written."""
        self._pipeline, self._commands, self._jobs, self._view = pipeline, commands, jobs, view
        self._needs, self._reads = needs, reads
        self._waits_for = {stage: reads.out_degree(stage) for stage in reads}
        self._chain = chains(reads, durations.last())
        self._ready = [stage for stage in reads if not self._waits_for[stage]]
        self._changed: list[Any] = []
        self._running: dict[Future[None], Running] = {}
        self._outcome = Outcome()

    def carry_out(self) -> Outcome:
        with ThreadPoolExecutor(self._jobs) as threads:
            try:
                while self._ready or self._changed or self._running:
                    self._look()
                    self._start(threads)
                    self._view.show(self._outcome, len(self._reads), list(self._running.values()))
                    for future in wait(self._running, LOOK_S, FIRST_COMPLETED).done:
                        self._end(self._running.pop(future), future)
            except BaseException:
                self._commands.engine.stop()
                raise
        self._view.show(self._outcome, len(self._reads), [])
        return self._outcome

    def _look(self) -> None:
        """Tell those that have changed from those that are as dvc.lock says."""
        while self._ready:
            stage = self._ready.pop()
            if stage.addressing in self._outcome.kept_back:
                self._free(stage)
                continue
            try:
                if self._pipeline.changed(stage):
                    self._changed.append(stage)
                    continue
            except Exception as error:
                self._fail(stage, error)
                continue
            self._outcome.unchanged.append(stage.addressing)
            self._free(stage)
        self._changed.sort(key=self._chain.__getitem__, reverse=True)

    def _start(self, threads: ThreadPoolExecutor) -> None:
        """Start those that come first, until one does not fit: what comes after it would keep it waiting for ever."""
        while self._changed:
            stage = self._changed[0]
            needs = self._commands.needs(stage)
            taken = sum((one.needs for one in self._running.values()), Resources(0))
            full = len(self._running) >= self._jobs or not (taken + needs).fit(self._commands.engine.together)
            if full and self._running:
                return
            self._changed.pop(0)
            output_of(stage.addressing).unlink(missing_ok=True)
            self._running[threads.submit(self._pipeline.reproduce, stage)] = Running(stage, needs)
            self._view.started(stage.addressing)

    def _end(self, running: Running, future: Future[None]) -> None:
        if error := future.exception():
            self._fail(running.stage, error)
            return
        self._outcome.ran[running.stage.addressing] = running.seconds
        self._free(running.stage)
        self._view.ended(running.stage.addressing, self._outcome)

    def _fail(self, stage: Any, error: BaseException) -> None:
        """Keep back what needs it."""
        self._outcome.failed[stage.addressing] = said(error)
        for later in nx.ancestors(self._needs, stage):
            if later.addressing not in self._outcome.kept_back:
                self._outcome.kept_back.append(later.addressing)
        self._free(stage)
        self._view.ended(stage.addressing, self._outcome)

    def _free(self, stage: Any) -> None:
        """What waited for the stage waits for one less."""
        for later in self._reads.predecessors(stage):
            self._waits_for[later] -= 1
            if not self._waits_for[later]:
                self._ready.append(later)


@dataclass(frozen=True)
class Running:
    """A stage that runs now."""

    stage: Any
    needs: Resources
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
