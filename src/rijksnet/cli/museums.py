"""Commands that ask a museum's servers, and those that exchange splits and count the published ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rijksnet.cli.app import MUSEUMS, CollectionArgument, app, params_with


@app.command(rich_help_panel=MUSEUMS)
def harvest(collection: CollectionArgument) -> None:
    """Harvest a museum's records over OAI-PMH; a second call asks only for what has changed."""
    from rijksnet.collection_params import OaiCollection
    from rijksnet.errors import ParamsError
    from rijksnet.harvesting.harvest import harvest

    chosen = params_with(collection).collections[collection]
    if not isinstance(chosen, OaiCollection):
        raise ParamsError(f"collections.{collection} has reader {chosen.reader!r}: only `oai_pmh` is harvested")
    print(harvest(chosen, collection))


@app.command(rich_help_panel=MUSEUMS)
def fetch(
    collection: CollectionArgument,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="ask for refused images again too")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="check what is there first, and fetch what is damaged")
    ] = False,
) -> None:
    """Download a collection's images (IIIF or plain addresses) into tar files; it goes on where it was interrupted."""
    from rijksnet.collections.readers import downloads_of
    from rijksnet.harvesting.fetch import fetch
    from rijksnet.harvesting.shard_writer import verify as check

    reader, download, folder = downloads_of(collection, params_with(collection).collections[collection])
    if verify:
        print(check(folder))
    print(fetch(reader, download, folder, retry_failed))


@app.command(rich_help_panel=MUSEUMS)
def share(collection: CollectionArgument) -> None:
    """Write a collection's splits as CSV files (object id, split) that others can import: `splits.rule: imported`."""
    from rijksnet.data.sharing import export
    from rijksnet.paths import CollectionPaths
    from rijksnet.stages.splits import challenges_of

    for file in export(CollectionPaths(collection), challenges_of(params_with(collection), collection)):
        print(file)


@app.command(rich_help_panel=MUSEUMS)
def groundtruth(
    file: Annotated[Path, typer.Argument(help="rijksgt.mat of the Rijksmuseum Challenge 2014", show_default=False)],
) -> None:
    """Count Table 1 on the real ground truth, before and after the split rule; writes reference/."""
    from rijksnet.data.table1 import write_groundtruth_table

    print(write_groundtruth_table(file).drop(columns="groundtruth_sha256").to_string(index=False))
