"""The catalogue as later stages read it: one row per object and image of a collection; and what cleaning changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from rijksnet.errors import CollectionError

if TYPE_CHECKING:
    from pathlib import Path

#: Columns of catalogue.parquet, sorted by (object_id, image). `image` is unique; `file` is relative to the project
#: root as `raw` is; `offset` and `length` are bytes; label lists are in the museum's order, empty where unknown;
#: `split` is the official one (train, validation, test), empty where there is none.
SCHEMA = pa.schema(
    [
        ("object_id", pa.string()),
        ("image", pa.string()),
        ("file", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("creator", pa.list_(pa.string())),
        ("type", pa.list_(pa.string())),
        ("material", pa.list_(pa.string())),
        ("title", pa.string()),
        ("rights", pa.string()),
        ("split", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Change:
    """A row of cleaning.csv: what a rule did to a value, which `objects` had; `after` is empty where it was dropped."""

    field: str
    rule: str
    before: str
    after: str
    objects: int


def read_catalogue(path: Path) -> pa.Table:
    """The catalogue, with the columns of `SCHEMA`.

    Raises:
        CollectionError: there is none.
    """
    if not path.is_file():
        raise CollectionError(f"{path} is not there: run the stage `catalogue` of this collection first")
    return pq.read_table(path, schema=SCHEMA)
