"""Which reader reads which kind of collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.collection_params import (
    Columns,
    Download,
    MiniatureCollection,
    OaiCollection,
    RijksChallengeCollection,
    TableCollection,
)
from rijksnet.collections.oai_pmh import OaiReader
from rijksnet.collections.rijks_challenge.reader import RijksChallengeReader
from rijksnet.collections.tables.reader import TableReader
from rijksnet.errors import ParamsError

if TYPE_CHECKING:
    from rijksnet.collection_params import (
        Collection,
    )
    from rijksnet.collections.records import AddressReader, Reader


def reader_for(collection: Collection) -> Reader:
    """The reader of a collection's raw files."""
    match collection:
        case TableCollection():
            return TableReader(collection)
        case OaiCollection():
            return OaiReader(collection)
        case RijksChallengeCollection():
            return RijksChallengeReader(collection)
        case MiniatureCollection():
            return TableReader(_miniature_table(collection))


def downloads_of(name: str, collection: Collection) -> tuple[AddressReader, Download, Path]:
    """Who knows the addresses of a collection's images, how they are fetched, and the folder they are fetched into.

    Raises:
        ParamsError: its images are files already.
    """
    match collection:
        case OaiCollection():
            return OaiReader(collection), collection.download, Path(collection.raw) / "images"
        case TableCollection(download=Download() as download):
            return TableReader(collection), download, Path(collection.raw) / collection.images
    raise ParamsError(
        f"collections.{name} has no `download`: its images are files in {collection.raw!r}. For a table whose image "
        "column holds addresses, set `download`"
    )


def _miniature_table(collection: MiniatureCollection) -> TableCollection:
    """A drawn collection is a table with fixed names (`rijksnet.miniature.draw` writes them)."""
    columns = Columns(creator="creator", type="type", material="material", title="title", rights="rights")
    return TableCollection(
        reader="table", raw=collection.raw, table="records.csv", images="images.tar", columns=columns, separator="|"
    )
