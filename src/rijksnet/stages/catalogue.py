"""The stage that reads a museum's files into a catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rijksnet.collections.build import build
from rijksnet.collections.readers import reader_for
from rijksnet.paths import CollectionPaths

if TYPE_CHECKING:
    from rijksnet.params import Params


def catalogue(params: Params, collection: str) -> None:
    """Write catalogue.parquet, rejects.csv and cleaning.csv."""
    asked = params.collections[collection]
    print(build(reader_for(asked), CollectionPaths(collection), asked.cleaning, Path(asked.raw)))
