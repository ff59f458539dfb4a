"""The command that begins a collection of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rijksnet.cli.app import STARTING, app, check_challenge


@app.command(rich_help_panel=STARTING)
def init(
    table: Annotated[
        Path | None, typer.Option(help="the list of objects: CSV, a workbook (.xlsx, .ods) or JSON")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="folder or .tar of the images")] = None,
    service: Annotated[
        tuple[str, str],
        typer.Option("--from", metavar="oai|iiif URL", help="a museum's OAI-PMH service, or a IIIF collection"),
    ] = ("", ""),
    recognise: Annotated[list[str], typer.Option(help="material, type or artist; several times for several")] = [],  # noqa: B006  typer's way to say that it may be left out
    column: Annotated[
        list[str], typer.Option(metavar="WHAT=COLUMN", help="a column that is not found by itself, e.g. type=Objektart")
    ] = [],  # noqa: B006
    name: Annotated[str, typer.Option(help="what the collection is called here; after the table, otherwise")] = "",
    weights: Annotated[
        list[str],
        typer.Option(metavar="NETWORK=FILE", help="ImageNet weights that are here; otherwise they are downloaded"),
    ] = [],  # noqa: B006
    contact: Annotated[str, typer.Option(help="your e-mail address, where images are fetched from servers")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="ask nothing: take what is proposed")] = False,
    force: Annotated[bool, typer.Option("--force", help="also over a params.yaml with changes of your own")] = False,
) -> None:
    """Begin with a collection of your own: a table and its images become params.yaml, and `dvc repro` runs.

    What can be found out is found out (dialect, encoding, columns, images that are missing, classes that are too
    small); what is meant is asked.
    """
    from rijksnet.errors import ParamsError
    from rijksnet.starting.asking import Asker
    from rijksnet.starting.begin import Wishes, begin
    from rijksnet.starting.project import require_project
    from rijksnet.starting.service import begin_with_iiif, begin_with_oai

    kind, url = service
    if url and (table or images):
        raise ParamsError("--from is a service, --table and --images are files: choose one")
    if kind not in ("", "oai", "iiif"):
        raise ParamsError(f"--from is {kind!r}: choose oai, with the service's base URL, or iiif, with a collection's")
    require_project(force)
    wishes = Wishes(
        table,
        images,
        [check_challenge(one) for one in recognise],
        _pairs(column, "--column"),
        name,
        {network: Path(file) for network, file in _pairs(weights, "--weights").items()},
        contact,
    )
    if kind == "oai":
        begin_with_oai(url, wishes, Asker(yes))
    elif kind == "iiif":
        begin_with_iiif(url, wishes, Asker(yes))
    else:
        begin(wishes, Asker(yes))


def _pairs(given: list[str], option: str) -> dict[str, str]:
    from rijksnet.errors import ParamsError

    found = {}
    for one in given:
        what, sign, value = one.partition("=")
        if not (what and sign and value):
            raise ParamsError(f"{option} is {one!r}, and should be of the form WHAT=VALUE")
        found[what] = value
    return found
