"""The commands that put a trained network to use: asked for what a museum does not say, and as a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rijksnet.cli.app import USE, CollectionArgument, app, check_challenge, params, params_with

#: Where nobody but this machine can ask.
LOCAL = "127.0.0.1"


@app.command(rich_help_panel=USE)
def suggest(
    collection: CollectionArgument,
    challenge: Annotated[str, typer.Argument(help="material, type or artist", show_default=False)],
    model: Annotated[
        str, typer.Option(help="a run's key, or a registered NAME, NAME/VERSION or NAME@ALIAS; empty: the best run")
    ] = "",
    precision: Annotated[float, typer.Option(help="how often suggestions have to be right, between 0 and 1")] = 0.95,
    check: Annotated[bool, typer.Option("--check", help="also find labels that are probably wrong")] = False,
    out: Annotated[Path, typer.Option(help="a folder; it gets one named after the collection")] = Path("suggestions"),
) -> None:
    """Suggest labels for objects whose field is blank, where the network is right as often as you ask.

    Writes a table for your collection system, one row an object, the same as JSON Lines, and a page to look through:
    calibrated confidence, the labelled objects that look most alike, and where the network looked. What it is not sure
    enough of, and pictures unlike all that it learnt from, get no suggestion. The museum's data stay as they are.
    """
    from datetime import UTC, datetime

    from rijksnet.suggesting import sheet
    from rijksnet.suggesting.suggest import suggest
    from rijksnet.suggesting.write import write

    _check_precision(precision)
    chosen = params_with(collection)
    found = suggest(chosen, collection, check_challenge(challenge), model, precision, check, sheet.DARED)
    folder = out / collection
    write(found, folder, datetime.now(UTC).isoformat(timespec="seconds"))
    page = sheet.write_sheet(found, folder)
    print(*sheet.verdict(found), sep="\n")
    print(f"{page} shows them; {page.with_suffix('.csv')} has a row for each object")


@app.command(rich_help_panel=USE)
def review(
    collection: CollectionArgument,
    challenge: Annotated[str, typer.Argument(help="material, type or artist", show_default=False)],
    suggestions: Annotated[Path, typer.Option(help="the folder `rijksnet suggest` wrote to")] = Path("suggestions"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 8081,
) -> None:
    """Look through suggestions on a page, by keyboard: accept, correct, reject, skip, undo.

    Decisions are kept as they are made, in <challenge>-decisions.jsonl beside the suggestions: who, when, and which
    model suggested what. The same command goes on where a person stopped; where two decided the same objects,
    /agreement says how far they agree (Cohen's kappa).
    """
    from rijksnet.reviewing.run import review

    params_with(collection)
    review(collection, check_challenge(challenge), suggestions, port)


@app.command(rich_help_panel=USE)
def adopt(
    collection: CollectionArgument,
    challenge: Annotated[str, typer.Argument(help="material, type or artist", show_default=False)],
    suggestions: Annotated[Path, typer.Option(help="the folder `rijksnet suggest` wrote to")] = Path("suggestions"),
) -> None:
    """Make decisions of the review page labels that the next `dvc repro` trains on.

    Writes decided_labels/<collection>/<challenge>.csv: what was accepted or corrected, where all who decided agree. It
    is laid over what the museum says when the catalogue is made; the museum's data stay as they are, and cleaning.csv
    says what it changed.
    """
    from rijksnet.paths import CollectionPaths
    from rijksnet.reviewing.adopt import adopt

    params_with(collection)
    found = adopt(CollectionPaths(collection), check_challenge(challenge), suggestions)
    print(f"{found.file}: {found.new} labels are new, {found.kept} stood there already; `dvc repro` trains on them")
    for object_id in found.withdrawn:
        print(f"taken out, since nobody says so any more: {object_id}")
    for object_id, said in found.disputed.items():
        print(f"left as it was, since people disagree: {object_id}: {said}")


@app.command(rich_help_panel=USE)
def annotate(
    collection: CollectionArgument,
    challenge: Annotated[str, typer.Argument(help="material, type or artist", show_default=False)],
    at: Annotated[str, typer.Option(help="address of the folder in which the manifest will be", show_default=False)],
    suggestions: Annotated[Path, typer.Option(help="the folder `rijksnet suggest` wrote to")] = Path("suggestions"),
) -> None:
    """Write suggestions as Web Annotations in a IIIF manifest, which viewers such as Mirador show.

    A canvas for each object that has a suggestion, or a label that people gave it on the review page; what they
    rejected is left out. Pictures are at the museum's own addresses, or, where it has none, in the file itself.
    """
    from rijksnet.reviewing.annotations import annotate

    file, objects, lacking = annotate(params_with(collection), collection, check_challenge(challenge), suggestions, at)
    print(f"{file}: {objects} objects; viewers find it once it is at {at.rstrip('/')}/{file.name}")
    for object_id in lacking:
        print(f"left out, since no picture of it can be shown: {object_id}")


@app.command(rich_help_panel=USE)
def serve(
    model: Annotated[
        str, typer.Argument(help="a run's key, or a registered NAME, NAME/VERSION or NAME@ALIAS", show_default=False)
    ],
    precision: Annotated[float, typer.Option(help="how often suggestions have to be right, between 0 and 1")] = 0.95,
    host: Annotated[str, typer.Option(help="address to listen on; any but this machine's own needs a token")] = LOCAL,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 8080,
    follow: Annotated[float, typer.Option(min=0.1, help="seconds between looks at the registry")] = 10.0,
) -> None:
    """Serve a trained network: POST a picture to /classify, or drop it on the page.

    Answers are ranked labels with calibrated probabilities, a suggestion where the network dares one, the labelled
    objects that look most alike, and where it looked. A model's name or alias is followed: what `rijksnet promote`
    makes champion answers without a restart. /openapi.json describes it, /metrics is for Prometheus, /health for
    watchers.
    Limits, and servers whose pictures may be asked about by their address, are the section `service` of params.yaml.

    Other machines may ask where --host lets them and RIJKSNET_TOKEN is set: requests then bear `Authorization: Bearer
    TOKEN`.
    """
    import os

    from rijksnet.service.run import serve

    _check_precision(precision)
    serve(params(), model, precision, host, port, os.environ.get("RIJKSNET_TOKEN", ""), follow)


def _check_precision(precision: float) -> None:
    from rijksnet.errors import ParamsError

    if not 0 < precision < 1:
        raise ParamsError(f"--precision {precision} is none: a number between 0 and 1, such as 0.95")
