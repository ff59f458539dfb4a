"""Commands that show results, bring them to MLflow, and promote models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rijksnet.cli.app import MODELS, RESULTS, app, params


@app.command(rich_help_panel=RESULTS)
def tables() -> None:
    """Print the paper's tables, ours beside the paper's figures."""
    from rich.console import Console

    from rijksnet.analysis.report import render_tables

    console = Console()
    if not console.is_terminal:  # in a file or a log there is room
        console = Console(width=160)
    console.print(render_tables(params()))


@app.command(rich_help_panel=RESULTS)
def publish() -> None:
    """Make MLflow complete from the records: runs, registered versions, champions. A second call adds nothing."""
    from rijksnet.stages.publish import publish

    publish(params())


@app.command(rich_help_panel=RESULTS)
def compare(
    a: Annotated[str, typer.Argument(metavar="RUN", help="a run's key, or the folder of its record")],
    b: Annotated[str, typer.Argument(metavar="RUN", help="the run to compare it with")],
) -> None:
    """Compare two runs on the same test objects; prints a verdict to quote."""
    from rich.console import Console

    from rijksnet.analysis.compare import compare, find, render
    from rijksnet.analysis.runs import load_all
    from rijksnet.paths import RUNS

    Console(soft_wrap=True).print(render(compare(find(a, RUNS), find(b, RUNS), load_all(RUNS))))


@app.command(rich_help_panel=RESULTS)
def ui(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="port to listen on; that of tracking.ui makes the report's links lead here")
    ] = 5000,
) -> None:
    """Open the MLflow UI and print the addresses of the prepared comparisons."""
    from rijksnet.stages.ui import ui

    ui(params(), host, port)


@app.command(rich_help_panel=RESULTS, hidden=True)
def follow(file: Path) -> None:
    """Stream a training's history to MLflow until standard input ends; a training starts this itself."""
    from rijksnet.stages.follow import follow

    follow(params(), file)


# --- models -----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=MODELS)
def models() -> None:
    """List the registered models, their versions and champions."""
    from rich.console import Console

    from rijksnet.stages.promotion import models_table

    Console().print(models_table(params()))


@app.command(rich_help_panel=MODELS)
def promote(
    model: Annotated[str, typer.Argument(help="a registered model, e.g. rijksnet-type-resnet50", show_default=False)],
    version: Annotated[str, typer.Argument(help="the version to make champion", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Make a version the champion; the next `dvc repro` re-runs exactly what depends on it."""
    from rijksnet.stages.promotion import promote

    promote(params(), model, version, ask=None if yes else lambda question: typer.confirm(question))
