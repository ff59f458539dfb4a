"""Commands that show results, bring them to MLflow, and promote models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rijksnet.cli.app import MODELS, RESULTS, app, check_challenge, console, params


@app.command(rich_help_panel=RESULTS)
def plan(each: Annotated[bool, typer.Option("--each", help="a line for every stage")] = False) -> None:
    """Say what `dvc repro` would run and why, how long that takes on this machine, and how much it writes.

    Speeds are measured for some seconds by training on noise. While `dvc repro` runs, it says what is still to come.
    """
    from rijksnet.planning.plan import plan_text
    from rijksnet.progress import show

    show(plan_text(params(), each))


@app.command(rich_help_panel=RESULTS)
def tables() -> None:
    """Print the paper's tables, ours beside the paper's figures."""
    from rijksnet.progress import show
    from rijksnet.report.write import tables_text

    show(tables_text(params()))


@app.command(rich_help_panel=RESULTS)
def publish(
    check: Annotated[bool, typer.Option("--check", help="only say what is amiss, with exit status 1")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="look at the bytes of all that is there, too")] = False,
    or_later: Annotated[bool, typer.Option("--or-later", help="a store that fails is told, with status 0")] = False,
) -> None:
    """Make MLflow complete from the run folders: runs, registered versions, champions. A second call adds nothing.

    It looks whether what MLflow claims to show is there, artifacts too, and mends what is not.
    """
    from rijksnet.errors import ParamsError
    from rijksnet.stages.publish import publish

    if check + repair + or_later > 1:
        raise ParamsError("--check, --repair and --or-later are different things: give one of them")
    if or_later:
        publish(params())
        return
    from rijksnet.publishing import check as checking  # MLflow takes seconds to import
    from rijksnet.publishing import publish as publishing

    if check:
        found = checking.check(params())
        print(*found, sep="\n") if found else print("MLflow shows every run, whole")
        raise typer.Exit(1 if found else 0)
    publishing.publish(params(), thorough=repair)


@app.command(rich_help_panel=RESULTS)
def status() -> None:
    """Say what `dvc repro` would change, with exit status 1 if anything: a gate for CI.

    `dvc status` cannot be one: the stages that look at the world outside always count as changed there.
    """
    from rijksnet.publishing.status import status

    found = status(params())
    print(*found, sep="\n") if found else print("everything is as the parameters ask")
    raise typer.Exit(1 if found else 0)


@app.command(rich_help_panel=RESULTS)
def compare(
    a: Annotated[str, typer.Argument(metavar="RUN", help="a run's key, or its folder")],
    b: Annotated[str, typer.Argument(metavar="RUN", help="the run to compare it with")],
) -> None:
    """Compare two runs on the same test objects; prints a verdict to quote."""
    from rich.console import Console

    from rijksnet.paths import RUNS
    from rijksnet.runs.result import load_all
    from rijksnet.statistics.compare import compare, find, render

    Console(soft_wrap=True).print(render(compare(find(a, RUNS), find(b, RUNS), load_all(RUNS))))


@app.command(rich_help_panel=RESULTS)
def trace(
    what: Annotated[
        str,
        typer.Argument(
            help="a file, an md5 or sha256, a run, an MLflow run's id, NAME/VERSION, a cell, a prediction",
            show_default=False,
        ),
    ],
) -> None:
    """Say what anything came from, and what came of it, both ways.

    A cell is FILE:ROW:COLUMN (results/table2.csv:type,resnet50:fine_tuning_percent), a prediction RUN#OBJECT.
    """
    from rijksnet.trace.tracing import trace as tracing

    console(240, highlight=False).print(tracing(params(), what))


@app.command(rich_help_panel=RESULTS)
def ui(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="port to listen on; that of tracking.ui makes the report's links lead here")
    ] = 5000,
    name: Annotated[
        list[str], typer.Option("--name", help="a name by which browsers reach this machine (with --host 0.0.0.0)")
    ] = [],  # noqa: B006  typer's way to say that it may be left out
) -> None:
    """Open the MLflow UI and print the addresses of the prepared comparisons."""
    from rijksnet.tracking.ui import ui

    ui(params(), host, port, name)


@app.command(rich_help_panel=RESULTS, hidden=True)
def follow(file: Path) -> None:
    """Stream a training's history to MLflow until standard input ends; a training starts this itself."""
    from rijksnet.tracking.follow import follow

    follow(params(), file)


