"""DVC's own graph, and its own way with each stage; only where a stage's command runs is settled here."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from rijksnet.errors import RunError
from rijksnet.scheduling.lockfile import written_by_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dvc.repo import Repo
    from networkx import DiGraph


class Pipeline:
    """dvc.yaml and dvc.lock, at which threads take turns: DVC's objects are made for one at a time.

    A stage goes DVC's whole way: is it changed, does the run cache know it, are its outputs kept and its lines in
    dvc.lock written. While its command runs, its thread is out of turn, as DVC itself then lets go of the repository.
    """

    def __init__(self, repo: Repo, run: Callable[[Any, list[list[str]], dict[str, str]], None]) -> None:
        """`run` runs a stage's command lines, each split into arguments, with DVC's part of the environment."""
        self._repo, self._run, self._turn = repo, run, Lock()

    def graphs(self, targets: Sequence[str]) -> tuple[DiGraph, DiGraph]:
        """The stages that `dvc repro` would look at for these targets, each pointing at those that it needs; and the
        same, each pointing at those that it reads from, which is more for one that is frozen.

        Raises:
            RunError: there is no such target.
        """
        from dvc.exceptions import DvcException
        from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

        try:
            whole = self._repo.index.graph
            graph = get_active_graph(whole)
            stages = collect_stages(self._repo, targets or ["dvc.yaml"])
        except DvcException as error:
            raise RunError(" ".join(str(error).split())) from error
        planned = plan_repro(graph, stages)
        return graph.subgraph(planned).copy(), whole.subgraph(planned).copy()

    def changed(self, stage: Any) -> bool:
        """Whether DVC would run it, or take it from its run cache."""
        with self._in_turn(stage):
            found: bool = stage.changed()
            return found

    def reproduce(self, stage: Any) -> None:
        """Run the stage as `dvc repro` does.

        Raises:
            DvcException: its command failed, or an output is missing.
        """
        with self._in_turn(stage):
            if stage.reproduce(interactive=False):
                stage.dump(update_pipeline=False)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While the block runs, DVC gives commands to `run`."""
        from dvc.stage import run as module

        before, called, log = module.cmd_run, sys.argv, logging.getLogger("dvc")
        module.cmd_run, level = self._hand_over, log.level
        log.setLevel(logging.WARNING)  # that a stage starts, and so on, is shown by others
        try:
            with self._repo.scm_context(quiet=True), written_by_stage():
                yield
        finally:
            module.cmd_run, sys.argv = before, called
            log.setLevel(level)

    def _hand_over(self, stage: Any, dry: bool = False, run_env: dict[str, str] | None = None) -> None:
        """What DVC calls in place of running the command itself: the repository is unlocked now."""
        from dvc.env import DVC_ROOT, DVC_STAGE
        from dvc.stage.run import _enforce_cmd_list, _make_cmd, get_executable

        shell = get_executable()
        lines = [_make_cmd(shell, line) for line in _enforce_cmd_list(stage.cmd)]
        environment = {DVC_ROOT: self._repo.root_dir, DVC_STAGE: stage.addressing, **(run_env or {})}
        self._turn.release()
        try:
            self._run(stage, lines, environment)
        finally:
            self._turn.acquire()
            _go_by_its_name(stage)

    @contextmanager
    def _in_turn(self, stage: Any) -> Iterator[None]:
        with self._turn:
            _go_by_its_name(stage)
            with self._repo.lock:
                yield


def _go_by_its_name(stage: Any) -> None:
    """Have a command line that no other stage has.

    DVC notes who uses a file by process and command line: of two stages with one, the first that ends would give free
    what the other still reads.
    """
    sys.argv = ["rijksnet repro", stage.addressing]
