"""The `table` reader: any CSV file plus a folder or tar of images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rijksnet.collections.images import ImageRefusedError, locator, normal_name
from rijksnet.collections.records import Extent, Reason, Record, Reject
from rijksnet.errors import CollectionError
from rijksnet.params import Columns, TableCollection


@dataclass(frozen=True)
class TableReader:
    """Records of a table, in its order.

    Raises, on iterating:
        CollectionError: `raw`, the table or the images are absent; the table is not UTF-8, no CSV, or lacks a column.
    """

    collection: TableCollection

    def __iter__(self) -> Iterator[Record | Reject]:
        raw = Path(self.collection.raw)
        if not raw.is_dir():
            raise CollectionError(f"`raw` is {self.collection.raw!r}, which is not a folder")
        table = raw / self.collection.table
        if not table.is_file():
            raise CollectionError(f"`table` is {self.collection.table!r}, but {table} is not a file")
        find = locator(raw / self.collection.images)
        for row in _rows(table, self.collection.columns):
            yield row if isinstance(row, Reject) else self._record(row, find)

    def _record(self, row: dict[str, str], find: Callable[[str], Extent]) -> Record | Reject:
        object_id, image = row["object_id"], row["image"]
        columns, separator = self.collection.columns, self.collection.separator
        if not object_id:
            return Reject("", image, Reason.NO_OBJECT_ID, f"column {columns.object_id!r} is empty")
        if not image:
            return Reject(object_id, "", Reason.NO_IMAGE, f"column {columns.image!r} is empty")
        try:
            extent = find(image)
        except ImageRefusedError as refusal:
            return Reject(object_id, image, refusal.reason, refusal.detail)
        return Record(
            object_id,
            normal_name(image),
            *extent,
            creator=values(row["creator"], separator),
            type=values(row["type"], separator),
            material=values(row["material"], separator),
            title=row["title"],
            rights=row["rights"],
        )


def values(cell: str, separator: str) -> tuple[str, ...]:
    """The values in one cell, in order; empty ones say nothing and are left out."""
    return tuple(value for part in cell.split(separator) if (value := part.strip()))


def _rows(table: Path, columns: Columns) -> Iterator[dict[str, str] | Reject]:
    """Cells by field of `Columns`, stripped; the empty string for a field that has no column."""
    with table.open(encoding="utf-8-sig", newline="") as stream:
        lines = csv.reader(stream, strict=True)
        try:
            header = [cell.strip() for cell in next(lines, [])]
            positions = _positions(table, header, columns)
            for cells in lines:
                if len(cells) == len(header):
                    yield {field: "" if i is None else cells[i].strip() for field, i in positions.items()}
                elif cells:  # a blank line is nothing, not a malformed row
                    detail = f"line {lines.line_num} has {len(cells)} cells, the header has {len(header)}"
                    yield Reject("", "", Reason.MALFORMED, detail)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise CollectionError(
                f"{table} is not UTF-8 (byte 0x{byte:02x} after line {lines.line_num}): save it as UTF-8, "
                f"for example with `iconv -f latin1 -t utf-8`"
            ) from error
        except csv.Error as error:
            raise CollectionError(f"{table} is no CSV file at line {lines.line_num}: {error}") from error


def _positions(table: Path, header: list[str], columns: Columns) -> dict[str, int | None]:
    positions: dict[str, int | None] = {}
    for field, column in columns.model_dump().items():
        if column is not None and header.count(column) != 1:
            raise CollectionError(
                f"columns.{field} is {column!r}, which {table} has {header.count(column)} times; its columns: {header}"
            )
        positions[field] = None if column is None else header.index(column)
    return positions
