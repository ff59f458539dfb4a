"""Which reader reads which kind of collection."""

from __future__ import annotations

from rijksnet.collections.records import Reader
from rijksnet.collections.table import TableReader
from rijksnet.params import Collection, Columns, MiniatureCollection, TableCollection


def reader_for(collection: Collection) -> Reader:
    """The reader of a collection's raw files."""
    if isinstance(collection, MiniatureCollection):
        return TableReader(_miniature_table(collection))
    return TableReader(collection)


def _miniature_table(collection: MiniatureCollection) -> TableCollection:
    """A drawn collection is a table with fixed names (`rijksnet.collections.miniature` writes them)."""
    columns = Columns(creator="creator", type="type", material="material", title="title", rights="rights")
    return TableCollection(
        reader="table", raw=collection.raw, table="records.csv", images="images.tar", columns=columns, separator="|"
    )
