"""A study on several workers: each takes trials until none is left; what is seen of it meanwhile is told here."""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.errors import ExplorationError, RunError
from rijksnet.exploration.board import is_over
from rijksnet.exploration.display import shown
from rijksnet.scheduling.command import Command
from rijksnet.scheduling.output import LAST_LINES, OUTPUT, last_lines, output_of
from rijksnet.scheduling.repro import THREADS
from rijksnet.scheduling.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rijksnet.exploration.board import Board
    from rijksnet.params import Device
    from rijksnet.scheduling.command import Ended
    from rijksnet.scheduling.engine import Engine

#: Seconds between two looks at the study.
LOOK_S = 1.0


def carry_out(board: Board, name: str, command: Sequence[str], engine: Engine, workers: int, device: Device) -> None:
    """Have so many workers fill a study's places.

    Args:
        name: of what is explored, as it is shown.
        command: arguments of `rijksnet` that let a process help with the study.

    Raises:
        ExplorationError: all workers have ended and trials are left: what they said.
        KeyboardInterrupt: the workers have been ended before, and have given their trials back.
    """
    needs = _needs(engine, workers, device)
    helpers = [_command(f"explore-{name}-worker{which}", command, needs) for which in range(1, workers + 1)]
    with ThreadPoolExecutor(workers) as pool, shown(name, len(board.places())) as display:
        running = {pool.submit(engine.run, helper, needs): helper for helper in helpers}
        try:
            while left := [future for future in running if not future.done()]:
                board.bury()
                display.update(board.places())
                wait(left, LOOK_S)
        except BaseException:
            engine.stop()
            raise
        display.update(board.places())
    if not is_over(board.places()):
        raise ExplorationError(
            f"trials of study {board.study.study_name} are left, but its workers have ended; the same command goes on:"
            + "".join(f"\n  {_told(future, helper)}" for future, helper in running.items())
        )


def conclude(name: str, command: Sequence[str], engine: Engine, device: Device) -> str:
    """Have a worker conclude a study; what it says.

    Raises:
        ExplorationError: it failed.
    """
    needs = _needs(engine, 1, device)
    concluding = _command(f"explore-{name}", command, needs)
    try:
        ended = engine.run(concluding, needs)
    except BaseException as error:
        engine.stop()
        if isinstance(error, RunError):
            raise ExplorationError(f"study {name} is not concluded; the same command goes on: {error}") from error
        raise
    if ended.status:
        said = "\n  ".join(last_lines(Path(concluding.output), LAST_LINES))
        raise ExplorationError(f"study {name} is not concluded; exit status {ended.status} on {ended.host}:\n  {said}")
    return Path(concluding.output).read_text(encoding="utf-8")


def _command(name: str, arguments: Sequence[str], needs: Resources) -> Command:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    output = output_of(name)
    output.unlink(missing_ok=True)
    environment = dict.fromkeys(THREADS) | {"OMP_NUM_THREADS": str(needs.cores)}
    argv = (sys.executable, "-m", "rijksnet", *arguments)
    return Command(output.stem, argv, str(Path.cwd()), str(output.absolute()), environment)


def _needs(engine: Engine, workers: int, device: Device) -> Resources:
    """A share of all cores that every machine has, and a GPU each where there are enough of them."""
    cores = max(1, min(engine.together.cores // workers, *(one.cores for one in engine.workers)))
    return Resources(cores, int(device in ("auto", "cuda") and engine.together.gpus >= workers))


def _told(future: Future[Ended], helper: Command) -> str:
    if error := future.exception():
        return f"{helper.stage}: {error}"
    said = next(iter(last_lines(Path(helper.output), 1)), "nothing")
    return f"{helper.stage}: exit status {future.result().status}; it said: {said} ({helper.output})"
