"""The pipeline as a whole, on as many workers as there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from rijksnet.cli.app import RESULTS, app, params

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rijksnet.params import Params
    from rijksnet.scheduling.engine import Engine


Scheduler = Annotated[
    str, typer.Option(help="a Dask scheduler's address, or slurm, pbs, … as params.yaml's `cluster`; none: here")
]


@app.command(rich_help_panel=RESULTS)
def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="stages, as `dvc repro` takes them; none: all")] = None,
    jobs: Annotated[
        int, typer.Option(help="stages side by side; 0: as many as there are cores", show_default=False, min=0)
    ] = 0,
    scheduler: Scheduler = "",
) -> None:
    """Do what `dvc repro` does, with stages side by side where neither needs the other.

    Cache, run cache and dvc.lock are those of `dvc repro`, and so are the results: each stage computes with as many
    threads as it would alone. `training.threads: 1` lets a training have one core, and as many run as there are cores.

    What a stage says goes into `.checkpoints/output/`. A stage that fails keeps back only what needs it. Ctrl-C ends
    all; the same command goes on.
    """
    from rijksnet.scheduling.repro import repro as reproduce
    from rijksnet.scheduling.view import view

    chosen = params()
    with engine_of(chosen, scheduler, jobs) as workers, view() as shown:
        reproduce(chosen, targets or [], workers, jobs or workers.together.cores, shown)


def engine_of(chosen: Params, scheduler: str, jobs: int) -> AbstractContextManager[Engine]:
    """The workers: here for so many commands at a time (0: a core each), or a scheduler's."""
    from rijksnet.cluster_params import System
    from rijksnet.errors import ParamsError
    from rijksnet.scheduling import engine

    if not scheduler:
        return engine.this_machine(jobs or engine.machine().cores)
    if ":" in scheduler:
        return engine.of_scheduler(scheduler)
    if scheduler not in get_args(System):
        raise ParamsError(
            f"--scheduler is {scheduler!r}: give an address such as tcp://10.0.0.1:8786, or one of {get_args(System)}"
        )
    if chosen.cluster is None or chosen.cluster.system != scheduler:
        has = "no `cluster`" if chosen.cluster is None else f"a `cluster` of system {chosen.cluster.system!r}"
        raise ParamsError(
            f"params.yaml has {has}, which must say what {scheduler} is asked for: docs/pipeline.md has one to copy"
        )
    return engine.of_batch_system(chosen.cluster)
