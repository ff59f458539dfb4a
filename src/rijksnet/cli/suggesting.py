"""The command that asks a trained network for what a museum does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rijksnet.cli.app import USE, CollectionArgument, app, check_challenge, params_with


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

    from rijksnet.errors import ParamsError
    from rijksnet.suggesting import sheet
    from rijksnet.suggesting.suggest import suggest
    from rijksnet.suggesting.write import write

    if not 0 < precision < 1:
        raise ParamsError(f"--precision {precision} is none: a number between 0 and 1, such as 0.95")
    chosen = params_with(collection)
    found = suggest(chosen, collection, check_challenge(challenge), model, precision, check, sheet.DARED)
    folder = out / collection
    write(found, folder, datetime.now(UTC).isoformat(timespec="seconds"))
    page = sheet.write_sheet(found, folder)
    print(*sheet.verdict(found), sep="\n")
    print(f"{page} shows them; {page.with_suffix('.csv')} has a row for each object")