# --- models -----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=MODELS)
def models() -> None:
    """List the registered models, their versions and champions."""
    from rijksnet.models.promotion import models_table

    console(240).print(models_table(params()))


@app.command(rich_help_panel=MODELS)
def promote(
    model: Annotated[
        str, typer.Argument(help="a registered model, e.g. rijksnet-met-type-resnet50", show_default=False)
    ],
    version: Annotated[str, typer.Argument(help="the version to make champion", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="share of the test images by which it may be worse and count as as good")
    ] = 0.01,
    force: Annotated[bool, typer.Option("--force", help="also against the evidence; needs --reason")] = False,
    reason: Annotated[str, typer.Option(help="why; kept with the version")] = "",
) -> None:
    """Make a version the champion, if it is better than the one there is on the same test objects, or not worse.

    The next `dvc repro` re-runs exactly what depends on it.
    """
    from rijksnet.errors import ParamsError
    from rijksnet.models.promotion import promote

    if force != bool(reason.strip()):
        raise ParamsError("--force and --reason go together: what is done against the evidence is kept with its reason")
    ask = None if yes else lambda question: typer.confirm(question)
    promote(params(), model, version, ask, margin, reason.strip())


@app.command(rich_help_panel=MODELS)
def export(
    what: Annotated[
        str,
        typer.Argument(help="a registered model (its champion), NAME/VERSION, or a run", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(help="a new folder", show_default=False)],
    form: Annotated[Literal["timm", "onnx"], typer.Option("--as", help="what is to load it")] = "timm",
) -> None:
    """Write a model as a folder that plain timm or any ONNX runtime loads, with its card."""
    from rijksnet.models.export import export

    export(params(), what, out, form)


@app.command(rich_help_panel=MODELS)
def take(
    what: Annotated[
        str,
        typer.Argument(
            help="models:/NAME@ALIAS or models:/NAME/VERSION in --store, or a run's folder", show_default=False
        ),
    ],
    store: Annotated[str, typer.Option(help="the other project's tracking server, or sqlite:///FILE")] = "",
) -> None:
    """Make another project's tuned weights a version of this project's model: what `promote` can make θ̂."""
    from rijksnet.models.take import take

    take(params(), what, store)


@app.command("import_keras", rich_help_panel=MODELS)
def import_keras(
    file: Annotated[Path, typer.Argument(help="a .keras archive, a .weights.h5 or a .h5 of Keras", show_default=False)],
    architecture: Annotated[
        str,
        typer.Option(help="vgg16, vgg19, resnet50, inception_v3, xception, densenet121 or efficientnet_b0"),
    ],
    out: Annotated[
        Path | None, typer.Option(help="the file to write; FILE.safetensors otherwise", show_default=False)
    ] = None,
    challenge: Annotated[
        str, typer.Option(help="register it instead, as a version of this challenge's model: published θ̂")
    ] = "",
) -> None:
    """Take the backbone out of a file that Keras saved: for imagenet.file, or as weights to transfer from.

    keras.applications' networks, alone, with a head or inside another model. Heads stay behind, and are named.
    """
    from rijksnet.errors import ParamsError
    from rijksnet.models import import_keras as importing

    if challenge and out:
        raise ParamsError("--challenge registers and --out writes a file: give one of them")
    if challenge:
        importing.register_keras(params(), file, architecture, check_challenge(challenge))
    else:
        importing.import_keras(file, architecture, out or file.with_suffix(".safetensors"))


@app.command(rich_help_panel=MODELS)
def rollback(
    model: Annotated[str, typer.Argument(help="a registered model", show_default=False)],
) -> None:
    """Give the alias back to the version that the champion replaced; `dvc repro` restores what depends on it."""
    from rijksnet.models.promotion import rollback

    rollback(params(), model)
