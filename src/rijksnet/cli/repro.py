"""The pipeline as a whole, on as many workers as there are."""

from __future__ import annotations

from typing import Annotated

import typer

from rijksnet.cli.app import RESULTS, app, params


@app.command(rich_help_panel=RESULTS)
def repro(
    targets: Annotated[list[str] | None, typer.Argument(help="stages, as `dvc repro` takes them; none: all")] = None,
    jobs: Annotated[
        int, typer.Option(help="stages side by side; 0: as many as there are cores", show_default=False, min=0)
    ] = 0,
    scheduler: Annotated[str, typer.Option(help="a Dask scheduler's address; none: this machine")] = "",
) -> None:
    """Do what `dvc repro` does, with stages side by side where neither needs the other.

    Cache, run cache and dvc.lock are those of `dvc repro`, and so are the results: each stage computes with as many
    threads as it would alone. `training.threads: 1` lets a training have one core, and as many run as there are cores.

    What a stage says goes into `.checkpoints/output/`. A stage that fails keeps back only what needs it. Ctrl-C ends
    all; the same command goes on.
    """
    from rijksnet.scheduling import engine
    from rijksnet.scheduling.repro import repro as reproduce
    from rijksnet.scheduling.view import view

    chosen = params()
    jobs = jobs or engine.machine().cores
    with engine.at(scheduler) if scheduler else engine.here(jobs) as workers, view() as shown:
        reproduce(chosen, targets or [], workers, jobs, shown)
